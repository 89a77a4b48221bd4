// What a session's journal says about where it stood: enough to go on above everything that readers may have seen.
import type { Decision, EraOpened, Positioned } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { timeOf } from "#media/time/rate.ts";
import type { GridState } from "./output-grid.ts";
import type { RestoredSession } from "./sequencer.ts";
import type { Remembered } from "./session-journal.ts";
import type { SourceState } from "./source-output.ts";

/** More positions than a second of any stream has: after a crash, numbers go on above all that were handed out. */
const POSITIONS_SKIPPED = 1_000_000;

/** Progress is told each second; pictures of that second may be with readers already, and no frame is given twice, nor is it
 *  a hole and a picture. */
const UNTOLD_SECONDS = 2;

export function restoredLog({ decisions, progress }: Remembered): {
  decisions: readonly Positioned<Decision>[];
  next: number;
} {
  const known = Math.max(progress?.position ?? 0, (decisions.at(-1)?.position ?? 0) + 1);
  return { decisions, next: known + POSITIONS_SKIPPED };
}

/** Where the sequencer goes on; null when there is nothing to go on with. */
export function stateOf({ decisions, progress }: Remembered): RestoredSession | null {
  const entries = decisions.map(({ entry }) => entry);
  const era = entries.findLast((entry) => entry.kind === "era");
  const tracks = entries.findLast((entry) => entry.kind === "tracks")?.tracks ?? [];
  const anchor = entries.find((entry) => entry.kind === "anchor");
  if (era === undefined || anchor === undefined || entries.at(-1)?.kind === "end") return null;
  const timeline = new Timeline();
  for (const entry of entries) if (entry.kind !== "session") timeline.apply(entry);
  const since = entries.slice(entries.indexOf(era));
  const told = progress?.era === era.era ? progress.frame : 0;
  const side = era.mode === "grid" ? gridState(era, since, told) : sourceState(era, since, told);
  const newestNs = progress?.newestNs ?? timeOf(era.rate, side.next);
  return { output: { side, timeline }, tracks, anchorNs: anchor.timeNs, newestNs, time: progress?.time ?? null };
}

function gridState(era: EraOpened, since: readonly Decision[], told: number): GridState {
  const untold = Math.ceil((UNTOLD_SECONDS * era.rate.num) / era.rate.den);
  return { era, next: Math.max(era.frame, told, ...since.map(frameOf)) + untold };
}

function sourceState(era: EraOpened, since: readonly Decision[], told: number): SourceState {
  const boundary = since.findLast((entry) => entry.kind === "boundary") ?? null;
  const hole = since.findLast((entry) => entry.kind === "hole");
  const inHole = boundary !== null && hole?.to === boundary.frame && told <= boundary.frame;
  const known = Math.max(era.frame, told, ...since.map(frameOf));
  if (inHole) return { era, next: known, boundary, inHole };
  // Beyond its longest a segment was not continued: there is nothing untold.
  const most = (boundary?.frame ?? era.frame) + era.targetDurationSeconds * era.rate.num;
  const next = Math.max(known, Math.min(most, known + UNTOLD_SECONDS * era.rate.num));
  return { era, next, boundary, inHole };
}

/** First frame after what a decision is about; 0 when it is about none. */
function frameOf(entry: Decision): number {
  if (entry.kind === "hole") return entry.to;
  return entry.kind === "splice" || entry.kind === "boundary" ? entry.frame : 0;
}
