// One session at the origin: follows the decisions of its log, gives each chunk its place, and knows when all is there.
import { after, type Clock, type Timer } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import { parseInit } from "#media/cmaf/read-init.ts";
import type { Decision, EraOpened, SessionNumbers } from "#media/session-log/entries.ts";
import { OPEN_END } from "#media/session-log/stretch.ts";
import { type Segment, Timeline } from "#media/session-log/timeline.ts";
import { utcToTai } from "#media/time/tai.ts";
import { Boundaries } from "./boundaries.ts";
import type { HeldSegment } from "./held.ts";
import type { MediaJournal, SessionNote, StoredSession } from "./media-journal.ts";
import type { OriginOptions } from "./options.ts";
import { Saving } from "./saving.ts";
import { passSilence } from "./silence.ts";
import { Track, type TrackHost } from "./track.ts";
import type { DecisionSource } from "./types.ts";

/** Pause before a log that broke off is asked for again. */
const LOG_RETRY_MS = 500;

export type SessionDeps = Readonly<{
  clock: Clock;
  log: Log;
  options: OriginOptions;
  decisions: DecisionSource;
  journal: (session: Session) => MediaJournal;
  /** Something of it can be listed that could not before. */
  published: (session: Session, track: Track) => void;
  /** The log moved boundaries or holes, or its base numbers: what comes next may have another name. */
  replanned: (session: Session) => void;
  /** A playlist will show this number, after so many discontinuities (its own included). */
  shown: (msn: number, discontinuities: number) => void;
  /** Nothing will be published any more: say up to which number its playlists have to go. */
  lastMsn: (session: Session) => number;
  sealed: (session: Session) => void;
  changed: () => void;
}>;

export class Session {
  readonly id: string;
  readonly channel: Channel;
  readonly timeline = new Timeline();
  readonly tracks = new Map<string, Track>();
  readonly journal: MediaJournal;
  readonly saving: Saving;
  msnBase: number;
  discontinuityBase: number;
  /** How it ended; null while media may come. */
  outcome: "complete" | "abandoned" | null = null;
  /** Monotonic ms. */
  endedMs: number | null = null;
  /** Why nothing is published yet: an earlier session's numbers are still open. */
  waitsFor: Session | null = null;
  /** A process before this one had it, and may have shown more than is on disk. */
  wasRestored = false;
  copiesThatDiffer = 0;
  firstPartNs: bigint | null = null;
  lastPartNs: bigint | null = null;
  #position = -1;
  #restoredPosition = -1;
  #restoredEras: readonly EraOpened[] = [];
  #progressMs: number;
  #hurried = false;
  readonly #boundaries = new Boundaries(this.timeline);
  readonly #deps: SessionDeps;
  readonly #host: TrackHost;
  readonly #stop = new AbortController();
  readonly #timelineWaiters = new Set<() => void>();
  readonly #lossTimers = new Map<Track, Timer>();
  /** Last frame that was counted as published, per track. */
  readonly #newestFrames = new Map<Track, bigint>();

  constructor(id: string, channel: Channel, bases: SessionNumbers, deps: SessionDeps) {
    this.id = id;
    this.channel = channel;
    this.msnBase = bases.msnBase;
    this.discontinuityBase = bases.discontinuityBase;
    this.#deps = deps;
    this.#progressMs = deps.clock.monotonicMs();
    this.journal = deps.journal(this);
    this.saving = new Saving({
      log: deps.log,
      journal: this.journal,
      tracks: this.tracks,
      storedThrough: (timeNs) => deps.decisions.storedThrough(id, timeNs),
      changed: () => this.outcome !== null && deps.changed(),
    });
    this.#host = {
      timeline: this.timeline,
      logPosition: () => this.#position,
      oldestKnown: () => this.#boundaries.oldest,
      aheadBytesMax: deps.options.aheadBytesMax,
      published: (track) => this.#published(track),
      sealed: (track, segment, record) => this.saving.save(track, segment, record),
    };
  }

  /** open: media may come, or is not on disk yet. */
  get state(): "open" | "complete" | "abandoned" {
    if (this.outcome === "complete" && [...this.tracks.values()].some((track) => track.unsaved.size > 0)) return "open";
    return this.outcome ?? "open";
  }

  get eras(): readonly EraOpened[] {
    const eras = this.timeline.eras();
    return eras.length >= this.#restoredEras.length ? eras : this.#restoredEras;
  }

  /** Newest era, also of a session that was taken back from disk. */
  get era(): EraOpened | null {
    return this.eras.at(-1) ?? null;
  }

  note(): SessionNote {
    const { id, channel, msnBase, discontinuityBase, eras } = this;
    return { kind: "session", session: id, channel, msnBase, discontinuityBase, eras };
  }

  /** Take back what the journal holds. @throws PlatformError media.* when an init segment cannot be read */
  restore(stored: StoredSession): void {
    this.wasRestored = true;
    this.#restoredEras = stored.note.eras;
    for (const { name, era, bytes } of stored.inits) {
      const init = parseInit(bytes);
      this.addTrack(name, init.kind, 0).inits.set(era, { bytes, init });
    }
    for (const [name, segments] of stored.segments) {
      const track = this.tracks.get(name) ?? this.addTrack(name, kindOf(stored.note.eras, name), 0);
      for (const segment of segments) {
        track.restore(segment);
        this.#restoredPosition = Math.max(this.#restoredPosition, segment.logPosition);
      }
    }
    if (stored.end) this.#end(stored.end.state);
  }

  /** Begin to read the log's decisions. */
  follow(): void {
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.timeline.end === null) {
      try {
        for await (const { position, entry } of this.#deps.decisions.decisions(this.id, this.#position + 1, signal)) {
          this.#position = position;
          this.#apply(entry);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof PlatformError && error.code === "log.unknown_session") return this.#lost();
        this.#deps.log.warn("session log broke off", { reason: describe(error) });
      }
      if (this.timeline.end === null) await after(this.#deps.clock, LOG_RETRY_MS);
    }
  }

  /** The gateway knows nothing of it: what is missing will never come. */
  #lost(): void {
    this.#deps.log.warn("session log is gone", { code: "log.unknown_session" });
    this.seal("abandoned");
  }

  #apply(decision: Decision): void {
    this.timeline.apply(decision);
    if (decision.kind === "session") {
      this.msnBase = decision.msnBase; // the highest answer of several origins holds for all
      this.discontinuityBase = decision.discontinuityBase;
    } else if (decision.kind === "era") this.#openEra(decision);
    else if (decision.kind === "boundary") this.#boundaries.count(decision);
    else if (decision.kind === "end") this.#progressMs = this.#deps.clock.monotonicMs();
    for (const wake of [...this.#timelineWaiters]) wake();
    this.advance();
    if (decision.kind === "boundary") this.#boundaries.forget(this.#making());
    this.#deps.replanned(this);
    if (decision.kind !== "boundary") this.#deps.changed();
  }

  #making(): number[] {
    return [...this.tracks.values()].filter((track) => !track.finished).map((track) => track.nextOrdinal);
  }

  #openEra(era: EraOpened): void {
    const first = this.#firstOrdinal(era);
    for (const { name, kind } of era.renditions) {
      const track = this.tracks.get(name) ?? this.addTrack(name, kind, first);
      if (!track.finished) continue;
      track.finished = false;
      track.left = false;
      if (first > track.nextOrdinal) track.beginAt(first, this.#deps.clock.monotonicMs(), 60_000);
    }
  }

  /** An era of `source` mode has no segment yet when it opens: its first will be the one after the last before it. */
  #firstOrdinal(era: EraOpened): number {
    const own = this.timeline.segmentAt(era.era, era.frame);
    if (own || era.previousEnd === null) return own?.ordinal ?? 0;
    const before = this.timeline.eras().findLast((known) => known.era < era.era);
    const last = before ? this.timeline.segmentAt(before.era, era.previousEnd - 1) : null;
    return last ? last.ordinal + 1 : 0;
  }

  addTrack(name: string, kind: Track["kind"], nextOrdinal: number): Track {
    const track = new Track(name, kind, this.#host, nextOrdinal, this.#deps.clock.monotonicMs());
    this.tracks.set(name, track);
    return track;
  }

  /** The log is read up to what was placed by it before. */
  get isCaughtUp(): boolean {
    return this.#position >= this.#restoredPosition;
  }

  /** Publish all that can be. */
  advance(): void {
    if (this.waitsFor !== null || this.outcome !== null || !this.isCaughtUp) return;
    for (const track of this.tracks.values()) this.#advanceTrack(track);
    const finished = [...this.tracks.values()].every((track) => track.finished);
    if (this.timeline.end !== null && finished) this.seal("complete");
  }

  #advanceTrack(track: Track): void {
    track.advance();
    if (!track.isStuck) {
      this.#lossTimers.get(track)?.cancel();
      this.#lossTimers.delete(track);
    } else if (!this.#lossTimers.has(track)) {
      const at = `${track.nextOrdinal}.${track.growing?.parts.length}`;
      const late = () => {
        this.#lossTimers.delete(track);
        if (this.outcome !== null) return;
        if (at === `${track.nextOrdinal}.${track.growing?.parts.length}`) {
          this.#deps.log.warn("parts lost", { rendition: track.name, msn: this.msnBase + track.nextOrdinal });
          track.giveUpMissing();
        }
        this.advance();
      };
      this.#lossTimers.set(track, this.#deps.clock.setTimer(this.#deps.options.lossWaitMs, late));
    }
  }

  /** Another copy of something we have says otherwise: two makers disagree. */
  alarm(rendition: string, what: string): void {
    this.copiesThatDiffer += 1;
    this.#deps.log.error("copies differ", { code: "origin.copy_differs", rendition, what });
    this.#deps.changed();
  }

  /** What `find` gives, now or when the log has said more; null when it does not within the limit. */
  async onceLogged<T>(find: () => T | null, limitMs = this.#deps.options.placementWaitMs): Promise<T | null> {
    const found = find();
    if (found !== null || this.timeline.end !== null || this.outcome !== null) return found;
    return new Promise((resolve, reject) => {
      const done = (value: T | null) => {
        this.#timelineWaiters.delete(look);
        timer.cancel();
        resolve(value);
      };
      const look = () => {
        try {
          const value = find();
          if (value !== null || this.timeline.end !== null || this.outcome !== null) done(value);
        } catch (error) {
          done(null);
          reject(error);
        }
      };
      const timer = this.#deps.clock.setTimer(limitMs, () => done(null));
      this.#timelineWaiters.add(look);
    });
  }

  #published(track: Track): void {
    const { clock } = this.#deps;
    track.publishedMs = clock.monotonicMs();
    this.#progressMs = track.publishedMs;
    const nowNs = utcToTai(clock.utcNs());
    if (track.newestFrameNs !== null && this.#newestFrames.get(track) !== track.newestFrameNs) {
      this.#newestFrames.set(track, track.newestFrameNs);
      track.counters.partAgeMs = Number((nowNs - track.newestFrameNs) / 1_000_000n);
      this.firstPartNs ??= nowNs;
      this.lastPartNs = nowNs;
    }
    const shown = shownBy(track);
    if (shown) this.#deps.shown(shown.msn, this.#marksWith(shown));
    this.#deps.published(this, track);
  }

  /** Discontinuities up to and with a segment's own. */
  #marksWith(segment: Segment | HeldSegment): number {
    const before = "gap" in segment ? segment.discontinuitiesBefore : this.timeline.discontinuitiesBefore(segment);
    return before + (segment.discontinuity ? 1 : 0);
  }

  get discontinuitiesSoFar(): number {
    const shown = [...this.tracks.values()].map(shownBy).filter((segment) => segment !== null);
    return Math.max(this.discontinuityBase, ...shown.map((segment) => this.#marksWith(segment)));
  }

  /** Highest number that a playlist shows, or one below the first when none does. */
  get highestShown(): number {
    return Math.max(this.msnBase - 1, ...[...this.tracks.values()].map((track) => shownBy(track)?.msn ?? -1));
  }

  /** Resolves when the log's end is known, or after `limitMs`. */
  async endKnown(limitMs: number): Promise<void> {
    await this.onceLogged(() => this.timeline.end, limitMs);
  }

  /** What the log's end says: the last segment's number and the discontinuities by then. Null while it has not ended. */
  lastOfLog(): { msn: number; discontinuities: number } | null {
    const { end } = this.timeline;
    if (end === null) return null;
    const eras = this.timeline.eras();
    for (let i = eras.length - 1; i >= 0; i -= 1) {
      const last = this.timeline.segmentAt(eras[i]!.era, (eras[i + 1]?.previousEnd ?? end.frame) - 1);
      if (last) return { msn: last.msn, discontinuities: this.#marksWith(last) };
    }
    return { msn: this.msnBase - 1, discontinuities: this.discontinuityBase };
  }

  /** Gaps up to a number, in all renditions that were there to the end. */
  fillTo(lastMsn: number): void {
    for (const track of this.tracks.values()) track.finish(lastMsn, this.msnBase);
  }

  /** A later session waits for this one's numbers. */
  hurry(): void {
    this.#hurried = true;
  }

  /** The publisher is away: nothing comes, and nothing is wrong with that. */
  isInHole(track: Track): boolean {
    const segment = track.nextSegment();
    if (segment === null) return this.timeline.end !== null;
    const { era, ordinal, start, end } = segment;
    if (this.timeline.holeCoverage(era, start, end) !== "none") return true;
    const before = this.timeline.segment(ordinal - 1);
    // In `source` mode a hole is told in whole segments, each when it is over.
    return end === OPEN_END && track.growing === null && before !== null && this.timeline.isGap(before);
  }

  /** From time to time: try the disk again, give up what nobody sends. */
  tend(nowMs: number): void {
    this.saving.retry();
    if (this.outcome !== null || this.waitsFor !== null) return;
    for (const track of this.tracks.values()) this.#passSilence(track, nowMs);
    const { abandonMs, lossWaitMs } = this.#deps.options;
    const patienceMs = this.#hurried ? Math.min(lossWaitMs, abandonMs) : abandonMs;
    const isOver = this.timeline.end !== null || this.#hurried;
    if (isOver && nowMs - this.#progressMs > patienceMs) this.seal("abandoned");
  }

  #passSilence(track: Track, nowMs: number): void {
    const newest = Math.max(...this.#making());
    const silentMs = nowMs - track.publishedMs;
    if (!passSilence(track, this.timeline.era, newest, silentMs, this.#deps.options.abandonMs)) return;
    this.#deps.log.warn("no sound", { rendition: track.name, msn: this.msnBase + track.nextOrdinal });
    this.#published(track);
  }

  /** Nothing is published after this. */
  seal(outcome: "complete" | "abandoned"): void {
    if (this.outcome !== null) return;
    this.#end(outcome);
    this.#stop.abort();
    for (const timer of this.#lossTimers.values()) timer.cancel();
    this.#lossTimers.clear();
    for (const wake of [...this.#timelineWaiters]) wake();
    this.fillTo(this.#deps.lastMsn(this));
    this.#deps.sealed(this);
  }

  #end(outcome: "complete" | "abandoned"): void {
    this.outcome = outcome;
    this.endedMs = this.#deps.clock.monotonicMs();
    if (outcome === "complete") for (const track of this.tracks.values()) track.finished = true;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#lossTimers.values()) timer.cancel();
    for (const wake of [...this.#timelineWaiters]) wake();
    await this.journal.close();
  }
}

/** The newest segment of a track's playlist. */
function shownBy(track: Track): Segment | HeldSegment | null {
  return track.growing?.segment ?? track.listed.at(-1) ?? null;
}

function kindOf(eras: readonly EraOpened[], name: string): "video" | "audio" {
  const rendition = eras.flatMap((era) => era.renditions).find((known) => known.name === name);
  return rendition?.kind ?? "video";
}
