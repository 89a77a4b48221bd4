// Ticks of `source` mode: pictures that are copied keep their own times, counted in the timescale of their track. One grid of
// ticks serves a whole era, so a "frame" of its decisions is a tick, and everything that counts frames goes on to work.
import { type Rate, rate } from "./rate.ts";

/** Ticks a second of pictures at a whole rate, and of those at no constant rate. All rates of STANDARD_RATES have whole
 *  ticks in it or in their own numerator. */
export const SOURCE_TIMESCALE = 90_000;

/** The tick grid of pictures that come at this rate: its numerator for 24000/1001 and its kin, which 90 kHz cannot express.
 *  @param frameRate null when it varies */
export function tickRate(frameRate: Rate | null): Rate {
  return frameRate === null || frameRate.den === 1 || SOURCE_TIMESCALE % frameRate.num === 0
    ? rate(SOURCE_TIMESCALE)
    : rate(frameRate.num);
}

/** Ticks of one picture, to the nearest. */
export function ticksPerFrame(ticks: Rate, frameRate: Rate): number {
  return Math.round((ticks.num * frameRate.den) / frameRate.num);
}

/** The part, from 0, of a picture (or audio frame) that starts at `tick`, in a segment that starts at `start`: parts are
 *  cells of equal width, and a cell in which nothing starts is none.
 *  @param cell EraOpened.partFrames */
export function partCell(start: number, tick: number, cell: number): number {
  return Math.max(0, Math.floor((tick - start) / cell));
}
