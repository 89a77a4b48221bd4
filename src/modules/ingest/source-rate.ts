// At which rate frames come, and at which of the standard rates they are put out. A declared rate is believed at once and
// checked later; without one the first third of a second is measured.
// Why the mean step where steps are even: RTMP counts whole milliseconds, so single steps of 29.97 and 30 are the same.
// Pictures that are copied are measured in any case: nothing repeats or drops one of them to keep a promised rate.
import {
  nearestStandardRate,
  perSecond,
  type Rate,
  rate,
  STANDARD_RATES,
  sameRate,
  standardRateAtMost,
} from "#media/time/rate.ts";

export type ChosenRate = Readonly<{
  /** Of the output's grid. */
  rate: Rate;
  sourceRate: Rate;
  /** Pictures come at no constant rate; only known where they were measured to be copied. */
  varies: boolean;
}>;

/** Frames, and seconds they must span, before a measurement counts. */
const FRAMES_MIN = 9;
const SPAN_SECONDS_MIN = 0.3;

const DECLARED_TOLERANCE = 0.0005;
const MEASURED_TOLERANCE = 0.005;
/** Above it a declared rate lied. */
const LIE = 0.02;

/** Steps that differ by more are uneven: frames are missing or the rate varies. */
const EVEN_FACTOR = 1.5;

/** Steps within this of the median are regular; a constant rate has so many of them at least, some frames being lost. */
const REGULAR_TOLERANCE = 0.3;
const REGULAR_SHARE_MIN = 0.7;

/** A declared rate is the one that was measured when it differs by no more: a few stamps in milliseconds are no better. */
const DECLARED_FITS = 0.03;

/** Two pictures on either side of a pause say nothing about how long the next one stands: a second at most. */
const SLOWEST = 1;

const MEASURED_DENOMINATOR = 1000;

/** The standard rate nearest to the given one when it is near enough, else the next below it. */
function choose(framesPerSecond: number, sourceRate: Rate, tolerance: number): ChosenRate {
  const off = (candidate: Rate) => Math.abs(perSecond(candidate) / framesPerSecond - 1);
  const nearest = STANDARD_RATES.reduce((best, candidate) => (off(candidate) < off(best) ? candidate : best));
  if (off(nearest) <= tolerance) return { rate: nearest, sourceRate: nearest, varies: false };
  return { rate: standardRateAtMost(framesPerSecond), sourceRate, varies: false };
}

export function chooseDeclared(declared: Rate): ChosenRate {
  return choose(perSecond(declared), declared, DECLARED_TOLERANCE);
}

/** @param framesPerSecond > 0 */
export function chooseMeasured(framesPerSecond: number): ChosenRate {
  return choose(framesPerSecond, measuredRate(framesPerSecond), MEASURED_TOLERANCE);
}

/** For pictures that are copied. A measured rate that is neither declared nor a usual one is too coarse to count by.
 *  @param measured null when there are too few pictures */
export function chooseCopied(declared: Rate | null, measured: Measured | null): ChosenRate {
  if (measured === null) return declared ? chooseDeclared(declared) : { ...chooseMeasured(25), varies: true };
  const { regularFramesPerSecond: framesPerSecond, regularShare } = measured;
  const isConstant = regularShare >= REGULAR_SHARE_MIN;
  const isDeclared = declared !== null && Math.abs(framesPerSecond / perSecond(declared) - 1) <= DECLARED_FITS;
  if (isConstant && isDeclared) return chooseDeclared(declared);
  const usual = usualRate(framesPerSecond);
  if (isConstant && usual) return choose(perSecond(usual), usual, DECLARED_TOLERANCE);
  return chooseVarying(measured);
}

/** For copied pictures that come at no constant rate. */
export function chooseVarying(measured: Measured): ChosenRate {
  const mean = measuredRate(Math.max(SLOWEST, measured.meanFramesPerSecond));
  return { ...choose(perSecond(mean), mean, MEASURED_TOLERANCE), sourceRate: mean, varies: true };
}

function usualRate(framesPerSecond: number): Rate | null {
  const standard = nearestStandardRate(framesPerSecond, MEASURED_TOLERANCE);
  if (standard) return standard;
  const whole = Math.max(1, Math.round(framesPerSecond));
  return Math.abs(framesPerSecond / whole - 1) <= MEASURED_TOLERANCE ? rate(whole) : null;
}

function measuredRate(framesPerSecond: number): Rate {
  return rate(Math.max(1, Math.round(framesPerSecond * MEASURED_DENOMINATOR)), MEASURED_DENOMINATOR);
}

/** Whether frames come evenly and at another rate than was chosen. */
export function isLie(chosen: Pick<ChosenRate, "rate" | "sourceRate">, { framesPerSecond, isEven }: Measured): boolean {
  if (!isEven || Math.abs(framesPerSecond / perSecond(chosen.sourceRate) - 1) <= LIE) return false;
  return !sameRate(chooseMeasured(framesPerSecond).rate, chosen.rate);
}

export type PictureTimes = Readonly<{ ptsTicks: number; dtsTicks: number }>;

export type Measured = Readonly<{
  framesPerSecond: number;
  isEven: boolean;
  /** Share of steps that are about as long as most, and the rate of those alone. */
  regularShare: number;
  regularFramesPerSecond: number;
  meanFramesPerSecond: number;
  /** How long the picture stood that stood longest. */
  longestSeconds: number;
}>;

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
  const regular = steps.filter((step) => Math.abs(step / median - 1) <= REGULAR_TOLERANCE);
  return {
    framesPerSecond: isEven ? steps.length / span : timescale / median,
    isEven,
    regularShare: regular.length / steps.length,
    regularFramesPerSecond: (regular.length * timescale) / regular.reduce((sum, step) => sum + step, 0),
    meanFramesPerSecond: steps.length / span,
    longestSeconds: ascending.at(-1)! / timescale,
  };
}
