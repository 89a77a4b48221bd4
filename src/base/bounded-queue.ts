// A queue that cannot grow without end. The producer learns at once that it is full, and decides what that means:
// cut a slow reader off, drop the oldest, stop reading a socket. Nothing here decides it for them.

export class BoundedQueue<T> {
  #items: T[] = [];
  #head = 0;
  #weight = 0;
  readonly #weightMax: number;
  readonly #weigh: (item: T) => number;

  /** @param weightMax most total weight held @param weigh weight of one item (bytes, say); 1 each by default */
  constructor(weightMax: number, weigh: (item: T) => number = () => 1) {
    this.#weightMax = weightMax;
    this.#weigh = weigh;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get weight(): number {
    return this.#weight;
  }

  /** @returns false, with the queue unchanged, when the item does not fit. An empty queue takes any one item. */
  push(item: T): boolean {
    const weight = this.#weigh(item);
    if (this.length > 0 && this.#weight + weight > this.#weightMax) return false;
    this.#items.push(item);
    this.#weight += weight;
    return true;
  }

  /** The oldest item, which stays. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.slice(this.#head)[Symbol.iterator]();
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head] as T;
    this.#items[this.#head] = undefined as T; // let it be collected before the array is compacted
    this.#head += 1;
    this.#weight -= this.#weigh(item);
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#weight = 0;
  }
}
