// Requests with the times a judge needs: when it was sent, when the head and the last byte came.
import { Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { gunzipSync } from "node:zlib";

export type Answer = Readonly<{
  url: string;
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  sentMs: number;
  /** First byte of the body, and the last: a part that dribbles shows here. */
  firstByteMs: number;
  receivedMs: number;
}>;

export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #headers: Readonly<Record<string, string>>;
  readonly #open = new Set<ReturnType<typeof httpRequest>>();

  constructor(headers: Readonly<Record<string, string>> = {}) {
    this.#headers = headers;
  }

  get(
    url: string,
    options: { method?: string; headers?: Record<string, string>; timeoutMs?: number } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sentMs = performance.now();
      const headers = { ...this.#headers, ...options.headers };
      const request = httpRequest(url, { agent: this.#agent, method: options.method ?? "GET", headers }, (response) => {
        const chunks: Buffer[] = [];
        let firstByteMs = Number.NaN;
        response.on("data", (chunk: Buffer) => {
          if (chunks.length === 0) firstByteMs = performance.now();
          chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          const raw = Buffer.concat(chunks);
          const body = response.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
          resolve({
            url,
            status: response.statusCode ?? 0,
            headers: response.headers,
            body,
            sentMs,
            firstByteMs,
            receivedMs: performance.now(),
          });
        });
      });
      this.#open.add(request);
      request.on("close", () => this.#open.delete(request));
      request.on("error", reject);
      request.setTimeout(options.timeoutMs ?? 60_000, () => request.destroy(new Error(`no answer from ${url}`)));
      request.end();
    });
  }

  close(): void {
    for (const request of this.#open) request.destroy();
    this.#agent.destroy();
  }
}
