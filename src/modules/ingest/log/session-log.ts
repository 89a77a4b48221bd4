// The truth of one live session: every unit and every decision, in one order, each with its position. The gateway
// appends; workers, packagers and origins read.
// Decisions are few and all kept, but boundaries of copied segments, of which there is one every other second: each says
// what was counted before it, so those in the ring and the newest before are enough.
// Units are a ring, and media time alone decides what leaves it: while a publisher is away no time passes here, so nothing
// is lost that a worker still has to make. The bound in bytes is stronger than that: one stream must not take the memory
// of the others.
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import { PAYLOAD_BYTES_MAX } from "#media/session-log/codec.ts";
import type { Decision, Entry, Positioned } from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import { Deque } from "./deque.ts";
import { KeptDecisions } from "./kept-decisions.ts";
import { LogReader, type ReadableLog, type ReaderOptions } from "./log-reader.ts";
import { Starts } from "./starts.ts";

/** What an entry costs besides its payload: an object, a view and some bigints (340 bytes, measured on Node 24). */
const ENTRY_BYTES = 350;

export type SessionLogOptions = Readonly<{
  session: string;
  /** Most bytes of units held, an entry's own cost included. A single unit may be larger. */
  bytesMax: number;
  /** At least this much of the newest media time is held, stored or not. */
  keepNs: bigint;
  /** Decisions of a gateway that died, with their positions; units from before are lost. `next` must lie above every
   *  position that was ever handed out. */
  restored?: Readonly<{ decisions: readonly Positioned<Decision>[]; next: number }>;
  /** Called when a reader came, left or was cut off. */
  onReadersChanged?: () => void;
}>;

/** Where a reader begins. A position: exactly there, since it knows what was before (in a restored log: at the first
 *  entry after the lost ones). A frame of an era: as late as lets that frame be made. First: the oldest point that can be
 *  decoded, or the very beginning while that is held. The last two give all earlier decisions first. */
export type ReadFrom = Readonly<{ position: number }> | EraFrame | "first";

export class SessionLog implements ReadableLog {
  readonly session: string;
  readonly #options: SessionLogOptions;
  readonly #ring = new Deque<Positioned>();
  readonly #starts = new Starts();
  readonly #decisions = new KeptDecisions();
  readonly #readers = new Set<LogReader>();
  #next = 0;
  #bytes = 0;
  #appendedBytes = 0;
  #ended = false;
  #evictedAny = false;
  #newestNs = -1n;
  #storedThroughNs = -1n;
  #readersCut = 0;
  #waking = false;

  constructor(options: SessionLogOptions) {
    this.session = options.session;
    this.#options = options;
    for (const at of options.restored?.decisions ?? []) {
      assert.ok(at.position >= this.#next, `restored decision ${at.position} is out of order`);
      this.#decide(at);
      this.#decisions.left(at);
      this.#next = at.position + 1;
    }
    assert.ok((options.restored?.next ?? 0) >= this.#next, "restored.next lies above the restored decisions");
    this.#next = options.restored?.next ?? 0;
  }

  /** Oldest position held; `next` when none is. */
  get first(): number {
    return this.#next - this.#ring.length;
  }

  /** Position of the next entry. */
  get next(): number {
    return this.#next;
  }

  /** Held in the ring: payloads and what an entry costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The end entry is in the log. */
  get ended(): boolean {
    return this.#ended;
  }

  get readers(): number {
    return this.#readers.size;
  }

  get readersCut(): number {
    return this.#readersCut;
  }

  decisions(): readonly Positioned<Decision>[] {
    return this.#decisions.all();
  }

  decisionFrom(position: number): Positioned<Decision> | undefined {
    return this.#decisions.from(position);
  }

  at(position: number): Positioned {
    const at = this.#ring.at(position - this.first);
    assert.ok(at, `position ${position} is not held`);
    return at;
  }

  /** @returns its position
   *  @throws PlatformError media.unsupported for a unit larger than the log's form allows; nothing is appended */
  append(entry: Entry): number {
    assert.ok(!this.#ended, "nothing comes after the end");
    if (entry.kind === "unit" && entry.payload.byteLength > PAYLOAD_BYTES_MAX)
      throw new PlatformError("media.unsupported", `A unit of ${entry.payload.byteLength} bytes is too large.`);
    const at = { position: this.#next, entry };
    if (entry.kind === "unit") this.#starts.apply(at, this.#appendedBytes);
    else this.#decide({ position: at.position, entry });
    this.#ring.push(at);
    this.#appendedBytes += bytesOf(entry);
    this.#bytes += bytesOf(entry);
    this.#next += 1;
    if (entry.kind === "unit" && entry.timeNs > this.#newestNs) this.#newestNs = entry.timeNs;
    this.#evict();
    this.#wakeReaders();
    return at.position;
  }

  /** Everything before that instant is stored in all renditions. An earlier instant than before changes nothing. */
  storedThrough(timeNs: bigint): void {
    if (timeNs <= this.#storedThroughNs) return;
    this.#storedThroughNs = timeNs;
    this.#evict();
  }

  /** @throws PlatformError log.position_gone when what the reader asks for has left the ring, or was never there */
  openReader(from: ReadFrom, options: ReaderOptions = {}): LogReader {
    const start = options.decisionsOnly ? this.first : this.#startOf(from);
    const asked = typeof from === "object" && "position" in from ? from.position : 0;
    const reader = new LogReader(this, start, asked, options);
    this.#readers.add(reader);
    this.#options.onReadersChanged?.();
    return reader;
  }

  release(reader: LogReader): void {
    if (this.#readers.delete(reader)) this.#options.onReadersChanged?.();
  }

  #startOf(from: ReadFrom): number {
    const { first, next } = this;
    if (from === "first") return this.#evictedAny ? (this.#starts.first() ?? first) : first;
    if ("position" in from) {
      if (from.position > next) throw gone(`Position ${from.position} is not written yet; the next one is ${next}.`);
      if (from.position >= first) return from.position;
      if (!this.#evictedAny) return first; // what lies between was lost with an earlier gateway, not evicted
      throw gone(`Position ${from.position} is gone; ${first} is the oldest held.`);
    }
    const { era, frame } = from;
    if (!this.#starts.knowsEra(era)) throw gone(`This log has no era ${era}.`);
    const start = this.#starts.startFor(era, frame, this.#held());
    if (start !== null) return start;
    if (!this.#evictedAny) return first; // there never was anything earlier
    throw gone(`What frame ${frame} of era ${era} is made from is gone; ${first} is the oldest position held.`);
  }

  *#held(): Generator<Positioned> {
    for (let place = 0; place < this.#ring.length; place += 1) yield this.#ring.at(place)!;
  }

  #decide(at: Positioned<Decision>): void {
    this.#decisions.add(at);
    this.#starts.apply(at, this.#appendedBytes);
    if (at.entry.kind === "end") this.#ended = true;
  }

  #evict(): void {
    const { bytesMax, keepNs } = this.#options;
    const before = this.first;
    const keepFromNs = min(this.#storedThroughNs, this.#newestNs - keepNs);
    const cut = keepFromNs < 0n ? null : this.#starts.cutFor(keepFromNs);
    if (cut !== null) this.#evictTo(cut);
    while (this.#bytes > bytesMax && this.#ring.length > 1) this.#evictTo(this.#nextCut(bytesMax));
    if (this.first > before) this.#cutReaders();
  }

  /** For the bound in bytes: whole groups of pictures, because the rest of one is of no use to who comes later. But not
   *  more than half of the ring at once: a reader a moment behind would be cut off as if it were slow. */
  #nextCut(bytesMax: number): number {
    const start = this.#starts.second(this.first);
    const evictedBytes = this.#appendedBytes - this.#bytes;
    return start === null || start.bytesBefore - evictedBytes > bytesMax / 2 ? this.first + 1 : start.position;
  }

  #evictTo(position: number): void {
    while (this.first < position) {
      const at = this.#ring.shift()!;
      this.#starts.evicted(at);
      this.#decisions.left(at);
      this.#bytes -= bytesOf(at.entry);
      this.#evictedAny = true;
    }
  }

  #cutReaders(): void {
    for (const reader of [...this.#readers]) {
      if (reader.decisionsOnly || reader.position >= this.first) continue;
      const message = `Cut off at position ${reader.position}: the log begins at ${this.first} by now.`;
      this.#readersCut += 1;
      reader.cut(new PlatformError("log.reader_too_slow", message));
    }
  }

  /** One notification for all entries of one turn of the event loop. Readers never run inside `append`. */
  #wakeReaders(): void {
    if (this.#waking) return;
    this.#waking = true;
    queueMicrotask(() => {
      this.#waking = false;
      for (const reader of [...this.#readers]) reader.wake();
    });
  }
}

function bytesOf(entry: Entry): number {
  return ENTRY_BYTES + (entry.kind === "unit" ? entry.payload.byteLength : 0);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function gone(message: string): PlatformError {
  return new PlatformError("log.position_gone", message);
}
