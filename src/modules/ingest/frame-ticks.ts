// Ticks of copied pictures. Where a source's rate is constant, its pictures lie on a grid of frames whatever the stamps
// of its container say: RTMP counts whole milliseconds, and 29.97 of them would make every sample of another length. So
// a time that is near a frame is that frame; one that clearly lies between two is kept as it is.
import type { EraOpened } from "#media/session-log/entries.ts";
import { indexAt, indexAtOrAfter, type Rate, timeOf } from "#media/time/rate.ts";

/** What is further from a frame than this share of one is no jitter of stamps. */
const NEAR = 4n;

/** Whether pictures of a source era come at no constant rate: then its segments are one part each. */
export function isVariable({ partFrames, segmentFrames }: Pick<EraOpened, "partFrames" | "segmentFrames">): boolean {
  return partFrames > segmentFrames;
}

export class FrameTicks {
  readonly #ticks: Rate;
  readonly #frames: Rate;
  readonly #isVariable: boolean;
  readonly #nearNs: bigint;
  /** One picture in ticks, to the nearest. */
  readonly perFrame: number;

  constructor(era: Pick<EraOpened, "rate" | "frameRate" | "partFrames" | "segmentFrames">) {
    this.#ticks = era.rate;
    this.#frames = era.frameRate;
    this.#isVariable = isVariable(era);
    this.#nearNs = timeOf(era.frameRate, 1) / NEAR;
    this.perFrame = Math.max(1, this.#tickOf(1));
  }

  instant(tick: number): bigint {
    return timeOf(this.#ticks, tick);
  }

  /** Ticks of a span that may be negative, to the nearest. */
  span(spanNs: bigint): number {
    return spanNs < 0n ? -indexAt(this.#ticks, -spanNs) : indexAt(this.#ticks, spanNs);
  }

  /** The tick of a stamp. */
  of(timeNs: bigint): number {
    if (this.#isVariable) return indexAt(this.#ticks, timeNs);
    const frame = indexAt(this.#frames, timeNs);
    const offNs = timeNs - timeOf(this.#frames, frame);
    const isNear = offNs <= this.#nearNs && -offNs <= this.#nearNs;
    return isNear ? this.#tickOf(frame) : indexAt(this.#ticks, timeNs);
  }

  /** The tick of the frame nearest to an instant that is no stamp, but not below `least`. */
  nearest(timeNs: bigint, least: number): number {
    if (this.#isVariable) return Math.max(least, indexAt(this.#ticks, timeNs));
    const tick = this.#tickOf(indexAt(this.#frames, timeNs));
    return tick >= least ? tick : this.#tickOf(this.#frameAtOrAfter(least));
  }

  #frameAtOrAfter(tick: number): number {
    const frame = indexAtOrAfter(this.#frames, this.instant(tick));
    // An instant is a rounded nanosecond: the frame before may be the one.
    return this.#tickOf(frame - 1) >= tick ? frame - 1 : frame;
  }

  /** Nearest tick of a frame: exact, as its numbers are too large for a product of plain ones. */
  #tickOf(frame: number): number {
    const num = BigInt(this.#frames.num) * BigInt(this.#ticks.den);
    const product = BigInt(frame) * BigInt(this.#frames.den) * BigInt(this.#ticks.num);
    return Number((product * 2n + num) / (num * 2n));
  }
}
