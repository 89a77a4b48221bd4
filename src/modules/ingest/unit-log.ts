// Units on their way into the log: which slot or sample each gets, whether it still may be appended, whether it is whole.
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import {
  type AudioTrack,
  INTERLEAVE_MAX_NS,
  type Track,
  type Unit,
  type VideoTrack,
} from "#media/session-log/entries.ts";
import { audioOf, sameTrack, videoOf } from "#media/session-log/tracks.ts";
import { timeOf } from "#media/time/rate.ts";
import { AudioRun } from "./audio-run.ts";
import type { TimedUnit } from "./opening.ts";
import type { Output } from "./output.ts";
import type { EntrySink } from "./output-side.ts";
import type { PictureStamp, SoundStamp } from "./source-clock.ts";

/** Audio that far from everything else belongs to another clock. */
const ASTRAY_NS = 3_000_000_000n;

/** Audio that is further ahead of pictures that are coming will not be caught up with. */
const AHEAD_NS_MAX = 10_000_000_000n;

/** Pictures that came within this count as coming; then no audio may run so far ahead that they would be too late. */
const COMING_MS = 1000;

export class UnitLog {
  readonly #sink: EntrySink;
  readonly #output: Output;
  #tracks: readonly Track[];
  readonly #runs = new Map<number, AudioRun>();
  /** Latest presentation time of each track. */
  readonly #newestNs = new Map<number, bigint>();
  /** How far media time had come under earlier clocks. */
  #floorNs: bigint;
  /** Audio may not be placed before it. */
  #audioFloorNs: bigint;
  /** Newest picture: its track, and when it came. */
  #video: { track: number | null; sinceMs: number } = { track: null, sinceMs: 0 };
  readonly #damaged = new Set<number>();
  readonly counters = { units: 0, damagedUnits: 0, droppedUnits: 0, continuityErrors: 0 };

  constructor(sink: EntrySink, output: Output, tracks: readonly Track[], floorNs: bigint) {
    this.#sink = sink;
    this.#output = output;
    this.#tracks = tracks;
    this.#floorNs = floorNs;
    this.#audioFloorNs = floorNs;
  }

  get tracks(): readonly Track[] {
    return this.#tracks;
  }

  /** Media time reached; 0 before there is any. */
  get newestNs(): bigint {
    return latest(this.#newestNs.values(), this.#floorNs);
  }

  setTracks(tracks: readonly Track[]): void {
    this.#tracks = tracks;
    for (const track of this.#runs.keys()) if (!tracks.some((other) => other.track === track)) this.#forgetRun(track);
    this.#sink.append({ kind: "tracks", tracks });
  }

  /** Positions of those whose parameters are others are counted anew, after those of before. */
  changeTracks(tracks: readonly Track[]): void {
    for (const track of tracks) {
      const old = this.#tracks.find((other) => other.track === track.track);
      if (old && !sameTrack(old, track)) this.#forgetRun(track.track);
    }
    this.setTracks(tracks);
  }

  /** Another clock, another sender: nothing goes on where it was. */
  restartAll(): void {
    for (const track of [...this.#runs.keys()]) this.#forgetRun(track);
    this.#floorNs = this.newestNs;
    this.#newestNs.clear();
    this.#damaged.clear();
  }

  /** Bytes are missing before what follows. Null: of all tracks. */
  lost(track: number | null): void {
    this.counters.continuityErrors += 1;
    if (track !== null) this.#damaged.add(track);
    else for (const { track: number } of this.#tracks) this.#damaged.add(number);
  }

  /** What comes no longer refers to what was lost. */
  recovered(track: number): void {
    this.#damaged.delete(track);
  }

  /** A unit that is not appended. What refers to it is damaged. */
  drop({ unit }: TimedUnit): void {
    this.counters.droppedUnits += 1;
    const isVideo = this.#tracks.some(({ track, kind }) => track === unit.track && kind === "video");
    if (isVideo) this.#damaged.add(unit.track);
  }

  /** What readers concluded from audio that went on alone stands: those frames repeat the one before. Without video the
   *  audio itself fills the frames. */
  settle(): void {
    if (this.#output.era === null) return;
    const video = videoOf(this.#tracks);
    if (video === null) return;
    const videoNs = this.#newestNs.get(video.track) ?? 0n;
    if (this.newestNs - videoNs > INTERLEAVE_MAX_NS) this.#output.settleTo(this.newestNs);
  }

  /** @param shown where the source's clock has its presentation @param decodeNs its decoding, without the newest step
   *  @returns whether it was appended; else it was dropped and counted */
  video(track: VideoTrack, timed: TimedUnit, { timeNs, spreadNs }: PictureStamp, decodeNs: bigint): boolean {
    const leads = track === videoOf(this.#tracks);
    const { randomAccess, payload } = timed.unit;
    const isRefresh = () => isInstantRefresh(track.codec, payload);
    const stamped = { track: track.track, timeNs, decodeNs, spreadNs, leads, randomAccess, isRefresh };
    const isLate = this.isLate(track.track, this.#output.nearest(timeNs) + spreadNs);
    const isAstray = !leads && (!this.isVideoComing(timed.arrivedMs) || this.#isFar(timeNs));
    const placed = isLate || isAstray ? null : this.#output.place(stamped);
    if (placed === null) {
      this.drop(timed);
      return false;
    }
    this.#append(timed, { ...placed, damaged: this.#videoDamage(track, timed) });
    if (leads) this.#video = { track: track.track, sinceMs: timed.arrivedMs };
    return true;
  }

  /** @param stamp what the container's clock says @returns as `video` */
  audio(track: AudioTrack, timed: TimedUnit, stamp: SoundStamp): boolean {
    const run = this.#runOf(track);
    const spreadNs = this.#segmentNs;
    const index = this.#isAstray(timed, stamp.timeNs) ? null : run.place(stamp, spreadNs);
    const timeNs = index === null ? null : run.timeOf(index);
    const endNs = index === null ? 0n : run.timeOf(index + track.samplesPerUnit);
    if (index === null || timeNs === null || endNs <= this.#output.floorNs || this.isLate(track.track, timeNs)) {
      this.drop(timed);
      return false;
    }
    run.took(index, spreadNs);
    const leads = !this.#output.hasVideo && track === audioOf(this.#tracks);
    if (leads) this.#output.lead(timeNs, endNs);
    const damaged = this.#damaged.delete(track.track) || timed.unit.damaged;
    this.#append(timed, { index, timeNs, decodeNs: timeNs, damaged });
    if (leads) this.#output.settleTo(endNs);
    else this.#output.heard(timeNs);
    return true;
  }

  #append({ unit, arrivedNs }: TimedUnit, placed: Pick<Unit, "index" | "timeNs" | "decodeNs" | "damaged">): void {
    const { track, randomAccess, payload } = unit;
    this.#sink.append({ kind: "unit", track, ...placed, randomAccess, arrivedNs, payload });
    this.counters.units += 1;
    if (placed.damaged) this.counters.damagedUnits += 1;
    if (placed.timeNs > (this.#newestNs.get(track) ?? 0n)) this.#newestNs.set(track, placed.timeNs);
  }

  /** Damage lasts until an instant refresh: other random access points do not forbid references to what was before. */
  #videoDamage(track: VideoTrack, { unit }: TimedUnit): boolean {
    const { track: number, randomAccess, payload, damaged } = unit;
    if (damaged) this.#damaged.add(number);
    else if (randomAccess && this.#damaged.has(number) && isInstantRefresh(track.codec, payload))
      this.#damaged.delete(number);
    return this.#damaged.has(number);
  }

  /** Another track is so far ahead that readers need not expect this one any more. */
  isLate(track: number, timeNs: bigint): boolean {
    for (const [other, newestNs] of this.#newestNs)
      if (other !== track && newestNs - timeNs > INTERLEAVE_MAX_NS) return true;
    return false;
  }

  /** Pictures came a moment ago. */
  isVideoComing(nowMs: number): boolean {
    const { track, sinceMs } = this.#video;
    return track !== null && this.#newestNs.has(track) && nowMs - sinceMs <= COMING_MS;
  }

  /** Audio of that time would make pictures that are coming too late, but they may catch up. */
  isAhead(timeNs: bigint): boolean {
    const aheadNs = timeNs - this.#newestNs.get(this.#video.track!)!;
    return aheadNs > INTERLEAVE_MAX_NS && aheadNs <= AHEAD_NS_MAX;
  }

  /** Of another clock. */
  #isFar(timeNs: bigint): boolean {
    const aheadNs = timeNs - this.newestNs;
    return aheadNs > ASTRAY_NS || aheadNs < -ASTRAY_NS;
  }

  #isAstray({ arrivedMs }: TimedUnit, clockNs: bigint): boolean {
    if (this.#newestNs.size === 0) return false;
    if (this.#isFar(clockNs)) return true;
    return this.isVideoComing(arrivedMs) && clockNs - this.#newestNs.get(this.#video.track!)! > INTERLEAVE_MAX_NS;
  }

  /** What the positions of sound are spread over where they must be moved. */
  get #segmentNs(): bigint {
    const { rate, segmentFrames } = this.#output.era!;
    return timeOf(rate, segmentFrames);
  }

  #runOf(track: AudioTrack): AudioRun {
    const known = this.#runs.get(track.track);
    if (known) return known;
    const run = new AudioRun(track, this.#audioFloorNs);
    this.#runs.set(track.track, run);
    return run;
  }

  #forgetRun(track: number): void {
    const run = this.#runs.get(track);
    if (run && run.endNs > this.#audioFloorNs) this.#audioFloorNs = run.endNs;
    this.#runs.delete(track);
  }
}

function latest(values: Iterable<bigint>, floor: bigint): bigint {
  let newest = floor;
  for (const value of values) if (value > newest) newest = value;
  return newest;
}
