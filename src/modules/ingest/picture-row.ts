// The pictures of one copied track, in decode order. Each has a presentation tick of its own, since a sample of no length
// is none, and decode ticks rise; yet every picture is kept, whatever its stamps: others refer to it.

/** Ticks of presentation that are remembered: more pictures than a reordering decoder ever holds, or a sender doubles. */
const REMEMBERED = 512;

export class PictureRow {
  readonly #taken = new Set<number>();
  #decode = Number.NEGATIVE_INFINITY;
  /** Highest presentation tick; minus infinity while there is none. */
  highest = Number.NEGATIVE_INFINITY;

  /** The free tick at or after `tick`. */
  free(tick: number): number {
    let free = tick;
    while (this.#taken.has(free)) free += 1;
    return free;
  }

  /** @param tick free @returns its decode tick: after the one before, but never after its presentation */
  take(tick: number, decode: number): number {
    this.#taken.add(tick);
    if (this.#taken.size > REMEMBERED) this.#taken.delete(this.#taken.values().next().value!);
    this.highest = Math.max(this.highest, tick);
    this.#decode = Math.max(this.#decode + 1, decode);
    return Math.min(this.#decode, tick);
  }
}
