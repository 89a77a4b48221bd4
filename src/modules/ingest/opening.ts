// The first moments of a publisher: units wait here until it is known which tracks there are, at which rate, and where
// decoding can start. What waits is bounded in time and bytes, and usually it is nothing: encoders send their parameters
// first and begin with a key frame.
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { DemuxedUnit } from "#media/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import { audioOf, largestFirst, videoOf } from "#media/session-log/tracks.ts";
import { AUDIO_ONLY_RATE } from "#media/time/segmentation.ts";
import { type ChosenRate, chooseCopied, chooseDeclared, chooseMeasured, measure } from "./source-rate.ts";

/** A unit with its sender's clock unwrapped. */
export type TimedUnit = Readonly<{
  unit: DemuxedUnit;
  ptsTicks: number;
  dtsTicks: number;
  /** TAI, and monotonic ms, at receipt. */
  arrivedNs: bigint;
  arrivedMs: number;
}>;

export type Opened = Readonly<{
  tracks: readonly Track[];
  /** The unit that ties the clock: the first random access picture, or the first audio. */
  anchor: TimedUnit;
  chosen: ChosenRate;
  /** In arrival order, the anchor among them. */
  units: readonly TimedUnit[];
}>;

/** How long announced tracks may stay unknown. A picture is waited for longer: players that saw a list of renditions
 *  without one do not look again. */
const MISSING_AUDIO_MS = 1000;
const MISSING_VIDEO_MS = 3000;

/** How long a rate that is not declared may take to be measured. */
const MEASURE_MS_MAX = 2000;
const RATE_DEFAULT: ChosenRate = Object.freeze({ rate: AUDIO_ONLY_RATE, sourceRate: AUDIO_ONLY_RATE, varies: false });

const HELD_BYTES_MAX = 32 << 20;
const HELD_UNITS_MAX = 8192;
/** Audio from before the first picture is of no use once it is this old. */
const HELD_AUDIO_MS = 1000;

export class Opening {
  readonly #timescale: number;
  #tracks: readonly Track[] = [];
  #complete = false;
  #firstMs: number | null = null;
  #firstTicks = 0;
  #newestTicks = 0;
  #units: TimedUnit[] = [];
  #bytes = 0;
  #anchor: TimedUnit | null = null;
  /** Pictures are to be copied: the first is an instant refresh, and their rate is measured. */
  copies: boolean;
  /** Random access points that could not begin a copy. */
  openPoints = 0;

  constructor(timescale: number, copies: boolean) {
    this.#timescale = timescale;
    this.copies = copies;
  }

  get tracks(): readonly Track[] {
    return this.#tracks;
  }

  setTracks(tracks: readonly Track[], complete: boolean): void {
    this.#tracks = tracks;
    this.#complete = complete;
    if (this.#anchor && videoOf(tracks) && !this.#isVideo(this.#anchor)) this.#anchor = null;
    this.#anchor ??= this.#units.find((unit) => this.#canAnchor(unit)) ?? null;
  }

  /** @returns how many units are of no use, it or older ones: they are gone */
  add(timed: TimedUnit): number {
    if (this.#firstMs === null) {
      this.#firstMs = timed.arrivedMs;
      this.#firstTicks = timed.dtsTicks;
    }
    this.#newestTicks = Math.max(this.#newestTicks, timed.dtsTicks);
    const isVideo = this.#isVideo(timed);
    if (this.#canAnchor(timed)) this.#anchor ??= timed;
    if (isVideo && this.#anchor === null) {
      if (timed.unit.randomAccess) this.openPoints += 1;
      return 1; // nothing to decode it with
    }
    this.#units.push(timed);
    this.#bytes += timed.unit.payload.byteLength;
    return this.#anchor === null || !this.#isVideo(this.#anchor) ? this.#forgetOldAudio(timed.arrivedMs) : 0;
  }

  /** @param needsRate false when the output's rate is decided already */
  ready(nowMs: number, needsRate: boolean): Opened | null {
    const anchor = this.#anchor;
    if (anchor === null || this.#firstMs === null) return null;
    const isFull = this.#bytes > HELD_BYTES_MAX || this.#units.length > HELD_UNITS_MAX;
    if (!isFull && !this.#tracksKnown(nowMs)) return null;
    const video = videoOf(this.#tracks);
    if (video && !this.#isVideo(anchor)) return null;
    const mustDecide = isFull || (!needsRate && !this.copies);
    const chosen = video ? this.#rate(nowMs - anchor.arrivedMs, mustDecide) : RATE_DEFAULT;
    if (chosen === null || !(isFull || this.#companionsKnown(anchor, nowMs))) return null;
    return { tracks: this.#tracks, anchor, chosen, units: this.#units };
  }

  /** It is decided: what waited is the caller's now. */
  close(): void {
    this.#units = [];
    this.#bytes = 0;
    this.#anchor = null;
  }

  #tracksKnown(nowMs: number): boolean {
    if (this.#complete) return true;
    const mediaMs = ((this.#newestTicks - this.#firstTicks) * 1000) / this.#timescale;
    const waitedMs = Math.max(nowMs - this.#firstMs!, mediaMs);
    return waitedMs >= (videoOf(this.#tracks) ? MISSING_AUDIO_MS : MISSING_VIDEO_MS);
  }

  #rate(waitedMs: number, mustDecide: boolean): ChosenRate | null {
    const declared = videoOf(this.#tracks)?.declaredRate ?? null;
    if (declared && !this.copies) return chooseDeclared(declared);
    const pictures = this.#units.filter((unit) => this.#isVideo(unit));
    const mustTake = mustDecide || waitedMs >= MEASURE_MS_MAX;
    const measured = measure(pictures, this.#timescale, !mustTake);
    if (this.copies && (measured || mustTake)) return chooseCopied(declared, measured);
    if (measured) return chooseMeasured(measured.framesPerSecond);
    return mustTake ? RATE_DEFAULT : null;
  }

  /** Pictures of other sizes: it must be seen whether they begin where the leader does. */
  #companionsKnown(anchor: TimedUnit, nowMs: number): boolean {
    if (!this.copies || nowMs - anchor.arrivedMs >= MISSING_VIDEO_MS) return true;
    const others = largestFirst(this.#tracks).slice(1);
    return others.every(({ track }) =>
      this.#units.some(({ unit, dtsTicks }) => unit.track === track && dtsTicks >= anchor.dtsTicks),
    );
  }

  #isVideo({ unit }: TimedUnit): boolean {
    return unit.track === videoOf(this.#tracks)?.track;
  }

  #canAnchor(timed: TimedUnit): boolean {
    const video = videoOf(this.#tracks);
    if (video && this.#isVideo(timed)) {
      const { randomAccess, payload } = timed.unit;
      return randomAccess && (!this.copies || isInstantRefresh(video.codec, payload));
    }
    return video === null && timed.unit.track === audioOf(this.#tracks)?.track;
  }

  /** @returns how many units that was */
  #forgetOldAudio(nowMs: number): number {
    const isWaitingForVideo = !this.#tracksKnown(nowMs) || videoOf(this.#tracks) !== null;
    if (!isWaitingForVideo) return 0;
    const young = this.#units.findIndex(({ arrivedMs }) => nowMs - arrivedMs <= HELD_AUDIO_MS);
    const isTooMuch = this.#units.length > HELD_UNITS_MAX;
    const forgotten = this.#units.splice(0, isTooMuch ? HELD_UNITS_MAX / 2 : young);
    for (const gone of forgotten) {
      this.#bytes -= gone.unit.payload.byteLength;
      if (gone === this.#anchor) this.#anchor = this.#units.find((unit) => this.#canAnchor(unit)) ?? null;
    }
    return forgotten.length;
  }
}
