// What H.264 and H.265 share in their video usability information: pixel aspect, colour and the frame rate as
// declared.
import type { VideoRange } from "#media/session-log/entries.ts";
import { type Rate, rate } from "#media/time/rate.ts";
import type { BitReader } from "./bits.ts";

export type PixelAspect = Readonly<{ num: number; den: number }>;

export const SQUARE: PixelAspect = Object.freeze({ num: 1, den: 1 });

const EXTENDED_ASPECT = 255;
const RATE_MAX = 300;

/** By aspect_ratio_idc. Source: ITU-T H.264, table E-1 (the same as H.265, table E.1) */
const ASPECTS: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 1],
  [12, 11],
  [10, 11],
  [16, 11],
  [40, 33],
  [24, 11],
  [20, 11],
  [32, 11],
  [80, 33],
  [18, 11],
  [15, 11],
  [64, 33],
  [160, 99],
  [4, 3],
  [3, 2],
  [2, 1],
];

/** aspect_ratio_info_present_flag and what follows it. Unspecified or zero is taken as square. */
export function readPixelAspect(bits: BitReader): PixelAspect {
  if (!bits.flag()) return SQUARE;
  const idc = bits.bits(8);
  const [num, den] = idc === EXTENDED_ASPECT ? [bits.bits(16), bits.bits(16)] : (ASPECTS[idc] ?? [1, 1]);
  return num > 0 && den > 0 ? rate(num, den) : SQUARE; // in lowest terms, as rates are
}

/** How numbers become colours, as code points of ITU-T H.273; 2 = not specified. */
export type Colour = Readonly<{ primaries: number; transfer: number; matrix: number; fullRange: boolean }>;

/** The code point that says nothing. */
export const UNSPECIFIED = 2;

export const UNSPECIFIED_COLOUR: Colour = Object.freeze({
  primaries: UNSPECIFIED,
  transfer: UNSPECIFIED,
  matrix: UNSPECIFIED,
  fullRange: false,
});

/** overscan_info, video_signal_type and chroma_loc_info. */
export function readColour(bits: BitReader): Colour {
  let colour = UNSPECIFIED_COLOUR;
  if (bits.flag()) bits.skip(1);
  if (bits.flag()) {
    bits.skip(3);
    colour = { ...colour, fullRange: bits.flag() };
    if (bits.flag()) colour = { ...colour, primaries: bits.bits(8), transfer: bits.bits(8), matrix: bits.bits(8) };
  }
  if (bits.flag()) {
    bits.ue("chroma_sample_loc_type_top_field", 5);
    bits.ue("chroma_sample_loc_type_bottom_field", 5);
  }
  return colour;
}

/** transfer_characteristics of BT.2100. Source: ITU-T H.273, table 3 */
export const TRANSFER = { pq: 16, hlg: 18 } as const;

export function videoRange(transfer: number): VideoRange {
  return transfer === TRANSFER.pq ? "PQ" : transfer === TRANSFER.hlg ? "HLG" : "SDR";
}

/** num_units_in_tick and time_scale as frames per second. Null when no camera runs at that rate: encoders that are
 *  given a time base instead of a rate declare 1000 or 90 000 "frames".
 *  @param ticksPerFrame 2 in H.264 (a tick is a field), 1 in H.265 */
export function declaredRate(unitsInTick: number, timeScale: number, ticksPerFrame: 1 | 2): Rate | null {
  if (unitsInTick === 0 || timeScale === 0) return null;
  const framesPerSecond = timeScale / (unitsInTick * ticksPerFrame);
  return framesPerSecond >= 1 && framesPerSecond <= RATE_MAX ? rate(timeScale, unitsInTick * ticksPerFrame) : null;
}
