// H.265 as far as a gateway needs it: what a stream is (parameter sets), where pictures begin, where decoding can start.
// Source of everything here: ITU-T H.265, clauses 7.3 and 7.4, annex E.
import { PlatformError } from "#base/errors.ts";
import type { Rate } from "#media/time/rate.ts";
import { BitReader, unescapeNal } from "./bits.ts";
import {
  type Colour,
  declaredRate,
  type PixelAspect,
  readColour,
  readPixelAspect,
  SQUARE,
  UNSPECIFIED_COLOUR,
} from "./vui.ts";

export const NAL = {
  lastSlice: 31,
  firstRandomAccess: 16,
  idrWithLeading: 19,
  idrNoLeading: 20,
  lastRandomAccess: 21,
  vps: 32,
  sps: 33,
  pps: 34,
  accessUnitDelimiter: 35,
  filler: 38,
  prefixSei: 39,
} as const;

const SIDE_MAX = 16_384;

/** profile_tier_level as the configuration record and the codec string need it. */
export type HevcProfile = Readonly<{
  space: number;
  tier: 0 | 1;
  profile: number;
  /** 32 flags; the first (profile 0) is the highest bit. */
  compatibility: number;
  /** 6 bytes. */
  constraints: Buffer;
  level: number;
  interlaced: boolean;
}>;

export type HevcSps = Readonly<{
  id: number;
  vpsId: number;
  temporalLayers: number;
  temporalNesting: boolean;
  profile: HevcProfile;
  chromaFormat: number;
  bitDepthLuma: number;
  bitDepthChroma: number;
  /** After the conformance window. */
  width: number;
  height: number;
  reorderFrames: number;
  pixelAspect: PixelAspect;
  colour: Colour;
  declaredRate: Rate | null;
  /** Each picture is one field. */
  fieldPictures: boolean;
  minSpatialSegmentation: number;
}>;

export function nalType(nal: Uint8Array): number {
  return (nal[0]! >> 1) & 0x3f;
}

/** Layer of a scalable or multiview stream; 0 is the picture itself. */
export function nalLayer(nal: Uint8Array): number {
  return ((nal[0]! & 1) << 5) | ((nal[1] ?? 0) >> 3);
}

export function isSlice(type: number): boolean {
  return type <= NAL.lastSlice;
}

/** IDR, BLA or CRA. */
export function isRandomAccess(type: number): boolean {
  return type >= NAL.firstRandomAccess && type <= NAL.lastRandomAccess;
}

/** first_slice_segment_in_pic_flag. */
export function isFirstSlice(nal: Uint8Array): boolean {
  return ((nal[2] ?? 0) & 0x80) !== 0;
}

/** slice_pic_parameter_set_id. @throws PlatformError media.truncated, media.malformed */
export function parseSlicePpsId(nal: Buffer): number {
  const bits = new BitReader(unescapeNal(nal.subarray(0, 24)));
  bits.skip(17);
  if (isRandomAccess(nalType(nal)) || nalType(nal) === 22 || nalType(nal) === 23) bits.skip(1);
  return bits.ue("slice_pic_parameter_set_id", 63);
}

export function parsePps(nal: Buffer): { id: number; spsId: number } {
  const bits = new BitReader(unescapeNal(nal.subarray(0, 24)));
  bits.skip(16);
  return { id: bits.ue("pps_pic_parameter_set_id", 63), spsId: bits.ue("pps_seq_parameter_set_id", 15) };
}

/** @throws PlatformError media.truncated, media.malformed */
export function parseVps(nal: Buffer): { id: number; declaredRate: Rate | null } {
  const bits = new BitReader(unescapeNal(nal));
  bits.skip(16);
  const id = bits.bits(4);
  bits.skip(8);
  const layersMinus1 = bits.bits(3);
  bits.skip(17);
  readProfileTierLevel(bits, layersMinus1);
  readOrderingInfo(bits, layersMinus1, bits.flag());
  const idMax = bits.bits(6);
  const sets = bits.ue("vps_num_layer_sets_minus1", 1023);
  bits.skip(sets * (idMax + 1));
  return { id, declaredRate: bits.flag() ? declaredRate(bits.bits(32), bits.bits(32), 1) : null };
}

function readProfileTierLevel(bits: BitReader, layersMinus1: number): HevcProfile {
  if (layersMinus1 > 6) throw new PlatformError("media.malformed", "H.265: 8 temporal layers");
  const space = bits.bits(2);
  const tier = bits.bits(1) as 0 | 1;
  const profile = bits.bits(5);
  const compatibility = bits.bits(32);
  const constraints = Buffer.from(Array.from({ length: 6 }, () => bits.bits(8)));
  const level = bits.bits(8);
  const present = Array.from({ length: layersMinus1 }, () => [bits.flag(), bits.flag()] as const);
  if (layersMinus1 > 0) bits.skip(2 * (8 - layersMinus1));
  for (const [hasProfile, hasLevel] of present) bits.skip((hasProfile ? 88 : 0) + (hasLevel ? 8 : 0));
  const interlaced = (constraints[0]! & 0xc0) === 0x40; // general_progressive_source_flag 0, general_interlaced_... 1
  return { space, tier, profile, compatibility, constraints, level, interlaced };
}

/** @returns sps_max_num_reorder_pics of the highest layer */
function readOrderingInfo(bits: BitReader, layersMinus1: number, perLayer: boolean): number {
  let reorder = 0;
  for (let i = perLayer ? 0 : layersMinus1; i <= layersMinus1; i += 1) {
    bits.ue("max_dec_pic_buffering_minus1", 15);
    reorder = bits.ue("max_num_reorder_pics", 15);
    bits.ue("max_latency_increase_plus1");
  }
  return reorder;
}

/** @param nal the NAL unit with its two header bytes @throws PlatformError media.truncated, media.malformed */
export function parseSps(nal: Buffer): HevcSps {
  const bits = new BitReader(unescapeNal(nal));
  bits.skip(16);
  const vpsId = bits.bits(4);
  const layersMinus1 = bits.bits(3);
  const temporalNesting = bits.flag();
  const profile = readProfileTierLevel(bits, layersMinus1);
  const id = bits.ue("sps_seq_parameter_set_id", 15);
  const picture = readPicture(bits);
  const orderBits = bits.ue("log2_max_pic_order_cnt_lsb_minus4", 12) + 4;
  const reorderFrames = readOrderingInfo(bits, layersMinus1, bits.flag());
  skipTools(bits);
  skipReferenceSets(bits, orderBits);
  bits.skip(2);
  const usability = bits.flag() ? readUsability(bits) : NO_USABILITY;
  return {
    id,
    vpsId,
    temporalLayers: layersMinus1 + 1,
    temporalNesting,
    profile,
    reorderFrames,
    ...picture,
    ...usability,
  };
}

function readPicture(bits: BitReader) {
  const chromaFormat = bits.ue("chroma_format_idc", 3);
  const separatePlanes = chromaFormat === 3 && bits.flag();
  const codedWidth = bits.ue("pic_width_in_luma_samples", SIDE_MAX);
  const codedHeight = bits.ue("pic_height_in_luma_samples", SIDE_MAX);
  const crop = bits.flag() ? [0, 0, 0, 0].map(() => bits.ue("conf_win_offset", SIDE_MAX)) : [0, 0, 0, 0];
  const planar = chromaFormat === 0 || separatePlanes;
  const width = codedWidth - (crop[0]! + crop[1]!) * (planar || chromaFormat === 3 ? 1 : 2);
  const height = codedHeight - (crop[2]! + crop[3]!) * (!planar && chromaFormat === 1 ? 2 : 1);
  if (width <= 0 || height <= 0) throw new PlatformError("media.malformed", `H.265: a picture of ${width}x${height}`);
  const bitDepthLuma = bits.ue("bit_depth_luma_minus8", 8) + 8;
  const bitDepthChroma = bits.ue("bit_depth_chroma_minus8", 8) + 8;
  return { chromaFormat, width, height, bitDepthLuma, bitDepthChroma };
}

/** Block sizes, scaling lists, filters, PCM. */
function skipTools(bits: BitReader): void {
  for (const name of ["log2_min_cb", "log2_diff_cb", "log2_min_tb", "log2_diff_tb", "tb_depth_inter", "tb_depth_intra"])
    bits.ue(name, 16);
  if (bits.flag() && bits.flag()) skipScalingLists(bits);
  bits.skip(2);
  if (!bits.flag()) return;
  bits.skip(8);
  bits.ue("log2_min_pcm", 5);
  bits.ue("log2_diff_pcm", 5);
  bits.skip(1);
}

/** Source: 7.3.4 */
function skipScalingLists(bits: BitReader): void {
  for (let size = 0; size < 4; size += 1)
    for (let matrix = 0; matrix < 6; matrix += size === 3 ? 3 : 1) {
      if (!bits.flag()) {
        bits.ue("scaling_list_pred_matrix_id_delta", 5);
        continue;
      }
      if (size > 1) bits.se("scaling_list_dc_coef_minus8");
      for (let i = 0; i < Math.min(64, 1 << (4 + (size << 1))); i += 1) bits.se("scaling_list_delta_coef");
    }
}

/** Short-term sets predict from each other, so their sizes must be followed; then the long-term ones. Source: 7.3.7 */
function skipReferenceSets(bits: BitReader, orderBits: number): void {
  const count = bits.ue("num_short_term_ref_pic_sets", 64);
  let pictures = 0;
  for (let i = 0; i < count; i += 1) {
    if (i > 0 && bits.flag()) {
      bits.skip(1);
      bits.ue("abs_delta_rps_minus1", 32_767);
      let used = 0;
      for (let j = 0; j <= pictures; j += 1) if (bits.flag() || bits.flag()) used += 1;
      pictures = used;
    } else {
      pictures = bits.ue("num_negative_pics", 16) + bits.ue("num_positive_pics", 16);
      for (let j = 0; j < pictures; j += 1) {
        bits.ue("delta_poc_minus1", 32_767);
        bits.skip(1);
      }
    }
  }
  if (bits.flag()) bits.skip(bits.ue("num_long_term_ref_pics_sps", 32) * (orderBits + 1));
}

const NO_USABILITY = {
  pixelAspect: SQUARE,
  colour: UNSPECIFIED_COLOUR,
  declaredRate: null as Rate | null,
  fieldPictures: false,
  minSpatialSegmentation: 0,
};

/** Source: E.2.1 */
function readUsability(bits: BitReader): typeof NO_USABILITY {
  const pixelAspect = readPixelAspect(bits);
  const colour = readColour(bits);
  bits.skip(1);
  const fieldPictures = bits.flag();
  bits.skip(1);
  if (bits.flag()) for (let i = 0; i < 4; i += 1) bits.ue("def_disp_win_offset", SIDE_MAX);
  const usability = { ...NO_USABILITY, pixelAspect, colour, fieldPictures };
  if (!bits.flag()) return { ...usability, minSpatialSegmentation: readRestriction(bits) };
  const rate = declaredRate(bits.bits(32), bits.bits(32), 1);
  if (bits.flag()) bits.ue("vui_num_ticks_poc_diff_one_minus1");
  if (bits.flag()) return { ...usability, declaredRate: rate }; // buffering parameters follow: nobody needs what is behind
  return { ...usability, declaredRate: rate, minSpatialSegmentation: readRestriction(bits) };
}

function readRestriction(bits: BitReader): number {
  if (!bits.flag()) return 0;
  bits.skip(3);
  return bits.ue("min_spatial_segmentation_idc", 4095);
}
