// From sealed to safe: journals each finished segment, tries again what the disk refused, and says what is stored, to
// senders (who may forget it) and to the gateway (whose log may).
import { describe } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { HeldSegment } from "./held.ts";
import type { MediaJournal } from "./media-journal.ts";
import type { Track } from "./track.ts";

/** Told the start of each segment of a track once it is on disk, and all before it are: in order. */
export type AckSink = (era: number, segmentStartTicks: number) => void;

export class Saving {
  readonly #log: Log;
  readonly #journal: MediaJournal;
  readonly #tracks: ReadonlyMap<string, Track>;
  readonly #storedThrough: (timeNs: bigint) => void;
  readonly #changed: () => void;
  readonly #sinks = new Map<string, Set<AckSink>>();
  /** Segments that the disk refused. */
  readonly #refused = new Map<string, () => Promise<void>>();
  /** First segment of each track that senders were not told of. */
  readonly #toTell = new Map<Track, number>();
  #storedThroughNs = -1n;
  /** The disk refused the last that it was asked. Told when it begins and when it is over, not for each segment. */
  #isFailing = false;

  constructor(deps: {
    log: Log;
    journal: MediaJournal;
    tracks: ReadonlyMap<string, Track>;
    /** Everything before is stored in all renditions. */
    storedThrough: (timeNs: bigint) => void;
    changed: () => void;
  }) {
    this.#log = deps.log;
    this.#journal = deps.journal;
    this.#tracks = deps.tracks;
    this.#storedThrough = deps.storedThrough;
    this.#changed = deps.changed;
  }

  /** @returns a function that ends it */
  onStored(name: string, sink: AckSink): () => void {
    const sinks = this.#sinks.get(name) ?? new Set();
    this.#sinks.set(name, sinks.add(sink));
    return () => sinks.delete(sink);
  }

  /** @param record as it goes to disk; the segment's media is part of it */
  save(track: Track, segment: HeldSegment, record: Buffer): void {
    if (!this.#toTell.has(track)) this.#toTell.set(track, segment.ordinal);
    void this.#try(`${track.name}.${segment.ordinal}`, track, segment, record);
  }

  /** What was refused, once more. */
  retry(): void {
    for (const [key, again] of [...this.#refused]) {
      this.#refused.delete(key);
      void again();
    }
  }

  async #try(key: string, track: Track, segment: HeldSegment, record: Buffer): Promise<void> {
    try {
      await this.#journal.save(track.name, segment, record);
      if (this.#isFailing) this.#log.info("segments are journalled again");
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        this.#log.error("segments cannot be journalled", { code: "journal.failed", reason: describe(error) });
      this.#isFailing = true;
      // What nobody can fetch any more need not be kept either.
      if (track.held(segment.ordinal) === segment) {
        this.#refused.set(key, () => this.#try(key, track, segment, record));
        return;
      }
    }
    track.unsaved.delete(segment.ordinal);
    this.#tellSenders(track, segment.ordinal);
    this.#tellStored();
    this.#changed();
  }

  /** Of several segments the disk may finish a later one first; a sender takes a segment's word for all before it. */
  #tellSenders(track: Track, ordinal: number): void {
    const sinks = [...(this.#sinks.get(track.name) ?? [])];
    let next = this.#toTell.get(track) ?? ordinal;
    for (; next < track.nextOrdinal && !track.unsaved.has(next); next += 1) {
      const segment = track.held(next);
      if (segment) for (const sink of sinks) sink(segment.era, segment.startTicks);
    }
    this.#toTell.set(track, next);
  }

  #tellStored(): void {
    const all = [...this.#tracks.values()];
    const running = all.filter((track) => !track.finished);
    const tracks = running.length > 0 ? running : all;
    const through = Math.min(...tracks.map((track) => Math.min(track.nextOrdinal, ...track.unsaved) - 1));
    this.#journal.writtenThrough(through);
    const boundaryNs = tracks.map((track) => track.held(through)?.boundaryNs).find((ns) => ns !== undefined);
    if (boundaryNs === undefined || boundaryNs <= this.#storedThroughNs) return;
    this.#storedThroughNs = boundaryNs;
    this.#storedThrough(boundaryNs);
  }
}
