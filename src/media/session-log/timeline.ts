// The segments of a session, derived from its decisions. Worker and origin hold one each and feed it every decision in
// order; they therefore agree on boundaries, ordinals and gaps without talking to each other.
import { assert } from "#base/assert.ts";
import { partStarts } from "#media/time/segmentation.ts";
import type { Decision, Ended, EraOpened, SessionOpened } from "./entries.ts";
import { GridStretch } from "./grid-stretch.ts";
import { SourceStretch } from "./source-stretch.ts";
import type { Counted, Piece, Stretch } from "./stretch.ts";

export type Segment = Readonly<{
  /** Counts from 0 over the whole session; msn = msnBase + ordinal. */
  ordinal: number;
  msn: number;
  era: number;
  /** Frames [start, end) on the era's grid. `end` is OPEN_END while the log has not said where it ends (`source` mode). */
  start: number;
  end: number;
  /** An EXT-X-DISCONTINUITY belongs before it. The first of a session has one: the channel may have had another. */
  discontinuity: boolean;
}>;

/** What a session knows of one era. */
type Known = {
  stretch: Stretch /** Spans without source, ascending, merged. */;
  holes: { from: number; to: number }[];
};

export class Timeline {
  session: SessionOpened | null = null;
  end: Ended | null = null;
  readonly #known: Known[] = [];

  /** Feed every decision, in log order. Decisions that move no boundary are ignored. */
  apply(decision: Decision): void {
    if (decision.kind === "session") this.session = decision;
    else if (decision.kind === "era") this.#open(decision);
    else if (decision.kind === "splice" || decision.kind === "boundary") this.#known.at(-1)?.stretch.apply(decision);
    else if (decision.kind === "hole") this.#hole(decision.from, decision.to);
    else if (decision.kind === "end") {
      this.end = decision;
      const last = this.#known.at(-1);
      if (last) last.stretch.end = decision.frame;
    }
  }

  /** The newest era, or null before the anchor. */
  get era(): EraOpened | null {
    return this.#known.at(-1)?.stretch.era ?? null;
  }

  eras(): EraOpened[] {
    return this.#known.map(({ stretch }) => stretch.era);
  }

  eraOf(era: number): EraOpened {
    return this.#ofEra(era).stretch.era;
  }

  /** The segment that holds a frame of an era; null when the frame lies outside of it. */
  segmentAt(era: number, frame: number): Segment | null {
    const known = this.#known.find(({ stretch }) => stretch.era.era === era);
    const piece = known?.stretch.at(frame) ?? null;
    return piece && this.#segment(era, piece);
  }

  /** The segment of an ordinal; null when it is before 0 or after the end, or the log has not said yet where it begins. */
  segment(ordinal: number): Segment | null {
    if (ordinal < 0) return null;
    for (let i = this.#known.length - 1; i >= 0; i -= 1) {
      const { stretch } = this.#known[i]!;
      const piece = stretch.of(ordinal);
      if (piece) return this.#segment(stretch.era.era, piece);
    }
    return null;
  }

  first(): Segment | null {
    return this.segment(0);
  }

  /** The segment after; null when the log has ended there, or is not there yet. At an era's end it is the first of the
   *  next era. */
  next(segment: Segment): Segment | null {
    return this.segment(segment.ordinal + 1);
  }

  /** Parts of a segment in `grid` mode: the first frame of each. In `source` mode the pictures decide (`partCell`). */
  partStarts(segment: Segment): number[] {
    const era = this.eraOf(segment.era);
    assert.ok(era.mode === "grid", "the log does not say where parts of copied media begin");
    return partStarts(segment.start, segment.end, era.partFrames);
  }

  /** How much of [from, to) of an era lies in holes. */
  holeCoverage(era: number, from: number, to: number): "none" | "some" | "whole" {
    const holes = this.#ofEra(era).holes.filter((hole) => hole.from < to && hole.to > from);
    if (holes.length === 0) return "none";
    return holes.some((hole) => hole.from <= from && hole.to >= to) ? "whole" : "some"; // holes are merged
  }

  /** A segment that players must not fetch: no source at all. Known once its whole length is in the log. */
  isGap(segment: Segment): boolean {
    return this.holeCoverage(segment.era, segment.start, segment.end) === "whole";
  }

  /** Discontinuities before the segment, counted over the channel (EXT-X-DISCONTINUITY-SEQUENCE when it is listed first;
   *  its own is not counted). */
  discontinuitiesBefore(segment: Segment): number {
    const piece = this.#ofEra(segment.era).stretch.of(segment.ordinal);
    return (this.session?.discontinuityBase ?? 0) + (piece?.discontinuities ?? 0);
  }

  /** Nobody asks for segments below any more: their boundaries need no memory. */
  forgetBefore(ordinal: number): void {
    for (const { stretch } of this.#known) stretch.forgetBefore(ordinal);
  }

  #segment(era: number, { ordinal, start, end, discontinuity }: Piece): Segment {
    return { ordinal, msn: (this.session?.msnBase ?? 0) + ordinal, era, start, end, discontinuity };
  }

  #open(era: EraOpened): void {
    const previous = this.#known.at(-1)?.stretch;
    let first: Counted = { ordinal: 0, discontinuities: 0 };
    if (previous) {
      assert.ok(era.previousEnd !== null, "a later era says where the one before it ends");
      previous.end = era.previousEnd;
      if (era.mode === "grid") first = previous.counted();
    }
    this.#known.push({
      stretch: era.mode === "grid" ? new GridStretch(era, first) : new SourceStretch(era),
      holes: [],
    });
  }

  #hole(from: number, to: number): void {
    const holes = this.#known.at(-1)?.holes;
    if (!holes || from >= to) return;
    const last = holes.at(-1);
    if (last && last.to === from) last.to = to;
    else holes.push({ from, to });
  }

  #ofEra(era: number): Known {
    const known = this.#known.find(({ stretch }) => stretch.era.era === era);
    assert.ok(known, `era ${era} is not in the log`);
    return known;
  }
}
