// The segments of a session, derived from its decisions. Worker and origin hold one each and feed it every decision in
// order; they therefore agree on boundaries, ordinals and gaps without talking to each other.
import { assert } from "#base/assert.ts";
import { partStarts, segmentStart } from "#media/time/segmentation.ts";
import type { Decision, Ended, EraOpened, SessionOpened } from "./entries.ts";

export type Segment = Readonly<{
  /** Counts from 0 over the whole session; msn = msnBase + ordinal. */
  ordinal: number;
  msn: number;
  era: number;
  /** Frames [start, end) on the era's grid. */
  start: number;
  end: number;
  /** An EXT-X-DISCONTINUITY belongs before it. The first of a session has one: the channel may have had another. */
  discontinuity: boolean;
}>;

type Cut = { frame: number; discontinuity: boolean };

/** One era's stretch of segments: everything about it is a function of these. */
type Stretch = {
  era: EraOpened;
  firstOrdinal: number;
  /** Boundaries that splices asked for, ascending. */
  cuts: Cut[];
  /** Those of them that are not boundaries anyhow. */
  extra: number[];
  /** Frame after the last; null while open. */
  end: number | null;
  /** Spans without source, ascending, merged. */
  holes: { from: number; to: number }[];
};

export class Timeline {
  session: SessionOpened | null = null;
  end: Ended | null = null;
  readonly #stretches: Stretch[] = [];

  /** Feed every decision, in log order. Decisions that move no boundary are ignored. */
  apply(decision: Decision): void {
    if (decision.kind === "session") this.session = decision;
    else if (decision.kind === "era") this.#open(decision);
    else if (decision.kind === "splice") this.#cut(decision);
    else if (decision.kind === "hole") this.#hole(decision.from, decision.to);
    else if (decision.kind === "end") {
      this.end = decision;
      const last = this.#stretches.at(-1);
      if (last) last.end = decision.frame;
    }
  }

  /** The newest era, or null before the anchor. */
  get era(): EraOpened | null {
    return this.#stretches.at(-1)?.era ?? null;
  }

  eras(): EraOpened[] {
    return this.#stretches.map((stretch) => stretch.era);
  }

  eraOf(era: number): EraOpened {
    return this.#stretch(era).era;
  }

  /** The segment that holds a frame of an era; null when the frame lies outside of it. */
  segmentAt(era: number, frame: number): Segment | null {
    const stretch = this.#stretches.find((s) => s.era.era === era);
    if (!stretch || frame < stretch.era.frame || (stretch.end !== null && frame >= stretch.end)) return null;
    const start = boundaryAtOrBefore(stretch, frame);
    return this.#segment(stretch, start);
  }

  /** The segment of an ordinal; null when it is before 0 or after the end. */
  segment(ordinal: number): Segment | null {
    const stretch = this.#stretches.findLast((s) => s.firstOrdinal <= ordinal);
    if (!stretch || ordinal < 0) return null;
    const start = boundaryOfOrdinal(stretch, ordinal - stretch.firstOrdinal);
    if (stretch.end !== null && start >= stretch.end) return null;
    return this.#segment(stretch, start);
  }

  first(): Segment | null {
    return this.segment(0);
  }

  /** The segment after; null when the log has ended there. At an era's end it is the first of the next era. */
  next(segment: Segment): Segment | null {
    return this.segment(segment.ordinal + 1);
  }

  /** Parts of a segment: the first frame of each. */
  partStarts(segment: Segment): number[] {
    return partStarts(segment.start, segment.end, this.eraOf(segment.era).partFrames);
  }

  /** How much of [from, to) of an era lies in holes. */
  holeCoverage(era: number, from: number, to: number): "none" | "some" | "whole" {
    const holes = this.#stretch(era).holes.filter((hole) => hole.from < to && hole.to > from);
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
    let count = this.session?.discontinuityBase ?? 0;
    for (const stretch of this.#stretches) {
      const { era } = stretch;
      const end = era.era === segment.era ? segment.start : (stretch.end ?? era.frame);
      if (end > era.frame) count += 1; // each era that has a segment opens with one
      count += stretch.cuts.filter((cut) => cut.discontinuity && cut.frame > era.frame && cut.frame < end).length;
      if (era.era === segment.era) break;
    }
    return count;
  }

  #segment(stretch: Stretch, start: number): Segment {
    const ordinal = stretch.firstOrdinal + boundariesBefore(stretch, start);
    const next = boundaryAfter(stretch, start);
    return {
      ordinal,
      msn: (this.session?.msnBase ?? 0) + ordinal,
      era: stretch.era.era,
      start,
      end: stretch.end === null ? next : Math.min(next, stretch.end),
      discontinuity:
        start === stretch.era.frame || stretch.cuts.some((cut) => cut.frame === start && cut.discontinuity),
    };
  }

  #open(era: EraOpened): void {
    const previous = this.#stretches.at(-1);
    let firstOrdinal = 0;
    if (previous) {
      assert.ok(era.previousEnd !== null, "a later era says where the one before it ends");
      previous.end = era.previousEnd;
      firstOrdinal = previous.firstOrdinal + boundariesBefore(previous, era.previousEnd);
    }
    this.#stretches.push({ era, firstOrdinal, cuts: [], extra: [], end: null, holes: [] });
  }

  #cut({ frame, discontinuity }: Cut): void {
    const stretch = this.#stretches.at(-1);
    if (!stretch) return;
    const same = stretch.cuts.find((cut) => cut.frame === frame);
    if (same) same.discontinuity ||= discontinuity;
    else stretch.cuts.push({ frame, discontinuity });
    stretch.cuts.sort((a, b) => a.frame - b.frame);
    stretch.extra = stretch.cuts
      .map((cut) => cut.frame)
      .filter((cut) => cut > stretch.era.frame && cut % stretch.era.segmentFrames !== 0);
  }

  #hole(from: number, to: number): void {
    const holes = this.#stretches.at(-1)?.holes;
    if (!holes || from >= to) return;
    const last = holes.at(-1);
    if (last && last.to === from) last.to = to;
    else holes.push({ from, to });
  }

  #stretch(era: number): Stretch {
    const stretch = this.#stretches.find((s) => s.era.era === era);
    assert.ok(stretch, `era ${era} is not in the log`);
    return stretch;
  }
}

// Boundaries of a stretch: its first frame, every multiple of N after it, and the cuts that are no multiple.

function boundaryAtOrBefore({ era, extra }: Stretch, frame: number): number {
  const grid = Math.max(era.frame, segmentStart(frame, era.segmentFrames));
  return Math.max(grid, extra.findLast((cut) => cut <= frame) ?? grid);
}

function boundaryAfter({ era, extra }: Stretch, frame: number): number {
  const grid = segmentStart(frame, era.segmentFrames) + era.segmentFrames;
  return Math.min(grid, extra.find((cut) => cut > frame) ?? grid);
}

/** Boundaries in [first, frame). */
function boundariesBefore(stretch: Stretch, frame: number): number {
  if (frame <= stretch.era.frame) return 0;
  return 1 + gridBefore(stretch, frame) + stretch.extra.filter((cut) => cut < frame).length;
}

/** Multiples of N in (first, frame). */
function gridBefore({ era }: Stretch, frame: number): number {
  return Math.floor((frame - 1) / era.segmentFrames) - Math.floor(era.frame / era.segmentFrames);
}

/** By arithmetic, not by walking: a session of a week has 300 000 segments. */
function boundaryOfOrdinal(stretch: Stretch, index: number): number {
  const { era, extra } = stretch;
  if (index === 0) return era.frame;
  let passed = 0;
  for (const cut of extra) {
    const ofCut = 1 + gridBefore(stretch, cut) + passed;
    if (ofCut === index) return cut;
    if (ofCut > index) break;
    passed += 1;
  }
  return segmentStart(era.frame, era.segmentFrames) + (index - passed) * era.segmentFrames;
}
