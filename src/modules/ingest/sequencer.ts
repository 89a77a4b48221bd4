// Turns what one publisher after the other sends into the one log of a session: gives every access unit its place in time,
// once, and writes down what it decided. No sockets and no timers: events go in, and `tick` tells it that time passes.
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
import type { AudioTrack, EndReason, EraOpened, Track, VideoTrack } from "#media/session-log/entries.ts";
import { perSecond, rateText } from "#media/time/rate.ts";
import { isRefresh, unaligned } from "./copying.ts";
import { DriftSteps } from "./drift-steps.ts";
import { EarlyUnits } from "./early-units.ts";
import { Eras } from "./eras.ts";
import type { Opened, TimedUnit } from "./opening.ts";
import { Output, type OutputState } from "./output.ts";
import type { CopyProblem, EntrySink } from "./output-side.ts";
import { sameTracks, videoOf } from "./plan-era.ts";
import { Presence } from "./presence.ts";
import { SessionTime, type TimeMark } from "./session-time.ts";
import { Source } from "./source.ts";
import type { GatewaySession } from "./types.ts";
import { UnitLog } from "./unit-log.ts";

/** Media that far ahead of its arrival is no live stream: somebody sends a file as fast as the line goes. */
const AHEAD_NS_MAX = 60_000_000_000n;

/** After a silence, what was on its way the whole time comes in a burst with old times. For so long it is waited for newer
 *  ones; then the sender's clock is taken to have stood still. */
const BURST_MS = 1000;

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
  readonly #sink: EntrySink;
  readonly #note: (event: string, fields: Fields) => void;
  readonly #output: Output;
  readonly #units: UnitLog;
  #source: Source | null = null;
  readonly #eras: Eras;
  readonly #presence: Presence;
  #anchorNs: bigint | null = null;
  readonly #time: SessionTime;
  readonly #drift: DriftSteps;
  /** A hole was logged: what comes refers to what was lost. */
  #needsRandomAccess = false;
  #returns = 0;
  /** Why nothing more is taken from this publisher. */
  #refusal: PlatformError | null = null;
  /** Smaller pictures that do not begin where the largest does. */
  readonly #leftOut = new Set<number>();
  readonly #early = new EarlyUnits();

  constructor(options: SequencerOptions) {
    const restored = options.restored ?? null;
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#note = options.note ?? (() => {});
    this.#output = new Output(options.sink, restored?.output ?? null);
    this.#units = new UnitLog(options.sink, this.#output, restored?.tracks ?? [], restored?.newestNs ?? 0n);
    this.#eras = new Eras({ channel: options.channel, output: this.#output, units: this.#units, note: this.#note });
    this.#time = new SessionTime(options.clock, restored?.time ?? null, restored?.newestNs);
    this.#drift = new DriftSteps(this.#output, this.#note);
    this.#presence = new Presence(this.#clock.monotonicMs(), restored !== null);
    if (!restored) return;
    this.#needsRandomAccess = true;
    this.#anchorNs = restored.anchorNs;
    this.#eras.restore(restored.output.side.era);
  }

  get state(): GatewaySession["state"] {
    return this.#presence.state;
  }

  /** TAI of the first frame; null while starting. */
  get anchorNs(): bigint | null {
    return this.#anchorNs;
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
    return { ...this.#units.counters, holes: this.#output.holes, returns: this.#returns, ...this.#drift.counters };
  }

  /** TAI now, as the session counts it; with what another gateway needs to go on counting. */
  get time(): TimeMark {
    return this.#time.mark();
  }

  /** A publisher begins, or returns. @param clock of its container */
  attach(clock: DemuxClock): void {
    assert.ok(this.#source === null && this.state !== "ended", "one publisher at a time, before the end");
    this.#source = new Source(clock, this.#clock.monotonicMs(), this.#eras.wantsCopies);
    this.#refusal = null;
    this.#eras.forget();
    this.#leftOut.clear();
    if (this.#output.era) this.#returns += 1;
  }

  /** The publisher is gone. @param clean it said so: no hole is logged before it is back */
  detach(clean: boolean): void {
    this.#source = null;
    this.#dropEarly();
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
    if (source === null || this.#refusal) return;
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
    if (source?.clock.anchored) this.#placeEarly(source, nowMs);
    const silentMs = this.#presence.silence(nowMs, this.#eras.framesPerSecond);
    if (silentMs !== null) this.#interrupt(silentMs);
    source?.tick(nowMs);
    if (this.#presence.isMissed && this.#output.era) this.#holeUntilNow(nowMs);
  }

  /** Why the publisher should be turned away now; null while there is no reason.
   *  @param over it has sent everything: nothing can get better */
  fault(over = false): PlatformError | null {
    if (this.#source === null) return null;
    if (this.#refusal) return this.#refusal;
    const nowMs = this.#clock.monotonicMs();
    if (this.#source.clock.anchored && this.newestNs - this.#time.nowNs > AHEAD_NS_MAX)
      return new PlatformError("ingest.too_fast", "The stream came a minute ahead of its time: send it in real time.");
    return this.#source.fault(over ? Number.POSITIVE_INFINITY : nowMs, this.#needsRandomAccess);
  }

  #interrupt(silentMs: number): void {
    this.#units.settle();
    this.#drift.interrupted();
    this.#eras.lost();
    if (this.#source) this.#source.resumedMs = null;
    this.#note("ingest.silent", { silentMs: Math.round(silentMs) });
  }

  #holeUntilNow(nowMs: number): void {
    const before = this.#output.holes;
    this.#output.holeUntil(this.#time.at(nowMs));
    if (this.#output.holes > before) this.#needsRandomAccess = true;
  }

  #tracksTold(source: Source, told: readonly Track[], complete: boolean): void {
    const tracks = told.filter(({ track }) => !this.#leftOut.has(track));
    source.opening.setTracks(tracks, complete);
    if (source.clock.anchored) this.#eras.retrack(tracks, () => source.mayChange(this.#clock.monotonicMs()));
    else this.#tryOpen(source);
  }

  #unit(source: Source, unit: DemuxedUnit): void {
    const nowMs = this.#clock.monotonicMs();
    const timed = source.timed(unit, this.#time.at(nowMs), nowMs);
    if (!source.isOrdered(timed)) this.#units.drop(timed);
    else if (source.clock.anchored) this.#place(source, timed);
    else {
      const { opening } = source;
      const { dropped } = opening;
      opening.add(timed);
      this.#units.counters.droppedUnits += opening.dropped - dropped;
      if (opening.copies && opening.openPoints > OPEN_POINTS_MAX) this.#cannotCopy("open_gop");
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
    this.#anchor(source, anchor, (timeNs) =>
      needsEra ? this.#eras.open(tracks, chosen, timeNs) : this.#output.cut(timeNs, HOLE),
    );
    if (needsEra) this.#eras.opened();
    source.opening.close();
    this.#place(source, anchor);
    for (const timed of units) if (timed !== anchor) this.#place(source, timed);
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

  /** The stream is none that can be copied: it is encoded from now on, or turned away. */
  #cannotCopy(problem: CopyProblem): void {
    this.#refusal = this.#eras.cannotCopy(problem, this.#source?.clock.anchored ?? false);
    if (this.#source && !this.#refusal) this.#source.opening.copies = false;
  }

  /** Tie the source's clock to the unit's arrival. @param decide takes that and returns the instant of the frame it gets */
  #anchor(source: Source, unit: TimedUnit, decide: (timeNs: bigint) => bigint): void {
    this.#dropEarly();
    this.#units.settle();
    const timeNs = decide(unit.arrivedNs);
    const { ptsTicks } = unit;
    this.#sink.append({ kind: "anchor", sourceTicks: BigInt(ptsTicks), timescale: source.clock.timescale, timeNs });
    source.anchor(ptsTicks, timeNs);
    this.#drift.anchored();
    this.#units.restartAll();
    this.#anchorNs ??= timeNs;
    this.#needsRandomAccess = false;
    this.#eras.anchored();
    this.#presence.heard(this.#clock.monotonicMs());
  }

  #place(source: Source, timed: TimedUnit): void {
    const isBegin = this.#eras.canBegin(timed);
    const wasSilent = this.state === "interrupted";
    if (isBegin && !this.#isOnItsWay(source, timed)) return;
    if (isBegin) this.#eras.begin(timed, source.clock.timeOf(timed.ptsTicks), wasSilent);
    const track = this.#trackOf(timed);
    const video = videoOf(this.#units.tracks);
    if (track === undefined || this.#eras.isChanging(track)) this.#units.drop(timed);
    else if (track.kind === "audio") this.#placeAudio(source, track, timed, { leads: !this.#output.hasVideo, isBegin });
    else if (track === video) this.#placeVideo(source, track, timed, isBegin);
    else this.#placeSmaller(source, track, timed);
    if (this.#output.problem && this.#output.copies) this.#cannotCopy(this.#output.problem);
  }

  #trackOf({ unit }: TimedUnit): Track | undefined {
    return this.#units.tracks.find(({ track }) => track === unit.track);
  }

  #placeVideo(source: Source, track: VideoTrack, timed: TimedUnit, isBegin: boolean): void {
    if (!this.#hasPlaceForVideo(source, track, timed)) return;
    if (!isBegin && !this.#isOnItsWay(source, timed)) return;
    const breaks = isRefresh(track, timed) ? null : this.#output.wouldBreak(source.clock.timeOf(timed.ptsTicks));
    if (breaks) this.#cannotCopy(breaks);
    if (this.#refusal) this.#units.drop(timed);
    else this.#putOut(source, track, timed);
  }

  #putOut(source: Source, track: VideoTrack, timed: TimedUnit): void {
    if (!this.#video(source, track, timed)) return;
    this.#accepted(source, timed);
    this.#drift.follow(source.clock, timed, this.newestNs);
    this.#eras.follow(source, track, timed);
    this.#placeEarly(source, timed.arrivedMs);
  }

  /** Pictures of another size, copied in the segments of the largest: they may not come before what begins those. */
  #placeSmaller(source: Source, track: VideoTrack, timed: TimedUnit): void {
    const isCopied = this.#output.era!.renditions.some((own) => own.copied && own.track === track.track);
    if (!isCopied || this.#needsRandomAccess) this.#units.drop(timed);
    else if (this.#isEarly(source, timed, timed.arrivedMs)) this.#hold(timed);
    else this.#video(source, track, timed);
  }

  #video({ clock }: Source, track: VideoTrack, timed: TimedUnit): boolean {
    return this.#units.video(track, timed, clock.pictureAt(timed.ptsTicks), clock.pictureAt(timed.dtsTicks).timeNs);
  }

  #placeAudio(
    source: Source,
    track: AudioTrack,
    timed: TimedUnit,
    { leads, isBegin }: { leads: boolean; isBegin: boolean },
  ): void {
    if (leads && !isBegin && !this.#isOnItsWay(source, timed)) return;
    if (!leads && this.#needsRandomAccess) this.#units.drop(timed);
    else if (!leads && this.#isEarly(source, timed, timed.arrivedMs)) this.#hold(timed);
    else if (this.#units.audio(track, timed, source.clock.soundAt(timed.ptsTicks))) {
      this.#accepted(source, timed);
      if (leads) this.#drift.follow(source.clock, timed, this.newestNs);
    }
  }

  #isEarly(source: Source, timed: TimedUnit, nowMs: number): boolean {
    if (!this.#units.isVideoComing(nowMs)) return false;
    const track = this.#trackOf(timed);
    if (track?.kind === "audio") return this.#units.isAhead(source.clock.timeOf(timed.ptsTicks));
    const halfFrame = source.clock.timescale / this.#eras.framesPerSecond! / 2;
    return track !== undefined && timed.dtsTicks - halfFrame > (source.leadTicks ?? timed.dtsTicks);
  }

  #hold(timed: TimedUnit): void {
    for (const given of this.#early.hold(timed)) this.#units.drop(given);
  }

  #placeEarly(source: Source, nowMs: number): void {
    if (this.#early.isEmpty) return;
    for (const timed of this.#early.take((held) => !this.#isEarly(source, held, nowMs))) this.#place(source, timed);
  }

  #dropEarly(): void {
    for (const timed of this.#early.take(() => true)) this.#units.drop(timed);
  }

  /** A picture track in a session that began without: its output begins with a random access point. */
  #hasPlaceForVideo(source: Source, track: VideoTrack, timed: TimedUnit): boolean {
    if (this.#output.hasVideo) return true;
    if (this.#eras.wantsCopies ? !isRefresh(track, timed) : !timed.unit.randomAccess) {
      this.#units.drop(timed);
      return false;
    }
    const chosen = this.#eras.rateOf(track);
    source.newLead();
    this.#anchor(source, timed, (timeNs) => this.#eras.open(this.#units.tracks, chosen, timeNs));
    this.#eras.opened();
    this.#note("ingest.video_came_late", { rate: rateText(chosen.rate) });
    return true;
  }

  /** Follow the leading track's clock: over jumps, standstills and silences.
   *  @returns whether the unit can be placed; else it was dropped */
  #isOnItsWay(source: Source, timed: TimedUnit): boolean {
    const step = source.step(timed);
    const mustBegin = this.#needsRandomAccess || (step === "jump" && this.#output.copies);
    const mayBegin = !mustBegin || this.#canBegin(timed);
    let goesOn = mayBegin && step !== "still" && (step !== "jump" || source.mayChange(timed.arrivedMs));
    if (goesOn && step === "jump") this.#jump(source, timed);
    else if (goesOn && this.#needsRandomAccess) goesOn = this.#resume(source, timed);
    if (!goesOn) this.#units.drop(timed);
    return goesOn;
  }

  /** Whether the output can go on with the unit after a hole. */
  #canBegin(timed: TimedUnit): boolean {
    const track = this.#trackOf(timed);
    if (!this.#output.copies || track === undefined) return timed.unit.randomAccess;
    return isRefresh(track, timed);
  }

  /** The sender's time is another from this unit on. */
  #jump(source: Source, timed: TimedUnit): void {
    const isWhole = timed.unit.randomAccess;
    const hole = isWhole && this.state === "interrupted";
    this.#note("ingest.timestamps_jump", { track: timed.unit.track });
    this.#anchor(source, timed, (timeNs) => this.#output.cut(timeNs, { hole, splice: !hole }));
    if (!isWhole) this.#units.lost(timed.unit.track);
  }

  /** After a hole: go on with the first random access point whose time is not past. */
  #resume(source: Source, timed: TimedUnit): boolean {
    const timeNs = source.clock.timeOf(timed.ptsTicks);
    if (timeNs >= this.#output.floorNs) {
      this.#output.cut(timeNs, HOLE);
      if (!this.#output.isFree(timeNs)) return false; // an era begins right behind it
      this.#units.recovered(timed.unit.track);
      this.#needsRandomAccess = false;
      return true;
    }
    if (timed.arrivedMs - (source.resumedMs ?? timed.arrivedMs) < BURST_MS) return false;
    this.#anchor(source, timed, (arrivedNs) => this.#output.cut(arrivedNs, HOLE));
    return true;
  }

  #accepted(source: Source, timed: TimedUnit): void {
    source.progress(timed.arrivedMs, this.#units.newestNs);
    this.#presence.heard(timed.arrivedMs);
  }
}
