// What a worker does with each entry of the log, one after the other.
import { assert } from "#base/assert.ts";
import type { Log } from "#base/log.ts";
import { presumedColour } from "#media/codec/colour.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { Colour } from "#media/codec/vui.ts";
import { isEncodedVideo } from "#media/ladder/rendition.ts";
import {
  type AudioTrack,
  type Boundary,
  type Decision,
  type Ended,
  type Entry,
  type EraOpened,
  type Hole,
  INTERLEAVE_MAX_NS,
  type Positioned,
  type TracksKnown,
  type Unit,
  type VideoTrack,
} from "#media/session-log/entries.ts";
import { compareEraFrames, type EraFrame } from "#media/session-log/era-frame.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { sameTrack, videoOf } from "#media/session-log/tracks.ts";
import { indexAt, indexAtOrAfter, timeOf } from "#media/time/rate.ts";
import type { Av } from "#platform/av/av.ts";
import { AudioInputs } from "./audio-inputs.ts";
import { AudioRungs } from "./audio-rungs.ts";
import { beginningOf, isMade } from "./beginning.ts";
import { BT709, EraPictures } from "./era-pictures.ts";
import type { Outlet } from "./outlet.ts";
import { releaseSet, type SlottedSet, VideoInput } from "./video-input.ts";

type Settings = Readonly<{
  av: Av;
  log: Log;
  outlet: Outlet;
  /** Start of the first segment that is wanted; null: all there is. */
  from: EraFrame | null;
}>;

/** Boundaries of a `source` era are remembered for so many segments: no rung is that far behind the log. */
const SEGMENTS_REMEMBERED = 100;

export class LogReading {
  readonly #settings: Settings;
  readonly #timeline = new Timeline();
  readonly #audio = new AudioInputs();
  #nextPosition = 0;
  /** No entry was left out before the first unit: what was not in the log never was. */
  #atLogStart = true;
  #sawUnit = false;
  #videoTrack: VideoTrack | null = null;
  /** By era, as the picture track was when it opened: its output stays as it is, whatever the source becomes. */
  readonly #colours = new Map<number, Colour>();
  #videoInput: VideoInput | null = null;
  /** Units since the newest refresh of an era whose pictures are only copied: where a stream is encoded from there on, the
   *  next era begins among pictures that refer to these. No more than a copied segment may be long. */
  #references: PlacedUnit[] = [];
  #pictures: EraPictures | null = null;
  #audioRungs: AudioRungs | null = null;
  #beginning: EraFrame | null = null;
  /** Frames of the newest era below it are decided: no splice or hole can come there. */
  #settled = 0;
  #newestArrivedNs = 0n;
  #closedEraFrames = 0;
  #mediaSeconds = 0;
  ended = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async entry({ position, entry }: Positioned<Entry>): Promise<void> {
    if (!this.#sawUnit && position !== this.#nextPosition) this.#atLogStart = false;
    this.#nextPosition = position + 1;
    if (entry.kind === "unit") await this.#unit(entry);
    else await this.#decision(entry);
    await this.#audioRungs?.advance(this.#settled, this.#newestArrivedNs);
    if (entry.kind === "end") {
      this.#audioRungs?.finish();
      this.ended = true;
    }
  }

  counters() {
    return {
      frame: this.#pictures?.lastFrame ?? null,
      encodedFrames: this.#closedEraFrames + (this.#pictures?.encodedFrames ?? 0),
      queue: this.#pictures?.waiting ?? 0,
      mediaSeconds: this.#mediaSeconds + (this.#pictures?.mediaSeconds ?? 0),
      damagedUnits: this.#videoInput?.damagedUnits ?? 0,
      skippedUnits: this.#videoInput?.skippedUnits ?? 0,
      lateAudioUnits: this.#audio.lateUnits,
    };
  }

  /** Let go of everything; what is open is not sent. */
  async close(): Promise<void> {
    this.#audioRungs?.close();
    await this.#videoInput?.close();
    await this.#pictures?.abandon(new Error("the session was left"));
  }

  async #decision(decision: Decision): Promise<void> {
    this.#timeline.apply(decision);
    if (decision.kind === "tracks") this.#tracks(decision);
    else if (decision.kind === "era") this.#era(decision);
    else if (decision.kind === "hole") await this.#hole(decision);
    else if (decision.kind === "boundary") await this.#boundary(decision);
    else if (decision.kind === "end") await this.#end(decision);
  }

  /** Of several picture tracks the largest is the one that is encoded. A track that did not change keeps its object, so
   *  that its decoder goes on. */
  #tracks({ tracks }: TracksKnown): void {
    const video = videoOf(tracks);
    if (!sameTrack(video, this.#videoTrack)) {
      this.#videoTrack = video;
      this.#references = [];
    }
    this.#audio.setTracks(tracks);
  }

  #era(era: EraOpened): void {
    const track = this.#videoTrack;
    // What the scaler gives is of limited and standard range, whatever came in.
    const colour = track === null || track.range !== "SDR" ? BT709 : { ...presumedColour(track), fullRange: false };
    this.#colours.set(era.era, colour);
    this.#settled = era.frame;
    this.#audioRungs?.enter(era);
  }

  /** Every unit before it is of the segments before, every one behind it of those that follow. */
  async #boundary({ frame, ordinal }: Boundary): Promise<void> {
    const era = this.#timeline.era;
    if (era === null) return;
    await this.#videoInput?.endGroup();
    if (this.#videoInput?.lowestInside(era) == null) await this.#pictures?.advance(era, frame);
    this.#settled = Math.max(this.#settled, frame);
    this.#timeline.forgetBefore(ordinal - SEGMENTS_REMEMBERED);
  }

  async #hole({ to }: Hole): Promise<void> {
    const era = this.#timeline.era;
    if (era === null) return;
    this.#references = [];
    await this.#videoInput?.drain();
    await this.#pictures?.advance(era, to);
    this.#settled = Math.max(this.#settled, to);
    this.#audio.knownTo(timeOf(era.rate, to));
  }

  async #end({ frame }: Ended): Promise<void> {
    await this.#videoInput?.drain();
    if (this.#pictures) await this.#leaveEra(this.#pictures, frame);
    this.#settled = Math.max(this.#settled, frame);
    this.#audio.finish();
  }

  async #unit(unit: Unit): Promise<void> {
    const era = this.#timeline.era;
    if (era === null) return; // before the anchor there is no time to put it at
    this.#sawUnit = true;
    if (unit.arrivedNs > this.#newestArrivedNs) this.#newestArrivedNs = unit.arrivedNs;
    const audio = this.#audio.track(unit.track);
    if (unit.track === this.#videoTrack?.track) await this.#videoUnit(this.#videoTrack, unit, era);
    else if (audio !== null) await this.#audioUnit(audio, unit, era);
  }

  async #videoUnit(track: VideoTrack, unit: Unit, era: EraOpened): Promise<void> {
    if (!hasVideo(era)) return;
    const place = this.#placeOf(unit, era);
    if (place === null) return;
    if (place.era === era) this.#settled = Math.max(this.#settled, place.slot + 1);
    this.#audio.seen(unit.timeNs);
    if (!isEncoded(era) && !isEncoded(place.era)) {
      this.#refer(track, { unit, ...place });
      return;
    }
    this.#videoInput ??= new VideoInput(
      this.#settings.av,
      this.#atLogStart,
      (of) => this.#colours.get(of.era) ?? BT709,
      (set) => this.#set(set),
    );
    for (const placed of [...this.#references.splice(0), { unit, ...place }])
      await this.#videoInput.unit(track, placed.unit, placed.era, placed.slot);
  }

  #refer(track: VideoTrack, placed: PlacedUnit): void {
    const { randomAccess, payload } = placed.unit;
    const isRefresh = randomAccess && isInstantRefresh(track.codec, payload);
    // A log that is read from another random access point on has nothing older to refer to.
    if (isRefresh || (randomAccess && this.#references.length === 0)) this.#references = [placed];
    else if (this.#references.length > 0) this.#references.push(placed);
  }

  /** Around an era's first frame, reordered pictures of the era before may still come. */
  #placeOf(unit: Unit, era: EraOpened): { era: EraOpened; slot: number } | null {
    if (indexAt(era.rate, unit.timeNs) >= era.frame) return { era, slot: unit.index };
    const before = this.#timeline.eras().at(-2);
    return before ? { era: before, slot: Math.min(indexAt(before.rate, unit.timeNs), era.previousEnd! - 1) } : null;
  }

  async #audioUnit(track: AudioTrack, unit: Unit, era: EraOpened): Promise<void> {
    this.#audio.take(track, unit);
    this.#audio.seen(unit.timeNs);
    if (this.#beginning === null && !era.renditions.some(isEncodedVideo))
      this.#begin(era, indexAtOrAfter(era.rate, unit.timeNs));
    if (!hasVideo(era)) {
      // Largest frame that starts no later than the audio is known: those before it are whole.
      this.#settled = Math.max(this.#settled, indexAtOrAfter(era.rate, this.#audio.knownNs + 1n) - 1);
      return;
    }
    const decided = indexAtOrAfter(era.rate, unit.timeNs - INTERLEAVE_MAX_NS);
    if (decided <= this.#settled && decided <= (this.#pictures?.nextSlot(era) ?? decided)) return;
    this.#settled = Math.max(this.#settled, decided);
    const inside = this.#videoInput?.lowestInside(era) ?? decided;
    await this.#pictures?.advance(era, Math.min(decided, inside));
  }

  async #set({ era, slot, set, settled }: SlottedSet): Promise<void> {
    try {
      if (settled && this.#beginning === null) this.#begin(era, slot);
      await this.#enterEra(era);
    } catch (error) {
      releaseSet(set);
      throw error;
    }
    await this.#pictures!.picture(slot, set);
  }

  async #enterEra(era: EraOpened): Promise<void> {
    const before = this.#pictures;
    if (before?.era === era) return;
    if (before) {
      const next = this.#timeline.eras().find((other) => other.era === before.era.era + 1);
      assert.ok(next && next.previousEnd !== null, "eras follow each other");
      await this.#leaveEra(before, next.previousEnd);
    }
    const { av, outlet } = this.#settings;
    this.#pictures = await EraPictures.open({
      av,
      outlet,
      era,
      timeline: this.#timeline,
      colour: this.#colours.get(era.era) ?? BT709,
      first: before !== null || this.#atLogStart ? era.frame : null,
      isWanted: (segment) => this.#beginning !== null && isMade(segment, this.#beginning),
    });
  }

  async #leaveEra(pictures: EraPictures, end: number): Promise<void> {
    await pictures.finish(end);
    this.#closedEraFrames += pictures.encodedFrames;
    this.#mediaSeconds += pictures.mediaSeconds;
    this.#pictures = null;
  }

  /** @param slot first one whose picture every worker has alike */
  #begin(era: EraOpened, slot: number): void {
    const { av, outlet, from, log } = this.#settings;
    const beginning = beginningOf(from, { era, slot }, this.#atLogStart);
    if (from !== null && compareEraFrames(beginning, from) !== 0)
      log.warn("transcode.frames_missed", { wanted: from, beginning });
    this.#beginning = beginning;
    this.#audioRungs = new AudioRungs(av, this.#timeline, this.#audio, outlet, beginning);
  }
}

type PlacedUnit = Readonly<{ unit: Unit; era: EraOpened; slot: number }>;

function isEncoded(era: EraOpened): boolean {
  return era.renditions.some(isEncodedVideo);
}

function hasVideo(era: EraOpened): boolean {
  return era.renditions.some(({ kind }) => kind === "video");
}
