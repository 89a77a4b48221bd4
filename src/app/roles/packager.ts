// A packager: one child process (or pod) that makes the copied renditions of many sessions. It has addresses and a token
// in its environment, gets a token per session with each assignment, and loads neither FFmpeg nor anything else that is
// not TypeScript of ours: it must be there within the time a first key frame takes.
import module from "node:module";
import { systemClock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import { jsonLog, type LogLevel } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Assignment, Packaging } from "#control/worker-protocol.ts";
import { packageSession } from "#modules/packager/session.ts";
import { VERSION } from "../version.ts";
import { byteBudget, cmafPush } from "../wire/cmaf-push.ts";
import { logClient } from "../wire/log-client.ts";
import { openWorkerLink } from "../wire/worker-link.ts";

const {
  CONTINUITY_CONTROL_URL: controlUrl = "",
  CONTINUITY_WORKER_ID: worker = "",
  CONTINUITY_WORKER_TOKEN: token = "",
  CONTINUITY_LOG_LEVEL: level = "info",
} = process.env;

/** Changes of one turn are told together; otherwise the whole state goes out this often. */
const REPORT_EVERY_MS = 1000;
const DETAIL_LENGTH_MAX = 200;
/** What all sessions together may hold for origins that are away: 200 of 2 Mbit/s for ten seconds. */
const UNSTORED_BYTES_MAX = 512 * 1024 * 1024;

type State = Packaging["sessions"][number];
type Held = { token: string; state: State; leaving: AbortController; done: Promise<void> };

const clock = systemClock();
const random = systemRandom();
const log = jsonLog(level as LogLevel, { role: "packager", worker, pid: process.pid });
const sessions = new Map<string, Held>();
const budget = byteBudget(UNSTORED_BYTES_MAX);
let isReportDue = false;

const link = openWorkerLink({
  controlUrl,
  token,
  clock,
  log,
  hello: {
    kind: "hello",
    worker,
    role: "package",
    pid: process.pid,
    build: `continuity ${VERSION}`,
    cpuClass: process.arch,
  },
  on(message) {
    if (message.kind === "assign") take(message);
    else if (message.kind === "token") renew(message.session, message.token);
    else if (message.kind === "drop") drop(message.session);
    else void leave();
  },
});

function report(): void {
  if (isReportDue) return;
  isReportDue = true;
  setImmediate(() => {
    isReportDue = false;
    link.report({ kind: "packaging", sessions: [...sessions.values()].map(({ state }) => state) });
  });
}

function take(given: Assignment): void {
  if (sessions.has(given.session)) {
    renew(given.session, given.token);
    return;
  }
  const state: State = { session: given.session, phase: "running", frame: null };
  const held: Held = { token: given.token, state, leaving: new AbortController(), done: Promise.resolve() };
  sessions.set(given.session, held);
  held.done = work(given, held);
  report();
}

function renew(session: string, fresh: string): void {
  const held = sessions.get(session);
  if (held) held.token = fresh;
}

function drop(session: string): void {
  sessions.get(session)?.leaving.abort();
  sessions.delete(session);
  report();
}

async function work({ session, channel, gatewayUrl, originUrls }: Assignment, held: Held): Promise<void> {
  const bearer = async () => held.token;
  const logs = logClient({ gatewayUrl: () => gatewayUrl, token: bearer, clock, log, random });
  const sinks = originUrls.map((url) =>
    cmafPush({ originUrl: () => url, channel, session, token: bearer, clock, log, random, budget }),
  );
  const become = (change: Partial<State>) => {
    const { phase } = held.state;
    held.state = { ...held.state, ...change };
    if (held.state.phase !== phase) report();
  };
  try {
    await packageSession(
      {
        clock,
        log,
        session,
        sinks,
        source: logs.logSource(session),
        onProgress: ({ phase, frame }) => become({ phase: phase === "draining" ? "draining" : "running", frame }),
      },
      held.leaving.signal,
    );
    become({ phase: "draining" }); // all is stored: control tells us to drop it
  } catch (error) {
    log.error("session cannot go on here", { session, error });
    become({ phase: "failed", detail: describe(error).slice(0, DETAIL_LENGTH_MAX) });
  } finally {
    for (const sink of sinks) sink.close();
  }
}

/** The open parts are the next packager's: it makes the same ones. */
async function leave(): Promise<void> {
  const working = [...sessions.values()];
  for (const { leaving } of working) leaving.abort();
  await Promise.all(working.map(({ done }) => done));
  link.close();
  process.exit(0);
}

process.on("disconnect", () => process.exit(0)); // the supervisor is gone
process.on("SIGTERM", () => void leave());
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the supervisor decides

const tick = () => {
  report();
  clock.setTimer(REPORT_EVERY_MS, tick);
};
tick();
process.send?.("ready");
module.flushCompileCache(); // else only at the end, and the next packager would strip types again
