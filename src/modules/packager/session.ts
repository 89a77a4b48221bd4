// One session from its log to its origins, for renditions that are copied: no decoder, no encoder, other boxes around the
// same samples. Every part is a function of the log, so a packager that joins at any moment makes the same bytes, and one
// process may serve many sessions.
// Memory is bounded by the log's own promise (no track is further ahead than a second), by a part's length, and by what
// the sinks hold; who is too slow is cut off by the gateway, and another begins where the origins' storage ends.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { earliest } from "#media/session-log/era-frame.ts";
import type { CmafSink, LogSource } from "#media/session-log/maker-ports.ts";
import { LogReading } from "./log-reading.ts";

/** A packager that has made everything waits no longer for its origins to have stored it. */
const DRAIN_TIMEOUT_MS = 30_000;
const PROGRESS_EVERY_MS = 1000;

export type PackageProgress = Readonly<{
  /** waiting: no part yet. packaging. draining: all is made, the origins have not stored all of it. */
  phase: "waiting" | "packaging" | "draining";
  /** Newest frame that is known, on its era's grid; null while waiting. */
  frame: number | null;
}>;

export type PackageDeps = Readonly<{
  clock: Clock;
  log: Log;
  source: LogSource;
  /** The caller closes them. */
  sinks: readonly CmafSink[];
  session: string;
  onProgress: (progress: PackageProgress) => void;
}>;

/** Resolves when the log has ended and every origin has stored all of it, or soon after `signal` aborts.
 *  @throws PlatformError log.*, network.unreachable (log or origins), media.* for a track that cannot be described */
export async function packageSession(deps: PackageDeps, signal: AbortSignal): Promise<void> {
  const { source, sinks, session } = deps;
  const log = deps.log.child({ session });
  // What any origin misses; all, when one has nothing.
  const from = earliest(await Promise.all(sinks.map((sink) => sink.nextFrame())));
  if (signal.aborted) return;
  log.info("package.begins", { era: from?.era ?? null, frame: from?.frame ?? null });
  const reading = new LogReading(sinks, from);
  const tell = progressTeller(deps, reading);
  try {
    for await (const entry of source.entries(from, signal)) {
      if (signal.aborted) return;
      reading.entry(entry);
      tell(false);
      if (reading.ended) break;
    }
    if (signal.aborted) return;
    if (!reading.ended) throw new PlatformError("network.unreachable", "the session log stopped before its end entry");
    tell(true);
    await Promise.all(sinks.map((sink) => sink.drained(DRAIN_TIMEOUT_MS)));
    log.info("package.ended", reading.counters());
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function progressTeller({ clock, onProgress }: PackageDeps, reading: LogReading): (now: boolean) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  let toldFrame: number | null = null;
  return (now) => {
    const atMs = clock.monotonicMs();
    if (!now && atMs - toldMs < PROGRESS_EVERY_MS) return;
    const { frame } = reading.counters();
    toldMs = atMs;
    toldFrame = frame ?? toldFrame;
    onProgress({
      phase: reading.ended ? "draining" : toldFrame === null ? "waiting" : "packaging",
      frame: toldFrame,
    });
  };
}
