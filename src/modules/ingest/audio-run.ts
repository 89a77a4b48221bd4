// Audio positions. A run counts samples and not clock ticks: RTMP stamps whole milliseconds and encoders round, but what an
// encoder made without a break is without a break. Only a clock that is clearly elsewhere (samples lost, samples twice)
// starts a new run.
import type { AudioTrack } from "#media/session-log/entries.ts";
import { indexAt, type Rate, timeOf } from "#media/time/rate.ts";

/** Beyond this the container's clock is believed. Above the jitter of stamps, below what the eye takes for lip sync. */
const RESYNC_NS = 60_000_000n;

export class AudioRun {
  readonly #samples: Rate;
  readonly #unit: number;
  readonly #halfUnitNs: bigint;
  readonly #floor: number;
  #next: number | null = null;
  #overlapping = false;

  /** @param fromNs nothing may lie before it: the end of what the log holds already */
  constructor(track: AudioTrack, fromNs = 0n) {
    this.#samples = { num: track.sampleRate, den: 1 };
    this.#unit = track.samplesPerUnit;
    this.#halfUnitNs = timeOf(this.#samples, track.samplesPerUnit) / 2n;
    this.#floor = indexAt(this.#samples, fromNs);
  }

  /** Samples below are used up. */
  get end(): number {
    return this.#next ?? this.#floor;
  }

  timeOf(index: number): bigint {
    return timeOf(this.#samples, index);
  }

  get endNs(): bigint {
    return timeOf(this.#samples, this.end);
  }

  /** Where the unit goes, without taking it. @param clockNs what the container says
   *  @returns index of its first sample; null when it overlaps what came before and must be dropped */
  place(clockNs: bigint): number | null {
    if (this.#next === null) {
      const index = indexAt(this.#samples, clockNs);
      return index < this.#floor ? null : index;
    }
    const aheadNs = clockNs - timeOf(this.#samples, this.#next);
    if (aheadNs > RESYNC_NS) return indexAt(this.#samples, clockNs);
    if (aheadNs < -RESYNC_NS || (this.#overlapping && aheadNs < -this.#halfUnitNs)) {
      this.#overlapping = true;
      return null;
    }
    return this.#next;
  }

  /** The unit at `index` is in the log. */
  took(index: number): void {
    this.#next = index + this.#unit;
    this.#overlapping = false;
  }
}
