// Pushes what a worker or packager makes to one origin: a long-running chunked POST per track (DASH-IF live ingest,
// interface 1), init segment first, and again after each reconnect with everything the origin has not said to have stored.
// The origin says so in the answer, which it writes while the request still runs: one line of JSON per stored segment.
// Why not one request per segment: a part must leave the moment it exists, and a request per part costs a head each way.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { BoundedQueue } from "#base/bounded-queue.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { describe, type ErrorCode, isErrorCode, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { writeProducerTime } from "#media/cmaf/producer-time.ts";
import { SEGMENT_END } from "#media/cmaf/segment-end.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { CmafSink, CmafTrackSink } from "#media/session-log/maker-ports.ts";
import { taiToUtc } from "#media/time/tai.ts";
import { inOnePiece } from "#platform/network/http.ts";

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2000;
/** Unacknowledged bytes of one track: at 20 Mbit/s, 50 s of an origin that is away. */
const UNSTORED_BYTES_MAX = 128 * 1024 * 1024;
const LINE_BYTES_MAX = 64 * 1024;
const ASK_TIMEOUT_MS = 3000;

/** Bytes that wait for origins, counted over all who share it. */
export type ByteBudget = { bytes: number; readonly bytesMax: number };

export const byteBudget = (bytesMax: number): ByteBudget => ({ bytes: 0, bytesMax });

/** Answers that another try will not change. */
const FINAL = [400, 403, 409, 415];

export type CmafPushOptions = Readonly<{
  originUrl: () => string;
  channel: string;
  session: string;
  token: () => Promise<string>;
  clock: Clock;
  log: Log;
  random: Random;
  /** For a process with many sessions: none is let in beyond it. */
  budget?: ByteBudget;
}>;

export function cmafPush(options: CmafPushOptions): CmafSink {
  const tracks: TrackPush[] = [];
  return {
    nextFrame: () => nextFrame(options),
    track(name, kind, era, init) {
      const track = new TrackPush(options, { name, kind, era, init });
      tracks.push(track);
      return track;
    },
    async drained(timeoutMs) {
      let timer: Timer | null = null;
      const late = new Promise<never>((_, reject) => {
        const fail = () =>
          reject(
            new PlatformError("network.unreachable", `The origin has not stored everything within ${timeoutMs} ms.`),
          );
        timer = options.clock.setTimer(timeoutMs, fail);
      });
      try {
        await Promise.race([Promise.all(tracks.map((track) => track.drained())), late]);
      } finally {
        timer!.cancel();
      }
    },
    close() {
      for (const track of tracks) track.close();
    },
  };
}

type Part = Parameters<CmafTrackSink["push"]>[0];
type Line = { stored?: { start: number }; error?: { code?: string; detail?: string; status: number } };
type TrackOptions = Readonly<{ name: string; kind: "video" | "audio"; era: number; init: Uint8Array }>;

class TrackPush implements CmafTrackSink {
  readonly #options: CmafPushOptions;
  readonly #track: TrackOptions;
  /** Not known to be stored, oldest first: what a reconnect sends again. */
  readonly #unstored = new BoundedQueue<Part>(UNSTORED_BYTES_MAX, (part) => part.bytes.byteLength);
  #request: ClientRequest | null = null;
  #ended = false;
  #closed = false;
  #retry: Timer | null = null;
  #failures = 0;
  #failed: PlatformError | null = null;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(options: CmafPushOptions, track: TrackOptions) {
    this.#options = options;
    this.#track = track;
    void this.#connect();
  }

  /** @throws PlatformError what the origin refused it with, or network.unreachable when too much waits for it */
  push(part: Part): void {
    if (this.#failed) throw this.#failed;
    const { budget } = this.#options;
    const isOver = budget !== undefined && budget.bytes + part.bytes.byteLength > budget.bytesMax;
    if (isOver || !this.#unstored.push(part))
      throw new PlatformError(
        "network.unreachable",
        `The origin takes nothing: ${this.#unstored.weight} bytes of ${this.#track.name} wait for it.`,
      );
    if (budget) budget.bytes += part.bytes.byteLength;
    if (this.#request) send(this.#request, part);
  }

  end(): void {
    this.#ended = true;
    this.#request?.end();
    this.#settle();
  }

  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#settle();
    });
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#request?.destroy();
    for (let part = this.#unstored.shift(); part; part = this.#unstored.shift()) this.#forget(part);
  }

  #forget({ bytes }: Part): void {
    const { budget } = this.#options;
    if (budget) budget.bytes -= bytes.byteLength;
  }

  #settle(): void {
    if (this.#failed === null && this.#unstored.length > 0) return;
    for (const { resolve, reject } of this.#waiting) this.#failed ? reject(this.#failed) : resolve();
    this.#waiting = [];
  }

  async #connect(): Promise<void> {
    const { originUrl, channel, session, token, log } = this.#options;
    const { name, kind, era, init } = this.#track;
    const path = `/ingest/${channel}/Streams(${name}.${kind === "video" ? "cmfv" : "cmfa"})?session=${session}&era=${era}`;
    const headers = {
      authorization: `Bearer ${await token()}`,
      "content-type": `${kind}/mp4`,
      accept: "application/x-ndjson",
    };
    if (this.#closed) return;
    const request = httpRequest(new URL(path, originUrl()), { method: "POST", headers, agent: false });
    request.setNoDelay(true);
    let refusal: Error | null = null;
    const refused = (error: PlatformError, status: number) => {
      refusal = error;
      if (FINAL.includes(status)) this.#fail(error);
      request.destroy();
    };
    request.on("response", (response) => {
      const status = response.statusCode ?? 0;
      if (status === 200) this.#readAnswer(response, refused);
      else
        readProblem(response).then(
          (error) => refused(error, status),
          (error) => request.destroy(error),
        );
    });
    request.on("error", (error) => log.debug("push cut off", { track: name, reason: describe(refusal ?? error) }));
    request.on("close", () => {
      if (this.#request === request) this.#request = null;
      if (this.#closed || this.#failed || (this.#ended && this.#unstored.length === 0)) return;
      const waitMs =
        Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures++) * (0.75 + this.#options.random.next() / 2);
      if (this.#failures === 3)
        log.warn("the origin cannot be reached", { track: name, reason: describe(refusal ?? "cut off") });
      this.#retry = this.#options.clock.setTimer(waitMs, () => void this.#connect());
    });
    this.#request = request;
    request.write(init);
    for (const part of this.#unstored) send(request, part);
    if (this.#ended) request.end();
  }

  /** @param refused told what the origin will take no more for */
  #readAnswer(response: IncomingMessage, refused: (error: PlatformError, status: number) => void): void {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop()!;
      if (text.length > LINE_BYTES_MAX) response.destroy(new Error("an endless line"));
      for (const line of lines) if (line !== "") this.#take(line, refused);
    });
    response.on("error", () => {}); // the request's close follows and reconnects
  }

  /** `{"stored": {"start": TICKS, ...}}`: the segment that starts there, and so all before it. `{"error": PROBLEM}`: what
   *  a status would say, had the answer not begun already. */
  #take(line: string, refused: (error: PlatformError, status: number) => void): void {
    const { stored, error } = JSON.parse(line) as Line;
    if (error) refused(problemOf(error, error.status), error.status);
    if (stored === undefined) return;
    this.#failures = 0;
    for (let part = this.#unstored.peek(); part && part.segmentStartTicks <= stored.start; part = this.#unstored.peek())
      this.#forget(this.#unstored.shift()!);
    this.#settle();
  }

  #fail(error: PlatformError): void {
    this.#failed = error;
    this.#settle();
  }
}

/** With the instant its newest frame reached the gateway, for the origin's account of latency, and whether its segment is
 *  complete with it. The part itself is not copied. */
function send(request: ClientRequest, { newestArrivedNs, startTicks, lastOfSegment, bytes }: Part): void {
  inOnePiece(request, () => {
    request.write(writeProducerTime(taiToUtc(newestArrivedNs), startTicks));
    if (lastOfSegment) request.write(SEGMENT_END);
    request.write(bytes);
  });
}

async function readProblem(response: IncomingMessage): Promise<PlatformError> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) if (text.length < LINE_BYTES_MAX) text += chunk;
  return problemOf({ detail: text, ...parseProblem(text) }, response.statusCode ?? 0);
}

function problemOf({ code = "", detail = "" }: { code?: string; detail?: string }, status: number): PlatformError {
  const known: ErrorCode = isErrorCode(code) ? code : "network.unreachable";
  return new PlatformError(known, `the origin answered ${status}: ${detail}`);
}

function parseProblem(text: string): { code?: string; detail?: string } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {}; // not ours: the text itself is told
  }
}

/** What the origin misses of the session; null when it has nothing of it, or does not know it yet.
 *  @throws PlatformError network.unreachable */
async function nextFrame({ originUrl, session, token }: CmafPushOptions): Promise<EraFrame | null> {
  const url = new URL(`/internal/origin/sessions/${session}`, originUrl());
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${await token()}` },
    signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
  }).catch((cause) => {
    throw new PlatformError("network.unreachable", `The origin ${url.host} does not answer.`, { cause });
  });
  if (response.status === 404) return null;
  if (!response.ok)
    throw new PlatformError("network.unreachable", `The origin ${url.host} answered ${response.status}.`);
  const { next } = (await response.json()) as { next: EraFrame | null };
  return next;
}
