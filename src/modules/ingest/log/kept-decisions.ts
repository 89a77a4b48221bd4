// The decisions of a log that readers get before its units: all, but of the boundaries of copied segments only those whose
// place in the ring is held, the newest before them, and the last of each era. A week has 300 000 of them.
import { firstPlace } from "#base/first-place.ts";
import type { Decision, Entry, Positioned } from "#media/session-log/entries.ts";

export class KeptDecisions {
  readonly #decisions: Positioned<Decision>[] = [];
  /** Newest boundary that has left the ring, of the era that is open there. */
  #left: number | null = null;

  add(at: Positioned<Decision>): void {
    this.#decisions.push(at);
  }

  all(): readonly Positioned<Decision>[] {
    return this.#decisions;
  }

  /** The first at or after a position. */
  from(position: number): Positioned<Decision> | undefined {
    return this.#decisions[this.#placeFrom(position)];
  }

  /** An entry has left the ring: from a boundary on nobody needs the one before it, if that is of the same era. */
  left({ position, entry }: Positioned<Entry>): void {
    if (entry.kind === "era") this.#left = null;
    if (entry.kind !== "boundary") return;
    if (this.#left !== null) this.#decisions.splice(this.#placeFrom(this.#left), 1);
    this.#left = position;
  }

  #placeFrom(position: number): number {
    return firstPlace(this.#decisions.length, (place) => this.#decisions[place]!.position >= position);
  }
}
