// The one table of what can go wrong in operation. A code is a promise to operators and to programs: it may get a
// better message, never another meaning.

/** Per code: the HTTP status it is answered with. */
const STATUS = {
  "api.bad_request": 400, // a body, path or query that the contract does not allow
  "api.unauthorized": 401, // no token, or one that is not ours
  "api.forbidden": 403, // a token of another scope; a foreign Host or Origin header
  "api.not_found": 404,
  "api.conflict": 409,
  "config.invalid": 500, // the configuration file or the environment
  "channel.unknown": 404,
  "channel.read_only": 409, // defined in the configuration file
  "channel.changed_meanwhile": 412, // by somebody else, since the caller read it
  "channel.key_unknown": 404,
  "publish.key_refused": 403,
  "publish.channel_unknown": 404, // and autoCreate is off
  "publish.channel_busy": 409, // somebody else publishes to it now
  "publish.hook_refused": 403, // by the customer's own word
  "publish.kicked": 409, // an operator disconnected the publisher
  "publish.unavailable": 503, // control or origin cannot be reached
  "ingest.unsupported_codec": 415,
  "ingest.no_key_frame": 422, // none within 10 s
  "ingest.no_data": 408, // a publisher that sends nothing
  "ingest.too_fast": 429, // more bytes a second than the channel allows
  "ingest.gop_too_long": 422, // copied pictures: a segment would exceed the target duration
  "ingest.open_gop": 422, // copied pictures: random access points that are no IDR
  "ingest.over_limit": 422, // more than the channel's limits allow
  "ingest.garbage": 400, // no container found in the bytes
  "log.unknown_session": 404,
  "log.position_gone": 410, // older than the ring
  "log.reader_too_slow": 429, // cut off: it fell further behind than the ring may hold
  "media.truncated": 400,
  "media.malformed": 400,
  "media.unsupported": 415,
  "rtmp.malformed": 400,
  "origin.init_missing": 412, // the sender must send its init segment first (again)
  "origin.session_unknown": 404,
  "origin.stale": 503, // no update for 1.5 target durations
  "origin.busy": 503, // too many waiters, or not released in time
  "origin.copy_differs": 409, // same track, same start, other bytes
  "placement.no_capacity": 503,
  "av.failed": 500, // a call into FFmpeg returned an error
  "journal.failed": 503, // disk full, read-only, gone
  "network.unreachable": 502,
  "network.address_in_use": 500,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** What the world did to us. `message` names the wrong value and says what to do; `cause` keeps the original. */
export class PlatformError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "PlatformError";
    this.code = code;
  }

  get http(): number {
    return STATUS[this.code];
  }
}

/** Whether a code that arrived as text from another process is one of ours. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(STATUS, text); // not `in`: "toString" is no code
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
