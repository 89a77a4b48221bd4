// Units that came before their time: audio that runs ahead of pictures that are still coming, and smaller pictures ahead
// of the largest. Appended at once, they would make what they wait for too late. Bounded, since what they wait for may
// never come.
import type { TimedUnit } from "./opening.ts";

const UNITS_MAX = 2048;
const BYTES_MAX = 16 << 20;

export class EarlyUnits {
  #units: TimedUnit[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#units.length === 0;
  }

  /** @returns units that had to give way, oldest first */
  hold(timed: TimedUnit): TimedUnit[] {
    this.#units.push(timed);
    this.#bytes += timed.unit.payload.byteLength;
    const given: TimedUnit[] = [];
    while (this.#units.length > UNITS_MAX || this.#bytes > BYTES_MAX) given.push(this.#shift());
    return given;
  }

  /** Those whose time has come, in the order they came in. Of one track none overtakes another. */
  take(isDue: (timed: TimedUnit) => boolean): TimedUnit[] {
    const waiting = new Set<number>();
    const due: TimedUnit[] = [];
    const rest: TimedUnit[] = [];
    for (const timed of this.#units) {
      const { track } = timed.unit;
      if (!waiting.has(track) && isDue(timed)) due.push(timed);
      else {
        waiting.add(track);
        rest.push(timed);
      }
    }
    this.#units = rest;
    for (const { unit } of due) this.#bytes -= unit.payload.byteLength;
    return due;
  }

  #shift(): TimedUnit {
    const timed = this.#units.shift()!;
    this.#bytes -= timed.unit.payload.byteLength;
    return timed;
  }
}
