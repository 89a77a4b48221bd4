// JSON log lines, one per event, with ids and without secrets.
// Redaction is by key name and by pattern: publish keys travel in URLs (rtmp://host/live/x?key=...), so every string
// that is logged passes the pattern, wherever it came from.
import { pino } from "pino";

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  /** For defects and for what a person must see; operating errors carry `code`. */
  error(event: string, fields?: Fields): void;
  /** The same log with fields (session, channel, worker, ...) on every line. */
  child(fields: Fields): Log;
}

const SECRET_KEY = /^(key|publishKey|streamKey|token|adminToken|secret|password|passphrase|authorization|cookie)$/i;
const SECRET_IN_TEXT =
  /((?:[?&;,]|^|\b)(?:key|token|access_token|s|passphrase|password)=)[^&\s"',;]+|(Bearer\s+)[\w.~+/-]+=*/gi;
const HIDDEN = "[hidden]";

/** The value without secrets: by key name, and inside any text (`?key=...`, `Bearer ...`). */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string")
    return value.replace(SECRET_IN_TEXT, (_, query, bearer) => `${query ?? bearer}${HIDDEN}`);
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Error) return redact(errorFields(value), depth);
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (depth > 6) return "[deep]";
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, SECRET_KEY.test(key) ? HIDDEN : redact(item, depth + 1)]),
  );
}

function errorFields(error: Error): Fields {
  const { code } = error as { code?: unknown };
  return {
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.cause instanceof Error ? { cause: error.cause.message } : {}),
    ...(code === undefined ? { stack: error.stack } : {}),
  };
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** @param write takes one line with its newline; standard error by default, so that standard output stays for answers */
export function jsonLog(level: LogLevel, fields: Fields = {}, write?: (line: string) => void): Log {
  const destination = write === undefined ? pino.destination({ fd: 2, sync: true }) : { write };
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: "event" };
  return wrap(
    pino({ ...options, formatters: { level: (label) => ({ level: label }) } }, destination).child({ ...fields }),
  );
}

type Sink = ReturnType<typeof pino>;

function wrap(sink: Sink): Log {
  const clean = (fields: Fields | undefined) => (fields === undefined ? {} : (redact(fields) as object));
  return {
    debug: (event, fields) => sink.isLevelEnabled("debug") && sink.debug(clean(fields), event),
    info: (event, fields) => sink.isLevelEnabled("info") && sink.info(clean(fields), event),
    warn: (event, fields) => sink.isLevelEnabled("warn") && sink.warn(clean(fields), event),
    error: (event, fields) => sink.isLevelEnabled("error") && sink.error(clean(fields), event),
    child: (fields) => wrap(sink.child(redact(fields) as object)),
  };
}

/** For tests that do not look at the log. */
export const silentLog: Log = jsonLog("silent", {}, () => {});
