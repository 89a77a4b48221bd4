// One reader of a session's log. It pulls from the ring at its own pace and holds no entries itself, so a slow reader
// costs nothing until what it has not read yet must leave the ring; then it is cut off.
import type { PlatformError } from "#base/errors.ts";
import type { Decision, Positioned } from "#media/session-log/entries.ts";

/** What a reader sees of the log. */
export interface ReadableLog {
  readonly next: number;
  readonly ended: boolean;
  /** @param position from the first held to next - 1 */
  at(position: number): Positioned;
  /** The first decision kept at or after a position; undefined when there is none (yet). */
  decisionFrom(position: number): Positioned<Decision> | undefined;
  /** The reader will read no more. */
  release(reader: LogReader): void;
}

export type ReaderOptions = Readonly<{
  /** Decisions alone: such a reader is never cut off. It misses boundaries that it is too late for, and nothing else. */
  decisionsOnly?: boolean;
  /** Called once when the reader is cut off, after the append that did it. */
  onCut?: (error: PlatformError) => void;
}>;

export class LogReader implements AsyncIterableIterator<Positioned> {
  readonly decisionsOnly: boolean;
  readonly #log: ReadableLog;
  readonly #onCut: ((error: PlatformError) => void) | undefined;
  /** From where on it has not seen the decisions kept; those before `#start` come from them. */
  #decision: number;
  readonly #start: number;
  /** Next position to be taken from the ring. */
  #position: number;
  #failure: PlatformError | null = null;
  #done = false;
  #listeners: (() => void)[] = [];

  /** @param start first position taken from the ring
   *  @param decisionsFrom decisions from this position to `start` come before it */
  constructor(log: ReadableLog, start: number, decisionsFrom: number, options: ReaderOptions) {
    this.#log = log;
    this.#start = start;
    this.#position = start;
    this.#onCut = options.onCut;
    this.decisionsOnly = options.decisionsOnly ?? false;
    this.#decision = decisionsFrom;
  }

  /** Entries from here on must stay in the ring for this reader. */
  get position(): number {
    return this.#position;
  }

  /** Nothing comes any more: the end was read, or the reader was closed. */
  get done(): boolean {
    return this.#done;
  }

  /** The next entry if there is one now. Null: nothing yet (see `whenReadable`), or `done`.
   *  @throws PlatformError log.reader_too_slow once it was cut off */
  poll(): Positioned | null {
    if (this.#failure !== null) throw this.#failure;
    if (this.#done) return null;
    const at = this.#take();
    if (at?.entry.kind === "end" || (at === null && this.#log.ended)) this.close();
    return at;
  }

  #take(): Positioned | null {
    if (this.decisionsOnly || this.#decision < this.#start) {
      const decision = this.#log.decisionFrom(this.#decision);
      const isBefore = decision !== undefined && (this.decisionsOnly || decision.position < this.#start);
      this.#decision = isBefore ? decision.position + 1 : Math.max(this.#decision, this.#start);
      if (isBefore) return decision;
    }
    if (this.decisionsOnly || this.#position >= this.#log.next) return null;
    const at = this.#log.at(this.#position);
    this.#position += 1;
    return at;
  }

  /** Call once, when `poll` may have something to say: an entry, the end or a failure. */
  whenReadable(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async next(): Promise<IteratorResult<Positioned>> {
    for (;;) {
      const value = this.poll();
      if (value !== null) return { done: false, value };
      if (this.#done) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.whenReadable(resolve));
    }
  }

  async return(): Promise<IteratorResult<Positioned>> {
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Read no more. Twice is once. */
  close(): void {
    if (this.#done) return;
    this.#done = true;
    this.#log.release(this);
    this.wake();
  }

  // For the log alone:

  wake(): void {
    const listeners = this.#listeners;
    if (listeners.length === 0) return;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  /** What it has not read has left the ring. */
  cut(error: PlatformError): void {
    this.#failure = error;
    this.#log.release(this);
    queueMicrotask(() => {
      this.#onCut?.(error);
      this.wake();
    });
  }
}
