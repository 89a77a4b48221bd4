// Samples to parts and segments of one rendition. Parts are cells of equal width, counted from the segment's start; a
// sample belongs to the cell it starts in, and a cell in which none starts is no part.
import { assert } from "#base/assert.ts";
import { type CmafSample, writeChunk } from "#media/cmaf/write.ts";
import type { CmafTrackSink } from "#media/session-log/maker-ports.ts";
import { partCell } from "#media/time/source-ticks.ts";

/** A fragment's sequence number is its start modulo this: who joins counts like who began. */
const SEQUENCE_WRAP = 2 ** 31;

export type MadePart = Parameters<CmafTrackSink["push"]>[0];

export type MadeSample = CmafSample &
  Readonly<{
    /** Decode time, in ticks of the track. */
    startTicks: number;
    arrivedNs: bigint;
  }>;

export class PartMaker {
  readonly #cellTicks: number;
  readonly #send: (part: MadePart) => void;
  #segmentTicks: number | null = null;
  #cell = 0;
  #samples: MadeSample[] = [];
  #first = true;

  /** @param cellTicks width of a cell, in ticks of the track */
  constructor(cellTicks: number, send: (part: MadePart) => void) {
    this.#cellTicks = cellTicks;
    this.#send = send;
  }

  /** A segment begins with the sample that comes next. */
  begin(startTicks: number): void {
    assert.ok(this.#segmentTicks === null, "the segment before has ended");
    this.#segmentTicks = startTicks;
    this.#first = true;
  }

  add(sample: MadeSample): void {
    this.reach(sample.startTicks);
    this.#cell = this.#cellAt(sample.startTicks);
    this.#samples.push(sample);
  }

  /** The segment goes on with a sample that starts there: a part that cannot hold it is complete. */
  reach(ticks: number): void {
    if (this.#samples.length > 0 && this.#cellAt(ticks) !== this.#cell) this.#flush(false);
  }

  end(): void {
    if (this.#samples.length > 0) this.#flush(true);
    this.#segmentTicks = null;
  }

  #cellAt(ticks: number): number {
    assert.ok(this.#segmentTicks !== null, "a segment has begun");
    return partCell(this.#segmentTicks, ticks, this.#cellTicks);
  }

  #flush(lastOfSegment: boolean): void {
    const samples = this.#samples;
    const { startTicks } = samples[0]!;
    const bytes = writeChunk({
      sequence: startTicks % SEQUENCE_WRAP,
      baseDecodeTicks: startTicks,
      samples,
      startsSegment: this.#first,
    });
    let newestArrivedNs = 0n;
    for (const { arrivedNs } of samples) if (arrivedNs > newestArrivedNs) newestArrivedNs = arrivedNs;
    this.#samples = [];
    this.#first = false;
    this.#send({ startTicks, segmentStartTicks: this.#segmentTicks!, bytes, lastOfSegment, newestArrivedNs });
  }
}
