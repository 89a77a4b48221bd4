// A worker: one child process (or pod) that makes the ladder of one session and then leaves. It has addresses and a token
// in its environment, speaks HTTP and WebSocket, and knows no database, no bucket and no other session.
// This process loads the GPL FFmpeg build (see NOTICE).
import module from "node:module";
import { systemClock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import { jsonLog, type LogLevel } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Assignment, Progress } from "#control/worker-protocol.ts";
import { runSession, type TranscodeProgress } from "#modules/transcode/session.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { cmafPush } from "../wire/cmaf-push.ts";
import { logClient } from "../wire/log-client.ts";
import { openWorkerLink } from "../wire/worker-link.ts";

const {
  CONTINUITY_CONTROL_URL: controlUrl = "",
  CONTINUITY_WORKER_ID: worker = "",
  CONTINUITY_WORKER_TOKEN: token = "",
  CONTINUITY_LOG_LEVEL: level = "info",
} = process.env;

const clock = systemClock();
const random = systemRandom();
const log = jsonLog(level as LogLevel, { role: "worker", worker, pid: process.pid });
const leaving = new AbortController();
const av = nodeAv();
let assignment: Assignment | null = null;
let sessionToken = "";
let done: Promise<void> = Promise.resolve();

const link = openWorkerLink({
  controlUrl,
  token,
  clock,
  log,
  hello: { kind: "hello", worker, pid: process.pid, build: av.build, cpuClass: process.arch },
  on(message) {
    if (message.kind === "release") void leave(0);
    else if (message.kind === "token") {
      if (assignment?.session === message.session) sessionToken = message.token;
    } else if (message.kind === "assign" && assignment === null) {
      assignment = message;
      sessionToken = message.token;
      done = transcode(message);
    }
  },
});

function report(phase: Progress["phase"], made: TranscodeProgress | null, detail?: string): void {
  link.report({
    kind: "progress",
    phase,
    session: assignment?.session ?? null,
    frame: made?.frame ?? null,
    speed: made?.speed ?? null,
    encodedFrames: made?.encodedFrames ?? 0,
    ...(detail === undefined ? {} : { detail: detail.slice(0, 2000) }),
  });
}

async function transcode(given: Assignment): Promise<void> {
  const { session, channel, gatewayUrl, originUrls } = given;
  const bearer = async () => sessionToken;
  const logs = logClient({ gatewayUrl: () => gatewayUrl, token: bearer, clock, log, random });
  const sinks = originUrls.map((url) =>
    cmafPush({ originUrl: () => url, channel, session, token: bearer, clock, log, random }),
  );
  report("running", null);
  let last: TranscodeProgress | null = null;
  try {
    await runSession(
      {
        clock,
        log,
        av,
        session,
        sinks,
        source: logs.logSource(session),
        onProgress(progress) {
          last = progress;
          report(progress.phase === "draining" ? "draining" : "running", progress);
        },
      },
      leaving.signal,
    );
    report("draining", last); // all is stored: control releases us
  } catch (error) {
    log.error("session cannot go on here", { session, error });
    report("failed", last, describe(error));
    await leave(1);
  } finally {
    for (const sink of sinks) sink.close();
  }
}

async function leave(code: number): Promise<void> {
  leaving.abort();
  if (code === 0) await done;
  link.close();
  process.exit(code);
}

process.on("disconnect", () => process.exit(0)); // the supervisor is gone
process.on("SIGTERM", () => void leave(0));
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the supervisor decides

report("warm", null);
process.send?.("ready");
module.flushCompileCache(); // else only at the end, and the next worker would strip types again
