// Publishing MPEG-TS as the body of one long PUT: chunked, so that it may last for days.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "#base/clock.ts";
import { isErrorCode, PlatformError } from "#base/errors.ts";
import type { OpenTransportStream, TransportStreamWriter } from "#platform/av/media-file.ts";
import { type LiveOutput, type OutputTracks, type OutputUnit, QUEUED_BYTES_MAX, STALL_MS } from "./output.ts";

export type HttpOutputDeps = Readonly<{ clock: Clock; openTransportStream: OpenTransportStream }>;

const ANSWER_BYTES_MAX = 16_384;
/** After the last byte the server has so long to say how it went. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The connection is made with the first unit; a refusal comes out of a later `send` or of `end`.
 *  @throws PlatformError api.bad_request, av.failed */
export async function openHttpOutput(deps: HttpOutputDeps, url: string, tracks: OutputTracks): Promise<LiveOutput> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new PlatformError(
      "api.bad_request",
      "Not an address to PUT to: write http://HOST:PORT/ingest/CHANNEL.mpegts?key=KEY.",
    );
  return new HttpOutput(deps, new URL(url), await deps.openTransportStream(tracks));
}

class HttpOutput implements LiveOutput {
  readonly target: string;
  readonly #clock: Clock;
  readonly #writer: TransportStreamWriter;
  readonly #request: ClientRequest;
  #sentBytes = 0;
  #failure: PlatformError | null = null;
  readonly #waiting = new Set<() => void>();
  /** Resolves when nothing can come any more: the answer was read, or the connection is gone. */
  readonly #done: Promise<void>;
  #closed = false;

  constructor({ clock }: HttpOutputDeps, url: URL, writer: TransportStreamWriter) {
    this.#clock = clock;
    this.#writer = writer;
    this.target = `${url.origin}${url.pathname}`;
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    this.#request = send(url, { method: "PUT", headers: { "content-type": "video/mp2t" }, agent: false });
    this.#request.on("drain", () => this.#wake());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#done = promise;
    const finish = (failure: PlatformError | null) => {
      this.#failure ??= failure;
      this.#wake();
      resolve();
    };
    this.#request.on("error", (cause) =>
      finish(new PlatformError("network.unreachable", `${this.target}: ${cause.message || cause.name}.`)),
    );
    this.#request.on("response", (response) => {
      readAnswer(response).then(
        (text) => finish(refusalOf(response.statusCode ?? 0, text, this.#request.writableEnded)),
        (cause) => finish(new PlatformError("network.unreachable", `${this.target}: the answer broke off.`, { cause })),
      );
    });
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  async send(unit: OutputUnit): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const bytes = await this.#writer.write(unit);
    if (bytes.byteLength === 0) return;
    this.#sentBytes += bytes.byteLength;
    this.#request.write(bytes);
    while (this.#request.writableLength > QUEUED_BYTES_MAX) await this.#drained();
  }

  async end(): Promise<void> {
    if (this.#failure === null) {
      this.#request.end();
      const timer = this.#clock.setTimer(ANSWER_TIMEOUT_MS, () =>
        this.#request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)),
      );
      await this.#done;
      timer.cancel();
    }
    await this.#close();
    if (this.#failure !== null) throw this.#failure;
  }

  destroy(): void {
    this.#request.destroy();
    void this.#close();
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writer.close();
  }

  async #drained(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const wake = () => resolve(true);
    this.#waiting.add(wake);
    const timer = this.#clock.setTimer(STALL_MS, () => resolve(false));
    const woken = await promise;
    timer.cancel();
    this.#waiting.delete(wake);
    if (!woken) {
      this.#failure ??= new PlatformError("network.unreachable", `${this.target} reads nothing for ${STALL_MS} ms.`);
      this.#request.destroy();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) if (text.length < ANSWER_BYTES_MAX) text += String(chunk);
  return text;
}

/** Null when all is well: a success after our own end. The words are the server's own. */
function refusalOf(status: number, text: string, ended: boolean): PlatformError | null {
  const isSuccess = status >= 200 && status < 300;
  if (isSuccess && ended) return null;
  const { code, detail } = problemOf(text);
  const words = detail ?? (isSuccess ? "it closed the stream" : text.slice(0, 200).trim());
  const known =
    code !== null && isErrorCode(code)
      ? code
      : status === 401 || status === 403
        ? "publish.key_refused"
        : "network.unreachable";
  return new PlatformError(known, `The server refused: ${words} (HTTP ${status})`);
}

function problemOf(text: string): { code: string | null; detail: string | null } {
  try {
    const value: unknown = JSON.parse(text);
    const { code, detail } = (value ?? {}) as { code?: unknown; detail?: unknown };
    return { code: typeof code === "string" ? code : null, detail: typeof detail === "string" ? detail : null };
  } catch {
    return { code: null, detail: null }; // a server that does not speak problem JSON
  }
}
