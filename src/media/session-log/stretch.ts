// One era's stretch of segments: what the timeline asks of either mode.
import type { Boundary, EraOpened, Splice } from "./entries.ts";

/** End of a segment that is open: where it ends is not in the log yet. Only `source` mode has such. */
export const OPEN_END = Number.MAX_SAFE_INTEGER;

/** What was counted since the session began: the ordinal that comes next, and discontinuities so far. */
export type Counted = Readonly<{ ordinal: number; discontinuities: number }>;

/** A segment as its era knows it. */
export type Piece = Readonly<{
  ordinal: number;
  /** Frames [start, end); end may be OPEN_END. */
  start: number;
  end: number;
  discontinuity: boolean;
  /** In the session before it. */
  discontinuities: number;
}>;

export interface Stretch {
  readonly era: EraOpened;
  /** Frame after the last; null while open. */
  end: number | null;
  apply(decision: Splice | Boundary): void;
  /** The segment that holds a frame; null when the frame lies outside, or in what was forgotten. */
  at(frame: number): Piece | null;
  /** The segment of an ordinal; null when there is none, none yet, or it was forgotten. */
  of(ordinal: number): Piece | null;
  /** At its end, which is known. */
  counted(): Counted;
  /** Nobody asks for segments below any more. */
  forgetBefore(ordinal: number): void;
}
