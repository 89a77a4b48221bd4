// One source track's audio units, kept in order for as long as a segment may need them, and how far the audio is known: up
// to there what is not here does not exist and is silence.
import { firstPlace } from "#base/first-place.ts";
import { type AudioTrack, STRETCH_MAX, type Unit } from "#media/session-log/entries.ts";
import { indexAt, rate, timeOf } from "#media/time/rate.ts";

export type AudioUnit = Readonly<{
  track: AudioTrack;
  index: number;
  /** First sample that counts: those before were known to be silence when it came. */
  from: number;
  /** Where it ends. */
  end: number;
  /** Its samples are to be stretched to fill [from, end) just so; else they are as long as they are, from `index` on. */
  stretched: boolean;
  endNs: bigint;
  arrivedNs: bigint;
  payload: Uint8Array;
}>;

/** More than any open segment reaches back: a second of interleave, and the pre-rolls. */
const KEPT_NS = 10_000_000_000n;

export class AudioInput {
  /** Ascending. Positions count from the first unit ever taken, so that a reader's place survives forgetting. */
  #units: AudioUnit[] = [];
  #firstPosition = 0;
  #knownNs: bigint;
  #complete = false;
  #track: AudioTrack | null = null;
  #last: AudioUnit | null = null;
  lateUnits = 0;

  /** @param knownNs nothing came before */
  constructor(knownNs = 0n) {
    this.#knownNs = knownNs;
  }

  /** What the log says about this track now; null: there is none, and silence needs no waiting. */
  get track(): AudioTrack | null {
    return this.#track;
  }

  setTrack(track: AudioTrack | null): void {
    this.#track = track;
  }

  get knownNs(): bigint {
    return this.#knownNs;
  }

  /** Every sample is known: nothing comes any more. */
  get complete(): boolean {
    return this.#complete;
  }

  /** A unit that lies before what is known already is too late for everybody. */
  take(track: AudioTrack, unit: Unit): void {
    const grid = rate(track.sampleRate);
    const end = unit.index + track.samplesPerUnit;
    const known = this.knownIndex(track.sampleRate);
    const before = this.#last?.track === track && known <= this.#last.end ? this.#last : null;
    const stretched = before !== null && isSpread(unit.index - before.end, track.samplesPerUnit);
    if (end <= known && !stretched) {
      this.lateUnits += 1;
      return;
    }
    const endNs = timeOf(grid, end);
    this.#last = {
      track,
      index: unit.index,
      from: stretched ? before.end : Math.max(unit.index, known),
      end,
      stretched,
      endNs,
      arrivedNs: unit.arrivedNs,
      payload: unit.payload,
    };
    this.#units.push(this.#last);
    this.knownTo(endNs);
    this.#forgetBefore(endNs - KEPT_NS);
  }

  /** No unit that starts before `timeNs` comes any more. */
  knownTo(timeNs: bigint): void {
    if (timeNs > this.#knownNs) this.#knownNs = timeNs;
  }

  finish(): void {
    this.#complete = true;
  }

  /** First sample of a grid that is not known. Nearest, as instants are rounded to nanoseconds. */
  knownIndex(sampleRate: number): number {
    return this.#complete ? Number.MAX_SAFE_INTEGER : indexAt(rate(sampleRate), this.#knownNs);
  }

  /** Position of the first unit that ends after `timeNs`. */
  positionAfter(timeNs: bigint): number {
    return this.#firstPosition + firstPlace(this.#units.length, (place) => this.#units[place]!.endNs > timeNs);
  }

  /** Null when it has not come yet. */
  unitAt(position: number): AudioUnit | null {
    return this.#units[position - this.#firstPosition] ?? null;
  }

  #forgetBefore(timeNs: bigint): void {
    const count = this.positionAfter(timeNs) - this.#firstPosition;
    if (count < 64) return; // moving the array for each unit would cost more than the units
    this.#units = this.#units.slice(count);
    this.#firstPosition += count;
  }
}

/** A gap or an overlap so small is a correction that is being spread over many units, not loss: the unit behind it begins
 *  where the one before ended, and is longer or shorter by it. It would be truer to change the length of the one before;
 *  but that one's samples would then have to wait for its follower, and this is at most 5 % of a unit late. */
function isSpread(gap: number, samplesPerUnit: number): boolean {
  return gap !== 0 && Math.abs(gap) <= STRETCH_MAX * samplesPerUnit;
}
