// One publisher as the sequencer knows it: its clock, what it has sent so far, and whether it makes sense.
import { PlatformError } from "#base/errors.ts";
import type { DemuxClock, DemuxedUnit } from "#media/demux.ts";
import { Opening, type TimedUnit } from "./opening.ts";
import { SILENCE_MS } from "./presence.ts";
import { SourceClock } from "./source-clock.ts";

/** A decode time that steps back this far, or forward this much more than time passed, is another clock. */
const JUMP_BACK_MS = 500;
const JUMP_AHEAD_MS = 3000;
/** The same when the sender has announced a jump. */
const ANNOUNCED_JUMP_AHEAD_MS = 1000;

/** Pictures to be copied that may have the stamps of the one before, in a row: others refer to them. */
const COPIED_STILLS_MAX = 3;

/** No encoder holds pictures back for longer. */
const REORDER_MS_MAX = 5000;

/** Changes of clock or parameters that a publisher may make at once, and how long it takes to be allowed another. Each is
 *  kept in the log for ever. */
const CHANGES_MAX = 30;
const CHANGE_MS = 2000;

const KEY_FRAME_WAIT_MS = 10_000;
const NO_DATA_MS = 10_000;
const NO_PROGRESS_MS = 10_000;
const UNSUPPORTED_WAIT_MS = 1000;
const SENDING_MS = 1000;

/** onward: the usual. jump: another time. still: the same time again. */
export type Step = "onward" | "jump" | "still";

export class Source {
  readonly clock: SourceClock;
  readonly opening: Opening;
  readonly #attachedMs: number;
  unsupported: { what: string; sinceMs: number } | null = null;
  jumpAnnounced = false;
  /** Monotonic ms of the newest unit, and of the first after a silence. */
  unitMs: number | null = null;
  resumedMs: number | null = null;
  #progress: { atMs: number; newestNs: bigint };
  /** Newest unit of the leading track (the picture, or audio when there is none), placed or not. */
  #last: TimedUnit | null = null;
  /** Units of the leading track in a row whose time did not go on. */
  #stills = 0;
  /** A jump was seen, and the clock not tied again since. */
  #adrift = false;
  /** Changes that are not paid off by time yet. */
  #changes = 0;
  #changeMs = 0;
  #isRestless = false;

  /** @param copies its pictures are to be copied */
  constructor(clock: DemuxClock, nowMs: number, copies: boolean) {
    this.clock = new SourceClock(clock);
    this.opening = new Opening(clock.timescale, copies);
    this.#attachedMs = nowMs;
    this.#progress = { atMs: nowMs, newestNs: 0n };
  }

  timed(unit: DemuxedUnit, arrivedNs: bigint, arrivedMs: number): TimedUnit {
    this.unitMs = arrivedMs;
    this.resumedMs ??= arrivedMs;
    const dtsTicks = this.clock.unwrap(unit.dtsTicks);
    return { unit, dtsTicks, ptsTicks: this.clock.near(dtsTicks, unit.ptsTicks), arrivedNs, arrivedMs };
  }

  /** Time passes: what comes after a silence resumes. */
  tick(nowMs: number): void {
    if (nowMs - (this.unitMs ?? nowMs) > SILENCE_MS) this.resumedMs = null;
  }

  /** Whether the presentation time is where a picture can be that is decoded now. */
  isOrdered({ ptsTicks, dtsTicks }: TimedUnit): boolean {
    return Math.abs(this.clock.spanMs(dtsTicks, ptsTicks)) <= REORDER_MS_MAX;
  }

  /** Whether one more change of clock or parameters is followed. */
  mayChange(nowMs: number): boolean {
    this.#changes = Math.max(0, this.#changes - (nowMs - this.#changeMs) / CHANGE_MS);
    this.#changeMs = nowMs;
    if (this.#changes >= CHANGES_MAX) this.#isRestless = true;
    else this.#changes += 1;
    return !this.#isRestless;
  }

  anchor(ptsTicks: number, timeNs: bigint): void {
    this.clock.anchor(ptsTicks, timeNs);
    this.#adrift = false;
    this.jumpAnnounced = false;
  }

  /** Decode time of the newest unit of the leading track; null before the first. */
  get leadTicks(): number | null {
    return this.#last?.dtsTicks ?? null;
  }

  /** Another track leads from now on. */
  newLead(): void {
    this.#last = null;
  }

  /** How the leading track's time goes on with this unit. */
  step(timed: TimedUnit): Step {
    const last = this.#last;
    const announced = this.jumpAnnounced;
    this.#last = timed;
    this.jumpAnnounced = false;
    if (last !== null && this.#isJump(last, timed, announced)) this.#adrift = true;
    if (this.#adrift) return "jump";
    const isStill = last !== null && timed.dtsTicks <= last.dtsTicks && timed.ptsTicks === last.ptsTicks;
    this.#stills = isStill ? this.#stills + 1 : 0;
    return this.#stills > (this.opening.copies ? COPIED_STILLS_MAX : 0) ? "still" : "onward";
  }

  #isJump(last: TimedUnit, timed: TimedUnit, announced: boolean): boolean {
    const stepMs = this.clock.spanMs(last.dtsTicks, timed.dtsTicks);
    const aheadMs = stepMs - (timed.arrivedMs - last.arrivedMs);
    if (announced) return stepMs < 0 || aheadMs > ANNOUNCED_JUMP_AHEAD_MS;
    return stepMs < -JUMP_BACK_MS || aheadMs > JUMP_AHEAD_MS;
  }

  /** A unit was appended. @param newestNs media time reached */
  progress(atMs: number, newestNs: bigint): void {
    if (newestNs > this.#progress.newestNs) this.#progress = { atMs, newestNs };
  }

  /** Why it should be turned away now; null while there is no reason.
   *  @param needsRandomAccess what comes cannot be decoded before one */
  fault(nowMs: number, needsRandomAccess: boolean): PlatformError | null {
    if (this.#isRestless)
      return new PlatformError("ingest.garbage", "The stream's clock or parameters change all the time.");
    if (this.clock.anchored) return this.#standstill(nowMs, needsRandomAccess);
    const { unsupported, opening } = this;
    const sinceMs = nowMs - this.#attachedMs;
    if (unsupported && opening.tracks.length === 0 && nowMs - unsupported.sinceMs >= UNSUPPORTED_WAIT_MS)
      return new PlatformError(
        "ingest.unsupported_codec",
        `Nothing in the stream can be taken (${unsupported.what}). Send H.264, HEVC or AV1 video, and AAC, MP2, MP3, AC-3, E-AC-3 or Opus audio.`,
      );
    if (this.unitMs === null && sinceMs >= NO_DATA_MS)
      return new PlatformError("ingest.no_data", `No media came within ${NO_DATA_MS / 1000} s.`);
    return sinceMs >= KEY_FRAME_WAIT_MS ? noKeyFrame() : null;
  }

  #standstill(nowMs: number, needsRandomAccess: boolean): PlatformError | null {
    const isSending = this.unitMs !== null && nowMs - this.unitMs <= SENDING_MS;
    const sinceMs = Math.max(this.#progress.atMs, this.resumedMs ?? 0);
    if (!isSending || nowMs - sinceMs < NO_PROGRESS_MS) return null;
    if (needsRandomAccess) return noKeyFrame();
    const seconds = NO_PROGRESS_MS / 1000;
    return new PlatformError("ingest.garbage", `The stream's time stamps have stood still for ${seconds} s.`);
  }
}

function noKeyFrame(): PlatformError {
  const seconds = KEY_FRAME_WAIT_MS / 1000;
  return new PlatformError(
    "ingest.no_key_frame",
    `No key frame came within ${seconds} s. Set the encoder's key frame interval to 2 s.`,
  );
}
