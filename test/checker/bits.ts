// Bits of a header, first the highest. Reading past the end gives zeros: a judge of headers has no use for an exception.

export class Bits {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i += 1, this.#at += 1)
      value = value * 2 + (((this.#bytes[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
    return value;
  }

  flag(): boolean {
    return this.u(1) === 1;
  }

  skip(count: number): void {
    this.#at += count;
  }

  /** Exp-Golomb. */
  ue(): number {
    let zeros = 0;
    while (zeros < 32 && this.u(1) === 0) zeros += 1;
    return 2 ** zeros - 1 + this.u(zeros);
  }

  se(): number {
    const k = this.ue();
    return k % 2 ? (k + 1) / 2 : -k / 2;
  }
}

/** A NAL unit's payload without emulation prevention. */
export function unescaped(nal: Buffer): Buffer {
  return Buffer.from(nal.toString("latin1").replaceAll("\x00\x00\x03", "\x00\x00"), "latin1");
}
