// Rates and the epoch grid: an index counts frames (or samples) since 1970-01-01T00:00:00 TAI, so index and instant are
// two spellings of one thing. The only place where one becomes the other.
// Indices and ticks are plain numbers: in the year 2100 the largest (90 kHz ticks) is 3.7e14, and a number is exact to
// 9.0e15. Nanoseconds are not (1.8e18), hence bigint.
import { assert } from "#base/assert.ts";

/** Frames or samples per second, as a fraction in lowest terms: 30000/1001, 25/1, 48000/1. */
export type Rate = Readonly<{ num: number; den: number }>;

const NS_PER_SECOND = 1_000_000_000n;

export function rate(num: number, den = 1): Rate {
  assert.ok(Number.isSafeInteger(num) && Number.isSafeInteger(den) && num > 0 && den > 0, `rate ${num}/${den}`);
  const divisor = gcd(num, den);
  return Object.freeze({ num: num / divisor, den: den / divisor });
}

/** Output rates of `grid` mode, slowest first. The first three serve slow sources only. */
export const STANDARD_RATES: readonly Rate[] = Object.freeze([
  rate(10),
  rate(25, 2),
  rate(15),
  rate(24_000, 1001),
  rate(24),
  rate(25),
  rate(30_000, 1001),
  rate(30),
  rate(50),
  rate(60_000, 1001),
  rate(60),
]);

export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

export function sameRate(a: Rate, b: Rate): boolean {
  return a.num === b.num && a.den === b.den;
}

/** Negative when a is slower, 0 when equal. */
export function compareRates(a: Rate, b: Rate): number {
  return a.num * b.den - b.num * a.den;
}

/** The rate as a decimal number, for display and for HLS FRAME-RATE; never for arithmetic. */
export function perSecond(r: Rate): number {
  return r.num / r.den;
}

/** "30000/1001" or "25". */
export function rateText(r: Rate): string {
  return r.den === 1 ? String(r.num) : `${r.num}/${r.den}`;
}

/** The standard rate that is not above the given one; the slowest when all are.
 *  A source's rate is measured, so 0.05 % of tolerance counts 29.99 as 30000/1001's and 30's neighbour, not below it. */
export function standardRateAtMost(framesPerSecond: number): Rate {
  const fitting = STANDARD_RATES.filter((r) => perSecond(r) <= framesPerSecond * 1.0005);
  return fitting.at(-1) ?? STANDARD_RATES[0]!;
}

/** The standard rate that a decimal number stands for ("29.97" is 30000/1001); null when none is within the tolerance.
 *  The nearest one, since 23.976 and 24 are only 0.1 % apart. @param tolerance as a fraction: 0.001 is 0.1 % */
export function nearestStandardRate(framesPerSecond: number, tolerance = 0.001): Rate | null {
  const away = (r: Rate) => Math.abs(framesPerSecond / perSecond(r) - 1);
  const nearest = STANDARD_RATES.reduce((best, r) => (away(r) < away(best) ? r : best));
  return away(nearest) <= tolerance ? nearest : null;
}

/** The index whose instant is nearest (half up).
 *  @param tNs TAI nanoseconds, not negative
 *  Source: MXL, "timing" of the flow specification: floor((t * num + 5e8 * den) / (1e9 * den)) */
export function indexAt(r: Rate, tNs: bigint): number {
  const num = BigInt(r.num);
  const den = BigInt(r.den);
  return Number((tNs * num + 500_000_000n * den) / (NS_PER_SECOND * den));
}

/** The first index whose instant is at or after `tNs`, compared exactly (not by its rounded nanosecond). */
export function indexAtOrAfter(r: Rate, tNs: bigint): number {
  const numerator = tNs * BigInt(r.num);
  const denominator = NS_PER_SECOND * BigInt(r.den);
  return Number((numerator + denominator - 1n) / denominator);
}

/** Instant of an index, to the nearest nanosecond.
 *  Source: MXL: floor((i * den * 1e9 + floor(num / 2)) / num) */
export function timeOf(r: Rate, index: number): bigint {
  const num = BigInt(r.num);
  return (BigInt(index) * BigInt(r.den) * NS_PER_SECOND + num / 2n) / num;
}

/** The first index of grid `to` whose instant is at or after that of index `index` of grid `from`: exact at any rates. */
export function indexOnGridAtOrAfter(from: Rate, index: number, to: Rate): number {
  const numerator = BigInt(index) * BigInt(from.den) * BigInt(to.num);
  const denominator = BigInt(from.num) * BigInt(to.den);
  return Number((numerator + denominator - 1n) / denominator);
}

/** Length of `count` frames or samples in nanoseconds, rounded to nearest. */
export function spanNs(r: Rate, count: number): bigint {
  return timeOf(r, count);
}

/** Nanoseconds to ticks of a timescale, nearest. */
export function nsToTicks(tNs: bigint, timescale: number): number {
  return indexAt({ num: timescale, den: 1 }, tNs);
}

/** Ticks of a timescale to nanoseconds, nearest. */
export function ticksToNs(ticks: number, timescale: number): bigint {
  return timeOf({ num: timescale, den: 1 }, ticks);
}
