// The session log over HTTP: how workers and origins read it, and say what they have stored.
//   GET  /internal/log/SESSION?position=N | ?era=E&frame=F | (neither: from the first start held)   [&decisions=1]
//   POST /internal/log/SESSION/stored   {"throughNs":"..."}
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import { answerProblem, type HttpHandler, readText } from "#platform/network/http.ts";
import { LogSender } from "./log-sender.ts";
import type { ReadFrom, SessionLog } from "./session-log.ts";

const PREFIX = "/internal/log/";
const BODY_BYTES_MAX = 1024;

export type LogHttpDeps = Readonly<{
  /** The log of a session; undefined when there is none (any more). */
  logs: (session: string) => SessionLog | undefined;
  keys: Keys;
  log: Log;
  clock: Clock;
}>;

export function logHttp(deps: LogHttpDeps): HttpHandler {
  return (request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    if (!path.startsWith(PREFIX)) return false;
    answer(deps, path.slice(PREFIX.length), new URLSearchParams(query), request, response).catch((error) => {
      if (response.destroyed) return; // the peer left; there is nobody to tell
      const { code, detail } = answerProblem(response, error);
      if (code === "internal") deps.log.error("session log request failed", { error, path });
      else deps.log.debug("session log request refused", { code, detail, path });
    });
    return true;
  };
}

async function answer(
  deps: LogHttpDeps,
  name: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, session, action] = /^([\w.-]{1,128})(\/stored)?$/.exec(name) ?? [];
  if (session === undefined) throw new PlatformError("api.not_found", `There is nothing at ${PREFIX}${name}.`);
  await authorize(deps.keys, request.headers.authorization, session);
  const sessionLog = deps.logs(session);
  if (sessionLog === undefined)
    throw new PlatformError("log.unknown_session", `This gateway has no log of session ${session}.`);
  const method = action === undefined ? "GET" : "POST";
  if (request.method !== method) throw new PlatformError("api.bad_request", `Use ${method} here.`);
  if (action === undefined) return stream(deps, sessionLog, query, response);
  sessionLog.storedThrough(throughOf(await readText(request, BODY_BYTES_MAX)));
  response.writeHead(204).end();
}

function stream(deps: LogHttpDeps, sessionLog: SessionLog, query: URLSearchParams, response: ServerResponse): void {
  const { from, decisionsOnly } = parseQuery(query);
  if (response.destroyed) return; // it left while its token was checked: nobody would ever close the reader
  let sender: LogSender | null = null;
  const log = deps.log.child({ session: sessionLog.session });
  const reader = sessionLog.openReader(from, {
    decisionsOnly,
    onCut: (error) => {
      log.warn("session log reader cut off", { code: error.code, detail: error.message });
      sender?.fail(error);
    },
  });
  sender = new LogSender({ reader, response, clock: deps.clock, log });
}

async function authorize(keys: Keys, authorization: string | undefined, session: string): Promise<void> {
  const token = bearer(authorization);
  if (token === null) throw new PlatformError("api.unauthorized", "A token is needed to read a session's log.");
  const scope = await keys.verify(token);
  if (scope.kind === "internal" || (scope.kind === "session" && scope.session === session)) return;
  throw new PlatformError("api.forbidden", `This ${scope.kind} token does not open the log of ${session}.`);
}

function parseQuery(query: URLSearchParams): { from: ReadFrom; decisionsOnly: boolean } {
  const values = Object.fromEntries(query) as Record<string, string | undefined>;
  const number = (name: string): number => {
    const value = /^\d{1,16}$/.test(values[name] ?? "") ? Number(values[name]) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw new PlatformError("api.bad_request", `${name} must be a whole number, not ${JSON.stringify(values[name])}.`);
  };
  const unknown = Object.keys(values).find((name) => !["position", "era", "frame", "decisions"].includes(name));
  if (unknown !== undefined) throw new PlatformError("api.bad_request", `${unknown} is not known here.`);
  const { position, era, frame, decisions } = values;
  const decisionsOnly = decisions === "1";
  if (decisions !== undefined && !decisionsOnly) throw new PlatformError("api.bad_request", "decisions must be 1.");
  const byFrame = era !== undefined || frame !== undefined;
  if (byFrame && (position !== undefined || decisionsOnly))
    throw new PlatformError("api.bad_request", "Give a position, or an era and a frame of it.");
  if (byFrame) return { from: { era: number("era"), frame: number("frame") }, decisionsOnly };
  return { from: position === undefined ? "first" : { position: number("position") }, decisionsOnly };
}

function throughOf(body: string): bigint {
  let text: unknown;
  try {
    text = (JSON.parse(body) as { throughNs?: unknown } | null)?.throughNs;
  } catch (cause) {
    throw new PlatformError("api.bad_request", "The body is not JSON.", { cause });
  }
  if (typeof text !== "string" || !/^\d{1,19}$/.test(text))
    throw new PlatformError("api.bad_request", 'The body must be {"throughNs":"TAI nanoseconds"}.');
  return BigInt(text);
}
