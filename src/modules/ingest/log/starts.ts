// Where in the ring a reader can start, and what of it nobody needs any more.
// A worker makes a segment from two frames before it and decodes from the random access point before those; its audio
// decoder starts some units earlier. A segment whose pre-roll is gone can be made by nobody, so both questions are
// answered here, from the same numbers.
import { assert } from "#base/assert.ts";
import { unitsBefore } from "#media/session-log/audio-pre-roll.ts";
import type { AudioTrack, EraOpened, Positioned, Track, Unit } from "#media/session-log/entries.ts";
import { leadOf } from "#media/session-log/tracks.ts";
import { spanNs, timeOf } from "#media/time/rate.ts";
import { Deque } from "./deque.ts";

const PRE_ROLL_FRAMES = 2;
/** Of audio, besides what its decoder must hear (unitsBefore): twelve frames of the output's encoder (256 ms) and a
 *  resampler's filter. */
const PRE_ROLL_AUDIO_NS = 291_000_000n;
/** Kept on top of the pre-roll: a source frame lies up to half a frame beside its slot, and the sample rate may change. */
const MARGIN_FRAMES = 1;
const MARGIN_AUDIO_UNITS = 2;

/** A random access point: of the video track, or of the audio track when there is no video. */
type Start = Readonly<{
  position: number;
  timeNs: bigint;
  /** End of the newest audio before it in the log: evicting up to this start loses no audio after that. */
  audioEndBeforeNs: bigint;
  /** Bytes appended to the log before it. */
  bytesBefore: number;
}>;

export class Starts {
  readonly #starts = new Deque<Start>();
  readonly #eras: EraOpened[] = [];
  #tracks = new Map<number, Track>();
  #mainTrack: Track | null = null;
  #longestAudioUnitNs = 0n;
  #longestPreRollNs = 0n;
  #audioEndNs = -1n;
  #evictedAudioEndNs = -1n;

  /** Every entry, in log order. @param bytesBefore bytes appended to the log before it */
  apply({ position, entry }: Positioned, bytesBefore: number): void {
    if (entry.kind === "unit") this.#unit(position, entry, bytesBefore);
    else if (entry.kind === "era") this.#eras.push(entry);
    else if (entry.kind === "tracks") this.#setTracks(entry.tracks);
  }

  /** An entry has left the ring. */
  evicted({ position, entry }: Positioned): void {
    if (this.#starts.at(0)?.position === position) this.#starts.shift();
    if (entry.kind !== "unit") return;
    const endNs = this.#audioEndOf(entry);
    if (endNs > this.#evictedAudioEndNs) this.#evictedAudioEndNs = endNs;
  }

  /** The first start after the ring's oldest entry; null when there is none yet. */
  second(oldest: number): Start | null {
    const start = this.#starts.at(0);
    return (start?.position === oldest ? this.#starts.at(1) : start) ?? null;
  }

  /** How far the ring may be cut when everything from `fromNs` on must still be makeable: the newest start for which
   *  that holds; null when there is none. */
  cutFor(fromNs: bigint): number | null {
    const rate = this.#eras.at(-1)?.frameRate;
    if (rate === undefined) return null;
    const videoNs = fromNs - spanNs(rate, PRE_ROLL_FRAMES + MARGIN_FRAMES);
    const audioNs = fromNs - this.#audioPreRollNs(MARGIN_AUDIO_UNITS);
    const place = this.#starts.firstPlace((start) => start.timeNs > videoNs || start.audioEndBeforeNs > audioNs);
    return place === 0 ? null : this.#starts.at(place - 1)!.position;
  }

  knowsEra(era: number): boolean {
    return this.#eras.some((known) => known.era === era);
  }

  /** Where to read from to make `frame` of an era: the newest start two frames before it, or the audio before that if it
   *  came earlier. Null when something of it has left the ring. @param ring walks what is held, oldest first */
  startFor(era: number, frame: number, ring: Iterable<Positioned>): number | null {
    const grid = this.#eras.find((known) => known.era === era);
    assert.ok(grid, `era ${era} is in the log`);
    const videoNs = timeOf(grid.rate, frame) - spanNs(grid.frameRate, PRE_ROLL_FRAMES);
    const place = this.#starts.firstPlace((start) => start.timeNs > videoNs);
    if (place === 0) return null;
    const { position } = this.#starts.at(place - 1)!;
    const audioNs = timeOf(grid.rate, frame) - this.#audioPreRollNs(0);
    if (this.#evictedAudioEndNs > audioNs) return null;
    return this.#firstAudioEndingAfter(audioNs, position, ring);
  }

  /** The oldest start held. */
  first(): number | null {
    return this.#starts.at(0)?.position ?? null;
  }

  #audioPreRollNs(marginUnits: number): bigint {
    return PRE_ROLL_AUDIO_NS + this.#longestPreRollNs + BigInt(marginUnits) * this.#longestAudioUnitNs;
  }

  #firstAudioEndingAfter(audioNs: bigint, before: number, ring: Iterable<Positioned>): number {
    for (const { position, entry } of ring) {
      if (position >= before) break;
      if (entry.kind === "unit" && this.#audioEndOf(entry) > audioNs) return position;
    }
    return before;
  }

  #setTracks(tracks: readonly Track[]): void {
    this.#tracks = new Map(tracks.map((track) => [track.track, track]));
    this.#mainTrack = leadOf(tracks);
    this.#longestAudioUnitNs = 0n;
    this.#longestPreRollNs = 0n;
    for (const track of tracks) {
      if (track.kind !== "audio") continue;
      const preRollNs = BigInt(unitsBefore(track)) * unitNs(track);
      if (unitNs(track) > this.#longestAudioUnitNs) this.#longestAudioUnitNs = unitNs(track);
      if (preRollNs > this.#longestPreRollNs) this.#longestPreRollNs = preRollNs;
    }
  }

  #unit(position: number, unit: Unit, bytesBefore: number): void {
    assert.ok(this.#tracks.has(unit.track), `track ${unit.track} was not announced`);
    if (unit.track === this.#mainTrack?.track && unit.randomAccess) {
      const timeNs = this.#mainTrack.kind === "video" ? this.#slotNs(unit) : unit.timeNs;
      this.#starts.push({ position, timeNs, audioEndBeforeNs: this.#audioEndNs, bytesBefore });
    }
    const endNs = this.#audioEndOf(unit);
    if (endNs > this.#audioEndNs) this.#audioEndNs = endNs;
  }

  /** The instant of a video unit's slot. Its index is of the newest era's grid or, just before that era begins, of an
   *  earlier one's; on a wrong grid it would lie years away. */
  #slotNs({ index, timeNs }: Unit): bigint {
    const near = (slotNs: bigint) => slotNs - timeNs < 1_000_000_000n && timeNs - slotNs < 1_000_000_000n;
    return this.#eras.map((era) => timeOf(era.rate, index)).findLast(near) ?? timeNs;
  }

  /** -1 for what is no audio, or of a track that is no longer announced. */
  #audioEndOf({ track, timeNs }: Unit): bigint {
    const own = this.#tracks.get(track);
    return own?.kind === "audio" ? timeNs + unitNs(own) : -1n;
  }
}

function unitNs({ sampleRate, samplesPerUnit }: AudioTrack): bigint {
  return spanNs({ num: sampleRate, den: 1 }, samplesPerUnit);
}
