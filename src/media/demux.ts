// What every container reader puts out, so that the sequencer sees one kind of input whatever the transport was.
// Clocks are still raw here (wrapped, unanchored): unwrapping and anchoring are the sequencer's, once for all inputs.
import type { Track } from "./session-log/entries.ts";

export type DemuxEvent =
  /** All announced tracks whose parameters are known by now; again whenever one becomes known or changes. `complete`:
   *  every track the container announced is among them (units of a track come only after it was listed). */
  | Readonly<{ kind: "tracks"; tracks: readonly Track[]; complete: boolean }>
  | DemuxedUnit
  /** Bytes are missing before what follows: continuity counter, bad syntax, a resync. Null: all tracks. */
  | Readonly<{ kind: "loss"; track: number | null; detail: string }>
  /** The sender says its clock jumps here (TS discontinuity_indicator). */
  | Readonly<{ kind: "clock-jump" }>
  /** A track we cannot take. The others go on. */
  | Readonly<{ kind: "unsupported"; what: string }>
  /** The sender says it is done. */
  | Readonly<{ kind: "end" }>;

export type DemuxedUnit = Readonly<{
  kind: "unit";
  track: number;
  /** Raw ticks of the reader's timescale, modulo 2^wrapBits. dts <= pts in presentation (unwrapped) terms. */
  ptsTicks: number;
  dtsTicks: number;
  randomAccess: boolean;
  /** The unit itself is incomplete or has bad syntax. */
  damaged: boolean;
  /** As in the session log. Owned by the receiver: never reused. */
  payload: Uint8Array;
}>;

/** The clock of a container: MPEG-TS 90000 ticks/s in 33 bits, RTMP 1000 ticks/s in 32 bits. */
export type DemuxClock = Readonly<{ timescale: number; wrapBits: 32 | 33 }>;
