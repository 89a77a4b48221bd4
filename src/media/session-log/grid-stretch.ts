// Segments of one era in `grid` mode: boundaries are the era's first frame, every multiple of N after it, and the splices
// that are no multiple. Found by arithmetic, not by walking: a session of a week has 300 000 segments.
import { segmentStart } from "#media/time/segmentation.ts";
import type { Boundary, EraOpened, Splice } from "./entries.ts";
import type { Counted, Piece, Stretch } from "./stretch.ts";

type Cut = { frame: number; discontinuity: boolean };

export class GridStretch implements Stretch {
  readonly era: EraOpened;
  end: number | null = null;
  readonly #first: Counted;
  /** Boundaries that splices asked for, ascending. */
  readonly #cuts: Cut[] = [];
  /** Those of them that are not boundaries anyhow. */
  #extra: number[] = [];

  /** @param first what was counted before it */
  constructor(era: EraOpened, first: Counted) {
    this.era = era;
    this.#first = first;
  }

  apply(decision: Splice | Boundary): void {
    if (decision.kind !== "splice") return;
    const { frame, discontinuity } = decision;
    const same = this.#cuts.find((cut) => cut.frame === frame);
    if (same) same.discontinuity ||= discontinuity;
    else this.#cuts.push({ frame, discontinuity });
    this.#cuts.sort((a, b) => a.frame - b.frame);
    const { era } = this;
    this.#extra = this.#cuts.map((cut) => cut.frame).filter((cut) => cut > era.frame && cut % era.segmentFrames !== 0);
  }

  at(frame: number): Piece | null {
    if (frame < this.era.frame || (this.end !== null && frame >= this.end)) return null;
    const grid = Math.max(this.era.frame, segmentStart(frame, this.era.segmentFrames));
    return this.#piece(Math.max(grid, this.#extra.findLast((cut) => cut <= frame) ?? grid));
  }

  of(ordinal: number): Piece | null {
    if (ordinal < this.#first.ordinal) return null;
    const start = this.#boundaryOf(ordinal - this.#first.ordinal);
    return this.end !== null && start >= this.end ? null : this.#piece(start);
  }

  /** Counted at its end, which is known. */
  counted(): Counted {
    const end = this.end!;
    return {
      ordinal: this.#first.ordinal + this.#boundariesBefore(end),
      discontinuities: this.#discontinuitiesBefore(end),
    };
  }

  forgetBefore(): void {} // there is nothing to forget: it holds rules, not segments

  #piece(start: number): Piece {
    const grid = segmentStart(start, this.era.segmentFrames) + this.era.segmentFrames;
    const next = Math.min(grid, this.#extra.find((cut) => cut > start) ?? grid);
    return {
      ordinal: this.#first.ordinal + this.#boundariesBefore(start),
      start,
      end: this.end === null ? next : Math.min(next, this.end),
      discontinuity: start === this.era.frame || this.#cuts.some((cut) => cut.frame === start && cut.discontinuity),
      discontinuities: this.#discontinuitiesBefore(start),
    };
  }

  /** An era that has a segment opens with one. */
  #discontinuitiesBefore(frame: number): number {
    const { frame: first } = this.era;
    const own = this.#cuts.filter((cut) => cut.discontinuity && cut.frame > first && cut.frame < frame).length;
    return this.#first.discontinuities + (frame > first ? 1 : 0) + own;
  }

  /** Boundaries in [first, frame). */
  #boundariesBefore(frame: number): number {
    if (frame <= this.era.frame) return 0;
    return 1 + this.#gridBefore(frame) + this.#extra.filter((cut) => cut < frame).length;
  }

  /** Multiples of N in (first, frame). */
  #gridBefore(frame: number): number {
    const { frame: first, segmentFrames } = this.era;
    return Math.floor((frame - 1) / segmentFrames) - Math.floor(first / segmentFrames);
  }

  #boundaryOf(index: number): number {
    const { frame: first, segmentFrames } = this.era;
    if (index === 0) return first;
    let passed = 0;
    for (const cut of this.#extra) {
      const ofCut = 1 + this.#gridBefore(cut) + passed;
      if (ofCut === index) return cut;
      if (ofCut > index) break;
      passed += 1;
    }
    return segmentStart(first, segmentFrames) + (index - passed) * segmentFrames;
  }
}
