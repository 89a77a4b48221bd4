// Parts of one track that came and are not published yet: they wait for one before them, or for the log.
import { PlatformError } from "#base/errors.ts";
import type { HeldPart } from "./held.ts";

export type Arrived = Readonly<{
  era: number;
  part: HeldPart;
  startsSegment: boolean;
  /** Its sender says that it is the last of its segment; only senders of `source` mode say so. */
  endsSegment: boolean;
  /** When its newest frame came, TAI; null when the sender did not say. */
  producedNs: bigint | null;
}>;

export class Ahead {
  readonly #byPlace = new Map<string, Arrived>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#byPlace.size;
  }

  at(era: number, startTicks: number): Arrived | null {
    return this.#byPlace.get(`${era}-${startTicks}`) ?? null;
  }

  /** The earliest that begins a segment within [from, to]. */
  beginning(era: number, from: number, to: number): Arrived | null {
    let found: Arrived | null = null;
    for (const arrived of this.#byPlace.values()) {
      const { startTicks } = arrived.part;
      if (arrived.era !== era || !arrived.startsSegment || startTicks < from || startTicks > to) continue;
      if (found === null || startTicks < found.part.startTicks) found = arrived;
    }
    return found;
  }

  /** @throws PlatformError origin.busy when too much waits */
  add(arrived: Arrived, track: string): void {
    const bytes = arrived.part.bytes!.byteLength;
    if (this.#bytes + bytes > this.#bytesMax)
      throw new PlatformError("origin.busy", `Too much of ${track} came ahead of a part that is missing.`);
    this.#byPlace.set(keyOf(arrived), arrived);
    this.#bytes += bytes;
  }

  remove(arrived: Arrived): void {
    if (this.#byPlace.delete(keyOf(arrived))) this.#bytes -= arrived.part.bytes!.byteLength;
  }

  /** The earliest; null when nothing waits. */
  first(): Arrived | null {
    let first: Arrived | null = null;
    for (const arrived of this.#byPlace.values()) if (first === null || isBefore(arrived, first)) first = arrived;
    return first;
  }

  clear(): void {
    this.#byPlace.clear();
    this.#bytes = 0;
  }
}

function keyOf({ era, part }: Arrived): string {
  return `${era}-${part.startTicks}`;
}

function isBefore(a: Arrived, b: Arrived): boolean {
  return a.era < b.era || (a.era === b.era && a.part.startTicks < b.part.startTicks);
}
