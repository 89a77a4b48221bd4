// Where each unit of a publisher goes, once its clock is tied to TAI: over jumps, standstills and silences of that clock,
// past units that come before their time, and into eras that begin with it. (Before that it waits in the opening.)
import type { Clock } from "#base/clock.ts";
import type { PlatformError } from "#base/errors.ts";
import type { Fields } from "#base/log.ts";
import type { AudioTrack, Track, VideoTrack } from "#media/session-log/entries.ts";
import { videoOf } from "#media/session-log/tracks.ts";
import { rateText } from "#media/time/rate.ts";
import { isRefresh } from "./copying.ts";
import { DriftSteps } from "./drift-steps.ts";
import { EarlyUnits } from "./early-units.ts";
import type { Eras } from "./eras.ts";
import type { TimedUnit } from "./opening.ts";
import type { Output } from "./output.ts";
import type { CopyProblem, EntrySink } from "./output-side.ts";
import type { Presence } from "./presence.ts";
import type { Source } from "./source.ts";
import type { UnitLog } from "./unit-log.ts";

/** After a silence, what was on its way the whole time comes in a burst with old times. For so long it is waited for newer
 *  ones; then the sender's clock is taken to have stood still. */
const BURST_MS = 1000;

const HOLE = Object.freeze({ hole: true });

export type PlacingDeps = Readonly<{
  clock: Clock;
  sink: EntrySink;
  note: (event: string, fields: Fields) => void;
  output: Output;
  units: UnitLog;
  eras: Eras;
  presence: Presence;
}>;

export class Placing {
  readonly #clock: Clock;
  readonly #sink: EntrySink;
  readonly #note: PlacingDeps["note"];
  readonly #output: Output;
  readonly #units: UnitLog;
  readonly #eras: Eras;
  readonly #presence: Presence;
  readonly #drift: DriftSteps;
  readonly #early = new EarlyUnits();
  #anchorNs: bigint | null;
  #needsRandomAccess: boolean;
  #refusal: PlatformError | null = null;

  /** @param restoredNs the anchor of a session that a gateway before this had; null: it is new */
  constructor({ clock, sink, note, output, units, eras, presence }: PlacingDeps, restoredNs: bigint | null) {
    this.#clock = clock;
    this.#sink = sink;
    this.#note = note;
    this.#output = output;
    this.#units = units;
    this.#eras = eras;
    this.#presence = presence;
    this.#drift = new DriftSteps(output, note);
    this.#anchorNs = restoredNs;
    this.#needsRandomAccess = restoredNs !== null;
  }

  /** TAI of the session's first frame; null while there is none. */
  get anchorNs(): bigint | null {
    return this.#anchorNs;
  }

  /** A hole was logged: what comes refers to what was lost. */
  get needsRandomAccess(): boolean {
    return this.#needsRandomAccess;
  }

  /** Why nothing more is taken from this publisher. */
  get refusal(): PlatformError | null {
    return this.#refusal;
  }

  get counters() {
    return this.#drift.counters;
  }

  /** A publisher begins or returns: what the one before was refused for is void. */
  begin(): void {
    this.#refusal = null;
  }

  holeLogged(): void {
    this.#needsRandomAccess = true;
  }

  /** The publisher was silent: what comes now may have waited. */
  interrupted(): void {
    this.#drift.interrupted();
  }

  /** The stream is none that can be copied: it is encoded from now on, or turned away. */
  cannotCopy(source: Source, problem: CopyProblem): void {
    this.#refusal = this.#eras.cannotCopy(problem, source.clock.anchored);
    if (!this.#refusal) source.opening.copies = false;
  }

  /** Tie the source's clock to the unit's arrival. @param decide takes that and returns the instant of the frame it gets */
  anchor(source: Source, unit: TimedUnit, decide: (timeNs: bigint) => bigint): void {
    this.dropEarly();
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

  /** Append a unit, keep it until its time comes, or drop it. The source's clock is tied. */
  place(source: Source, timed: TimedUnit): void {
    const isBegin = this.#eras.canBegin(timed);
    const wasSilent = this.#presence.state === "interrupted";
    if (isBegin && !this.#isOnItsWay(source, timed)) return;
    if (isBegin) this.#eras.begin(timed, source.clock.timeOf(timed.ptsTicks), wasSilent);
    const track = this.#trackOf(timed);
    const video = videoOf(this.#units.tracks);
    if (track === undefined || this.#eras.isChanging(track)) this.#units.drop(timed);
    else if (track.kind === "audio") this.#placeAudio(source, track, timed, { leads: !this.#output.hasVideo, isBegin });
    else if (track === video) this.#placeVideo(source, track, timed, isBegin);
    else this.#placeSmaller(source, track, timed);
    if (this.#output.problem && this.#output.copies) this.cannotCopy(source, this.#output.problem);
  }

  /** What was kept, as far as its time has come. */
  placeEarly(source: Source, nowMs: number): void {
    if (this.#early.isEmpty) return;
    for (const timed of this.#early.take((held) => !this.#isEarly(source, held, nowMs))) this.place(source, timed);
  }

  dropEarly(): void {
    for (const timed of this.#early.take(() => true)) this.#units.drop(timed);
  }

  #trackOf({ unit }: TimedUnit): Track | undefined {
    return this.#units.tracks.find(({ track }) => track === unit.track);
  }

  #placeVideo(source: Source, track: VideoTrack, timed: TimedUnit, isBegin: boolean): void {
    if (!this.#hasPlaceForVideo(source, track, timed)) return;
    if (!isBegin && !this.#isOnItsWay(source, timed)) return;
    const breaks = isRefresh(track, timed) ? null : this.#output.wouldBreak(source.clock.timeOf(timed.ptsTicks));
    if (breaks) this.cannotCopy(source, breaks);
    if (this.#refusal) this.#units.drop(timed);
    else this.#putOut(source, track, timed);
  }

  #putOut(source: Source, track: VideoTrack, timed: TimedUnit): void {
    if (!this.#video(source, track, timed)) return;
    this.#accepted(source, timed);
    this.#drift.follow(source.clock, timed, this.#units.newestNs);
    this.#eras.follow(source, track, timed);
    this.placeEarly(source, timed.arrivedMs);
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
      if (leads) this.#drift.follow(source.clock, timed, this.#units.newestNs);
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

  /** A picture track in a session that began without: its output begins with a random access point. */
  #hasPlaceForVideo(source: Source, track: VideoTrack, timed: TimedUnit): boolean {
    if (this.#output.hasVideo) return true;
    if (this.#eras.wantsCopies ? !isRefresh(track, timed) : !timed.unit.randomAccess) {
      this.#units.drop(timed);
      return false;
    }
    const chosen = this.#eras.rateOf(track);
    source.newLead();
    this.anchor(source, timed, (timeNs) => this.#eras.open(this.#units.tracks, chosen, timeNs));
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
    if (this.#eras.canBegin(timed)) return true; // by the parameters that come with it, of another codec perhaps
    return isRefresh(track, timed);
  }

  /** The sender's time is another from this unit on. */
  #jump(source: Source, timed: TimedUnit): void {
    const isWhole = timed.unit.randomAccess;
    const hole = isWhole && this.#presence.state === "interrupted";
    this.#note("ingest.timestamps_jump", { track: timed.unit.track });
    this.anchor(source, timed, (timeNs) => this.#output.cut(timeNs, { hole, splice: !hole }));
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
    this.anchor(source, timed, (arrivedNs) => this.#output.cut(arrivedNs, HOLE));
    return true;
  }

  #accepted(source: Source, timed: TimedUnit): void {
    source.progress(timed.arrivedMs, this.#units.newestNs);
    this.#presence.heard(timed.arrivedMs);
  }
}
