// At which rate frames come, and at which of the standard rates they are put out. A declared rate is believed at once and
// checked later; without one the first third of a second is measured.
// Why the mean step where steps are even: RTMP counts whole milliseconds, so single steps of 29.97 and 30 are the same.
import { perSecond, type Rate, rate, STANDARD_RATES, sameRate, standardRateAtMost } from "#media/time/rate.ts";

export type ChosenRate = Readonly<{ rate: Rate; sourceRate: Rate }>;

/** Frames, and seconds they must span, before a measurement counts. */
const FRAMES_MIN = 9;
const SPAN_SECONDS_MIN = 0.3;

const DECLARED_TOLERANCE = 0.0005;
const MEASURED_TOLERANCE = 0.005;
/** Above it a declared rate lied. */
const LIE = 0.02;

/** Steps that differ by more are uneven: frames are missing or the rate varies. */
const EVEN_FACTOR = 1.5;

const MEASURED_DENOMINATOR = 1000;

/** The standard rate nearest to the given one when it is near enough, else the next below it. */
function choose(framesPerSecond: number, sourceRate: Rate, tolerance: number): ChosenRate {
  const off = (candidate: Rate) => Math.abs(perSecond(candidate) / framesPerSecond - 1);
  const nearest = STANDARD_RATES.reduce((best, candidate) => (off(candidate) < off(best) ? candidate : best));
  if (off(nearest) <= tolerance) return { rate: nearest, sourceRate: nearest };
  return { rate: standardRateAtMost(framesPerSecond), sourceRate };
}

export function chooseDeclared(declared: Rate): ChosenRate {
  return choose(perSecond(declared), declared, DECLARED_TOLERANCE);
}

/** @param framesPerSecond > 0 */
export function chooseMeasured(framesPerSecond: number): ChosenRate {
  const sourceRate = rate(Math.max(1, Math.round(framesPerSecond * MEASURED_DENOMINATOR)), MEASURED_DENOMINATOR);
  return choose(framesPerSecond, sourceRate, MEASURED_TOLERANCE);
}

/** Whether frames come evenly and at another rate than was chosen. */
export function isLie(chosen: ChosenRate, { framesPerSecond, isEven }: Measured): boolean {
  if (!isEven || Math.abs(framesPerSecond / perSecond(chosen.sourceRate) - 1) <= LIE) return false;
  return !sameRate(chooseMeasured(framesPerSecond).rate, chosen.rate);
}

export type PictureTimes = Readonly<{ ptsTicks: number; dtsTicks: number }>;

export type Measured = Readonly<{ framesPerSecond: number; isEven: boolean }>;

/** The rate of pictures in decode order, or null while they are too few. Presentation times beyond the newest decode time
 *  do not count: with B-frames, others may still come between them.
 *  @param timescale of the ticks @param enough false: take what there is, two different times at least */
export function measure(pictures: readonly PictureTimes[], timescale: number, enough = true): Measured | null {
  const newest = pictures.at(-1)?.dtsTicks ?? 0;
  const times = pictures.map(({ ptsTicks }) => ptsTicks).filter((ticks) => ticks <= newest);
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  const span = (sorted.at(-1)! - sorted[0]!) / timescale;
  if (sorted.length < 2 || (enough && (sorted.length < FRAMES_MIN || span < SPAN_SECONDS_MIN))) return null;
  const steps = sorted.slice(1).map((ticks, i) => ticks - sorted[i]!);
  const ascending = steps.toSorted((a, b) => a - b);
  const median = ascending[Math.floor(ascending.length / 2)]!;
  const isEven = ascending.at(-1)! <= median * EVEN_FACTOR && ascending[0]! * EVEN_FACTOR >= median;
  return { framesPerSecond: isEven ? steps.length / span : timescale / median, isEven };
}
