// What the sequencer asks of a session's output in either mode: where a picture lies, and the decisions that follow from
// time that passes, from jumps and from holes.
import type { DriftStep, EndReason, Entry, EraOpened } from "#media/session-log/entries.ts";
import type { Counted } from "#media/session-log/stretch.ts";
import type { EraPlan } from "./plan-era.ts";

/** What a session log is to its writer. @returns the entry's position */
export interface EntrySink {
  append(entry: Entry): number;
}

/** A picture as its sender's clock has it. */
export type Stamped = Readonly<{
  track: number;
  timeNs: bigint;
  decodeNs: bigint;
  /** What a drift step adds to both here. Apart, since the rest of a stamp is near a frame of the source, and this is not. */
  spreadNs: bigint;
  /** Of the largest picture track: it alone moves the output on. */
  leads: boolean;
  randomAccess: boolean;
  /** Nothing after it refers to what was before. Only asked where it matters: it looks into the payload. */
  isRefresh: () => boolean;
}>;

/** Where a picture goes. */
export type Placed = Readonly<{ index: number; timeNs: bigint; decodeNs: bigint }>;

/** How an output goes on: after a hole, or with what does not belong to what was before. */
export type Cut = Readonly<{ hole?: boolean; splice?: boolean }>;

/** Where an era was left: the first frame that is no longer its own, and what was counted up to there. */
export type Left = Readonly<{
  era: EraOpened;
  end: number;
  counted: Counted;
  /** What still may come, when it is of before; null: nothing. */
  floorNs: bigint | null;
}>;

/** Why pictures cannot be copied any longer. */
export type CopyProblem = "open_gop" | "gop_too_long";

export interface OutputSide {
  readonly era: EraOpened | null;
  /** First frame that nothing is decided about. */
  readonly next: number;
  /** What ends before it comes too late: a hole is there, or the session had not begun. */
  readonly floorNs: bigint;
  readonly holes: number;
  /** Why the open segment cannot end as it must. */
  readonly problem: CopyProblem | null;
  /** Start the session's first era at the frame nearest to `timeNs`. @returns the instant of that frame */
  open(plan: EraPlan, timeNs: bigint): bigint;
  /** Leave off at the first free frame and go on at the free one nearest to `timeNs`: what is between is a hole, or shows
   *  the frame before. Nothing before may come any more. @returns the instant at which it goes on */
  cut(timeNs: bigint, how: Cut): bigint;
  /** The instant that a picture's stamp stands for. */
  nearest(timeNs: bigint): bigint;
  /** Whether there is a free place at `timeNs`. */
  isFree(timeNs: bigint): boolean;
  /** The segment boundary from which on media time can be moved. On the grid the next one, with nothing given at it or after
   *  it, nor before `afterNs`; of copied media the one that has begun with the newest unit. Null while there is none. */
  stepAt(afterNs: bigint): number | null;
  /** It is moved there, by one picture. */
  step(frame: number, step: DriftStep["step"]): void;
  /** Why the open segment could not end as it must with the leader's picture of that time in it. */
  wouldBreak(timeNs: bigint): CopyProblem | null;
  /** Null when its place is past, or it cannot begin what must begin. What it is the first of is in the log then. */
  place(picture: Stamped): Placed | null;
  /** Audio that leads, since there is no picture, is about to be appended: [startNs, endNs). */
  lead(startNs: bigint, endNs: bigint): void;
  /** Other audio was appended: media has come to `timeNs`. */
  heard(timeNs: bigint): void;
  /** Frames that begin before `timeNs` are decided: they were given to a picture or repeat the one before. */
  settleTo(timeNs: bigint): void;
  /** Holes as time passes. */
  holeUntil(nowNs: bigint): void;
  /** Nothing comes any more. A session that never began ends at frame 0. */
  end(reason: EndReason): void;
  /** The era ends, and another begins near `timeNs`. @param how what is between is a hole, or shows the frame before
   *  @returns the first frame that is no longer its own */
  leave(timeNs: bigint, how: Pick<Cut, "hole">): number;
  /** The era after one that was left. @returns the instant of its first frame */
  follow(left: Left, plan: EraPlan, timeNs: bigint): bigint;
}
