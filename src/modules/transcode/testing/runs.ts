// Runs of a worker over a log, and how one run is compared with another.
import { strict as assert } from "node:assert";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { LogSource } from "#media/session-log/maker-ports.ts";
import { type Segment, Timeline } from "#media/session-log/timeline.ts";
import type { Av } from "#platform/av/av.ts";
import { runSession } from "../session.ts";
import { digests, type MemorySink, memorySink, sourceOfLog } from "./session-log.ts";

export type RunOptions = Readonly<{
  from?: EraFrame | null;
  pause?: () => Promise<void>;
  source?: LogSource;
}>;

export async function runOver(
  av: Av,
  log: readonly Positioned<Entry>[],
  options: RunOptions = {},
): Promise<MemorySink> {
  const sink = memorySink(options.from ?? null);
  const source = options.source ?? sourceOfLog(log, options.pause ? { pause: options.pause } : {});
  const deps = { clock: systemClock(), log: silentLog, av, source, sinks: [sink], session: "s1", onProgress: () => {} };
  await runSession(deps, new AbortController().signal);
  return sink;
}

export function timelineOf(log: readonly Positioned<Entry>[]): Timeline {
  const timeline = new Timeline();
  for (const { entry } of log) if (entry.kind !== "unit") timeline.apply(entry);
  return timeline;
}

/** All segments of a log, those that are no gap. */
export function segmentsOf(log: readonly Positioned<Entry>[]): Segment[] {
  const timeline = timelineOf(log);
  const segments: Segment[] = [];
  for (let s = timeline.first(); s !== null; s = timeline.next(s)) if (!timeline.isGap(s)) segments.push(s);
  return segments;
}

/** A run that began at `from` made what the reference made, byte for byte: inits, parts and segments from there on, no
 *  more and no less.
 *  @returns how many digests were compared */
export function assertSameFrom(
  reference: MemorySink,
  joiner: MemorySink,
  from: Segment,
  log: readonly Positioned<Entry>[],
): number {
  const era = timelineOf(log).eraOf(from.era);
  const isSound = new Set(era.renditions.filter(({ kind }) => kind === "audio").map(({ name }) => name));
  const starts = new Map<string, number>();
  for (const { track, segmentStartTicks } of reference.parts) {
    // The first segment of each track that begins at or after the join.
    const seconds = segmentStartTicks / (isSound.has(track) ? 48_000 : era.rate.num);
    const joinSeconds = (from.start * era.rate.den) / era.rate.num;
    if (seconds >= joinSeconds && segmentStartTicks < (starts.get(track) ?? Number.POSITIVE_INFINITY))
      starts.set(track, segmentStartTicks);
  }
  const expected = new Map(
    [...digests(reference)].filter(([name]) => {
      const [path, kind, ticks] = name.split(" ") as [string, string, string?];
      if (kind === "init") return true;
      const start = starts.get(path.split("/")[0]!);
      return start !== undefined && Number(ticks) >= start;
    }),
  );
  const actual = digests(joiner);
  assert.deepEqual([...actual.keys()].toSorted(), [...expected.keys()].toSorted());
  const unequal = [...expected].filter(([name, digest]) => actual.get(name) !== digest).map(([name]) => name);
  assert.deepEqual(unequal, [], `a worker that began at segment ${from.ordinal} made other bytes`);
  return expected.size;
}
