// One elementary stream's packets (PES) out of transport packet payloads. The bytes go into one growing buffer that is
// used again for the next PES: a view per transport packet would cost more than this copy, and would hold on to memory
// of the caller's.

const START_BYTES = 6;
const HEADER_BYTES = 9;
/** How many PES must have ended in a stuffed packet, and none gone on after one, before stuffing is taken as an end. */
const STUFFING_PROOF = 8;
const FIRST_BYTES = 16 * 1024;

export type PesTimes = Readonly<{ ptsTicks: number; dtsTicks: number }>;

export type Pes = Readonly<{
  /** Null when the header has none: the data then goes on where the PES before ended. */
  times: PesTimes | null;
  /** Valid until the next call into the assembler. */
  data: Buffer;
  /** random_access_indicator of its first packet. */
  randomAccess: boolean;
  /** Some of its bytes are missing. */
  damaged: boolean;
  /** Its length field was near the largest there is: the data may go on in the next PES, without time stamps. */
  mayContinue: boolean;
}>;

/** At which the 16-bit length field cannot say more, with some room for muxers that stop at a whole packet before. */
const CONTINUES_BYTES = 0xffff - 512;

export class PesAssembler {
  readonly #bytesMax: number;
  readonly #done: (pes: Pes) => void;
  readonly #lost: (detail: string) => void;
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;
  /** Bytes it must have; 0 while unknown or when the header does not say. */
  #expected = 0;
  #open = false;
  #randomAccess = false;
  #damaged = false;
  #stuffed = false;
  /** PES of unknown length that ended in a stuffed packet; -1 once one went on after it. */
  #stuffingEnds = 0;
  #endedByStuffing = false;

  /** @param bytesMax most bytes of one PES: what goes on longer is cut and damaged */
  constructor(bytesMax: number, done: (pes: Pes) => void, lost: (detail: string) => void) {
    this.#bytesMax = bytesMax;
    this.#done = done;
    this.#lost = lost;
  }

  /** The payload of a packet with payload_unit_start_indicator: the PES before is complete. */
  begin(bytes: Buffer, from: number, to: number, randomAccess: boolean, stuffed: boolean): void {
    if (this.#open && this.#expected === 0 && this.#stuffed && this.#stuffingEnds >= 0) this.#stuffingEnds += 1;
    this.finish();
    this.#open = true;
    this.#endedByStuffing = false;
    this.#randomAccess = randomAccess;
    this.#append(bytes, from, to, stuffed);
  }

  /** The payload of a packet that goes on. Ignored when nothing was begun. */
  extend(bytes: Buffer, from: number, to: number, stuffed: boolean): void {
    if (this.#endedByStuffing) {
      this.#stuffingEnds = -1;
      this.#endedByStuffing = false;
      this.#lost("a unit went on after its stuffing");
    }
    if (!this.#open) return;
    if (this.#stuffed && this.#expected === 0) this.#stuffingEnds = -1;
    this.#append(bytes, from, to, stuffed);
  }

  /** Bytes of the PES in progress are missing. */
  damage(): void {
    this.#endedByStuffing = false; // what comes next may be of any PES
    if (this.#open) this.#damaged = true;
  }

  /** The PES in progress can get nothing more. Without a length, only stuffing says that it had everything. */
  cut(): void {
    if (this.#open && this.#expected === 0 && !this.#stuffed) this.#damaged = true;
    this.finish();
  }

  /** Hand on what there is. */
  finish(): void {
    if (!this.#open) return;
    this.#open = false;
    const short = this.#expected > this.#length;
    const pes = readPes(this.#buffer.subarray(0, this.#length), this.#expected);
    const flags = { randomAccess: this.#randomAccess, damaged: this.#damaged || short };
    this.#reset();
    if (pes) this.#done({ ...pes, ...flags });
    else this.#lost("a PES header has bad syntax");
  }

  #reset(): void {
    this.#length = 0;
    this.#expected = 0;
    this.#damaged = false;
    this.#stuffed = false;
  }

  #append(bytes: Buffer, from: number, to: number, stuffed: boolean): void {
    const length = this.#length + to - from;
    if (length > this.#bytesMax) {
      this.#damaged = true;
      this.#lost(`a unit of more than ${this.#bytesMax} bytes`);
      this.finish();
      return;
    }
    if (length > this.#buffer.length) this.#grow(length);
    bytes.copy(this.#buffer, this.#length, from, to);
    this.#length = length;
    this.#stuffed = stuffed;
    if (this.#expected === 0 && length >= START_BYTES) {
      const declared = this.#buffer.readUInt16BE(4);
      if (declared > 0) this.#expected = START_BYTES + declared;
    }
    if (this.#expected > 0 && length >= this.#expected) this.finish();
    else if (this.#expected === 0 && stuffed && this.#stuffingEnds >= STUFFING_PROOF) {
      this.finish();
      this.#endedByStuffing = true;
    }
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(length, this.#buffer.length * 2)));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Null when it does not begin as a PES of video or audio does.
 *  Source: ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7 */
function readPes(bytes: Buffer, expected: number): Pick<Pes, "times" | "data" | "mayContinue"> | null {
  if (bytes.length < HEADER_BYTES || bytes.readUIntBE(0, 3) !== 1 || (bytes[6]! & 0xc0) !== 0x80) return null;
  const dataStart = HEADER_BYTES + bytes[8]!;
  if (dataStart > bytes.length) return null;
  const present = bytes[7]! >> 6;
  const pts = present & 2 ? readStamp(bytes, HEADER_BYTES, dataStart) : null;
  const dts = present === 3 ? readStamp(bytes, HEADER_BYTES + 5, dataStart) : pts;
  if (present !== 0 && (pts === null || dts === null)) return null;
  const data = bytes.subarray(dataStart, expected > 0 ? Math.min(expected, bytes.length) : bytes.length);
  const times = pts === null || dts === null ? null : { ptsTicks: pts, dtsTicks: dts };
  return { times, data, mayContinue: expected >= CONTINUES_BYTES };
}

/** 33 bits of 90 kHz; null when the marker bits are wrong. */
function readStamp(bytes: Buffer, at: number, end: number): number | null {
  if (at + 5 > end) return null;
  const high = bytes[at]!;
  const middle = bytes.readUInt16BE(at + 1);
  const low = bytes.readUInt16BE(at + 3);
  if (!(high & middle & low & 1)) return null;
  return ((high >> 1) & 7) * 2 ** 30 + (middle >> 1) * 2 ** 15 + (low >> 1);
}
