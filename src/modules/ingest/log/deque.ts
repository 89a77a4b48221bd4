// A list that grows at its end and shrinks at its front, with access by place. Array.shift moves everything each time.
import { firstPlace } from "#base/first-place.ts";

const COMPACT_AT = 1024;

export class Deque<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** @param place from the front, 0 to length - 1; undefined beyond */
  at(place: number): T | undefined {
    return place < 0 ? undefined : this.#items[this.#head + place];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined; // let it be collected before the array is compacted
    this.#head += 1;
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** The first place whose item satisfies a condition that, once true, stays true; length when there is none. */
  firstPlace(holds: (item: T) => boolean): number {
    return firstPlace(this.length, (place) => holds(this.at(place)!));
  }
}
