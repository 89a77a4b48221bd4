// Sources that we run ourselves: the demo's generator, and pulls that fetch a stream from elsewhere. Some run always, some
// only while somebody watches and a minute longer.
import type { Workload } from "#platform/placement/placement.ts";
import { backoff } from "./backoff.ts";
import type { Action, World } from "./plan.ts";

/** How long an on-demand source goes on after the last request for its playlists. */
const AUDIENCE_LIMIT_MS = 60_000;
const SOURCE_BACKOFF_MS = [0, 1000, 2000, 5000, 10_000];
/** One that ends at once with code 0 is not started more often than this. */
const START_INTERVAL_MS = 2000;

export type SourceRole = Extract<Workload["role"], "demo-source" | "pull">;

const ROLES: ReadonlySet<Workload["role"]> = new Set<SourceRole>(["demo-source", "pull"]);

export type SourceState = Readonly<{
  /** Of the workload. */
  id: string;
  specHash: string;
  onDemand: boolean;
  /** When somebody last asked for the channel's playlists; null: nobody did. */
  lastAskedMs: number | null;
  lastStartMs: number | null;
  failuresMs: readonly number[];
}>;

export function planSources({ sources, running, nowMs }: World): Action[] {
  const isWanted = ({ onDemand, lastAskedMs }: SourceState) =>
    !onDemand || (lastAskedMs !== null && nowMs - lastAskedMs <= AUDIENCE_LIMIT_MS);
  const wanted = sources.filter(isWanted);
  const wantedIds = new Set(wanted.map(({ id }) => id));
  const there = running.filter(({ role }) => ROLES.has(role));
  const remove = there
    .filter(({ id, phase }) => phase === "failed" || !wantedIds.has(id))
    .map(({ id, phase }): Action => ({ do: "remove-source", id, failed: phase === "failed" }));
  const start = wanted
    .filter(({ id, specHash, lastStartMs, failuresMs }) => {
      if (there.some((source) => source.id === id && (source.phase === "failed" || source.specHash === specHash)))
        return false; // a failed one is removed and counted first
      const early = lastStartMs !== null && nowMs - lastStartMs < START_INTERVAL_MS;
      return !early && backoff(failuresMs, SOURCE_BACKOFF_MS, nowMs).over;
    })
    .map(({ id }): Action => ({ do: "start-source", id }));
  return [...remove, ...start];
}
