// Whether a session's publisher is there, as far as its media tells: one whose media stops counts as away, whatever its
// connection does.
import type { GatewaySession } from "./types.ts";

/** Without media for so long the publisher counts as away. */
export const SILENCE_MS = 1000;
/** Slow sources may pause for this many frames, up to so long. */
const SILENCE_FRAMES = 3;
const SILENCE_MS_MAX = 5000;

/** Ticks come ten times a second. After a gap of this it was this process that stood still (a frozen virtual machine), not
 *  the publisher: what it sent meanwhile waits in the socket, and is read before the next tick. */
const OWN_PAUSE_MS = 700;

export class Presence {
  #state: GatewaySession["state"];
  /** When media was appended last, monotonic. */
  #mediaMs = 0;
  #tickMs: number;
  /** A publisher that said goodbye comes back soon, or the session ends where it stopped. */
  #saidGoodbye = false;

  /** @param isRestored the session had media before this process did */
  constructor(nowMs: number, isRestored: boolean) {
    this.#state = isRestored ? "interrupted" : "starting";
    this.#tickMs = nowMs;
  }

  get state(): GatewaySession["state"] {
    return this.#state;
  }

  /** The publisher is away without a word: what is missing is a hole. */
  get isMissed(): boolean {
    return this.#state === "interrupted" && !this.#saidGoodbye;
  }

  /** Media was appended, or is about to be. @param atMs when it came, monotonic */
  heard(atMs: number): void {
    this.#mediaMs = atMs;
    this.#state = "live";
  }

  /** The publisher is gone. @param clean it said so @returns whether it was there until now */
  left(clean: boolean): boolean {
    const wasLive = this.#state === "live";
    this.#saidGoodbye = clean && wasLive;
    if (wasLive) this.#state = "interrupted";
    return wasLive;
  }

  ended(): void {
    this.#state = "ended";
  }

  /** Time passes. To be called before media is looked for. */
  tick(nowMs: number): void {
    const pausedMs = nowMs - this.#tickMs;
    this.#tickMs = nowMs;
    if (pausedMs >= OWN_PAUSE_MS) this.#mediaMs = Math.min(nowMs, this.#mediaMs + pausedMs);
  }

  /** From now on it is away, if it has been silent for too long. To be called after media was looked for.
   *  @param framesPerSecond of the source; null: nobody knows @returns ms of silence; null when it is not away by that */
  silence(nowMs: number, framesPerSecond: number | null): number | null {
    const framesMs = (SILENCE_FRAMES * 1000) / (framesPerSecond ?? SILENCE_FRAMES);
    const silentMs = nowMs - this.#mediaMs;
    if (this.#state !== "live" || silentMs <= Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS, framesMs))) return null;
    this.#state = "interrupted";
    this.#saidGoodbye = false;
    return silentMs;
  }
}
