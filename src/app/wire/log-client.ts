// The session log as workers, packagers and origins see it from another process. A cut connection is not the end of a
// log: the gateway keeps what it has for some seconds, so reading goes on at the next position, and nobody above notices.
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Decision, Entry, Positioned } from "#media/session-log/entries.ts";
import type { LogSource } from "#media/session-log/maker-ports.ts";
import type { DecisionSource } from "#modules/origin/types.ts";
import { call } from "./call.ts";
import { readLog } from "./log-connection.ts";

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2000;
/** A worker gives up after this: what it has not read by then will soon have left the gateway's ring. */
const ENTRIES_PATIENCE_MS = 10_000;
/** An origin may ask for a session that its gateway is only about to open. */
const UNKNOWN_PATIENCE_MS = 5000;
const STORED_TIMEOUT_MS = 3000;

export type LogClientOptions = Readonly<{
  /** Asked before each connection; null while it is not known. */
  gatewayUrl: () => string | null;
  token: () => Promise<string>;
  clock: Clock;
  log: Log;
  random: Random;
}>;

export interface LogClient extends DecisionSource {
  /** That session's log, for a worker or packager. */
  logSource(session: string): LogSource;
}

export function logClient(options: LogClientOptions): LogClient {
  const reports = new Map<string, { newestNs: bigint }>();
  return {
    logSource: (session) => ({
      async *entries(fromFrame, signal) {
        const start = fromFrame === null ? "" : `era=${fromFrame.era}&frame=${fromFrame.frame}`;
        let unitSeen = false;
        for await (const at of follow({
          ...options,
          session,
          signal,
          // Before the first unit there are earlier decisions, which may be older than the ring: ask for the same again.
          query: (last) => (unitSeen ? `position=${last + 1}` : start),
          unreachableMs: ENTRIES_PATIENCE_MS,
          unknownMs: 0,
          after: -1,
        })) {
          unitSeen ||= at.entry.kind === "unit";
          yield at;
        }
      },
    }),

    async *decisions(session, from, signal) {
      const query = (last: number) => `decisions=1&position=${last + 1}`;
      const limits = { unreachableMs: Number.POSITIVE_INFINITY, unknownMs: from === 0 ? UNKNOWN_PATIENCE_MS : 0 };
      for await (const { position, entry } of follow({
        ...options,
        ...limits,
        session,
        signal,
        query,
        after: from - 1,
      }))
        if (isDecision(entry)) yield { position, entry };
    },

    storedThrough(session, timeNs) {
      const sending = reports.get(session);
      if (sending !== undefined) {
        if (timeNs > sending.newestNs) sending.newestNs = timeNs;
        return;
      }
      const report = { newestNs: timeNs };
      reports.set(session, report);
      void tellStored(options, session, report).finally(() => reports.delete(session));
    },
  };
}

const isDecision = (entry: Entry): entry is Decision => entry.kind !== "unit";

/** Tell the newest instant, and again while a newer one came up. A failure waits for the next segment's report. */
async function tellStored(options: LogClientOptions, session: string, report: { newestNs: bigint }): Promise<void> {
  let toldNs = -1n;
  while (report.newestNs > toldNs) {
    const throughNs = report.newestNs;
    try {
      const url = logUrl(options, `${session}/stored`).href;
      const argument = { throughNs: throughNs.toString() };
      const common = { timeoutMs: STORED_TIMEOUT_MS, unreachable: "network.unreachable" } as const;
      await call({ ...common, url, argument, token: await options.token() });
    } catch (error) {
      options.log.debug("gateway was not told what is stored", { session, reason: describe(error) });
      return;
    }
    toldNs = throughNs;
  }
}

type Follow = LogClientOptions &
  Readonly<{
    session: string;
    signal: AbortSignal;
    /** Query of the next connection. @param last position that was given last */
    query: (last: number) => string;
    /** Only positions after this are given. */
    after: number;
    /** How long nothing may be heard of the gateway. */
    unreachableMs: number;
    /** How long the session may be unknown before anything was read. */
    unknownMs: number;
  }>;

/** Entries over as many connections as it takes; returns when the log has ended or `signal` aborts. */
async function* follow(options: Follow): AsyncGenerator<Positioned> {
  const { clock, signal, log, session } = options;
  let last = options.after;
  let failures = 0;
  let heardMs = clock.monotonicMs();
  const heard = () => {
    failures = 0;
    heardMs = clock.monotonicMs();
  };
  while (!signal.aborted) {
    try {
      const url = logUrl(options, session);
      url.search = options.query(last);
      for await (const at of readLog({ url, token: await options.token(), clock, signal, heard })) {
        if (at.position <= last) continue;
        last = at.position;
        yield at;
        heardMs = clock.monotonicMs(); // what was taken late was not the gateway's silence
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      const patienceMs = patience(error, options, last);
      if (clock.monotonicMs() - heardMs >= patienceMs) throw error;
      if (failures === 0) log.info("session log lost, trying again", { session, reason: describe(error) });
    }
    await pause(clock, retryMs(failures, options.random), signal);
    failures += 1;
  }
}

/** For how long the same is tried again after that error. */
function patience(error: unknown, { unreachableMs, unknownMs, after }: Follow, last: number): number {
  if (!(error instanceof PlatformError)) return 0;
  if (error.code === "network.unreachable") return unreachableMs;
  return error.code === "log.unknown_session" && last === after ? unknownMs : 0;
}

function retryMs(failures: number, random: Random): number {
  const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures);
  return most * (0.5 + random.next() / 2);
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.setTimer(ms, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

function logUrl({ gatewayUrl }: LogClientOptions, path: string): URL {
  const base = gatewayUrl();
  if (base === null) throw new PlatformError("network.unreachable", "The gateway's address is not known yet.");
  return new URL(`/internal/log/${path}`, base);
}
