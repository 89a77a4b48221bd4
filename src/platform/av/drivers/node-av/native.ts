// What every machine of this driver stands on: one loaded library, checked calls, and one call at a time.
import { AV_LOG_FATAL, AVERROR_EAGAIN, AVERROR_EOF } from "node-av/constants";
import { Codec, FFmpegError, Log } from "node-av/lib";
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";

// The library writes to standard error by itself: several lines for each damaged picture of a lossy source at its level
// "error". What fails a call comes back as a code, and damage is counted from the log's own marks.
Log.setLevel(AV_LOG_FATAL);

/** @returns the code when it is not negative @throws PlatformError av.failed with the library's own text */
export function check(code: number, operation: string): number {
  if (code >= 0) return code;
  throw new PlatformError("av.failed", `${operation}: ${FFmpegError.strerror(code)} (${code})`);
}

/** For receive loops: true when there is something, false when there is nothing now or any more. */
export function received(code: number, operation: string): boolean {
  if (code === AVERROR_EAGAIN || code === AVERROR_EOF) return false;
  return check(code, operation) >= 0;
}

export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new PlatformError("av.failed", `${what} is missing in this build`);
  return value;
}

/** The library types codec names as a closed list. */
export function findDecoder(name: string): Codec {
  return present(Codec.findDecoderByName(name as Parameters<typeof Codec.findDecoderByName>[0]), `decoder ${name}`);
}

export function findEncoder(name: string): Codec {
  return present(Codec.findEncoderByName(name as Parameters<typeof Codec.findEncoderByName>[0]), `encoder ${name}`);
}

/** One native object's calls, strictly one after the other, and its end after the last of them. Two overlapping calls on
 *  one codec are a segmentation fault, and so is a codec that is freed under a pending call. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  /** Runs when all calls before it have settled. Rejects after close(). */
  async run<T>(work: () => Promise<T>): Promise<T> {
    assert.ok(this.#closing === null, "a closed machine takes no more work");
    return this.#queue(work);
  }

  /** @param free runs once, when nothing uses the object any more */
  close(free: () => void): Promise<void> {
    this.#closing ??= this.#queue(async () => free());
    return this.#closing;
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work, work);
    this.#tail = result.catch(() => {}); // the caller of this work gets its error; the next one only its turn
    return result;
  }
}
