// Requests that wait for one thing: a part in a playlist, a part itself, the start of a channel. One event answers all of
// them; one timer watches over all of them. Ten thousand cost ten thousand entries in a set, and nothing else.
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "#base/clock.ts";

/** How many wait, over all groups. */
export type Waiting = { count: number; readonly max: number };

type Entry<T> = { readonly response: ServerResponse; readonly what: T; readonly untilMs: number };

export class HeldGroup<T> {
  #entries = new Set<Entry<T>>();
  #timer: Timer | null = null;
  readonly #clock: Clock;
  readonly #waiting: Waiting;
  readonly #limitMs: number;
  readonly #late: (response: ServerResponse, what: T) => void;

  /** @param late answers a request whose limit has passed */
  constructor(clock: Clock, waiting: Waiting, limitMs: number, late: (response: ServerResponse, what: T) => void) {
    this.#clock = clock;
    this.#waiting = waiting;
    this.#limitMs = limitMs;
    this.#late = late;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @returns false when too many wait already: nothing is held then */
  add(response: ServerResponse, what: T): boolean {
    if (this.#waiting.count >= this.#waiting.max) return false;
    const entry = { response, what, untilMs: this.#clock.monotonicMs() + this.#limitMs };
    this.#entries.add(entry);
    this.#waiting.count += 1;
    response.on("close", () => {
      if (this.#entries.delete(entry)) this.#waiting.count -= 1; // the client left; else it was answered
    });
    this.#timer ??= this.#clock.setTimer(this.#limitMs, () => this.#expire());
    return true;
  }

  /** Answer all, in the order they came. */
  release(answer: (response: ServerResponse, what: T) => void): void {
    const entries = this.#entries;
    this.#entries = new Set();
    this.#waiting.count -= entries.size;
    this.#timer?.cancel();
    this.#timer = null;
    for (const { response, what } of entries) answer(response, what);
  }

  #expire(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#entries) {
      if (entry.untilMs > nowMs) {
        this.#timer = this.#clock.setTimer(entry.untilMs - nowMs, () => this.#expire());
        return; // those behind it came later
      }
      this.#entries.delete(entry);
      this.#waiting.count -= 1;
      this.#late(entry.response, entry.what);
    }
  }
}
