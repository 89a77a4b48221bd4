// One session from its log to its origins: the worker's whole work. Reads the log from the first segment that is not
// stored, makes every segment from there on as a function of the log, and ends with it.
// Memory is bounded by taking the next entry only when there is room for what the last one made: a worker that is too
// slow leaves its log unread, is cut off by the gateway, and another begins where the origins' storage ends.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { earliest } from "#media/session-log/era-frame.ts";
import type { CmafSink, LogSource } from "#media/session-log/maker-ports.ts";
import type { Av } from "#platform/av/av.ts";
import { LogReading } from "./log-reading.ts";
import { Outlet } from "./outlet.ts";

/** A worker that has made everything waits no longer for its origins to have stored it. */
const DRAIN_TIMEOUT_MS = 30_000;
const PROGRESS_EVERY_MS = 1000;

export type TranscodeProgress = Readonly<{
  /** waiting: no picture yet. encoding. draining: all is encoded, the origins have not stored all of it. */
  phase: "waiting" | "encoding" | "draining";
  /** Newest frame given to the encoders, on its era's grid; null while waiting. */
  frame: number | null;
  /** Seconds of media made in a second of the last interval: 1 when live, more while catching up. */
  speed: number;
  /** Over all rungs. */
  encodedFrames: number;
  /** Frames that wait for the slowest rung. */
  queue: number;
}>;

export type TranscodeDeps = Readonly<{
  clock: Clock;
  log: Log;
  av: Av;
  source: LogSource;
  /** The caller closes them. */
  sinks: readonly CmafSink[];
  session: string;
  onProgress: (progress: TranscodeProgress) => void;
}>;

/** Resolves when the log has ended and every origin has stored all of it, or soon after `signal` aborts.
 *  @throws PlatformError log.*, network.unreachable (log or origins), av.failed */
export async function runSession(deps: TranscodeDeps, signal: AbortSignal): Promise<void> {
  const { source, sinks, session } = deps;
  const log = deps.log.child({ session });
  // What any origin misses; all, when one has nothing.
  const from = earliest(await Promise.all(sinks.map((sink) => sink.nextFrame())));
  log.info("transcode.begins", { era: from?.era ?? null, frame: from?.frame ?? null, build: deps.av.build });
  const reading = new LogReading({ av: deps.av, log, outlet: new Outlet(sinks), from });
  const tell = progressTeller(deps, reading);
  try {
    for await (const entry of source.entries(from, signal)) {
      if (signal.aborted) return;
      await reading.entry(entry);
      tell(false);
      if (reading.ended) break;
    }
    if (!reading.ended) throw new PlatformError("network.unreachable", "the session log stopped before its end entry");
    tell(true);
    await Promise.all(sinks.map((sink) => sink.drained(DRAIN_TIMEOUT_MS)));
    log.info("transcode.ended", reading.counters());
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await reading.close();
  }
}

function progressTeller({ clock, onProgress }: TranscodeDeps, reading: LogReading): (now: boolean) => void {
  let toldMs = clock.monotonicMs();
  let toldSeconds = 0;
  return (now) => {
    const atMs = clock.monotonicMs();
    if (!now && atMs - toldMs < PROGRESS_EVERY_MS) return;
    const { frame, encodedFrames, queue, mediaSeconds } = reading.counters();
    const phase = reading.ended ? "draining" : frame === null ? "waiting" : "encoding";
    const speed = atMs > toldMs ? ((mediaSeconds - toldSeconds) * 1000) / (atMs - toldMs) : 0;
    toldMs = atMs;
    toldSeconds = mediaSeconds;
    onProgress({ phase, frame, speed, encodedFrames, queue });
  };
}
