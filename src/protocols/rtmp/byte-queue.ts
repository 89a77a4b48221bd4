// Bytes that came and were not understood yet.
// Joining each arrival to what was left would copy every byte twice, and a list of arrivals grows with their number when
// they are small. So there are two stretches: `kept`, a few bytes that are ours, and `fresh`, the arrival being read,
// which is only borrowed. What is left of an arrival is kept when its reading ends.
import { assert } from "#base/assert.ts";

const EMPTY = Buffer.alloc(0);
/** A larger store is given back once it is empty: it served an unusual moment. */
const KEPT_CAPACITY_IDLE_MAX = 65_536;

export class ByteQueue {
  #kept: Buffer = EMPTY;
  #keptStart = 0;
  #keptEnd = 0;
  #fresh: Buffer = EMPTY;
  #freshAt = 0;

  get length(): number {
    return this.#keptEnd - this.#keptStart + this.#fresh.length - this.#freshAt;
  }

  /** Borrow an arrival. `settle` must be called before its owner uses it again. */
  push(bytes: Uint8Array): void {
    assert(this.#fresh.length === this.#freshAt, "settle the last arrival before the next");
    this.#fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#freshAt = 0;
  }

  /** Copy what is left of the arrival, and let it go. */
  settle(): void {
    this.#keep(this.#fresh.length - this.#freshAt);
    this.#fresh = EMPTY;
    this.#freshAt = 0;
  }

  /** Make the next `count` bytes lie in `head` from `at` on; few bytes (headers), or the copying costs.
   *  @returns false when there are not that many */
  reach(count: number): boolean {
    if (this.length < count) return false;
    const held = this.#keptEnd - this.#keptStart;
    if (held > 0 && held < count) this.#keep(count - held);
    return true;
  }

  get head(): Buffer {
    return this.#keptStart < this.#keptEnd ? this.#kept : this.#fresh;
  }

  get at(): number {
    return this.#keptStart < this.#keptEnd ? this.#keptStart : this.#freshAt;
  }

  /** Step over bytes that are there. */
  skip(count: number): void {
    const fromKept = Math.min(count, this.#keptEnd - this.#keptStart);
    this.#keptStart += fromKept;
    if (this.#keptStart === this.#keptEnd) this.#forgetKept();
    this.#freshAt += count - fromKept;
    assert(this.#freshAt <= this.#fresh.length, "more bytes skipped than there are");
  }

  /** Take the next `count` bytes, which are there, into `target`. */
  copyTo(target: Buffer, targetAt: number, count: number): void {
    const fromKept = Math.min(count, this.#keptEnd - this.#keptStart);
    this.#kept.copy(target, targetAt, this.#keptStart, this.#keptStart + fromKept);
    this.#fresh.copy(target, targetAt + fromKept, this.#freshAt, this.#freshAt + count - fromKept);
    this.skip(count);
  }

  /** @returns a copy of the next `count` bytes, which are there */
  take(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    this.copyTo(bytes, 0, count);
    return bytes;
  }

  clear(): void {
    this.#fresh = EMPTY;
    this.#freshAt = 0;
    this.#keptStart = this.#keptEnd;
    this.#forgetKept();
  }

  #keep(count: number): void {
    if (count === 0) return;
    const held = this.#keptEnd - this.#keptStart;
    if (this.#keptEnd + count > this.#kept.length) {
      const into = held + count > this.#kept.length ? Buffer.allocUnsafeSlow(2 * (held + count)) : this.#kept;
      this.#kept.copy(into, 0, this.#keptStart, this.#keptEnd);
      this.#kept = into;
      this.#keptStart = 0;
      this.#keptEnd = held;
    }
    this.#fresh.copy(this.#kept, this.#keptEnd, this.#freshAt, this.#freshAt + count);
    this.#keptEnd += count;
    this.#freshAt += count;
  }

  #forgetKept(): void {
    this.#keptStart = 0;
    this.#keptEnd = 0;
    if (this.#kept.length > KEPT_CAPACITY_IDLE_MAX) this.#kept = EMPTY;
  }
}
