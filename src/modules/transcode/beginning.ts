// Where a worker begins: with the first segment that is not stored, or, when the log no longer reaches back that far, the
// first after it that can be made whole. A place, not a segment: splices behind it may still be unread.
import { type EraOpened, INTERLEAVE_MAX_NS } from "#media/session-log/entries.ts";
import { compareEraFrames, type EraFrame } from "#media/session-log/era-frame.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import { indexAtOrAfter } from "#media/time/rate.ts";

/** What a log that nobody was asked a frame of may lack after its start: audio that is logged up to a second before the
 *  picture of its time, and its pre-roll. */
const UNASKED_MARGIN_NS = INTERLEAVE_MAX_NS + INTERLEAVE_MAX_NS / 2n;

/** @param wanted start of the first segment that is not stored; null: all there is
 *  @param possible first slot whose picture (or audio) is the same for every worker
 *  @param atLogStart the log was read from its very beginning */
export function beginningOf(
  wanted: EraFrame | null,
  possible: Readonly<{ era: EraOpened; slot: number }>,
  atLogStart: boolean,
): EraFrame {
  const { era, slot } = possible;
  if (atLogStart) return wanted ?? { era: era.era, frame: era.frame };
  const margin = wanted === null ? indexAtOrAfter(era.rate, UNASKED_MARGIN_NS) : 0;
  return later(wanted, { era: era.era, frame: slot + margin });
}

function later(a: EraFrame | null, b: EraFrame): EraFrame {
  return a === null || compareEraFrames(a, b) < 0 ? b : a;
}

/** Segments that start at the beginning or later are made. */
export function isMade({ era, start }: Segment, beginning: EraFrame): boolean {
  return compareEraFrames({ era, frame: start }, beginning) >= 0;
}

/** The first segment that is made; null while it is not decided.
 *  @param settled frames of the newest era below it are decided */
export function firstOrdinal(timeline: Timeline, beginning: EraFrame, settled: number): number | null {
  const newest = timeline.era;
  if (newest === null || newest.era < beginning.era) return null;
  if (newest.era === beginning.era && settled <= beginning.frame && timeline.end === null) return null;
  const holding = timeline.segmentAt(beginning.era, beginning.frame);
  if (holding !== null) return holding.start === beginning.frame ? holding.ordinal : holding.ordinal + 1;
  const last = timeline.segmentAt(beginning.era, beginning.frame - 1); // its era ends there
  return last === null ? null : last.ordinal + 1;
}
