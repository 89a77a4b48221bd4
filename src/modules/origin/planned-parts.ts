// Where a rendition's parts lie in `grid` mode, in its own ticks. The log's decisions say it before any part is made, and
// workers cut by the same rules, so a part that lies anywhere else is nobody's part.
import type { Rendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import { AAC_FRAME_SAMPLES, audioFrameAtOrAfter } from "#media/time/segmentation.ts";

/** One part of one rendition. */
export type PlannedPart = Readonly<{
  segment: Segment;
  /** Its number among the segment's parts of this rendition, from 0. */
  number: number;
  startTicks: number;
  durationTicks: number;
  segmentStartTicks: number;
  /** Video frame at its start. */
  frame: number;
}>;

export function renditionOf(era: EraOpened, name: string): Rendition | null {
  return era.renditions.find((rendition) => rendition.name === name) ?? null;
}

/** Ticks of a rendition's track at a video frame: that frame's, or those of the first audio frame at or after it. */
export function ticksAt(era: EraOpened, rendition: Rendition, frame: number): number {
  if (rendition.kind === "video") return frame * era.rate.den;
  return audioFrameAtOrAfter(era.rate, frame, rendition.sampleRate) * AAC_FRAME_SAMPLES;
}

/** A segment's parts, without those that hold no audio frame (the last one may be too short for any). */
export function plannedParts(timeline: Timeline, segment: Segment, rendition: Rendition): PlannedPart[] {
  const era = timeline.eraOf(segment.era);
  const starts = timeline.partStarts(segment);
  const segmentStartTicks = ticksAt(era, rendition, segment.start);
  return starts
    .map((frame, number) => {
      const startTicks = ticksAt(era, rendition, frame);
      const durationTicks = ticksAt(era, rendition, starts[number + 1] ?? segment.end) - startTicks;
      return { segment, number, startTicks, durationTicks, segmentStartTicks, frame };
    })
    .filter((planned) => planned.durationTicks > 0);
}

/** The part that a chunk is, by what the log has said so far. Null: it is none, or the log has not said it yet.
 *  @param startsSegment the chunk says it begins a segment */
export function plannedPartAt(
  timeline: Timeline,
  era: EraOpened,
  rendition: Rendition,
  chunk: Readonly<{ startTicks: number; durationTicks: number; startsSegment: boolean }>,
): PlannedPart | null {
  for (const frame of framesNear(era, rendition, chunk.startTicks)) {
    const segment = timeline.segmentAt(era.era, frame);
    if (segment === null || (frame - segment.start) % era.partFrames !== 0) continue;
    const planned = plannedParts(timeline, segment, rendition).find(
      ({ startTicks }) => startTicks === chunk.startTicks,
    );
    if (!planned || planned.durationTicks !== chunk.durationTicks) continue;
    if (chunk.startsSegment && planned.number !== 0) continue; // a splice the log has not told us about
    return planned;
  }
  return null;
}

/** False when ticks cannot be any part's start, whatever the log will say. */
export function isOnGrid(era: EraOpened, rendition: Rendition, ticks: number): boolean {
  return ticks % (rendition.kind === "video" ? era.rate.den : AAC_FRAME_SAMPLES) === 0;
}

/** Video frames whose first audio frame may start at these ticks: above 47 frames a second there can be two. */
function framesNear(era: EraOpened, rendition: Rendition, ticks: number): number[] {
  if (rendition.kind === "video") return [ticks / era.rate.den];
  const last = Number((BigInt(ticks) * BigInt(era.rate.num)) / (BigInt(rendition.sampleRate) * BigInt(era.rate.den)));
  return [last, last - 1, last - 2].filter((frame) => ticksAt(era, rendition, frame) === ticks);
}
