// The demo channel's own encoder: a process of its own, started when somebody watches and ended a minute after the last
// viewer left. It loads FFmpeg's GPL build, and knows nothing of the installation but one address to publish to.
// Orders by environment: CONTINUITY_PUBLISH_URL (rtmp://HOST:PORT/live/CHANNEL?key=KEY).
import { fstatSync } from "node:fs";
import { after, systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { jsonLog, type LogLevel } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { demoDefaults, openDemoSource } from "#modules/demo/source.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { openRtmpOutput } from "../publish/rtmp-output.ts";

/** Waits after the 1st, 2nd, ... failure in a row. */
const RETRY_MS = [500, 1000, 2000, 5000];
/** A connection that held so long starts the row again. */
const CALM_MS = 10_000;

const url = process.env.CONTINUITY_PUBLISH_URL;
const log = jsonLog((process.env.CONTINUITY_LOG_LEVEL as LogLevel | undefined) ?? "info", {
  role: "demo-source",
  pid: process.pid,
});
if (url === undefined) {
  log.error("CONTINUITY_PUBLISH_URL is not set");
  process.exit(1);
}

const clock = systemClock();
const stopping = new AbortController();
leaveWith(stopping);

const name = new URL(url).pathname.split("/").at(-1) ?? "demo";
const source = await openDemoSource(nodeAv(), clock, { ...demoDefaults, name });
process.send?.("ready");

for (let failures = 0; !stopping.signal.aborted; ) {
  const startMs = clock.monotonicMs();
  try {
    await publishOnce(url);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error; // a defect: let the placement see it and start another
    if (clock.monotonicMs() - startMs > CALM_MS) failures = 0;
    const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
    failures += 1;
    log.warn("demo source is not connected", { code: error.code, error, waitMs });
    await Promise.race([after(clock, waitMs), aborted(stopping.signal)]);
  }
}
await source.close();
process.exit(0);

async function publishOnce(to: string): Promise<void> {
  const deps = { clock, random: systemRandom(), network: nodeNetwork() };
  const output = await openRtmpOutput(deps, to, { video: source.video, audio: source.audio });
  log.info("demo source publishes", { to: output.target });
  try {
    const send = ({
      timeMs,
      ...unit
    }: {
      kind: "video" | "audio";
      timeMs: number;
      key: boolean;
      payload: Uint8Array;
    }) => output.send({ ...unit, ptsMs: timeMs, dtsMs: timeMs });
    await source.run(send, stopping.signal);
    await output.end();
  } finally {
    output.destroy();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Leaves when told, and when whoever started it is gone: its IPC channel closes, or the pipe it was given as input. */
function leaveWith(controller: AbortController): void {
  const leave = () => controller.abort();
  process.on("SIGTERM", leave);
  process.on("SIGINT", process.connected ? () => {} : leave); // Ctrl-C reaches the whole group; a parent decides the order
  if (process.connected) process.on("disconnect", leave);
  else if (fstatSync(0).isFIFO()) process.stdin.on("end", leave).resume();
  // No unref'd timer keeps the process alive while it waits to reconnect; this does.
  setInterval(() => {}, 1 << 30);
}
