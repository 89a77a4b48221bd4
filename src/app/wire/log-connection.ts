// One connection to a session's log: HTTP, read no faster than the entries are taken.
// A dead peer does not say that it is dead, so silence is measured; but only while we wait for bytes, since a reader
// that pauses hears nothing either.
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Clock } from "#base/clock.ts";
import { isErrorCode, PlatformError } from "#base/errors.ts";
import { EntryReader, type LogRecord } from "#media/session-log/codec.ts";
import type { Positioned } from "#media/session-log/entries.ts";

/** The gateway sends something every second. */
const SILENT_MS = 3000;
const PROBLEM_BYTES_MAX = 64 * 1024;

/** Entries as they come; returns when the gateway has said that the log has ended and nothing more comes.
 *  @param heard called whenever the gateway shows that it is there
 *  @throws PlatformError network.unreachable (refused, cut, silent), media.* (not a session log), and with the code that
 *  the gateway answered */
export async function* readLog(options: {
  url: URL;
  token: string;
  clock: Clock;
  signal: AbortSignal;
  heard: () => void;
}): AsyncGenerator<Positioned> {
  const { url, clock, heard } = options;
  const { response, close } = await open(options);
  try {
    const reader = new EntryReader();
    const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      const silence = clock.setTimer(SILENT_MS, () => response.destroy(silent()));
      const chunk = await chunks
        .next()
        .catch((cause) => Promise.reject(unreachable(url, cause)))
        .finally(() => silence.cancel());
      if (chunk.done && response.complete && reader.atBorder) return;
      if (chunk.done) throw unreachable(url, new Error("the answer was cut off"));
      for (const record of reader.push(chunk.value)) {
        heard(); // not for a header alone: something that accepts and then says nothing would be waited for without end
        const at = entryOf(record, url);
        if (at !== null) yield at;
      }
    }
  } finally {
    close();
  }
}

function entryOf(record: LogRecord, url: URL): Positioned | null {
  if (record.kind === "entry") return record.at;
  if (record.kind === "idle") return null;
  const { code, message } = record;
  throw code === "internal" ? unreachable(url, new Error(message)) : new PlatformError(code, message);
}

type Opened = { response: IncomingMessage; close: () => void };

function open(options: { url: URL; token: string; clock: Clock; signal: AbortSignal }): Promise<Opened> {
  const { url, token, clock, signal } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers: { authorization: `Bearer ${token}` }, agent: false, signal });
    const silence = clock.setTimer(SILENT_MS, () => request.destroy(silent()));
    const close = () => {
      silence.cancel();
      request.destroy();
    };
    request.setNoDelay(true);
    request.on("error", (cause) => {
      close();
      reject(unreachable(url, cause));
    });
    request.on("response", (response) => {
      if (response.statusCode === 200) {
        silence.cancel();
        resolve({ response, close });
        return;
      }
      problemOf(response, url)
        .catch((cause) => unreachable(url, cause))
        .then((error) => {
          close();
          reject(error);
        });
    });
    request.end();
  });
}

/** The gateway's refusal, or network.unreachable for an answer that is not the gateway's. */
async function problemOf(response: IncomingMessage, url: URL): Promise<PlatformError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > PROBLEM_BYTES_MAX) break;
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  const { code, detail } = parsed(text);
  if (typeof code === "string" && isErrorCode(code)) return new PlatformError(code, String(detail));
  return unreachable(url, new Error(`answered ${response.statusCode}`));
}

function parsed(text: string): { code?: unknown; detail?: unknown } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {}; // some other server's page
  }
}

const silent = () => new Error(`nothing heard for ${SILENT_MS} ms`);

function unreachable(url: URL, cause: unknown): PlatformError {
  return new PlatformError("network.unreachable", `Cannot read the session log at ${url.host}.`, { cause });
}
