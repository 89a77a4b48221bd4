// What a session puts out, and when that becomes something else: which rate its pictures have, whether they can be copied,
// and which change of the source ends an era. Where an era's frames lie is the output's.
import type { PlatformError } from "#base/errors.ts";
import type { Fields } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import { copies } from "#media/ladder/plan.ts";
import { isEncodedVideo } from "#media/ladder/rendition.ts";
import type { EraOpened, Track, VideoTrack } from "#media/session-log/entries.ts";
import { leadOf, sameTrack, sameTracks, videoOf } from "#media/session-log/tracks.ts";
import { perSecond, rateText, sameRate } from "#media/time/rate.ts";
import { copyFault, goesOnCopying, isRefresh, isSameOutput } from "./copying.ts";
import { isVariable } from "./frame-ticks.ts";
import type { TimedUnit } from "./opening.ts";
import type { Output } from "./output.ts";
import type { CopyProblem } from "./output-side.ts";
import { type EraPlan, planEra } from "./plan-era.ts";
import { RateWatch } from "./rate-watch.ts";
import type { Source } from "./source.ts";
import {
  type ChosenRate,
  chooseCopied,
  chooseDeclared,
  chooseMeasured,
  isLie,
  measure,
  type PictureTimes,
} from "./source-rate.ts";
import type { UnitLog } from "./unit-log.ts";

/** Pictures that are announced have a key frame by then, or are waited for no longer. */
const PICTURES_MS = 3000;

export type ErasDeps = Readonly<{
  channel: Channel;
  output: Output;
  units: UnitLog;
  note: (event: string, fields: Fields) => void;
}>;

export class Eras {
  readonly #output: Output;
  readonly #units: UnitLog;
  readonly #note: ErasDeps["note"];
  #channel: Channel;
  #chosen: ChosenRate | null = null;
  /** Pictures for the one check of an encoded era's rate; null when it is done. */
  #meter: PictureTimes[] | null = null;
  /** Of copied pictures that come one after the other. */
  #watch: RateWatch | null = null;
  /** Tracks of the copied era that begins with the next picture that can. */
  #pending: readonly Track[] | null = null;
  /** Its pictures are announced and not known yet; since when that was seen. */
  #wanting: { sinceMs: number | null } | null = null;

  constructor({ channel, output, units, note }: ErasDeps) {
    this.#channel = channel;
    this.#output = output;
    this.#units = units;
    this.#note = note;
  }

  /** Go on with the era of a gateway that died. */
  restore(era: EraOpened): void {
    this.#chosen = { rate: era.rate, sourceRate: era.sourceRate, varies: era.mode === "source" && isVariable(era) };
    if (era.mode === "grid" && era.renditions.some(isEncodedVideo)) this.#giveUpCopying();
  }

  /** The channel wants the source's own pictures, and they could be copied so far. */
  get wantsCopies(): boolean {
    return copies(this.#channel.ladder);
  }

  /** Pictures a second that the source sends; null while nobody knows. */
  get framesPerSecond(): number | null {
    return this.#chosen && perSecond(this.#chosen.sourceRate);
  }

  /** A publisher begins or returns: what waited for the one before is void. */
  forget(): void {
    this.#pending = null;
  }

  /** The source's clock was tied: what was measured before belongs to another stretch. */
  anchored(): void {
    this.#meter = null;
    this.#watch = null;
  }

  /** Bytes were lost, or none came for a while: what is measured begins anew. */
  lost(): void {
    if (this.#meter) this.#meter = [];
    this.#watch = null;
  }

  /** Other kinds of tracks, or pictures at another declared rate, than the open era puts out. Audio that is missing is
   *  silence. What is copied must be what it was. */
  needsOther(tracks: readonly Track[], chosen: ChosenRate): boolean {
    const era = this.#output.era;
    if (era === null) return true;
    const plan = this.#plan(tracks, chosen);
    if (plan.mode !== era.mode) return true;
    if (plan.mode === "source") return !isSameOutput(era, plan) || !goesOnCopying(era, this.#units.tracks, tracks);
    const video = videoOf(tracks);
    const hadVideo = era.renditions.some(({ kind }) => kind === "video");
    if (hadVideo !== (video !== null) || hasOnlyNewAudio(tracks, era)) return true;
    return video !== null && video.declaredRate !== null && !sameRate(chosen.rate, era.rate);
  }

  /** An era at once. @returns the instant of its first frame */
  open(tracks: readonly Track[], chosen: ChosenRate, timeNs: bigint): bigint {
    this.#chosen = chosen;
    return this.#output.openEra(this.#plan(tracks, chosen), timeNs, { hole: true });
  }

  /** The first picture of an era is about to be placed: the rate that was believed is checked. */
  opened(): void {
    if (this.#output.hasVideo && !this.#output.copies) this.#meter = [];
  }

  /** The rate of pictures that come late into a session, to be believed at once. */
  rateOf({ declaredRate }: VideoTrack): ChosenRate {
    if (this.wantsCopies) return chooseCopied(declaredRate, null);
    return chooseDeclared(declaredRate ?? { num: 25, den: 1 });
  }

  /** Parameters changed in mid-stream. What is encoded stays as it is, unless audio came that it has no place for; what is
   *  copied begins anew. @param complete no other tracks are announced @param mayChange asked once, if anything is another at all */
  retrack(tracks: readonly Track[], complete: boolean, mayChange: () => boolean): void {
    const before = this.#units.tracks;
    const isWanting = !complete && videoOf(tracks) === null && videoOf(before) !== null;
    if (!isWanting) this.#wanting = null;
    else this.#wanting ??= { sinceMs: null };
    if (sameTracks(this.#pending ?? before, tracks) || !mayChange()) return;
    this.#pending = null;
    if (sameTracks(before, tracks)) return;
    const era = this.#output.era!;
    const isNewAudio = hasOnlyNewAudio(tracks, era) && era.renditions.length > 0;
    if (!goesOnCopying(era, before, tracks) || (isNewAudio && this.#output.copies)) {
      this.#pending = tracks;
      this.#note("ingest.copy_begins_anew", { tracks: tracks.map(({ codec }) => codec).join() });
      return;
    }
    this.#units.changeTracks(tracks);
    if (!isNewAudio || !this.#chosen) return;
    const plan = this.#plan(tracks, this.#chosen);
    if (plan.mode === "grid") this.#output.planEra(plan);
    else this.#pending = tracks;
    this.#note("ingest.audio_came_late", {});
  }

  /** What was measured holds for pictures of another size too, unless they declare a rate that those before did not. */
  #rateAfter(before: VideoTrack | null, video: VideoTrack | null): ChosenRate {
    const declared = video?.declaredRate ?? null;
    const isOther = declared !== null && !(before?.declaredRate && sameRate(before.declaredRate, declared));
    return isOther ? chooseCopied(declared, null) : this.#chosen!;
  }

  /** Whether the copied era that waits can begin with the unit. */
  canBegin(timed: TimedUnit): boolean {
    if (this.#pending === null) return false;
    if (this.#wanting) {
      this.#wanting.sinceMs ??= timed.arrivedMs;
      if (timed.arrivedMs - this.#wanting.sinceMs < PICTURES_MS) return false;
    }
    const lead = leadOf(this.#pending);
    return lead?.track === timed.unit.track && isRefresh(lead, timed);
  }

  /** It begins with this unit, unless that comes too late: then with another. @param hole nothing came for a while */
  begin(timed: TimedUnit, timeNs: bigint, hole: boolean): void {
    const tracks = this.#pending!;
    const isLate = this.#units.isLate(timed.unit.track, this.#output.nearest(timeNs));
    if (isLate || !this.#output.isFree(timeNs)) return;
    this.#pending = null;
    this.#watch = null;
    this.#chosen = this.#rateAfter(videoOf(this.#units.tracks), videoOf(tracks));
    if (!sameTracks(this.#units.tracks, tracks)) this.#units.changeTracks(tracks);
    this.#output.openEra(this.#plan(tracks, this.#chosen), timeNs, { hole });
  }

  /** The track's parameters are others already than those that the open era copies. */
  isChanging(track: Track): boolean {
    const next = this.#pending?.find((other) => other.track === track.track);
    return this.#pending !== null && (next === undefined || !sameTrack(track, next));
  }

  /** The stream is none that can be copied: it is encoded from now on, or turned away.
   *  @param isOpen media of this publisher is in the log @returns why it is turned away */
  cannotCopy(problem: CopyProblem, isOpen: boolean): PlatformError | null {
    const fault = copyFault(problem, this.#output.era?.targetDurationSeconds ?? 0);
    if (this.#channel.copyFallback === "refuse") return fault;
    this.#giveUpCopying();
    this.#note("ingest.encoded_instead", { code: fault.code });
    if (!isOpen || !this.#chosen) return null;
    this.#pending = null;
    this.#units.settle();
    this.#output.openEra(this.#plan(this.#units.tracks, this.#chosen), this.#units.newestNs, { goesOn: true });
    return null;
  }

  /** A picture of the leading track was placed. */
  follow(source: Source, track: VideoTrack, timed: TimedUnit): void {
    if (this.#output.copies) this.#watchRate(source, track, timed);
    else this.#checkRate(source, timed);
  }

  /** Copied pictures that come at another rate by now: a new era begins with the next key frame. */
  #watchRate(source: Source, { declaredRate }: VideoTrack, timed: TimedUnit): void {
    if (this.#pending) return;
    this.#watch ??= new RateWatch(source.clock.timescale);
    const chosen = this.#watch.add(timed, this.#output.era!, declaredRate);
    if (chosen === null || !source.mayChange(timed.arrivedMs)) return;
    this.#watch = null;
    if (isSameOutput(this.#output.era!, this.#plan(this.#units.tracks, chosen))) return; // its parts are long anyway
    this.#chosen = chosen;
    this.#pending = this.#units.tracks;
    this.#note("ingest.rate_changed", { varies: chosen.varies, rate: rateText(chosen.sourceRate) });
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
    this.#output.planEra(this.#plan(this.#units.tracks, this.#chosen));
    this.#note("ingest.rate_corrected", { believed, framesPerSecond, rate: rateText(this.#chosen.rate) });
  }

  #giveUpCopying(): void {
    if (this.wantsCopies) this.#channel = { ...this.#channel, ladder: "auto" };
  }

  /** EXT-X-TARGETDURATION may not change, and segments that are listed need the longest. */
  #plan(tracks: readonly Track[], chosen: ChosenRate): EraPlan {
    const plan = planEra(tracks, chosen, this.#channel);
    const before = this.#output.era?.targetDurationSeconds ?? 0;
    return { ...plan, targetDurationSeconds: Math.max(before, plan.targetDurationSeconds) };
  }
}

/** Whether there is audio, and none that the era has a rendition of. */
function hasOnlyNewAudio(tracks: readonly Track[], { renditions }: EraOpened): boolean {
  const audio = tracks.filter(({ kind }) => kind === "audio");
  const isKnown = ({ track }: Track) => renditions.some((own) => own.kind === "audio" && own.track === track);
  return audio.length > 0 && !audio.some(isKnown);
}
