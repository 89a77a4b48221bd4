// `grid` mode: the log says where every part lies before any byte of it comes, so a chunk is one of them or it is none.
import { PlatformError } from "#base/errors.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import type { Ahead, Arrived } from "./ahead.ts";
import type { HeldPart } from "./held.ts";
import { type Claim, lostPart, type NextPart, type Placed, type Plan, type Progress } from "./plan.ts";
import { isOnGrid, type PlannedPart, plannedPartAt, plannedParts, ticksAt } from "./planned-parts.ts";

export class GridPlan implements Plan {
  readonly #timeline: Timeline;
  readonly #era: EraOpened;
  readonly #rendition: Rendition;

  constructor(timeline: Timeline, era: EraOpened, rendition: Rendition) {
    this.#timeline = timeline;
    this.#era = era;
    this.#rendition = rendition;
  }

  place(claim: Claim): Placed | null {
    const era = this.#era;
    if (!isOnGrid(era, this.#rendition, claim.startTicks))
      throw new PlatformError(
        "api.bad_request",
        `${this.#rendition.name} has nothing at ${claim.startTicks}: it is off the grid.`,
      );
    const planned = plannedPartAt(this.#timeline, era, this.#rendition, claim);
    if (planned === null) return null;
    const { segment, number, segmentStartTicks } = planned;
    return { segment, first: number === 0, segmentStartTicks };
  }

  pick(segment: Segment, progress: Progress, ahead: Ahead): Arrived | null {
    const planned = this.#rest(segment, progress)[0];
    const arrived = planned ? ahead.at(segment.era, planned.startTicks) : null;
    return arrived?.part.durationTicks === planned?.durationTicks ? arrived : null; // a splice may have cut it since
  }

  isWhole(segment: Segment, progress: Progress): boolean {
    return this.#rest(segment, progress).length === 0;
  }

  next(segment: Segment, progress: Progress): NextPart | null {
    const planned = this.#rest(segment, progress)[0];
    if (!planned) return null;
    const { segmentStartTicks, number, frame } = planned;
    return { era: segment.era, segmentStartTicks, number, frame };
  }

  missing(segment: Segment, progress: Progress, until: number | null): HeldPart[] {
    return this.#rest(segment, progress)
      .filter(({ startTicks }) => until === null || startTicks < until)
      .map(({ startTicks, durationTicks }) => lostPart(startTicks, durationTicks));
  }

  extent(segment: Segment) {
    const startTicks = ticksAt(this.#era, this.#rendition, segment.start);
    return { startTicks, durationTicks: ticksAt(this.#era, this.#rendition, segment.end) - startTicks };
  }

  #rest(segment: Segment, { parts }: Progress): PlannedPart[] {
    return plannedParts(this.#timeline, segment, this.#rendition).slice(parts.length);
  }
}
