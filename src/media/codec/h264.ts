// H.264 as far as a gateway needs it: what a stream is (sequence parameter set), where pictures begin, and where
// decoding can start. Source of everything here: ITU-T H.264, clauses 7.3 and 7.4, annexes D and E.
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
  slice: 1,
  partitionA: 2,
  idr: 5,
  sei: 6,
  sps: 7,
  pps: 8,
  accessUnitDelimiter: 9,
  filler: 12,
  prefix: 14,
  subsetSps: 15,
  depthParameterSet: 16,
  extensionSlice: 20,
  depthSlice: 21,
} as const;

/** Width or height above which a parameter set is taken as noise: level 6.2 ends at 16 880 by its macroblock count. */
export const SIDE_MAX = 16_384;

export type H264Sps = Readonly<{
  id: number;
  profile: number;
  constraints: number;
  level: number;
  chromaFormat: number;
  bitDepthLuma: number;
  bitDepthChroma: number;
  separateColourPlanes: boolean;
  frameNumBits: number;
  /** Bits of pic_order_cnt_lsb; 0 when the order is coded another way. */
  pictureOrderBits: number;
  framesOnly: boolean;
  /** After cropping. */
  width: number;
  height: number;
  pixelAspect: PixelAspect;
  colour: Colour;
  declaredRate: Rate | null;
  /** max_num_reorder_frames; null when the stream does not say. */
  reorderFrames: number | null;
}>;

export function nalType(nal: Uint8Array): number {
  return nal[0]! & 0x1f;
}

export function isSlice(type: number): boolean {
  return type === NAL.slice || type === NAL.partitionA || type === NAL.idr;
}

const WITH_CHROMA_FORMAT = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

export function hasChromaFormat(profile: number): boolean {
  return WITH_CHROMA_FORMAT.has(profile);
}

/** @param nal the NAL unit with its header byte @throws PlatformError media.truncated, media.malformed */
export function parseSps(nal: Buffer): H264Sps {
  const bits = new BitReader(unescapeNal(nal));
  bits.skip(8);
  const profile = bits.bits(8);
  const constraints = bits.bits(8);
  const level = bits.bits(8);
  const id = bits.ue("seq_parameter_set_id", 31);
  const chroma = readChroma(bits, profile);
  const frameNumBits = bits.ue("log2_max_frame_num_minus4", 12) + 4;
  const pictureOrderBits = readPictureOrder(bits);
  bits.ue("max_num_ref_frames", 16);
  bits.skip(1);
  const size = readSize(bits, chroma.format, chroma.separatePlanes);
  const usability = bits.flag()
    ? readUsability(bits)
    : { pixelAspect: SQUARE, colour: UNSPECIFIED_COLOUR, declaredRate: null, reorderFrames: null };
  return {
    id,
    profile,
    constraints,
    level,
    chromaFormat: chroma.format,
    bitDepthLuma: chroma.bitDepthLuma,
    bitDepthChroma: chroma.bitDepthChroma,
    separateColourPlanes: chroma.separatePlanes,
    frameNumBits,
    pictureOrderBits,
    ...size,
    ...usability,
  };
}

function readChroma(bits: BitReader, profile: number) {
  if (!hasChromaFormat(profile)) return { format: 1, separatePlanes: false, bitDepthLuma: 8, bitDepthChroma: 8 };
  const format = bits.ue("chroma_format_idc", 3);
  const separatePlanes = format === 3 && bits.flag();
  const bitDepthLuma = bits.ue("bit_depth_luma_minus8", 6) + 8;
  const bitDepthChroma = bits.ue("bit_depth_chroma_minus8", 6) + 8;
  bits.skip(1);
  const lists = bits.flag() ? (format === 3 ? 12 : 8) : 0;
  for (let i = 0; i < lists; i += 1) {
    const present = bits.flag();
    if (present) skipScalingList(bits, i < 6 ? 16 : 64);
  }
  return { format, separatePlanes, bitDepthLuma, bitDepthChroma };
}

function skipScalingList(bits: BitReader, size: number): void {
  let last = 8;
  for (let i = 0; i < size; i += 1) {
    const next = (last + bits.se("delta_scale") + 256) & 0xff;
    if (next === 0) return; // the rest repeats the last value
    last = next;
  }
}

function readPictureOrder(bits: BitReader): number {
  const type = bits.ue("pic_order_cnt_type", 2);
  if (type === 0) return bits.ue("log2_max_pic_order_cnt_lsb_minus4", 12) + 4;
  if (type === 1) {
    bits.skip(1);
    bits.se("offset_for_non_ref_pic");
    bits.se("offset_for_top_to_bottom_field");
    const count = bits.ue("num_ref_frames_in_pic_order_cnt_cycle", 255);
    for (let i = 0; i < count; i += 1) bits.se("offset_for_ref_frame");
  }
  return 0;
}

function readSize(bits: BitReader, chromaFormat: number, separatePlanes: boolean) {
  const widthBlocks = bits.ue("pic_width_in_mbs_minus1", SIDE_MAX / 16) + 1;
  const heightUnits = bits.ue("pic_height_in_map_units_minus1", SIDE_MAX / 16) + 1;
  const framesOnly = bits.flag();
  if (!framesOnly) bits.skip(1);
  bits.skip(1);
  const fields = framesOnly ? 1 : 2;
  const planar = chromaFormat === 0 || separatePlanes;
  const unitX = planar || chromaFormat === 3 ? 1 : 2;
  const unitY = (!planar && chromaFormat === 1 ? 2 : 1) * fields;
  const crop = bits.flag() ? [0, 0, 0, 0].map(() => bits.ue("frame_crop_offset", SIDE_MAX)) : [0, 0, 0, 0];
  const width = widthBlocks * 16 - (crop[0]! + crop[1]!) * unitX;
  const height = heightUnits * 16 * fields - (crop[2]! + crop[3]!) * unitY;
  if (width <= 0 || height <= 0 || width > SIDE_MAX || height > SIDE_MAX)
    throw new PlatformError("media.malformed", `H.264: a picture of ${width}x${height}`);
  return { framesOnly, width, height };
}

/** Source: E.1.1 */
function readUsability(bits: BitReader) {
  const pixelAspect = readPixelAspect(bits);
  const colour = readColour(bits);
  let rate: Rate | null = null;
  if (bits.flag()) {
    rate = declaredRate(bits.bits(32), bits.bits(32), 2);
    bits.skip(1);
  }
  const nalHrd = bits.flag();
  if (nalHrd) skipHrd(bits);
  const vclHrd = bits.flag();
  if (vclHrd) skipHrd(bits);
  bits.skip(nalHrd || vclHrd ? 2 : 1);
  if (!bits.flag()) return { pixelAspect, colour, declaredRate: rate, reorderFrames: null };
  bits.skip(1);
  for (const name of ["max_bytes_per_pic_denom", "max_bits_per_mb_denom", "log2_max_mv_x", "log2_max_mv_y"])
    bits.ue(name, 32);
  return { pixelAspect, colour, declaredRate: rate, reorderFrames: bits.ue("max_num_reorder_frames", 16) };
}

function skipHrd(bits: BitReader): void {
  const count = bits.ue("cpb_cnt_minus1", 31) + 1;
  bits.skip(8);
  for (let i = 0; i < count; i += 1) {
    bits.ue("bit_rate_value_minus1");
    bits.ue("cpb_size_value_minus1");
    bits.skip(1);
  }
  bits.skip(20);
}

/** Ids of a picture parameter set and of the sequence parameter set it belongs to. */
export function parsePps(nal: Buffer): { id: number; spsId: number } {
  const bits = new BitReader(unescapeNal(nal.subarray(0, 16)));
  bits.skip(8);
  return { id: bits.ue("pic_parameter_set_id", 255), spsId: bits.ue("seq_parameter_set_id", 31) };
}

export type SliceStart = Readonly<{
  firstBlock: number;
  /** Nothing is predicted from other pictures. */
  intra: boolean;
  ppsId: number;
}>;

const SLICE_HEAD_BYTES = 40; // everything read here is shorter, escapes included

/** What needs no parameter set. @throws PlatformError media.truncated, media.malformed Source: 7.3.3 */
export function parseSliceStart(nal: Buffer): SliceStart {
  return readSliceStart(sliceBits(nal));
}

function sliceBits(nal: Buffer): BitReader {
  const bits = new BitReader(unescapeNal(nal.subarray(0, SLICE_HEAD_BYTES)));
  bits.skip(8);
  return bits;
}

function readSliceStart(bits: BitReader): SliceStart {
  const firstBlock = bits.ue("first_mb_in_slice");
  const type = bits.ue("slice_type", 9) % 5;
  return { firstBlock, intra: type === 2 || type === 4, ppsId: bits.ue("pic_parameter_set_id", 255) };
}

/** What tells one picture's slices from the next one's. */
export type Picture = SliceStart &
  Readonly<{
    frameNum: number;
    field: "frame" | "top" | "bottom";
    idr: boolean;
    reference: boolean;
    idrId: number;
    order: number;
  }>;

/** @throws PlatformError media.truncated, media.malformed Source: 7.3.3 */
export function parsePicture(nal: Buffer, sps: H264Sps): Picture {
  const bits = sliceBits(nal);
  const start = readSliceStart(bits);
  if (sps.separateColourPlanes) bits.skip(2);
  const frameNum = bits.bits(sps.frameNumBits);
  const isField = !sps.framesOnly && bits.flag();
  const field = isField ? (bits.flag() ? "bottom" : "top") : "frame";
  const idr = nalType(nal) === NAL.idr;
  const idrId = idr ? bits.ue("idr_pic_id", 65_535) : 0;
  const order = sps.pictureOrderBits > 0 ? bits.bits(sps.pictureOrderBits) : 0;
  return { ...start, frameNum, field, idr, reference: (nal[0]! & 0x60) !== 0, idrId, order };
}

/** Whether two slices that follow each other are of different pictures.
 *  Source: 7.4.1.2.4; a slice that begins at the first macroblock counts too, since slices come in order outside of the
 *  baseline profile's arbitrary order, which no live encoder uses. */
export function isNewPicture(before: Picture, now: Picture): boolean {
  return (
    now.firstBlock === 0 ||
    before.frameNum !== now.frameNum ||
    before.ppsId !== now.ppsId ||
    before.field !== now.field ||
    before.reference !== now.reference ||
    before.idr !== now.idr ||
    before.idrId !== now.idrId ||
    before.order !== now.order
  );
}

/** Whether `now` is the other field of the frame that `before` began: one frame to a decoder, so one unit. */
export function isSecondField(before: Picture, now: Picture): boolean {
  const opposite =
    (before.field === "top" && now.field === "bottom") || (before.field === "bottom" && now.field === "top");
  return opposite && before.frameNum === now.frameNum && !(now.idr && !before.idr);
}
