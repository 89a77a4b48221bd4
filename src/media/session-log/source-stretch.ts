// Segments of one era in `source` mode: they begin where the log says so. Each boundary carries its ordinal, so a reader
// that has only the newest ones counts like one that has all.
import { assert } from "#base/assert.ts";
import type { Boundary, EraOpened, Splice } from "./entries.ts";
import { type Counted, OPEN_END, type Piece, type Stretch } from "./stretch.ts";

export class SourceStretch implements Stretch {
  readonly era: EraOpened;
  end: number | null = null;
  /** Ascending, ordinals without gaps. */
  #boundaries: Boundary[] = [];

  constructor(era: EraOpened) {
    this.era = era;
  }

  apply(decision: Splice | Boundary): void {
    if (decision.kind !== "boundary") return;
    const last = this.#boundaries.at(-1);
    if (last && decision.ordinal <= last.ordinal) return; // read twice
    // Boundaries that left the log are missing: what lies before cannot be told apart any more.
    if (last && decision.ordinal !== last.ordinal + 1) this.#boundaries = [];
    this.#boundaries.push(decision);
  }

  at(frame: number): Piece | null {
    if (this.end !== null && frame >= this.end) return null;
    return this.#piece(this.#boundaries.findLastIndex((boundary) => boundary.frame <= frame));
  }

  of(ordinal: number): Piece | null {
    const first = this.#boundaries[0];
    return first ? this.#piece(ordinal - first.ordinal) : null;
  }

  counted(): Counted {
    const last = this.#boundaries.findLast(({ frame }) => frame < this.end!);
    assert.ok(last, "an era of source mode has a boundary");
    const { ordinal, discontinuity, discontinuities } = last;
    return { ordinal: ordinal + 1, discontinuities: discontinuities + (discontinuity ? 1 : 0) };
  }

  forgetBefore(ordinal: number): void {
    const first = this.#boundaries[0];
    if (!first || ordinal <= first.ordinal) return;
    this.#boundaries.splice(0, Math.min(ordinal - first.ordinal, this.#boundaries.length - 1));
  }

  #piece(index: number): Piece | null {
    const boundary = this.#boundaries[index];
    if (!boundary || (this.end !== null && boundary.frame >= this.end)) return null;
    const { ordinal, frame: start, discontinuity, discontinuities } = boundary;
    const next = this.#boundaries[index + 1]?.frame ?? OPEN_END;
    return { ordinal, start, end: this.end === null ? next : Math.min(next, this.end), discontinuity, discontinuities };
  }
}
