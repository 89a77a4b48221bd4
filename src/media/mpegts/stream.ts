// What the demuxer knows of an elementary stream, whatever its codec.
import type { Track } from "#media/session-log/entries.ts";
import type { Pes } from "./pes.ts";

export const CLOCK_RATE = 90_000;
const CLOCK_WRAP = 2 ** 33;

/** What a stream tells. */
export interface StreamEvents {
  /** The track became known, or is another from the next unit on. */
  trackChanged(): void;
  unit(unit: {
    ptsTicks: number;
    dtsTicks: number;
    randomAccess: boolean;
    damaged: boolean;
    payload: Uint8Array;
  }): void;
  lost(detail: string): void;
  unsupported(what: string): void;
}

export interface Stream {
  /** Null while its parameters are unknown. */
  readonly track: Track | null;
  pes(pes: Pes): void;
  /** Nothing follows what was handed in: let go of what was held back. */
  flush(): void;
}

export function wrapped(ticks: number): number {
  return ((Math.round(ticks) % CLOCK_WRAP) + CLOCK_WRAP) % CLOCK_WRAP;
}
