// The one table of what can go wrong in operation. A code is a promise to operators and to programs: it may get a
// better message, never another meaning.

/** Per code: the HTTP status it is answered with, and whether the same call may succeed later. */
const CODES = {
  "api.bad_request": { http: 400, retry: "never" }, // a body, path or query that the contract does not allow
  "api.unauthorized": { http: 401, retry: "never" }, // no token, or one that is not ours
  "api.forbidden": { http: 403, retry: "never" }, // a token of another scope; a foreign Host or Origin header
  "api.not_found": { http: 404, retry: "never" },
  "api.conflict": { http: 409, retry: "never" },
  "config.invalid": { http: 500, retry: "never" }, // the configuration file or the environment
  "channel.unknown": { http: 404, retry: "never" },
  "channel.read_only": { http: 409, retry: "never" }, // defined in the configuration file
  "channel.changed_meanwhile": { http: 412, retry: "never" }, // by somebody else, since the caller read it
  "channel.key_unknown": { http: 404, retry: "never" },
  "publish.key_refused": { http: 403, retry: "never" },
  "publish.channel_unknown": { http: 404, retry: "never" }, // and autoCreate is off
  "publish.channel_busy": { http: 409, retry: "later" }, // somebody else publishes to it now
  "publish.hook_refused": { http: 403, retry: "never" }, // by the customer's own word
  "publish.kicked": { http: 409, retry: "later" }, // an operator disconnected the publisher
  "publish.unavailable": { http: 503, retry: "later" }, // control or origin cannot be reached
  "ingest.unsupported_codec": { http: 415, retry: "never" },
  "ingest.no_key_frame": { http: 422, retry: "never" }, // none within 10 s
  "ingest.no_data": { http: 408, retry: "later" }, // a publisher that sends nothing
  "ingest.too_fast": { http: 429, retry: "later" }, // more bytes a second than the channel allows
  "ingest.gop_too_long": { http: 422, retry: "never" }, // copied pictures: a segment would exceed the target duration
  "ingest.open_gop": { http: 422, retry: "never" }, // copied pictures: random access points that are no IDR
  "ingest.over_limit": { http: 422, retry: "never" }, // more than the channel's limits allow
  "ingest.garbage": { http: 400, retry: "never" }, // no container found in the bytes
  "log.unknown_session": { http: 404, retry: "never" },
  "log.position_gone": { http: 410, retry: "never" }, // older than the ring
  "log.reader_too_slow": { http: 429, retry: "later" }, // cut off: it fell further behind than the ring may hold
  "media.truncated": { http: 400, retry: "never" },
  "media.malformed": { http: 400, retry: "never" },
  "media.unsupported": { http: 415, retry: "never" },
  "rtmp.malformed": { http: 400, retry: "never" },
  "origin.init_missing": { http: 412, retry: "later" }, // the sender must send its init segment first (again)
  "origin.session_unknown": { http: 404, retry: "later" },
  "origin.stale": { http: 503, retry: "later" }, // no update for 1.5 target durations
  "origin.busy": { http: 503, retry: "later" }, // too many waiters, or not released in time
  "origin.copy_differs": { http: 409, retry: "never" }, // same track, same start, other bytes
  "placement.no_capacity": { http: 503, retry: "later" },
  "av.failed": { http: 500, retry: "never" }, // a call into FFmpeg returned an error
  "journal.failed": { http: 503, retry: "later" }, // disk full, read-only, gone
  "network.unreachable": { http: 502, retry: "later" },
  "network.address_in_use": { http: 500, retry: "never" },
} as const satisfies Record<string, { http: number; retry: "never" | "later" }>;

export type ErrorCode = keyof typeof CODES;

/** What the world did to us. `message` names the wrong value and says what to do; `cause` keeps the original. */
export class PlatformError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "PlatformError";
    this.code = code;
  }

  get http(): number {
    return CODES[this.code].http;
  }

  get retry(): "never" | "later" {
    return CODES[this.code].retry;
  }
}

export const errorCodes = Object.keys(CODES) as ErrorCode[];

/** Whether a code that arrived as text from another process is one of ours. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(CODES, text); // not `in`: "toString" is no code
}

/** The body of an HTTP error (RFC 9457), with our stable `code`. */
export type Problem = { type: string; title: string; status: number; detail: string; code: string };

/** Any thrown value as a problem. What is not a PlatformError is a defect: its text stays in the log. */
export function toProblem(error: unknown): Problem {
  if (error instanceof PlatformError) {
    const title = error.code.slice(error.code.indexOf(".") + 1).replaceAll("_", " ");
    return { type: "about:blank", title, status: error.http, detail: error.message, code: error.code };
  }
  return { type: "about:blank", title: "internal error", status: 500, detail: "See the log.", code: "internal" };
}

/** One line for a log or a terminal, causes included. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error instanceof PlatformError ? `${error.code}: ${error.message}` : error.message;
  if (error.cause === undefined) return own;
  const cause = describe(error.cause);
  return own.includes(cause) ? own : `${own} (${cause})`; // some messages tell their cause already
}
