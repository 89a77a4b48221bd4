import type { EraOpened } from "#media/session-log/entries.ts";
import type { Timeline } from "#media/session-log/timeline.ts";
import { GridPlan } from "./grid-plan.ts";
import type { Plan } from "./plan.ts";
import { renditionOf } from "./planned-parts.ts";
import { SourcePlan } from "./source-plan.ts";

/** @returns null when the era has no such rendition */
export function planFor(timeline: Timeline, era: EraOpened, name: string): Plan | null {
  const rendition = renditionOf(era, name);
  if (rendition === null) return null;
  return era.mode === "grid" ? new GridPlan(timeline, era, rendition) : new SourcePlan(timeline, era, rendition);
}
