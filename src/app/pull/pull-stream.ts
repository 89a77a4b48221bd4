// Fetches one remote stream and hands it to the gateway as any encoder would: one long PUT. What a source sends in bursts
// (HLS, a segment at a time) is paced by its decode times first, or viewers would get it in bursts too.
import { type ClientRequest, request as httpRequest } from "node:http";
import { after, type Clock } from "#base/clock.ts";
import { isErrorCode, PlatformError } from "#base/errors.ts";
import type { OpenRemoteInput, RemoteInput, RemoteReader } from "#platform/av/remote-input.ts";

/** What has given no stream by then gives none: a playlist that leads to itself would be read for ever. */
const OPEN_MS = 30_000;
/** The gateway takes nothing for so long: it is gone. */
const STALL_MS = 15_000;
const QUEUED_BYTES_MAX = 4 << 20;
/** Behind the first burst: the next one may come this much later than its length. */
const CUSHION_MS = 500;
/** Further from its time than this, the sender's clock is another. */
const JUMP_MS = 30_000;
const ANSWER_BYTES_MAX = 16_384;
const ANSWER_MS = 10_000;

export type PullDeps = Readonly<{
  clock: Clock;
  openRemoteInput: OpenRemoteInput;
  /** Where it goes, and what opens that door. */
  putUrl: string;
  token: string;
  signal: AbortSignal;
  onBegin: (input: RemoteInput) => void;
}>;

/** Resolves when the remote stream has ended, or the signal aborted.
 *  @throws PlatformError network.unreachable, media.unsupported, and what the gateway refused it with */
export async function pullStream(url: string, deps: PullDeps): Promise<void> {
  const reader = await opened(url, deps);
  const put = new Put(deps);
  try {
    deps.onBegin(reader.input);
    const pace = reader.input.isBursty ? new Pace(deps.clock, deps.signal) : null;
    while (!deps.signal.aborted) {
      const piece = await reader.read();
      if (piece === null) break;
      if (pace) await pace.until(piece.dtsMs);
      await put.write(piece.bytes);
    }
    await put.end();
  } catch (error) {
    if (!deps.signal.aborted) throw error;
  } finally {
    put.destroy();
    await reader.close();
  }
}

async function opened(url: string, { clock, openRemoteInput, signal }: PullDeps): Promise<RemoteReader> {
  const late = new AbortController();
  const timer = clock.setTimer(OPEN_MS, () => late.abort());
  try {
    return await openRemoteInput(url, AbortSignal.any([signal, late.signal]));
  } catch (cause) {
    if (!late.signal.aborted || signal.aborted) throw cause;
    throw new PlatformError("network.unreachable", `No stream was found within ${OPEN_MS / 1000} s.`, { cause });
  } finally {
    timer.cancel();
  }
}

class Pace {
  readonly #clock: Clock;
  readonly #aborted: Promise<void>;
  /** Monotonic instant of decode time 0. */
  #originMs: number | null = null;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#aborted = new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  async until(mediaMs: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    this.#originMs ??= nowMs - mediaMs + CUSHION_MS;
    const earlyMs = this.#originMs + mediaMs - nowMs;
    if (Math.abs(earlyMs) > JUMP_MS) this.#originMs = nowMs - mediaMs;
    else if (earlyMs > 1) await Promise.race([after(this.#clock, earlyMs), this.#aborted]);
  }
}

class Put {
  readonly #clock: Clock;
  readonly #request: ClientRequest;
  #failure: PlatformError | null = null;
  readonly #done: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor({ clock, putUrl, token }: PullDeps) {
    this.#clock = clock;
    const headers = { "content-type": "video/mp2t", authorization: `Bearer ${token}` };
    this.#request = httpRequest(putUrl, { method: "PUT", headers, agent: false });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#done = promise;
    const finish = (failure: PlatformError | null) => {
      this.#failure ??= failure;
      for (const wake of [...this.#waiting]) wake();
      resolve();
    };
    this.#request.on("drain", () => {
      for (const wake of [...this.#waiting]) wake();
    });
    this.#request.on("error", (cause) =>
      finish(new PlatformError("network.unreachable", `The gateway is not there: ${cause.message}.`, { cause })),
    );
    this.#request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        if (text.length < ANSWER_BYTES_MAX) text += piece;
      });
      response.on("end", () => finish(refusalOf(response.statusCode ?? 0, text, this.#request.writableEnded)));
      response.on("error", () => finish(new PlatformError("network.unreachable", "The gateway's answer broke off.")));
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    this.#request.write(bytes);
    while (this.#request.writableLength > QUEUED_BYTES_MAX) await this.#drained();
  }

  async end(): Promise<void> {
    if (this.#failure) throw this.#failure;
    this.#request.end();
    const timer = this.#clock.setTimer(ANSWER_MS, () => this.#request.destroy(new Error("no answer")));
    await this.#done;
    timer.cancel();
    if (this.#failure) throw this.#failure;
  }

  destroy(): void {
    this.#request.destroy();
  }

  async #drained(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const wake = () => resolve(true);
    this.#waiting.add(wake);
    const timer = this.#clock.setTimer(STALL_MS, () => resolve(false));
    const woken = await promise;
    timer.cancel();
    this.#waiting.delete(wake);
    if (!woken) throw new PlatformError("network.unreachable", `The gateway takes nothing for ${STALL_MS / 1000} s.`);
    if (this.#failure) throw this.#failure;
  }
}

/** Null when all is well: a success after our own end. */
function refusalOf(status: number, text: string, ended: boolean): PlatformError | null {
  if (status >= 200 && status < 300 && ended) return null;
  let problem: { code?: unknown; detail?: unknown } = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    // not ours: the status says what there is to say
  }
  const code = typeof problem.code === "string" && isErrorCode(problem.code) ? problem.code : "network.unreachable";
  const words = typeof problem.detail === "string" ? problem.detail : `status ${status}`;
  return new PlatformError(code, `The gateway ended it: ${words}`);
}
