// Where the parts of one rendition lie in one era: what a track asks of either mode. In `grid` mode the log plans every part
// ahead; in `source` mode it says only where segments begin, and a part begins where the one before it ended.
import type { Segment } from "#media/session-log/timeline.ts";
import type { Ahead, Arrived } from "./ahead.ts";
import type { HeldPart } from "./held.ts";

/** What a chunk says about its own place. */
export type Claim = Readonly<{ startTicks: number; durationTicks: number; startsSegment: boolean }>;

export type Placed = Readonly<{
  segment: Segment;
  /** It begins its segment. */
  first: boolean;
  /** Null when only the parts before it can tell. */
  segmentStartTicks: number | null;
}>;

/** How far a segment has come. */
export type Progress = Readonly<{
  parts: readonly HeldPart[];
  /** Where its first part starts; null without any. */
  startTicks: number | null;
  /** Its sender has said that no part follows. */
  ended: boolean;
  /** Where the segment before it ended, when that is of the same era and whole; else null. */
  joinsAt: number | null;
}>;

/** The part that comes next. */
export type NextPart = Readonly<{
  era: number;
  segmentStartTicks: number;
  number: number;
  /** Video frame at its start, or the one before it. */
  frame: number;
}>;

export interface Plan {
  /** The segment a chunk belongs to. null: the log has not come that far. gone: nobody remembers a segment so old.
   *  @throws PlatformError api.bad_request when it is no part, whatever the log may say yet */
  place(claim: Claim): Placed | "gone" | null;
  /** The chunk that comes next in a segment, if it is there. */
  pick(segment: Segment, progress: Progress, ahead: Ahead): Arrived | null;
  /** All parts of the segment are there, and the log says where it ends. */
  isWhole(segment: Segment, progress: Progress, ahead: Ahead): boolean;
  /** Null when only the log, or the part itself, can tell. */
  next(segment: Segment, progress: Progress): NextPart | null;
  /** What is missing up to `until`, or to the segment's end, as lost parts. */
  missing(segment: Segment, progress: Progress, until: number | null): HeldPart[];
  /** Of a segment whose end is known. */
  extent(segment: Segment, progress: Progress): Readonly<{ startTicks: number; durationTicks: number }>;
}

export function lostPart(startTicks: number, durationTicks: number): HeldPart {
  return { startTicks, durationTicks, independent: false, bytes: null };
}

/** End of the newest part; the start of the segment when it has none. */
export function endOf({ parts, startTicks }: Progress): number | null {
  const last = parts.at(-1);
  return last ? last.startTicks + last.durationTicks : startTicks;
}
