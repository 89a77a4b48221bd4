// Which segment a worker begins with: the first that is not stored, or, when the log no longer reaches back that far, the
// first after it that the worker can make whole.
import { type EraOpened, INTERLEAVE_MAX_NS } from "#media/session-log/entries.ts";
import type { Timeline } from "#media/session-log/timeline.ts";
import { indexAtOrAfter } from "#media/time/rate.ts";

export type Beginning = Readonly<{
  timeline: Timeline;
  /** Era and first slot whose picture (or audio) every worker has alike. */
  era: EraOpened;
  slot: number;
  /** First frame that is wanted; null: all there is. */
  from: Readonly<{ era: number; frame: number }> | null;
  /** The log was read from its very beginning. */
  atLogStart: boolean;
  hasVideo: boolean;
}>;

/** @returns `missed` segments were wanted and cannot be made */
export function firstSegmentOf(beginning: Beginning): { ordinal: number; missed: number } {
  const wanted = beginning.from === null ? null : ordinalOf(beginning.timeline, beginning.from);
  if (beginning.atLogStart) return { ordinal: wanted ?? 0, missed: 0 };
  const possible = firstWhole(beginning, wanted === null || !beginning.hasVideo);
  if (wanted === null) return { ordinal: possible, missed: 0 };
  return { ordinal: Math.max(wanted, possible), missed: Math.max(0, possible - wanted) };
}

/** The segment that holds the frame, or the first after it when its era ended there. */
function ordinalOf(timeline: Timeline, place: Readonly<{ era: number; frame: number }>): number {
  const segment = timeline.segmentAt(place.era, place.frame);
  if (segment !== null) return segment.ordinal;
  const last = timeline.segmentAt(place.era, place.frame - 1);
  return last === null ? 0 : last.ordinal + 1;
}

/** @param audioMayLack the log was not asked for a frame, so nobody saw to it that it begins with the audio's pre-roll:
 *  what a reader of a track sees from a second after the start on is complete */
function firstWhole({ timeline, era, slot }: Beginning, audioMayLack: boolean): number {
  const margin = audioMayLack ? indexAtOrAfter(era.rate, INTERLEAVE_MAX_NS + INTERLEAVE_MAX_NS / 2n) : 0;
  const from = slot + margin;
  const segment = timeline.segmentAt(era.era, from);
  if (segment === null) return ordinalOf(timeline, { era: era.era, frame: from });
  return segment.start === from ? segment.ordinal : segment.ordinal + 1;
}
