// Audio positions. A run counts samples and not clock ticks: RTMP stamps whole milliseconds and encoders round, but what an
// encoder made without a break is without a break.
// Yet it stays where the container's clock is. What a drift step adds, and what the two clocks of a source drift apart by,
// is spread over many units, each a few samples nearer to its neighbours or further from them than it is long: nobody hears
// that, and for readers it is still without a break. Only a clock that is clearly elsewhere at once (samples lost, samples
// twice) starts a new run: a drift is mended long before it has gone that far.
import { type AudioTrack, STRETCH_MAX } from "#media/session-log/entries.ts";
import { indexAt, type Rate, timeOf } from "#media/time/rate.ts";
import type { SoundStamp } from "./source-clock.ts";

const NS_PER_SECOND = 1_000_000_000;

/** Beyond this the container's clock is believed. Above the jitter of stamps, below what the eye takes for lip sync. */
const RESYNC_NS = 60_000_000;

/** A run that was further off for a whole second, always to the same side, is led back. */
const OFF_NS = 20_000_000;

export class AudioRun {
  readonly #samples: Rate;
  readonly #unit: number;
  readonly #unitNs: number;
  readonly #floor: number;
  #next: number | null = null;
  #overlapping = false;
  /** Steps that the run has taken or is taking. */
  #movedNs = 0n;
  /** Samples that the units to come have to lie later (or, negative, earlier), and how many of them share it. */
  #owed = 0;
  #sharers = 0;
  /** How far the clock was ahead of the run, ns: at the unit that was placed last, and over the last second of units. */
  #aheadNs = 0;
  #leastNs = Number.POSITIVE_INFINITY;
  #mostNs = Number.NEGATIVE_INFINITY;
  #counted = 0;

  /** @param fromNs nothing may lie before it: the end of what the log holds already */
  constructor(track: AudioTrack, fromNs = 0n) {
    this.#samples = { num: track.sampleRate, den: 1 };
    this.#unit = track.samplesPerUnit;
    this.#unitNs = (track.samplesPerUnit * NS_PER_SECOND) / track.sampleRate;
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

  /** Where the unit goes, without taking it. @param overNs what a step is to be spread over
   *  @returns index of its first sample; null when it overlaps what came before and must be dropped */
  place({ timeNs, movedNs }: SoundStamp, overNs: bigint): number | null {
    if (this.#next === null) return this.#anew(timeNs, movedNs);
    if (movedNs !== this.#movedNs) {
      this.#owe(this.#samplesIn(Number(movedNs - this.#movedNs)), Number(overNs));
      this.#movedNs = movedNs;
    }
    const owedNs = (this.#owed * NS_PER_SECOND) / this.#samples.num;
    this.#aheadNs = Number(timeNs - timeOf(this.#samples, this.#next)) - owedNs;
    if (this.#aheadNs > RESYNC_NS) return this.#anew(timeNs, movedNs);
    if (this.#aheadNs < -RESYNC_NS || (this.#overlapping && this.#aheadNs < -this.#unitNs / 2)) {
      this.#overlapping = true;
      return null;
    }
    return this.#next;
  }

  /** The unit at `index` is in the log. @param overNs as for `place` */
  took(index: number, overNs: bigint): void {
    this.#overlapping = false;
    this.#look(Number(overNs));
    const share = this.#sharers > 0 ? Math.trunc(this.#owed / this.#sharers) : 0;
    this.#sharers = Math.max(0, this.#sharers - 1);
    this.#owed -= share;
    this.#next = index + this.#unit + share;
  }

  #anew(timeNs: bigint, movedNs: bigint): number | null {
    const index = indexAt(this.#samples, timeNs);
    if (index < this.end) return null;
    this.#movedNs = movedNs;
    this.#owed = 0;
    this.#sharers = 0;
    this.#aheadNs = 0;
    this.#forget();
    return index;
  }

  #owe(samples: number, overNs: number): void {
    this.#owed += samples;
    const atOnce = Math.floor(this.#unit * STRETCH_MAX);
    this.#sharers = Math.max(Math.ceil(overNs / this.#unitNs), Math.ceil(Math.abs(this.#owed) / atOnce));
  }

  /** Whether the run was off for a second. */
  #look(overNs: number): void {
    this.#leastNs = Math.min(this.#leastNs, this.#aheadNs);
    this.#mostNs = Math.max(this.#mostNs, this.#aheadNs);
    this.#counted += 1;
    if (this.#counted * this.#unitNs < NS_PER_SECOND) return;
    if (this.#leastNs > OFF_NS) this.#owe(this.#samplesIn(this.#leastNs), overNs);
    else if (this.#mostNs < -OFF_NS) this.#owe(this.#samplesIn(this.#mostNs), overNs);
    this.#forget();
  }

  #forget(): void {
    this.#leastNs = Number.POSITIVE_INFINITY;
    this.#mostNs = Number.NEGATIVE_INFINITY;
    this.#counted = 0;
  }

  #samplesIn(spanNs: number): number {
    return Math.round((spanNs * this.#samples.num) / NS_PER_SECOND);
  }
}
