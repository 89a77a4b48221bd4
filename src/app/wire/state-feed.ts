// Whole states from role to role: an endless HTTP answer of lines, each the complete state, sent when it changed and
// once a second anyway. A reader that missed lines missed nothing; one that hears nothing for 3 s knows the other end is
// gone.
import { request as httpRequest } from "node:http";
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import { answerProblem, type HttpHandler } from "#platform/network/http.ts";
import { decodeWire, encodeWire } from "./json.ts";

const HEARTBEAT_MS = 1000;
const SILENT_MS = 3000;
/** Changes within this span travel together. */
const GATHER_MS = 10;
const RETRY_MS = 250;
const LINE_BYTES_MAX = 16 * 1024 * 1024;

/** Answers `GET path` to bearers of an internal token with the state, for ever. */
export function stateFeed(deps: {
  path: string;
  keys: Keys;
  clock: Clock;
  state: () => unknown;
  onChange: (listener: () => void) => () => void;
}): HttpHandler {
  return (request, response) => {
    if (request.url !== deps.path || request.method !== "GET") return false;
    requireInternal(deps.keys, request.headers.authorization).then(
      () => {
        response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
        let gathering: Timer | null = null;
        let heartbeat: Timer;
        const send = () => {
          gathering?.cancel();
          gathering = null;
          heartbeat?.cancel();
          heartbeat = deps.clock.setTimer(HEARTBEAT_MS, send);
          if (response.writableLength < LINE_BYTES_MAX) response.write(`${encodeWire(deps.state())}\n`);
        };
        const stop = deps.onChange(() => (gathering ??= deps.clock.setTimer(GATHER_MS, send)));
        response.on("close", () => {
          stop();
          gathering?.cancel();
          heartbeat.cancel();
        });
        send();
      },
      (error) => answerProblem(response, error),
    );
    return true;
  };
}

/** @throws PlatformError api.unauthorized, api.forbidden */
export async function requireInternal(keys: Keys, authorization: string | undefined): Promise<void> {
  const token = bearer(authorization);
  if (token === null) throw new PlatformError("api.unauthorized", "A role's token is needed here.");
  const scope = await keys.verify(token);
  if (scope.kind !== "internal") throw new PlatformError("api.forbidden", `A ${scope.kind} token does not open this.`);
}

export interface RemoteState<S> {
  /** The newest state; null while the other end cannot be heard. */
  state(): S | null;
  onChange(listener: () => void): () => void;
  close(): void;
}

/** Follows a feed, and connects again for as long as it takes. */
export function followState<S>(deps: {
  url: () => string;
  token: () => Promise<string>;
  clock: Clock;
  log: Log;
}): RemoteState<S> {
  let state: S | null = null;
  let closed = false;
  let drop = () => {};
  const listeners = new Set<() => void>();
  const set = (next: S | null) => {
    state = next;
    for (const listener of listeners) listener();
  };

  async function connect(): Promise<void> {
    const token = await deps.token();
    await new Promise<void>((resolve, reject) => {
      let silent: Timer | null = null;
      let text = "";
      const request = httpRequest(deps.url(), { headers: { authorization: `Bearer ${token}` }, agent: false });
      const heard = () => {
        silent?.cancel();
        silent = deps.clock.setTimer(SILENT_MS, () => request.destroy(new Error("silent for 3 s")));
      };
      drop = () => request.destroy();
      heard();
      request.on("response", (response) => {
        if (response.statusCode !== 200) return void request.destroy(new Error(`answered ${response.statusCode}`));
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          heard();
          text += chunk;
          const lines = text.split("\n");
          text = lines.pop()!;
          const newest = lines.at(-1);
          if (newest !== undefined) set(decodeWire(newest) as S);
        });
        response.on("close", () => request.destroy());
      });
      request.on("error", reject);
      request.on("close", () => {
        silent?.cancel();
        resolve();
      });
      request.end();
    });
  }

  void (async () => {
    while (!closed) {
      try {
        await connect();
      } catch (error) {
        deps.log.debug("state feed lost", { url: deps.url(), reason: describe(error) });
      }
      if (closed) break;
      if (state !== null) set(null);
      await new Promise<void>((resolve) => deps.clock.setTimer(RETRY_MS, resolve));
    }
  })();

  return {
    state: () => state,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      drop();
    },
  };
}
