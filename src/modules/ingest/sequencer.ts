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
import { perSecond, rateText, sameRate } from "#media/time/rate.ts";
import { utcToTai } from "#media/time/tai.ts";
import type { TimedUnit } from "./opening.ts";
import { type EntrySink, type GridState, OutputGrid } from "./output-grid.ts";
import { audioOf, planEra, sameTracks, videoOf } from "./plan-era.ts";
import { Source } from "./source.ts";
import { type ChosenRate, chooseDeclared, chooseMeasured, isLie, measure, type PictureTimes } from "./source-rate.ts";
import { UnitLog } from "./unit-log.ts";

/** Without media for so long the publisher counts as away. */
const SILENCE_MS = 1000;
/** Slow sources may pause for this many frames, up to so long. */
const SILENCE_FRAMES = 3;
const SILENCE_MS_MAX = 5000;

/** Ticks come ten times a second. After a gap of this it was this process that stood still (a frozen virtual machine), not
 *  the publisher: what it sent meanwhile waits in the socket, and is read before the next tick. */
const OWN_PAUSE_MS = 700;

/** Media that far ahead of its arrival is no live stream: somebody sends a file as fast as the line goes. */
const AHEAD_NS_MAX = 60_000_000_000n;

/** After a silence, what was on its way the whole time comes in a burst with old times. For so long it is waited for newer
 *  ones; then the sender's clock is taken to have stood still. */
const BURST_MS = 1000;

const HOLE = Object.freeze({ hole: true });

export type SequencerState = "starting" | "live" | "interrupted" | "ended";

/** Where a session stood when its process died. */
export type RestoredSession = GridState & Readonly<{ tracks: readonly Track[]; anchorNs: bigint; newestNs: bigint }>;

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
  readonly #channel: Channel;
  readonly #sink: EntrySink;
  readonly #note: (event: string, fields: Fields) => void;
  readonly #grid: OutputGrid;
  readonly #units: UnitLog;
  #source: Source | null = null;
  #chosen: ChosenRate | null = null;
  #state: SequencerState = "starting";
  #anchorNs: bigint | null = null;
  /** TAI and monotonic instants that belong together: steps of the host's clock do not move a session in time. */
  #base: { taiNs: bigint; ms: number };
  /** When the last unit was appended, monotonic. */
  #mediaMs = 0;
  #tickMs: number;
  /** No hole is logged: a publisher that said goodbye comes back soon, or the session ends where it stopped. */
  #patient = false;
  /** A hole was logged: what comes refers to what was lost. */
  #needsRandomAccess = false;
  /** Pictures for the one check of the rate; null when it is done. */
  #meter: PictureTimes[] | null = null;
  #returns = 0;

  constructor(options: SequencerOptions) {
    const restored = options.restored ?? null;
    this.#clock = options.clock;
    this.#channel = options.channel;
    this.#sink = options.sink;
    this.#note = options.note ?? (() => {});
    this.#grid = new OutputGrid(options.sink, restored);
    this.#units = new UnitLog(options.sink, this.#grid, restored?.tracks ?? [], restored?.newestNs ?? 0n);
    this.#base = { taiNs: this.#arrivalNs(), ms: this.#clock.monotonicMs() };
    this.#tickMs = this.#base.ms;
    if (!restored) return;
    this.#state = "interrupted";
    this.#needsRandomAccess = true;
    this.#anchorNs = restored.anchorNs;
    this.#chosen = { rate: restored.era.rate, sourceRate: restored.era.sourceRate };
  }

  get state(): SequencerState {
    return this.#state;
  }

  /** TAI of the first frame; null while starting. */
  get anchorNs(): bigint | null {
    return this.#anchorNs;
  }

  get tracks(): readonly Track[] {
    return this.#units.tracks;
  }

  get era(): EraOpened | null {
    return this.#grid.era;
  }

  /** First frame that nothing is decided about, on the newest era's grid. */
  get nextFrame(): number {
    return this.#grid.next;
  }

  /** Media time reached; 0 before there is any. */
  get newestNs(): bigint {
    return this.#units.newestNs;
  }

  get counters() {
    return { ...this.#units.counters, holes: this.#grid.holes, returns: this.#returns };
  }

  /** A publisher begins, or returns. @param clock of its container */
  attach(clock: DemuxClock): void {
    assert.ok(this.#source === null && this.#state !== "ended", "one publisher at a time, before the end");
    this.#source = new Source(clock, this.#clock.monotonicMs());
    if (this.#grid.era) this.#returns += 1;
  }

  /** The publisher is gone. @param clean it said so: no hole is logged before it is back */
  detach(clean: boolean): void {
    this.#source = null;
    this.#patient = clean && this.#state === "live";
    if (this.#state !== "live") return;
    this.#units.settle();
    this.#state = "interrupted";
  }

  /** The log's last entry. A second call does nothing. */
  end(reason: EndReason): void {
    if (this.#state === "ended") return;
    this.#units.settle();
    this.#grid.end(reason);
    this.#source = null;
    this.#state = "ended";
  }

  event(event: DemuxEvent): void {
    const source = this.#source;
    if (source === null) return;
    if (event.kind === "unit") this.#unit(source, event);
    else if (event.kind === "tracks") this.#tracksTold(source, event.tracks, event.complete);
    else if (event.kind === "clock-jump") source.jumpAnnounced = true;
    else if (event.kind === "loss") {
      this.#units.lost(event.track);
      if (this.#meter) this.#meter = [];
    } else if (event.kind === "unsupported") {
      source.unsupported ??= { what: event.what, sinceMs: this.#clock.monotonicMs() };
      this.#note("ingest.track_unsupported", { what: event.what });
    }
  }

  /** Time passes. To be called several times a second, whatever comes in. */
  tick(): void {
    if (this.#state === "ended") return;
    const nowMs = this.#clock.monotonicMs();
    const source = this.#source;
    const pausedMs = nowMs - this.#tickMs;
    this.#tickMs = nowMs;
    if (pausedMs >= OWN_PAUSE_MS) this.#mediaMs = Math.min(nowMs, this.#mediaMs + pausedMs);
    if (source && !source.clock.anchored) this.#tryOpen(source);
    if (this.#state === "live" && nowMs - this.#mediaMs > this.#silenceMs) this.#interrupt(nowMs);
    if (source && nowMs - (source.unitMs ?? nowMs) > SILENCE_MS) source.resumedMs = null;
    if (this.#state === "interrupted" && !this.#patient && this.#grid.era) this.#holeUntilNow(nowMs);
  }

  /** Why the publisher should be turned away now; null while there is no reason.
   *  @param over it has sent everything: nothing can get better */
  fault(over = false): PlatformError | null {
    if (this.#source === null) return null;
    const nowMs = this.#clock.monotonicMs();
    if (this.#source.clock.anchored && this.newestNs - this.#taiNs(nowMs) > AHEAD_NS_MAX)
      return new PlatformError("ingest.too_fast", "The stream came a minute ahead of its time: send it in real time.");
    return this.#source.fault(over ? Number.POSITIVE_INFINITY : nowMs, this.#needsRandomAccess);
  }

  get #silenceMs(): number {
    const framesPerSecond = this.#chosen ? perSecond(this.#chosen.sourceRate) : SILENCE_FRAMES;
    return Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS, (SILENCE_FRAMES * 1000) / framesPerSecond));
  }

  #arrivalNs(): bigint {
    return utcToTai(this.#clock.utcNs());
  }

  #taiNs(nowMs: number): bigint {
    return this.#base.taiNs + BigInt(Math.round((nowMs - this.#base.ms) * 1_000_000));
  }

  #interrupt(nowMs: number): void {
    this.#state = "interrupted";
    this.#patient = false;
    this.#units.settle();
    if (this.#source) this.#source.resumedMs = null;
    this.#note("ingest.silent", { silentMs: Math.round(nowMs - this.#mediaMs) });
  }

  #holeUntilNow(nowMs: number): void {
    const before = this.#grid.holes;
    this.#grid.holeUntil(this.#taiNs(nowMs));
    if (this.#grid.holes > before) this.#needsRandomAccess = true;
  }

  #tracksTold(source: Source, tracks: readonly Track[], complete: boolean): void {
    source.opening.setTracks(tracks, complete);
    if (source.clock.anchored) this.#retrack(source, tracks);
    else this.#tryOpen(source);
  }

  /** Parameters changed in mid-stream. The output stays as it is, unless a track came that it has no place for. */
  #retrack(source: Source, tracks: readonly Track[]): void {
    const before = this.#units.tracks;
    if (sameTracks(before, tracks) || !source.mayChange(this.#clock.monotonicMs())) return;
    for (const track of tracks) {
      const old = before.find((other) => other.track === track.track);
      if (old && !sameTracks([old], [track])) this.#units.restart(track.track);
    }
    this.#units.setTracks(tracks);
    const { renditions } = this.#grid.era!;
    const isNewAudio = audioOf(tracks) !== null && !renditions.some(({ kind }) => kind === "audio");
    if (isNewAudio && this.#chosen && renditions.length > 0) {
      this.#grid.planEra(planEra(tracks, this.#chosen, this.#channel));
      this.#note("ingest.audio_came_late", {});
    }
  }

  #unit(source: Source, unit: DemuxedUnit): void {
    const timed = source.timed(unit, this.#arrivalNs(), this.#clock.monotonicMs());
    if (!source.isOrdered(timed)) this.#units.drop(timed);
    else if (source.clock.anchored) this.#place(source, timed);
    else {
      const { dropped } = source.opening;
      source.opening.add(timed);
      this.#units.counters.droppedUnits += source.opening.dropped - dropped;
      this.#tryOpen(source);
    }
  }

  #tryOpen(source: Source): void {
    const isNew = this.#grid.era === null;
    const opened = source.opening.ready(this.#clock.monotonicMs(), isNew);
    if (opened === null) return;
    const { tracks, anchor, chosen, units } = opened;
    if (!sameTracks(tracks, this.#units.tracks)) this.#units.setTracks(tracks);
    const needsEra = isNew || this.#needsOtherEra(tracks, chosen);
    if (needsEra) this.#chosen = chosen;
    this.#anchor(source, anchor, (timeNs) =>
      needsEra ? this.#grid.openEra(planEra(tracks, chosen, this.#channel), timeNs) : this.#grid.cut(timeNs, HOLE),
    );
    if (needsEra && videoOf(tracks)) this.#meter = [];
    source.opening.close();
    this.#place(source, anchor);
    for (const timed of units) if (timed !== anchor) this.#place(source, timed);
  }

  /** Other kinds of tracks, or pictures at another declared rate, than the open era puts out. Audio that is missing is
   *  silence. */
  #needsOtherEra(tracks: readonly Track[], chosen: ChosenRate): boolean {
    const { renditions, rate } = this.#grid.era!;
    const has = (kind: Track["kind"]) => renditions.some((rendition) => rendition.kind === kind);
    const video = videoOf(tracks);
    if (has("video") !== (video !== null) || (audioOf(tracks) !== null && !has("audio"))) return true;
    return video !== null && video.declaredRate !== null && !sameRate(chosen.rate, rate);
  }

  /** Tie the source's clock to the unit's arrival. @param decide takes that and returns the instant of the frame it gets */
  #anchor(source: Source, unit: TimedUnit, decide: (timeNs: bigint) => bigint): void {
    this.#base = { taiNs: unit.arrivedNs, ms: unit.arrivedMs };
    this.#units.settle();
    const timeNs = decide(unit.arrivedNs);
    const { ptsTicks } = unit;
    this.#sink.append({ kind: "anchor", sourceTicks: BigInt(ptsTicks), timescale: source.clock.timescale, timeNs });
    source.anchor(ptsTicks, timeNs);
    this.#units.restartAll();
    this.#anchorNs ??= timeNs;
    this.#needsRandomAccess = false;
    this.#meter = null;
    this.#state = "live";
    this.#mediaMs = this.#clock.monotonicMs();
  }

  #place(source: Source, timed: TimedUnit): void {
    const track = this.#units.tracks.find((candidate) => candidate.track === timed.unit.track);
    const video = videoOf(this.#units.tracks);
    if (track === undefined || (track.kind === "video" && track !== video)) this.#units.drop(timed);
    else if (track.kind === "video") this.#placeVideo(source, track, timed);
    else this.#placeAudio(source, track, timed, video === null);
  }

  #placeVideo(source: Source, track: VideoTrack, timed: TimedUnit): void {
    if (!this.#hasPlaceForVideo(source, track, timed)) return;
    if (!this.#isOnItsWay(source, timed)) return;
    const timeNs = source.clock.timeOf(timed.ptsTicks);
    if (this.#units.video(track, timed, timeNs, source.clock.timeOf(timed.dtsTicks))) {
      this.#accepted(source, timed);
      this.#checkRate(source, timed);
    }
  }

  #placeAudio(source: Source, track: AudioTrack, timed: TimedUnit, leads: boolean): void {
    if (leads && !this.#isOnItsWay(source, timed)) return;
    if (!leads && this.#needsRandomAccess) this.#units.drop(timed);
    else if (this.#units.audio(track, timed, source.clock.timeOf(timed.ptsTicks))) this.#accepted(source, timed);
  }

  /** A picture track in a session that began without: its output begins with a random access point. */
  #hasPlaceForVideo(source: Source, track: VideoTrack, timed: TimedUnit): boolean {
    if (this.#grid.era!.renditions.some(({ kind }) => kind === "video")) return true;
    if (!timed.unit.randomAccess) {
      this.#units.drop(timed);
      return false;
    }
    const chosen = chooseDeclared(track.declaredRate ?? { num: 25, den: 1 });
    this.#chosen = chosen;
    source.newLead();
    this.#anchor(source, timed, (timeNs) =>
      this.#grid.openEra(planEra(this.#units.tracks, chosen, this.#channel), timeNs),
    );
    this.#meter = [];
    this.#note("ingest.video_came_late", { rate: rateText(chosen.rate) });
    return true;
  }

  /** Follow the leading track's clock: over jumps, standstills and silences.
   *  @returns whether the unit can be placed; else it was dropped */
  #isOnItsWay(source: Source, timed: TimedUnit): boolean {
    const step = source.step(timed);
    const mayBegin = !this.#needsRandomAccess || timed.unit.randomAccess;
    let goesOn = mayBegin && step !== "still" && (step !== "jump" || source.mayChange(timed.arrivedMs));
    if (goesOn && step === "jump") this.#jump(source, timed);
    else if (goesOn && this.#needsRandomAccess) goesOn = this.#resume(source, timed);
    if (!goesOn) this.#units.drop(timed);
    return goesOn;
  }

  /** The sender's time is another from this unit on. */
  #jump(source: Source, timed: TimedUnit): void {
    const isWhole = timed.unit.randomAccess;
    const hole = isWhole && this.#state === "interrupted";
    this.#note("ingest.timestamps_jump", { track: timed.unit.track });
    this.#anchor(source, timed, (timeNs) => this.#grid.cut(timeNs, { hole, splice: !hole }));
    if (!isWhole) this.#units.lost(timed.unit.track);
  }

  /** After a hole: go on with the first random access point whose time is not past. */
  #resume(source: Source, timed: TimedUnit): boolean {
    const timeNs = source.clock.timeOf(timed.ptsTicks);
    if (timeNs >= this.#grid.floorNs) {
      this.#grid.cut(timeNs, HOLE);
      if (this.#grid.place(timeNs) === null) return false; // an era begins right behind it
      this.#units.recovered(timed.unit.track);
      this.#needsRandomAccess = false;
      return true;
    }
    if (timed.arrivedMs - (source.resumedMs ?? timed.arrivedMs) < BURST_MS) return false;
    this.#anchor(source, timed, (arrivedNs) => this.#grid.cut(arrivedNs, HOLE));
    return true;
  }

  #accepted(source: Source, timed: TimedUnit): void {
    source.progress(timed.arrivedMs, this.#units.newestNs);
    this.#mediaMs = timed.arrivedMs;
    this.#state = "live";
  }

  /** Once, in the first third of a second: a rate that is clearly wrong is replaced at the next segment. */
  #checkRate(source: Source, { ptsTicks, dtsTicks }: TimedUnit): void {
    if (this.#meter === null || this.#chosen === null) return;
    this.#meter.push({ ptsTicks, dtsTicks });
    const measured = measure(this.#meter, source.clock.timescale);
    if (measured === null) return;
    this.#meter = null;
    if (!isLie(this.#chosen, measured)) return;
    const { framesPerSecond } = measured;
    const believed = rateText(this.#chosen.sourceRate);
    this.#chosen = chooseMeasured(framesPerSecond);
    this.#grid.planEra(planEra(this.#units.tracks, this.#chosen, this.#channel));
    this.#note("ingest.rate_corrected", { believed, framesPerSecond, rate: rateText(this.#chosen.rate) });
  }
}
