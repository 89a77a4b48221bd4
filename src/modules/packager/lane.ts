// One copied rendition of one era, as the era drives it. A lane decides nothing that later entries could contradict: what
// a sample belongs to is settled when the log has said all there will ever be about its time.
import type { Unit } from "#media/session-log/entries.ts";

export interface Lane {
  /** Of the lane's track, in log order. */
  unit(unit: Unit): void;
  /** A segment that is to be made begins at `frame`, unless a hole does. */
  boundary(frame: number): void;
  /** No boundary comes below `known` any more. @param arrivedNs of the newest unit */
  settle(known: number, arrivedNs: bigint): void;
  /** Nothing of what is open reaches beyond `frame`: a hole begins there, or the era ends. */
  stop(frame: number): void;
}
