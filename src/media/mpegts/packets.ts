// Finds transport packets in a byte stream that may begin anywhere, lose bytes, or be something else. 0x47 also occurs
// inside packets, so one alone proves nothing: three in the right distance do. Once in step, each packet is looked at
// where it lies in the caller's memory; only those that straddle two pushes are copied.

export const PACKET_BYTES = 188;
const SYNC = 0x47;
const STAMP_BYTES = 4;
/** Plain, with a 4-byte time stamp before (M2TS), with 16 bytes of error correction behind. */
const STRIDES = [PACKET_BYTES, STAMP_BYTES + PACKET_BYTES, 204] as const;
const STRIDE_MAX = 204;
const PROOF_PACKETS = 3;
/** Enough to find PROOF_PACKETS from any offset. */
const SEARCH_BYTES = STRIDE_MAX * (PROOF_PACKETS - 1) + 1;
const GARBAGE_REPORT_BYTES = 64 * 1024;

export class PacketReader {
  readonly #packet: (bytes: Buffer, at: number) => void;
  readonly #lost: (detail: string) => void;
  #stride = 0;
  #held: Buffer = Buffer.alloc(0);
  /** Bytes still to pass over before the next packet begins. */
  #gap = 0;
  #skipped = 0;

  /** @param packet called for each: 188 bytes from `at` on, valid during the call only
   *  @param lost called when bytes are passed over: at once, then for each 64 KiB */
  constructor(packet: (bytes: Buffer, at: number) => void, lost: (detail: string) => void) {
    this.#packet = packet;
    this.#lost = lost;
  }

  push(chunk: Uint8Array): void {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (bytes.length > 0) bytes = this.#stride > 0 ? this.#inStep(bytes) : this.#search(bytes, false);
  }

  /** Nothing more comes: what is left and could be packets is taken as such. */
  end(): void {
    let bytes = this.#held;
    this.#held = Buffer.alloc(0);
    while (this.#stride === 0 && bytes.length >= PACKET_BYTES) {
      bytes = this.#search(bytes, true);
      while (this.#stride > 0 && bytes.length > 0) bytes = this.#inStep(bytes);
    }
    this.#held = Buffer.alloc(0);
  }

  /** @returns what is still to be read, not in step any more, or nothing */
  #inStep(chunk: Buffer): Buffer {
    let bytes = chunk;
    if (this.#held.length > 0) {
      const missing = PACKET_BYTES - this.#held.length;
      if (bytes.length < missing) {
        this.#held = Buffer.concat([this.#held, bytes]);
        return bytes.subarray(bytes.length);
      }
      this.#packet(Buffer.concat([this.#held, bytes.subarray(0, missing)]), 0);
      this.#held = Buffer.alloc(0);
      this.#gap = this.#stride - PACKET_BYTES;
      bytes = bytes.subarray(missing);
    }
    let at = this.#gap;
    while (at < bytes.length) {
      if (bytes[at] !== SYNC) return this.#lostStep(bytes.subarray(at));
      if (at + PACKET_BYTES > bytes.length) break;
      this.#packet(bytes, at);
      at += this.#stride;
    }
    this.#gap = Math.max(0, at - bytes.length);
    if (at < bytes.length) this.#held = Buffer.from(bytes.subarray(at)); // a copy: the caller's memory is the caller's
    return bytes.subarray(bytes.length);
  }

  #lostStep(rest: Buffer): Buffer {
    this.#stride = 0;
    this.#gap = 0;
    this.#skipped = 0;
    this.#lost("no sync byte where a packet should begin");
    return rest;
  }

  /** @param last whether fewer packets than PROOF_PACKETS are proof enough */
  #search(chunk: Buffer, last: boolean): Buffer {
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#held = Buffer.alloc(0);
    let at = bytes.indexOf(SYNC);
    while (at >= 0 && (last ? at + PACKET_BYTES : at + SEARCH_BYTES) <= bytes.length) {
      const stride = STRIDES.find((candidate) => isInStep(bytes, at, candidate));
      if (stride !== undefined) {
        this.#skip(at === STAMP_BYTES && stride === STAMP_BYTES + PACKET_BYTES ? 0 : at);
        this.#stride = stride;
        return bytes.subarray(at);
      }
      at = bytes.indexOf(SYNC, at + 1);
    }
    const kept = last || at < 0 ? bytes.length : at;
    this.#skip(kept);
    this.#held = Buffer.from(bytes.subarray(kept)); // less than SEARCH_BYTES
    return bytes.subarray(bytes.length);
  }

  #skip(count: number): void {
    if (count === 0) return;
    const reports = (skipped: number) => Math.ceil(skipped / GARBAGE_REPORT_BYTES);
    const before = this.#skipped;
    this.#skipped += count;
    if (reports(this.#skipped) > reports(before)) this.#lost(`${this.#skipped} bytes that are no transport packets`);
  }
}

function isInStep(bytes: Buffer, at: number, stride: number): boolean {
  for (let i = 1; i < PROOF_PACKETS; i += 1) {
    const next = at + i * stride;
    if (next < bytes.length && bytes[next] !== SYNC) return false;
  }
  return true;
}
