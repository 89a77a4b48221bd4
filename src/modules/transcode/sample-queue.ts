// Samples on their way from the resampler to the encoder, with their place on the output grid: what lies before the first
// wanted sample is dropped, what is missing is silence.

export class SampleQueue {
  readonly #channels: number;
  #pieces: (readonly Float32Array[])[] = [];
  /** Samples of the first piece that were taken. */
  #taken = 0;
  /** Index of the next sample to take, and of the one after the last held. */
  #next: number;
  #end: number;
  /** Index of the next sample to be pushed; below `end`, it is dropped. */
  #pushAt: number;

  /** @param first index of the first sample that will be taken */
  constructor(channels: number, first: number) {
    this.#channels = channels;
    this.#next = first;
    this.#end = first;
    this.#pushAt = first;
  }

  get available(): number {
    return this.#end - this.#next;
  }

  get end(): number {
    return this.#end;
  }

  /** The next samples pushed lie at `index`: before the end their beginning is dropped, behind it the gap is silence. */
  continueAt(index: number): void {
    if (index > this.#end) this.pushSilenceTo(index);
    this.#pushAt = index;
  }

  push(planes: readonly Float32Array[]): void {
    const count = planes[0]!.length;
    const skip = Math.min(count, Math.max(0, this.#end - this.#pushAt));
    this.#pushAt += count;
    if (skip === count) return;
    this.#pieces.push(skip === 0 ? planes : planes.map((plane) => plane.subarray(skip)));
    this.#end += count - skip;
  }

  pushSilenceTo(index: number): void {
    while (this.#end < index) {
      const plane = new Float32Array(Math.min(1024, index - this.#end));
      this.#pieces.push(new Array<Float32Array>(this.#channels).fill(plane));
      this.#end += plane.length;
    }
    this.#pushAt = this.#end;
  }

  /** @param count at most `available` @returns new arrays, one per channel */
  take(count: number): Float32Array[] {
    const out = Array.from({ length: this.#channels }, () => new Float32Array(count));
    let filled = 0;
    while (filled < count) {
      const piece = this.#pieces[0]!;
      const length = Math.min(count - filled, piece[0]!.length - this.#taken);
      piece.forEach((plane, channel) => {
        out[channel]!.set(plane.subarray(this.#taken, this.#taken + length), filled);
      });
      filled += length;
      this.#taken += length;
      if (this.#taken === piece[0]!.length) {
        this.#pieces.shift();
        this.#taken = 0;
      }
    }
    this.#next += count;
    return out;
  }
}
