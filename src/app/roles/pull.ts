// A pull: one process that fetches one channel's stream from elsewhere and publishes it to the gateway. A library that
// blocks, breaks or leaks on a stranger's stream does it here, where it can be killed without harm: the session waits for
// its publisher, and the next process is that. It loads FFmpeg's GPL build (see NOTICE).
// Orders by environment: CONTINUITY_PULL_URL, CONTINUITY_PUT_URL, CONTINUITY_PULL_TOKEN, CONTINUITY_CHANNEL.
import { after, systemClock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import { jsonLog, type LogLevel } from "#base/log.ts";
import { openRemoteInput } from "#platform/av/drivers/node-av/remote-input.ts";
import { pullStream } from "../pull/pull-stream.ts";
import { withoutCredentials } from "../pull/redact.ts";

/** Waits after the 1st, 2nd, ... failure in a row. */
const RETRY_MS = [500, 1000, 2000, 5000, 10_000, 20_000];
/** A stream that held so long starts the row again. */
const CALM_MS = 10_000;
const REPORT_TIMEOUT_MS = 3000;
/** A pull takes 110 to 140 MB, whatever it reads; a playlist without an end takes all there is. */
const RSS_BYTES_MAX = 512 << 20;
const LOOK_EVERY_MS = 250;
const SAY_EVERY_MS = 10_000;

const {
  CONTINUITY_PULL_URL: url = "",
  CONTINUITY_PUT_URL: putUrl = "",
  CONTINUITY_PULL_TOKEN: token = "",
  CONTINUITY_CHANNEL: channel = "",
  CONTINUITY_LOG_LEVEL: level = "info",
} = process.env;

const clock = systemClock();
const shown = withoutCredentials(url);
const log = jsonLog(level as LogLevel, { role: "pull", pid: process.pid, channel, from: shown });
const stopping = new AbortController();
process.on("disconnect", () => process.exit(0)); // the supervisor is gone
process.on("SIGTERM", () => stopping.abort());
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the supervisor decides
process.send?.("ready");

let said: { state: string; detail: string | null } = { state: "opening", detail: null };
/** What is not said again is not believed for long: a process that was killed cannot take it back. */
setInterval(() => void say(), SAY_EVERY_MS);

const look = setInterval(() => {
  const rssBytes = process.memoryUsage.rss();
  if (rssBytes > RSS_BYTES_MAX) void giveUp(rssBytes);
}, LOOK_EVERY_MS);

const aborted = new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));

for (let failures = 0; !stopping.signal.aborted; ) {
  const startMs = clock.monotonicMs();
  let reason = "The stream has ended.";
  try {
    await report("opening", null);
    await pullStream(url, {
      clock,
      openRemoteInput,
      putUrl,
      token,
      signal: stopping.signal,
      onBegin: ({ streams }) => {
        log.info("pull.begins", { streams });
        void report("connected", streams);
      },
    });
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error; // a defect: placement starts another process
    reason = withoutCredentials(describe(error));
    log.warn("pull.broke_off", { code: error.code, reason });
    // A token that is refused has expired, or the channel's pull is not wanted any more: control knows.
    if (error.code === "publish.key_refused" || error.code === "api.unauthorized") process.exit(1);
  }
  if (stopping.signal.aborted) break;
  if (clock.monotonicMs() - startMs > CALM_MS) failures = 0;
  const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
  failures += 1;
  await report("waiting", `${reason} The next try is in ${waitMs / 1000} s.`);
  await Promise.race([after(clock, waitMs), aborted]);
}
process.exit(0);

/** What the library holds is only given back by the process's end; placement starts another one. */
async function giveUp(rssBytes: number): Promise<void> {
  clearInterval(look);
  const words = `Reading it takes more than ${RSS_BYTES_MAX >> 20} MB of memory`;
  log.error("pull.too_much_memory", { code: "media.malformed", reason: words, rssBytes });
  await report("waiting", `media.malformed: ${words}; it is tried again.`);
  process.exit(1);
}

/** The gateway shows it with the channel's other inputs. Nothing depends on it. */
async function report(state: "opening" | "connected" | "waiting", detail: string | null): Promise<void> {
  said = { state, detail };
  await say();
}

async function say(): Promise<void> {
  const { state, detail } = said;
  const to = new URL("/internal/pulls", putUrl);
  try {
    const response = await fetch(to, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ channel, url: shown, state, detail }),
      signal: AbortSignal.timeout(REPORT_TIMEOUT_MS),
    });
    await response.body?.cancel();
  } catch (error) {
    log.debug("pull.not_reported", { reason: describe(error) });
  }
}
