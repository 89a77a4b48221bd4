// From a sender's clock, which wraps and began anywhere, to media time: by an anchor, and by the steps that keep media time
// near TAI where the sender's clock is not exact.
import type { DemuxClock } from "#media/demux.ts";

const NS_PER_SECOND = 1_000_000_000n;

/** Where a picture lies. */
export type PictureStamp = Readonly<{
  /** Without the newest step. */
  timeNs: bigint;
  /** What that adds here: all at once, or a share that grows over the step's length. */
  spreadNs: bigint;
}>;

/** Where sound should lie, which is moved there by its own samples. */
export type SoundStamp = Readonly<{
  /** With all steps, the newest as a whole. */
  timeNs: bigint;
  /** What they have added. */
  movedNs: bigint;
}>;

/** Media time from `fromNs` on is moved by `moveNs`: at once (length 0), or bit by bit over `lengthNs`. */
export type ClockStep = Readonly<{ fromNs: bigint; moveNs: bigint; lengthNs: bigint }>;

const NO_STEP: ClockStep = Object.freeze({ fromNs: 0n, moveNs: 0n, lengthNs: 0n });

export class SourceClock {
  readonly timescale: number;
  readonly #period: number;
  #last: number | null = null;
  #anchor: { ticks: number; timeNs: bigint } | null = null;
  /** What steps before the newest have added. */
  #movedNs = 0n;
  #step = NO_STEP;

  constructor({ timescale, wrapBits }: DemuxClock) {
    this.timescale = timescale;
    this.#period = 2 ** wrapBits;
  }

  /** The value that is congruent modulo the wrap and nearest to the one before: one history for all tracks of a sender.
   *  Steps of up to half a period (13 hours of MPEG-TS, 24 days of RTMP) are read right in both directions. */
  unwrap(ticks: number): number {
    this.#last = this.#last === null ? ticks : this.near(this.#last, ticks);
    return this.#last;
  }

  /** The value that is congruent to `ticks` and nearest to `reference`, which is unwrapped. */
  near(reference: number, ticks: number): number {
    const period = this.#period;
    const forward = (((ticks - reference) % period) + period) % period;
    return reference + (forward < period / 2 ? forward : forward - period);
  }

  get anchored(): boolean {
    return this.#anchor !== null;
  }

  /** From now on `ticks` (unwrapped) lie at `timeNs`. Steps of before are in it. */
  anchor(ticks: number, timeNs: bigint): void {
    this.#anchor = { ticks, timeNs };
    this.#movedNs = 0n;
    this.#step = NO_STEP;
  }

  /** One step more. Only the newest is remembered with its place: units are not reordered over two of them. */
  step(step: ClockStep): void {
    this.#movedNs += this.#step.moveNs;
    this.#step = step;
  }

  /** By the anchor alone, to the nearest nanosecond. Anchored before. */
  anchoredTimeOf(ticks: number): bigint {
    const { ticks: from, timeNs } = this.#anchor!;
    const scale = BigInt(this.timescale);
    const product = BigInt(ticks - from) * NS_PER_SECOND * 2n + scale;
    const quotient = product / (2n * scale);
    const isBelow = product % (2n * scale) < 0n; // bigint division cuts towards zero; half up needs the floor
    return timeNs + (isBelow ? quotient - 1n : quotient);
  }

  /** Media time of unwrapped ticks. */
  timeOf(ticks: number): bigint {
    const { timeNs, spreadNs } = this.pictureAt(ticks);
    return timeNs + spreadNs;
  }

  pictureAt(ticks: number): PictureStamp {
    const { fromNs, moveNs, lengthNs } = this.#step;
    const timeNs = this.anchoredTimeOf(ticks) + this.#movedNs;
    const sinceNs = timeNs - fromNs;
    if (sinceNs < 0n) return { timeNs, spreadNs: 0n };
    const spreadNs = sinceNs >= lengthNs ? moveNs : (moveNs * sinceNs) / lengthNs;
    // Where a picture is dropped, those after the step come closer; none gets in front of what the step began with.
    return { timeNs, spreadNs: sinceNs + spreadNs < 0n ? -sinceNs : spreadNs };
  }

  soundAt(ticks: number): SoundStamp {
    const timeNs = this.anchoredTimeOf(ticks) + this.#movedNs;
    const addedNs = timeNs < this.#step.fromNs ? 0n : this.#step.moveNs;
    return { timeNs: timeNs + addedNs, movedNs: this.#movedNs + addedNs };
  }

  /** Milliseconds between two unwrapped values. */
  spanMs(fromTicks: number, toTicks: number): number {
    return ((toTicks - fromTicks) * 1000) / this.timescale;
  }
}
