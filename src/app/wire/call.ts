// One call from role to role: JSON in, JSON out, errors with their code.
import { request as httpRequest } from "node:http";
import { type ErrorCode, isErrorCode, PlatformError } from "#base/errors.ts";
import type { Keys } from "#platform/keys/keys.ts";
import { answerProblem, type HttpHandler, readText } from "#platform/network/http.ts";
import { decodeWire, encodeWire } from "./json.ts";
import { requireInternal } from "./state-feed.ts";

const BODY_BYTES_MAX = 1024 * 1024;

/** POST `argument` and give what is answered.
 *  @throws PlatformError with the code the other side answered, or `unreachable` when it could not be asked */
export async function call<T>(options: {
  url: string;
  token: string;
  argument: unknown;
  timeoutMs: number;
  unreachable: ErrorCode;
}): Promise<T> {
  const { status, text } = await post(options).catch((error: Error) => {
    throw new PlatformError(options.unreachable, `No answer from ${new URL(options.url).host}.`, { cause: error });
  });
  const value = decodeWire(text === "" ? "null" : text);
  if (status < 300) return value as T;
  const { code = "", detail = text } = (value ?? {}) as { code?: string; detail?: string };
  throw new PlatformError(isErrorCode(code) ? code : options.unreachable, detail);
}

function post(options: { url: string; token: string; argument: unknown; timeoutMs: number }) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${options.token}`, "content-type": "application/json" };
    const signal = AbortSignal.timeout(options.timeoutMs);
    const request = httpRequest(options.url, { method: "POST", headers, signal }, (response) => {
      readText(response, BODY_BYTES_MAX).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    request.on("error", reject);
    request.end(encodeWire(options.argument));
  });
}

/** Serves `POST path` to bearers of an internal token. What `answer` throws goes back as a problem with its code. */
export function serveCall<A, R>(path: string, keys: Keys, answer: (argument: A) => Promise<R>): HttpHandler {
  return (request, response) => {
    if (request.url !== path || request.method !== "POST") return false;
    (async () => {
      await requireInternal(keys, request.headers.authorization);
      const argument = decodeWire((await readText(request, BODY_BYTES_MAX)) || "null") as A;
      const body = Buffer.from(encodeWire((await answer(argument)) ?? null));
      response.writeHead(200, { "content-type": "application/json", "content-length": body.byteLength });
      response.end(body);
    })().catch((error) => answerProblem(response, error));
    return true;
  };
}
