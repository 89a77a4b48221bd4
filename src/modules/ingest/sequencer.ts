// Turns what one publisher after the other sends into the one log of a session: gives every access unit its place in time,
// once, and writes down what it decided. No sockets and no timers: events go in, and `tick` tells it that time passes.
// Here lies a session's way through publishers that come, open, fall silent and go; where a unit of theirs goes is the
// placing's, and what is put out the eras'.
//
// What it promises to every reader of the log:
//  - frames are given, or declared a hole, in rising order over all publishers of the session; audio samples too;
//  - no unit is appended once another track is more than INTERLEAVE_MAX_NS ahead of it;
//  - nothing is appended after the end.
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Fields } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import type { DemuxClock, DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import type { EndReason, EraOpened, Track } from "#media/session-log/entries.ts";
import { sameTracks } from "#media/session-log/tracks.ts";
import { perSecond } from "#media/time/rate.ts";
import { unaligned } from "./copying.ts";
import { Eras } from "./eras.ts";
import type { Opened } from "./opening.ts";
import { Output, type OutputState } from "./output.ts";
import type { EntrySink } from "./output-side.ts";
import { Placing } from "./placing.ts";
import { Presence } from "./presence.ts";
import { SessionTime, type TimeMark } from "./session-time.ts";
import { Source } from "./source.ts";
import type { GatewaySession } from "./types.ts";
import { UnitLog } from "./unit-log.ts";

/** Media that far ahead of its arrival is no live stream: somebody sends a file as fast as the line goes. */
const AHEAD_NS_MAX = 60_000_000_000n;

/** Random access points that are no instant refresh, before the first that is: there will be none. */
const OPEN_POINTS_MAX = 1;

const HOLE = Object.freeze({ hole: true });

/** Where a session stood when its process died. */
export type RestoredSession = Readonly<{
  output: OutputState;
  tracks: readonly Track[];
  anchorNs: bigint;
  newestNs: bigint;
  /** Null when none was written down. */
  time: TimeMark | null;
}>;

export type SequencerOptions = Readonly<{
  clock: Clock;
  channel: Channel;
  sink: EntrySink;
  /** Told what an operator should know. */
  note?: (event: string, fields: Fields) => void;
  restored?: RestoredSession | null;
}>;

export class Sequencer {
  readonly #clock: Clock;
  readonly #note: (event: string, fields: Fields) => void;
  readonly #output: Output;
  readonly #units: UnitLog;
  readonly #eras: Eras;
  readonly #presence: Presence;
  readonly #placing: Placing;
  readonly #time: SessionTime;
  #source: Source | null = null;
  #returns = 0;
  /** Smaller pictures that do not begin where the largest does. */
  readonly #leftOut = new Set<number>();

  constructor(options: SequencerOptions) {
    const restored = options.restored ?? null;
    this.#clock = options.clock;
    this.#note = options.note ?? (() => {});
    this.#presence = new Presence(this.#clock.monotonicMs(), restored !== null);
    this.#output = new Output(options.sink, restored?.output ?? null);
    this.#units = new UnitLog(options.sink, this.#output, restored?.tracks ?? [], restored?.newestNs ?? 0n);
    this.#eras = new Eras({ channel: options.channel, output: this.#output, units: this.#units, note: this.#note });
    this.#time = new SessionTime(options.clock, restored?.time ?? null, restored?.newestNs);
    const parts = { output: this.#output, units: this.#units, eras: this.#eras, presence: this.#presence };
    const deps = { clock: options.clock, sink: options.sink, note: this.#note, ...parts };
    this.#placing = new Placing(deps, restored?.anchorNs ?? null);
    if (restored) this.#eras.restore(restored.output.side.era);
  }

  get state(): GatewaySession["state"] {
    return this.#presence.state;
  }

  /** TAI of the first frame; null while starting. */
  get anchorNs(): bigint | null {
    return this.#placing.anchorNs;
  }

  get tracks(): readonly Track[] {
    return this.#units.tracks;
  }

  get era(): EraOpened | null {
    return this.#output.era;
  }

  /** First frame that nothing is decided about, on the newest era's grid. */
  get nextFrame(): number {
    return this.#output.next;
  }

  /** Media time reached; 0 before there is any. */
  get newestNs(): bigint {
    return this.#units.newestNs;
  }

  get counters() {
    return { ...this.#units.counters, holes: this.#output.holes, returns: this.#returns, ...this.#placing.counters };
  }

  /** TAI now, as the session counts it; with what another gateway needs to go on counting. */
  get time(): TimeMark {
    return this.#time.mark();
  }

  /** A publisher begins, or returns. @param clock of its container */
  attach(clock: DemuxClock): void {
    assert.ok(this.#source === null && this.state !== "ended", "one publisher at a time, before the end");
    this.#source = new Source(clock, this.#clock.monotonicMs(), this.#eras.wantsCopies);
    this.#placing.begin();
    this.#eras.forget();
    this.#leftOut.clear();
    if (this.#output.era) this.#returns += 1;
  }

  /** The publisher is gone. @param clean it said so: no hole is logged before it is back */
  detach(clean: boolean): void {
    this.#source = null;
    this.#placing.dropEarly();
    if (this.#presence.left(clean)) this.#units.settle();
  }

  /** The log's last entry. A second call does nothing. */
  end(reason: EndReason): void {
    if (this.state === "ended") return;
    this.#units.settle();
    this.#output.end(reason);
    this.#source = null;
    this.#presence.ended();
  }

  event(event: DemuxEvent): void {
    const source = this.#source;
    if (source === null || this.#placing.refusal) return;
    if (event.kind === "unit") this.#unit(source, event);
    else if (event.kind === "tracks") this.#tracksTold(source, event.tracks, event.complete);
    else if (event.kind === "clock-jump") source.jumpAnnounced = true;
    else if (event.kind === "loss") {
      this.#units.lost(event.track);
      this.#eras.lost();
    } else if (event.kind === "unsupported") {
      source.unsupported ??= { what: event.what, sinceMs: this.#clock.monotonicMs() };
      this.#note("ingest.track_unsupported", { what: event.what });
    }
  }

  /** Time passes. To be called several times a second, whatever comes in. */
  tick(): void {
    if (this.state === "ended") return;
    const nowMs = this.#clock.monotonicMs();
    const source = this.#source;
    this.#presence.tick(nowMs);
    if (source && !source.clock.anchored) this.#tryOpen(source);
    if (source?.clock.anchored) this.#placing.placeEarly(source, nowMs);
    const silentMs = this.#presence.silence(nowMs, this.#eras.framesPerSecond);
    if (silentMs !== null) this.#interrupt(silentMs);
    source?.tick(nowMs);
    if (this.#presence.isMissed && this.#output.era) this.#holeUntilNow(nowMs);
  }

  /** Why the publisher should be turned away now; null while there is no reason.
   *  @param over it has sent everything: nothing can get better */
  fault(over = false): PlatformError | null {
    if (this.#source === null) return null;
    if (this.#placing.refusal) return this.#placing.refusal;
    const nowMs = this.#clock.monotonicMs();
    if (this.#source.clock.anchored && this.newestNs - this.#time.nowNs > AHEAD_NS_MAX)
      return new PlatformError("ingest.too_fast", "The stream came a minute ahead of its time: send it in real time.");
    return this.#source.fault(over ? Number.POSITIVE_INFINITY : nowMs, this.#placing.needsRandomAccess);
  }

  #interrupt(silentMs: number): void {
    this.#units.settle();
    this.#placing.interrupted();
    this.#eras.lost();
    if (this.#source) this.#source.resumedMs = null;
    this.#note("ingest.silent", { silentMs: Math.round(silentMs) });
  }

  #holeUntilNow(nowMs: number): void {
    const before = this.#output.holes;
    this.#output.holeUntil(this.#time.at(nowMs));
    if (this.#output.holes > before) this.#placing.holeLogged();
  }

  #tracksTold(source: Source, told: readonly Track[], complete: boolean): void {
    const tracks = told.filter(({ track }) => !this.#leftOut.has(track));
    source.opening.setTracks(tracks, complete);
    if (source.clock.anchored) this.#eras.retrack(tracks, complete, () => source.mayChange(this.#clock.monotonicMs()));
    else this.#tryOpen(source);
  }

  #unit(source: Source, unit: DemuxedUnit): void {
    const nowMs = this.#clock.monotonicMs();
    const timed = source.timed(unit, this.#time.at(nowMs), nowMs);
    if (!source.isOrdered(timed)) this.#units.drop(timed);
    else if (source.clock.anchored) this.#placing.place(source, timed);
    else {
      const { opening } = source;
      this.#units.counters.droppedUnits += opening.add(timed);
      if (opening.copies && opening.openPoints > OPEN_POINTS_MAX) this.#placing.cannotCopy(source, "open_gop");
      this.#tryOpen(source);
    }
  }

  #tryOpen(source: Source): void {
    const isNew = this.#output.era === null;
    const opened = source.opening.ready(this.#clock.monotonicMs(), isNew);
    if (opened === null) return;
    const { anchor, chosen, units } = opened;
    const tracks = this.#withoutUnaligned(source, opened);
    const needsEra = this.#eras.needsOther(tracks, chosen);
    if (!sameTracks(tracks, this.#units.tracks)) this.#units.setTracks(tracks);
    this.#placing.anchor(source, anchor, (timeNs) =>
      needsEra ? this.#eras.open(tracks, chosen, timeNs) : this.#output.cut(timeNs, HOLE),
    );
    if (needsEra) this.#eras.opened();
    source.opening.close();
    this.#placing.place(source, anchor);
    for (const timed of units) if (timed !== anchor) this.#placing.place(source, timed);
  }

  /** Sizes of the picture that cannot be cut where the largest is. */
  #withoutUnaligned(source: Source, { tracks, units, anchor, chosen }: Opened): readonly Track[] {
    if (!source.opening.copies) return tracks;
    const halfFrame = source.clock.timescale / perSecond(chosen.sourceRate) / 2;
    for (const { track, width, height } of unaligned(tracks, units, anchor, halfFrame)) {
      this.#leftOut.add(track);
      this.#note("ingest.track_left_out", {
        track,
        width,
        height,
        why: "its key frames are not the largest picture's",
      });
    }
    return tracks.filter(({ track }) => !this.#leftOut.has(track));
  }
}
