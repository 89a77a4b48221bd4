// Answers of the delivery path: headers made once per body, bodies shared by all who ask.
// Lifetimes follow what the body is: a name is never used for other bytes, so media may be kept for ever; an answer that
// was waited for stays right for its URL; an error must never outlive its cause.
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { PlatformError } from "#base/errors.ts";
import { answerProblem } from "#platform/network/http.ts";
import type { NamedMedia } from "./named-media.ts";

/** Flat name, value, name, value: what node:http sends without looking at it again. */
export type RawHeaders = readonly string[];

export const CORS: RawHeaders = [
  "access-control-allow-origin",
  "*",
  "access-control-expose-headers",
  "CMSD-Static, CMSD-Dynamic, Date, Age, Server-Timing, ETag, Content-Length, Content-Range",
];

export const CACHE = {
  /** Media: the URI names these bytes and no others. */
  forever: "public, max-age=86400, immutable",
  /** A live playlist as it is now. */
  now: "no-cache",
  second: "public, max-age=1",
  never: "no-store",
} as const;

const PLAYLIST_TYPE = "application/vnd.apple.mpegurl";

/** A playlist's text in the encodings asked for, each made once. */
export class TextBody {
  readonly #text: string;
  #plain: Encoded | null = null;
  #gzip: Encoded | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  for(gzip: boolean): Encoded {
    this.#plain ??= new Encoded(Buffer.from(this.#text), null);
    if (gzip) this.#gzip ??= new Encoded(gzipSync(this.#plain.bytes), "gzip");
    return gzip ? this.#gzip! : this.#plain;
  }
}

class Encoded {
  readonly bytes: Buffer;
  /** The bytes as characters: node:http writes head and body as one string at once, and as two pieces if the body is a
   *  buffer. That is a fifth of what ten thousand answers cost. */
  readonly characters: string;
  readonly etag: string;
  readonly #encoding: string | null;
  readonly #headers = new Map<string, RawHeaders>();

  constructor(bytes: Buffer, encoding: string | null) {
    this.bytes = bytes;
    this.characters = bytes.toString("latin1");
    this.#encoding = encoding;
    this.etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  }

  headers(cacheControl: string): string[] {
    let headers = this.#headers.get(cacheControl);
    if (!headers) {
      headers = ["content-type", PLAYLIST_TYPE, "content-length", String(this.bytes.byteLength)].concat(
        ["cache-control", cacheControl, "etag", this.etag, "vary", "accept-encoding"],
        this.#encoding ? ["content-encoding", this.#encoding] : [],
        CORS,
      );
      this.#headers.set(cacheControl, headers);
    }
    return headers as string[];
  }
}

/** @param ifNoneMatch from the request; only where a client may revalidate */
export function sendText(
  response: ServerResponse,
  body: TextBody,
  gzip: boolean,
  cache: string,
  ifNoneMatch = "",
): void {
  const encoded = body.for(gzip);
  if (ifNoneMatch !== "" && ifNoneMatch === encoded.etag) {
    response.writeHead(304, ["etag", encoded.etag, "cache-control", cache, "vary", "accept-encoding", ...CORS]);
    response.end();
    return;
  }
  response.writeHead(200, encoded.headers(cache));
  response.end(encoded.characters, "latin1");
}

/** Finished media, whole or a range of it. Its name is its ETag. */
export function sendMedia(request: IncomingMessage, response: ServerResponse, media: NamedMedia): void {
  const { bytes, type } = media;
  const etag = `"${media.name}"`;
  const common = [
    "content-type",
    type,
    "cache-control",
    CACHE.forever,
    "etag",
    etag,
    "accept-ranges",
    "bytes",
    ...CORS,
  ];
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, common);
    response.end();
    return;
  }
  const wanted = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  const range = wanted ? parseRange(request.headers.range, bytes.byteLength) : null;
  if (range === "unsatisfiable") {
    response.writeHead(416, [
      "content-range",
      `bytes */${bytes.byteLength}`,
      "content-length",
      "0",
      ...common.slice(2),
    ]);
    response.end();
    return;
  }
  const body = range ? bytes.subarray(range.start, range.end) : bytes;
  const length = ["content-length", String(body.byteLength)];
  if (range) length.push("content-range", `bytes ${range.start}-${range.end - 1}/${bytes.byteLength}`);
  response.writeHead(range ? 206 : 200, [...length, ...common]);
  response.end(body);
}

/** One range, half-open. Null: none was asked for, or something that may be ignored (several ranges, another unit).
 *  Source: RFC 9110, 14.1.2 and 14.2 */
function parseRange(
  header: string | undefined,
  length: number,
): { start: number; end: number } | "unsatisfiable" | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return null;
  if (match[1] === "") {
    const last = Number(match[2]);
    return last === 0 || length === 0 ? "unsatisfiable" : { start: Math.max(0, length - last), end: length };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? length : Math.min(Number(match[2]) + 1, length);
  if (match[2] !== "" && Number(match[2]) < start) return null;
  return start >= length ? "unsatisfiable" : { start, end };
}

/** An error, for as short a time as a cache can keep it. */
export function sendError(response: ServerResponse, error: unknown): void {
  const status = error instanceof PlatformError ? error.http : 500;
  const headers: Record<string, string> = {
    "access-control-allow-origin": "*",
    "cache-control": status < 500 ? CACHE.second : CACHE.never,
  };
  if (status === 503) headers["retry-after"] = "1";
  answerProblem(response, error, headers);
}
