// Where the parts of one encoded audio segment end, in frames of the 1024 grid.
import { assert } from "#base/assert.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { OPEN_END } from "#media/session-log/stretch.ts";
import { indexAtOrAfter, timeOf } from "#media/time/rate.ts";
import { AAC_FRAME_SAMPLES, audioFrameAtOrAfter } from "#media/time/segmentation.ts";
import { partCell } from "#media/time/source-ticks.ts";

export class AudioParts {
  readonly #era: EraOpened;
  readonly #sampleRate: number;
  /** First audio frame of the segment. */
  readonly first: number;
  /** `grid`: video frame at which the next part starts. `source`: the audio frame. */
  #next: number;
  #complete = false;

  /** @param start the segment's, on the era's grid */
  constructor(era: EraOpened, sampleRate: number, start: number) {
    this.#era = era;
    this.#sampleRate = sampleRate;
    this.first = this.endFrame(start);
    this.#next = era.mode === "grid" ? start : this.first;
  }

  /** All parts were handed out. */
  get complete(): boolean {
    return this.#complete;
  }

  /** First audio frame behind the segment that ends there. @param end may be OPEN_END */
  endFrame(end: number): number {
    return end === OPEN_END ? OPEN_END : audioFrameAtOrAfter(this.#era.rate, end, this.#sampleRate);
  }

  /** The next part that may go out: its frames are below `endFrame`; there may be none.
   *  @param end the segment's, as the log says it now
   *  @param settled below it no boundary can come any more
   *  @param encodedTo newest audio frame that is encoded */
  next(end: number, settled: number, encodedTo: number): Readonly<{ endFrame: number }> | null {
    if (this.#complete) return null;
    return this.#era.mode === "grid"
      ? this.#nextOnGrid(end, settled, encodedTo)
      : this.#nextCell(end, settled, encodedTo);
  }

  #nextOnGrid(end: number, settled: number, encodedTo: number): Readonly<{ endFrame: number }> | null {
    assert.ok(end !== OPEN_END, "on a grid a segment's end is known");
    const partEnd = Math.min(this.#next + this.#era.partFrames, end);
    const endFrame = this.endFrame(partEnd);
    const isEncoded = endFrame <= this.endFrame(this.#next) || encodedTo >= endFrame - 1;
    if (partEnd > settled || !isEncoded) return null;
    this.#next = partEnd;
    this.#complete = partEnd >= end;
    return { endFrame };
  }

  /** Cells are counted from the segment's first audio frame. */
  #nextCell(end: number, settled: number, encodedTo: number): Readonly<{ endFrame: number }> | null {
    const endFrame = Math.min(this.#cellEnd(), this.endFrame(end));
    if (encodedTo < endFrame - 1 && endFrame > this.#next) return null;
    // Whether this is the last part: known with the segment's end, or when no boundary can come up to the next frame.
    if (end === OPEN_END && settled <= this.#tickOf(endFrame)) return null;
    this.#next = endFrame;
    this.#complete = endFrame >= this.endFrame(end);
    return { endFrame };
  }

  /** First frame that starts in a later cell than the next one does. */
  #cellEnd(): number {
    const { partFrames, rate } = this.#era;
    const start = this.first * AAC_FRAME_SAMPLES;
    const width = (partFrames * rate.den * this.#sampleRate) / rate.num;
    const cell = partCell(start, this.#next * AAC_FRAME_SAMPLES, width);
    let frame = Math.floor(this.first + ((cell + 1) * width) / AAC_FRAME_SAMPLES);
    while (partCell(start, frame * AAC_FRAME_SAMPLES, width) <= cell) frame += 1;
    return frame;
  }

  /** A boundary behind it ends no segment at that audio frame. */
  #tickOf(frame: number): number {
    return indexAtOrAfter(this.#era.rate, timeOf({ num: this.#sampleRate, den: AAC_FRAME_SAMPLES }, frame));
  }
}
