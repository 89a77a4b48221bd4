// How many boundaries of `source` mode a session's timeline keeps. The log of a week has 300 000 of them; only the newest can
// still get a chunk.
import type { Boundary } from "#media/session-log/entries.ts";
import type { Timeline } from "#media/session-log/timeline.ts";

/** Below the segments that are made now: senders send some again. */
const KEPT = 64;
/** For a rendition that hangs. */
const KEPT_MAX = 4096;

export class Boundaries {
  readonly #timeline: Timeline;
  /** Segments of `source` mode below are not in the timeline. */
  oldest = 0;
  #newest = -1;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** The log may have forgotten those before. */
  count({ ordinal }: Boundary): void {
    if (ordinal <= this.#newest) return; // read twice
    if (ordinal !== this.#newest + 1) this.oldest = ordinal;
    this.#newest = ordinal;
  }

  /** @param making ordinals of the segments that are made now, one for each rendition */
  forget(making: readonly number[]): void {
    const from = Math.max(Math.min(...making, this.#newest) - KEPT, this.#newest - KEPT_MAX);
    if (from <= this.oldest) return;
    this.#timeline.forgetBefore(from);
    this.oldest = from;
  }
}
