// On-demand sources: wanted while somebody watches, gone a minute after the last one left.
import { backoff } from "./backoff.ts";
import type { Action, World } from "./plan.ts";

/** How long a source goes on after the last request for its playlists. */
export const AUDIENCE_LIMIT_MS = 60_000;
const DEMO_BACKOFF_MS = [0, 1000, 2000, 5000, 10_000];
/** One that ends at once with code 0 is not started more often than this. */
const START_INTERVAL_MS = 2000;

export type DemoState = Readonly<{
  channel: string;
  /** Of the workload. */
  id: string;
  specHash: string;
  /** When somebody last asked for its playlists; null: nobody did. */
  lastAskedMs: number | null;
  lastStartMs: number | null;
  failuresMs: readonly number[];
}>;

export const demoId = (channel: string): string => `demo-source-${channel}`;

export function planDemos({ demos, running, nowMs }: World): Action[] {
  const wanted = demos.filter(({ lastAskedMs }) => lastAskedMs !== null && nowMs - lastAskedMs <= AUDIENCE_LIMIT_MS);
  const wantedIds = new Set(wanted.map(({ id }) => id));
  const sources = running.filter(({ role }) => role === "demo-source");
  const remove = sources
    .filter(({ id, phase }) => phase === "failed" || !wantedIds.has(id))
    .map(({ id, phase }): Action => ({ do: "remove-demo", id, failed: phase === "failed" }));
  const start = wanted
    .filter(({ id, specHash, lastStartMs, failuresMs }) => {
      if (sources.some((source) => source.id === id && (source.phase === "failed" || source.specHash === specHash)))
        return false; // a failed one is removed and counted first
      const early = lastStartMs !== null && nowMs - lastStartMs < START_INTERVAL_MS;
      return !early && backoff(failuresMs, DEMO_BACKOFF_MS, nowMs).over;
    })
    .map(({ channel }): Action => ({ do: "start-demo", channel }));
  return [...remove, ...start];
}
