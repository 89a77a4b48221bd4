// What a packager does with each entry of the log, one after the other.
import { isCopied } from "#media/ladder/rendition.ts";
import {
  type Boundary,
  type Entry,
  type EraOpened,
  INTERLEAVE_MAX_NS,
  type Positioned,
  type Track,
  type Unit,
} from "#media/session-log/entries.ts";
import { compareEraFrames, type EraFrame } from "#media/session-log/era-frame.ts";
import type { CmafSink } from "#media/session-log/maker-ports.ts";
import { indexAtOrAfter } from "#media/time/rate.ts";
import { CopiedEra } from "./copied-era.ts";
import type { MadePart } from "./part-maker.ts";

/** What a log that nobody was asked a frame of may lack after its start: audio that is logged up to a second before the
 *  picture of its time. */
const UNASKED_MARGIN_NS = INTERLEAVE_MAX_NS + INTERLEAVE_MAX_NS / 2n;

export class LogReading {
  readonly #sinks: readonly CmafSink[];
  readonly #from: EraFrame | null;
  /** Read from the very beginning: what was not in the log never was. */
  #isComplete = true;
  #nextPosition = 0;
  #firstUnit: Unit | null = null;
  #tracks: readonly Track[] = [];
  #open: CopiedEra | null = null;
  #newestEra: number | null = null;
  #parts = 0;
  #bytes = 0;
  ended = false;

  /** @param from start of the first segment that is wanted; null: all there is */
  constructor(sinks: readonly CmafSink[], from: EraFrame | null) {
    this.#sinks = sinks;
    this.#from = from;
  }

  /** @throws PlatformError as the sinks do, media.* when a track cannot be described */
  entry({ position, entry }: Positioned<Entry>): void {
    if (position !== this.#nextPosition && this.#firstUnit === null) this.#leftOut();
    this.#nextPosition = position + 1;
    switch (entry.kind) {
      case "unit":
        this.#firstUnit ??= entry;
        this.#open?.unit(entry);
        break;
      case "tracks":
        this.#tracks = entry.tracks;
        break;
      case "era":
        if (entry.previousEnd !== null) this.#open?.finish(entry.previousEnd);
        this.#newestEra = entry.era;
        this.#open = this.#opened(entry);
        break;
      case "boundary":
        if (this.#open && this.#isWanted(this.#open.era, entry)) this.#open.boundary(entry.frame);
        break;
      case "hole":
        this.#open?.hole(entry);
        break;
      case "end":
        this.#open?.finish(entry.frame);
        this.#open = null;
        this.ended = true;
    }
  }

  counters() {
    const isBegun = this.#parts > 0 && this.#open !== null;
    return {
      era: this.#newestEra,
      /** Newest frame known, on the newest era's grid; null before the first part. */
      frame: isBegun ? this.#open!.known - 1 : null,
      parts: this.#parts,
      bytes: this.#bytes,
    };
  }

  /** Units before the first one that is here are not: neither is what the boundaries so far should begin. */
  #leftOut(): void {
    this.#isComplete = false;
    if (this.#open) this.#open = this.#opened(this.#open.era);
  }

  #opened(era: EraOpened): CopiedEra | null {
    if (era.mode !== "source" || !era.renditions.some(isCopied)) return null;
    const onPart = ({ bytes }: MadePart) => {
      this.#parts += 1;
      this.#bytes += bytes.byteLength;
    };
    return new CopiedEra({ era, tracks: this.#tracks, sinks: this.#sinks, onPart });
  }

  #isWanted({ era, rate }: EraOpened, { frame }: Boundary): boolean {
    const from = this.#from;
    if (from !== null) return compareEraFrames({ era, frame }, from) >= 0;
    if (this.#isComplete) return true;
    return this.#firstUnit !== null && frame >= indexAtOrAfter(rate, this.#firstUnit.timeNs + UNASKED_MARGIN_NS);
  }
}
