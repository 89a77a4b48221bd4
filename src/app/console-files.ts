// The console's pages over HTTP: `/`, `/watch/CHANNEL` and the hashed files they load. The build is read into memory once
// (1 MB), so no request path ever becomes a file name and there is nothing to climb out of.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { CHANNEL_NAME } from "#media/channel.ts";
import { acceptsGzip, answerProblem, type HttpHandler } from "#platform/network/http.ts";
import { type ConsoleBundle, type ConsoleFile, openConsoleBundle } from "./console-bundle.ts";

export interface ConsoleFiles {
  readonly handler: HttpHandler;
  /** Find or build the pages now; without it the first visitor starts that and sees a page that says so.
   *  @throws PlatformError config.invalid when they cannot be built */
  prepare(): Promise<void>;
}

/** After a failed build the next try waits so long. */
const RETRY_MS = 10_000;

const HTML_CACHE = "no-cache"; // may be kept, must be asked for: it names the newest assets
const ASSET_CACHE = "public, max-age=31536000, immutable"; // its name holds a hash of it

/** What both pages may do: load and talk to where they came from, run no inline script, load no foreign thing. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'";
const CONSOLE_POLICY = `${POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
/** The player may sit in anybody's frame, and media come from memory (Media Source). */
const WATCH_POLICY = `${POLICY}; media-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors *`;

const COMMON = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer", // a token may stand in the address of the event feed
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
};

type Page = Readonly<{ file: string; headers: Readonly<Record<string, string>> }>;

const CONSOLE: Page = {
  file: "index.html",
  headers: { "content-security-policy": CONSOLE_POLICY, "x-frame-options": "DENY", "cache-control": HTML_CACHE },
};
const WATCH: Page = {
  file: "watch.html",
  headers: { "content-security-policy": WATCH_POLICY, "cache-control": HTML_CACHE },
};

/** @param deps.cacheFolder where a build may be kept: the data folder's `cache` */
export function consoleFiles(deps: { cacheFolder: string; clock: Clock; log: Log }): ConsoleFiles {
  const { cacheFolder, clock, log } = deps;
  let bundle: ConsoleBundle | null = null;
  let opening: Promise<void> | null = null;
  let failure: { error: unknown; atMs: number } | null = null;

  function prepare(): Promise<void> {
    opening ??= open().finally(() => (opening = null));
    return opening;
  }

  async function open(): Promise<void> {
    if (bundle !== null) return;
    const startMs = clock.monotonicMs();
    try {
      bundle = await openConsoleBundle(cacheFolder);
      failure = null;
      log.info("console ready", { files: bundle.size, tookMs: Math.round(clock.monotonicMs() - startMs) });
    } catch (error) {
      failure = { error, atMs: clock.monotonicMs() };
      log.error("console cannot be built", { error });
      throw error;
    }
  }

  function answerUnready(response: ServerResponse, page: Page): void {
    const recent = failure !== null && clock.monotonicMs() - failure.atMs < RETRY_MS;
    if (!recent) prepare().catch(() => {}); // logged and kept in `failure`
    const text = recent
      ? "The console could not be built; the log says why. Trying again."
      : "The console is being built. This takes a few seconds, once.";
    const body = Buffer.from(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="dark"><meta http-equiv="refresh" content="1"><title>Continuity</title><p>${text}</p></html>`,
    );
    response.writeHead(503, {
      ...COMMON,
      ...page.headers,
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "retry-after": "1",
      "content-length": body.byteLength,
    });
    response.end(body);
  }

  function handler(request: IncomingMessage, response: ServerResponse): boolean {
    const path = (request.url ?? "").split("?", 1)[0]!;
    const isAsset = path.startsWith("/assets/");
    const isWatch = path === "/watch" || path.startsWith("/watch/");
    if (path !== "/" && !isAsset && !isWatch) return false;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD", "content-length": 0 }).end();
      return true;
    }
    if (isAsset) {
      const file = bundle?.get(path.slice(1));
      if (file === undefined) answerNotFound(response, path);
      else answerFile(request, response, file, { "cache-control": ASSET_CACHE });
      return true;
    }
    if (isWatch && !CHANNEL_NAME.test(path.slice("/watch/".length))) {
      answerNotFound(response, path);
      return true;
    }
    const page = isWatch ? WATCH : CONSOLE;
    const file = bundle?.get(page.file);
    if (file === undefined) answerUnready(response, page);
    else answerFile(request, response, file, page.headers);
    return true;
  }

  return { handler, prepare };
}

function answerNotFound(response: ServerResponse, path: string): void {
  const message = `Nothing is at ${path.slice(0, 200)}; the console is at /, a channel's player at /watch/CHANNEL.`;
  answerProblem(response, new PlatformError("api.not_found", message), { "cache-control": "no-store" });
}

function answerFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: ConsoleFile,
  headers: Readonly<Record<string, string>>,
): void {
  const own = { ...COMMON, ...headers, etag: file.etag, vary: "accept-encoding" };
  if (matches(request.headers["if-none-match"], file.etag)) {
    response.writeHead(304, own).end();
    return;
  }
  const compressed = file.gzip !== null && acceptsGzip(request);
  const body = compressed ? file.gzip! : file.bytes;
  response.writeHead(200, {
    ...own,
    "content-type": file.type,
    "content-length": body.byteLength,
    ...(compressed ? { "content-encoding": "gzip" } : {}),
  });
  response.end(body); // of a HEAD request node sends the head alone
}

/** Source: RFC 9110, section 13.1.2; weak comparison. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === "*" || header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
