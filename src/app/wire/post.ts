// Requests to servers of our customers: one answer within a time and a size, or an error that may be shown.
import { PlatformError } from "#base/errors.ts";
import type { Post } from "#modules/hooks/types.ts";

const ANSWER_BYTES_MAX = 65_536;

/** Redirects are not followed: what is signed is for one address.
 *  @throws PlatformError network.unreachable: no whole answer in time, or one of more than 64 KiB */
export const post: Post = async (url, body, headers, timeoutMs) => {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { method: "POST", body, headers, redirect: "manual", signal });
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of response.body ?? []) {
      bytes += piece.byteLength;
      if (bytes > ANSWER_BYTES_MAX) throw new PlatformError("network.unreachable", "its answer is too long");
      pieces.push(piece);
    }
    return { status: response.status, body: Buffer.concat(pieces).toString("utf8") };
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError("network.unreachable", `no answer: ${reasonOf(error as Error, timeoutMs)}`, {
      cause: error,
    });
  }
};

function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === "TimeoutError") return `it took more than ${timeoutMs} ms`;
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message === "" ? ((cause as NodeJS.ErrnoException).code ?? error.message) : cause.message;
}
