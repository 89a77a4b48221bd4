// What a worker does with each entry of the log, one after the other.
import { assert } from "#base/assert.ts";
import type { Log } from "#base/log.ts";
import {
  type AudioTrack,
  type Decision,
  type Ended,
  type Entry,
  type EraOpened,
  type Hole,
  INTERLEAVE_MAX_NS,
  type Positioned,
  type Track,
  type TracksKnown,
  type Unit,
  type VideoTrack,
} from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { indexAt, indexAtOrAfter, timeOf } from "#media/time/rate.ts";
import type { Av } from "#platform/av/av.ts";
import { AudioInput } from "./audio-input.ts";
import { AudioRung } from "./audio-rung.ts";
import { beginningOf, isMade, type Place } from "./beginning.ts";
import { EraPictures } from "./era-pictures.ts";
import type { Outlet } from "./outlet.ts";
import { releaseSet, type SlottedSet, VideoInput } from "./video-input.ts";

type Settings = Readonly<{
  av: Av;
  log: Log;
  outlet: Outlet;
  /** Start of the first segment that is wanted; null: all there is. */
  from: Place | null;
}>;

export class LogReading {
  readonly #settings: Settings;
  readonly #timeline = new Timeline();
  readonly #audioInput = new AudioInput();
  #nextPosition = 0;
  /** No entry was left out before the first unit: what was not in the log never was. */
  #atLogStart = true;
  #sawUnit = false;
  #videoTrack: VideoTrack | null = null;
  /** The picture track as each era opened: its output stays as it is, whatever the source becomes. */
  readonly #eraTracks = new Map<number, VideoTrack | null>();
  #videoInput: VideoInput | null = null;
  #pictures: EraPictures | null = null;
  #audioRung: AudioRung | null = null;
  #beginning: Place | null = null;
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
    await this.#audioRung?.advance(this.#settled, this.#newestArrivedNs);
    if (entry.kind === "end") {
      this.#audioRung?.finish();
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
      lateAudioUnits: this.#audioInput.lateUnits,
    };
  }

  /** Let go of everything; what is open is not sent. */
  async close(): Promise<void> {
    this.#audioRung?.close();
    await this.#videoInput?.close();
    await this.#pictures?.abandon(new Error("the session was left"));
  }

  async #decision(decision: Decision): Promise<void> {
    this.#timeline.apply(decision);
    if (decision.kind === "tracks") this.#tracks(decision);
    else if (decision.kind === "era") this.#era(decision);
    else if (decision.kind === "hole") await this.#hole(decision);
    else if (decision.kind === "end") await this.#end(decision);
  }

  /** A track that did not change keeps its object, so that its decoder goes on. */
  #tracks({ tracks }: TracksKnown): void {
    const video = tracks.find((track): track is VideoTrack => track.kind === "video") ?? null;
    const audio = tracks.find((track): track is AudioTrack => track.kind === "audio") ?? null;
    if (!sameTrack(video, this.#videoTrack)) this.#videoTrack = video;
    if (!sameTrack(audio, this.#audioInput.track)) this.#audioInput.setTrack(audio);
  }

  #era(era: EraOpened): void {
    this.#eraTracks.set(era.era, this.#videoTrack);
    this.#settled = era.frame;
  }

  async #hole({ to }: Hole): Promise<void> {
    const era = this.#timeline.era;
    if (era === null) return;
    await this.#videoInput?.drain();
    await this.#pictures?.advance(era, to);
    this.#settled = Math.max(this.#settled, to);
    this.#audioInput.knownTo(timeOf(era.rate, to));
  }

  async #end({ frame }: Ended): Promise<void> {
    await this.#videoInput?.drain();
    if (this.#pictures) await this.#leaveEra(this.#pictures, frame);
    this.#settled = Math.max(this.#settled, frame);
    this.#audioInput.finish();
  }

  async #unit(unit: Unit): Promise<void> {
    const era = this.#timeline.era;
    if (era === null) return; // before the anchor there is no time to put it at
    this.#sawUnit = true;
    if (unit.arrivedNs > this.#newestArrivedNs) this.#newestArrivedNs = unit.arrivedNs;
    if (unit.track === this.#videoTrack?.track) await this.#videoUnit(this.#videoTrack, unit, era);
    else if (unit.track === this.#audioInput.track?.track) await this.#audioUnit(this.#audioInput.track, unit, era);
  }

  async #videoUnit(track: VideoTrack, unit: Unit, era: EraOpened): Promise<void> {
    if (!era.renditions.some((rendition) => rendition.kind === "video")) return;
    const place = this.#placeOf(unit, era);
    if (place === null) return;
    if (place.era === era) this.#settled = Math.max(this.#settled, place.slot + 1);
    this.#audioInput.knownTo(this.#audioInput.track ? unit.timeNs - INTERLEAVE_MAX_NS : unit.timeNs);
    this.#videoInput ??= new VideoInput(this.#settings.av, this.#atLogStart, (set) => this.#set(set));
    await this.#videoInput.unit(track, unit, place.era, place.slot);
  }

  /** Around an era's first frame, reordered pictures of the era before may still come. */
  #placeOf(unit: Unit, era: EraOpened): { era: EraOpened; slot: number } | null {
    if (indexAt(era.rate, unit.timeNs) >= era.frame) return { era, slot: unit.index };
    const before = this.#timeline.eras().at(-2);
    return before ? { era: before, slot: Math.min(indexAt(before.rate, unit.timeNs), era.previousEnd! - 1) } : null;
  }

  async #audioUnit(track: AudioTrack, unit: Unit, era: EraOpened): Promise<void> {
    this.#audioInput.take(track, unit);
    if (!era.renditions.some((rendition) => rendition.kind === "video")) {
      // Largest frame that starts no later than the audio is known: those before it are whole.
      this.#settled = Math.max(this.#settled, indexAtOrAfter(era.rate, this.#audioInput.knownNs + 1n) - 1);
      if (this.#beginning === null) this.#begin(era, indexAtOrAfter(era.rate, unit.timeNs));
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
      track: this.#eraTracks.get(era.era) ?? this.#videoTrack,
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
    if (from !== null && (beginning.era !== from.era || beginning.frame !== from.frame))
      log.warn("transcode.frames_missed", { wanted: from, beginning });
    this.#beginning = beginning;
    this.#audioRung = new AudioRung(av, this.#timeline, this.#audioInput, outlet, beginning);
  }
}

function sameTrack(a: Track | null, b: Track | null): boolean {
  if (a === null || b === null) return a === b;
  const { config: configA, ...restA } = a;
  const { config: configB, ...restB } = b;
  return Buffer.from(configA).equals(configB) && JSON.stringify(restA) === JSON.stringify(restB);
}
