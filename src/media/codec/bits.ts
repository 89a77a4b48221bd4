// Bits of a NAL unit or of an audio configuration, most significant first. Reading past the end is the sender's mistake
// and has our error; it must never surface as undefined that turns into a wrong number.
import { PlatformError } from "#base/errors.ts";

const EMULATION = Buffer.of(0, 0, 3);

export class BitReader {
  readonly #bytes: Uint8Array;
  #bit = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bits read so far. */
  get position(): number {
    return this.#bit;
  }

  get bitsLeft(): number {
    return this.#bytes.length * 8 - this.#bit;
  }

  /** An unsigned number. @param count 0 to 32 @throws PlatformError media.truncated */
  bits(count: number): number {
    if (count > this.bitsLeft)
      throw new PlatformError("media.truncated", `${count} bits wanted, ${this.bitsLeft} left`);
    let value = 0;
    let left = count;
    while (left > 0) {
      const inByte = 8 - (this.#bit & 7);
      const take = Math.min(inByte, left);
      const byte = this.#bytes[this.#bit >> 3]!;
      value = value * 2 ** take + ((byte >> (inByte - take)) & ((1 << take) - 1));
      this.#bit += take;
      left -= take;
    }
    return value;
  }

  /** Bits from anywhere as bytes, the last one filled up with zeros; new memory. Where it reads does not change.
   *  @throws PlatformError media.truncated */
  copy(from: number, count: number): Buffer {
    const [first, shift, length] = [from >> 3, from & 7, (count + 7) >> 3];
    if (from + count > this.#bytes.length * 8)
      throw new PlatformError("media.truncated", `${count} bits to copy, ${this.#bytes.length * 8 - from} left`);
    const out = Buffer.allocUnsafeSlow(length);
    for (let i = 0; i < length; i += 1)
      out[i] = (this.#bytes[first + i]! << shift) | ((this.#bytes[first + i + 1] ?? 0) >> (8 - shift));
    if (count & 7) out[length - 1]! &= 0xff << (8 - (count & 7));
    return out;
  }

  flag(): boolean {
    return this.bits(1) === 1;
  }

  /** @throws PlatformError media.truncated */
  skip(count: number): void {
    if (count > this.bitsLeft)
      throw new PlatformError("media.truncated", `${count} bits to skip, ${this.bitsLeft} left`);
    this.#bit += count;
  }

  /** Exp-Golomb, unsigned: ue(v). @param most largest value that has a meaning here
   *  @throws PlatformError media.truncated, media.malformed
   *  Source: ITU-T H.264, 9.1 (the same as H.265, 9.2) */
  ue(name: string, most = 0xffff_fffe): number {
    let zeros = 0;
    while (!this.flag()) {
      zeros += 1;
      if (zeros > 31) throw new PlatformError("media.malformed", `${name}: Exp-Golomb code of more than 63 bits`);
    }
    const value = 2 ** zeros - 1 + this.bits(zeros);
    if (value > most) throw new PlatformError("media.malformed", `${name} is ${value}, at most ${most} is allowed`);
    return value;
  }

  /** Exp-Golomb, signed: se(v). @throws PlatformError media.truncated, media.malformed */
  se(name: string): number {
    const code = this.ue(name);
    return code % 2 === 0 ? -code / 2 : (code + 1) / 2;
  }
}

/** The payload of a NAL unit without emulation prevention bytes; the same memory when there are none.
 *  Source: ITU-T H.264, 7.3.1 */
export function unescapeNal(nal: Buffer): Buffer {
  let at = nal.indexOf(EMULATION);
  if (at < 0) return nal;
  const out = Buffer.allocUnsafe(nal.length);
  let from = 0;
  let length = 0;
  while (at >= 0) {
    length += nal.copy(out, length, from, at + 2);
    from = at + 3;
    at = nal.indexOf(EMULATION, from);
  }
  length += nal.copy(out, length, from);
  return out.subarray(0, length);
}
