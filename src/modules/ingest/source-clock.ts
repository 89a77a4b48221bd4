// From a sender's clock, which wraps and began anywhere, to media time.
import type { DemuxClock } from "#media/demux.ts";

const NS_PER_SECOND = 1_000_000_000n;

export class SourceClock {
  readonly timescale: number;
  readonly #period: number;
  #last: number | null = null;
  #anchor: { ticks: number; timeNs: bigint } | null = null;

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

  /** From now on `ticks` (unwrapped) lie at `timeNs`. */
  anchor(ticks: number, timeNs: bigint): void {
    this.#anchor = { ticks, timeNs };
  }

  /** Media time of unwrapped ticks, to the nearest nanosecond. Anchored before. */
  timeOf(ticks: number): bigint {
    const { ticks: from, timeNs } = this.#anchor!;
    const scale = BigInt(this.timescale);
    const product = BigInt(ticks - from) * NS_PER_SECOND * 2n + scale;
    const quotient = product / (2n * scale);
    const isBelow = product % (2n * scale) < 0n; // bigint division cuts towards zero; half up needs the floor
    return timeNs + (isBelow ? quotient - 1n : quotient);
  }

  /** Milliseconds between two unwrapped values. */
  spanMs(fromTicks: number, toTicks: number): number {
    return ((toTicks - fromTicks) * 1000) / this.timescale;
  }
}
