// AV1 as far as a gateway needs it: the open bitstream units (OBU) of a temporal unit, and what the first bits of a frame
// say. Sequence headers are in av1-sequence.ts. Source: AV1 Bitstream & Decoding Process Specification, 5.3 to 5.9
import { PlatformError } from "#base/errors.ts";

export const OBU = {
  sequenceHeader: 1,
  temporalDelimiter: 2,
  frameHeader: 3,
  tileGroup: 4,
  metadata: 5,
  frame: 6,
  redundantFrameHeader: 7,
  tileList: 8,
  padding: 15,
} as const;

const OBUS_MAX = 1024;
const KEY_FRAME = 0;

export type Obu = Readonly<{
  type: number;
  /** All of it, header and size field included. */
  bytes: Buffer;
  /** Where its payload begins in `bytes`. */
  payloadAt: number;
  hasSize: boolean;
}>;

/** A number in at most 8 bytes of 7 bits, the lowest first. Source: 4.10.5
 *  @throws PlatformError media.truncated, media.malformed when it is larger than 32 bits */
function readLeb128(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 8; i += 1) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new PlatformError("media.truncated", "AV1: the size of a unit is cut off");
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (value > 0xffff_ffff) break;
    if (!(byte & 0x80)) return { value, next: at + i + 1 };
  }
  throw new PlatformError("media.malformed", "AV1: the size of a unit has more than 32 bits");
}

function leb128(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    out.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return out;
}

/** Views of the units in the low-overhead format; one without a size field takes all that follows.
 *  @throws PlatformError media.truncated, media.malformed Source: 5.3.1 and 5.3.2 */
export function splitObus(bytes: Buffer): Obu[] {
  const obus: Obu[] = [];
  let at = 0;
  while (at < bytes.length) {
    const obu = readObu(bytes.subarray(at));
    obus.push(obu);
    if (obus.length > OBUS_MAX) throw new PlatformError("media.malformed", `AV1: more than ${OBUS_MAX} units at once`);
    at += obu.bytes.length;
  }
  return obus;
}

/** The unit that `bytes` begins with. @throws PlatformError media.truncated, media.malformed */
export function readObu(bytes: Buffer): Obu {
  const head = bytes[0];
  if (head === undefined) throw new PlatformError("media.truncated", "AV1: a unit without a byte");
  if (head & 0x80) throw new PlatformError("media.malformed", "AV1: forbidden bit set");
  const hasSize = (head & 2) !== 0;
  const afterHead = head & 4 ? 2 : 1;
  if (bytes.length < afterHead) throw new PlatformError("media.truncated", "AV1: the head of a unit is cut off");
  const size = hasSize ? readLeb128(bytes, afterHead) : { value: bytes.length - afterHead, next: afterHead };
  const end = size.next + size.value;
  if (end > bytes.length)
    throw new PlatformError(
      "media.truncated",
      `AV1: a unit of ${size.value} bytes, ${bytes.length - size.next} are left`,
    );
  return { type: (head >> 3) & 15, bytes: bytes.subarray(0, end), payloadAt: size.next, hasSize };
}

/** One new buffer with the units, each with a size field. */
export function joinObus(obus: readonly Obu[]): Buffer {
  return Buffer.concat(obus.flatMap((obu) => (obu.hasSize ? [obu.bytes] : withSize(obu))));
}

function withSize({ bytes, payloadAt }: Obu): Buffer[] {
  const head = Buffer.from(bytes.subarray(0, payloadAt));
  head[0]! |= 2;
  return [head, Buffer.from(leb128(bytes.length - payloadAt)), bytes.subarray(payloadAt)];
}

/** What a temporal unit is made of in the session log: no delimiters, no filling, nothing twice. */
export function isKept(type: number): boolean {
  return (
    type === OBU.sequenceHeader ||
    type === OBU.frameHeader ||
    type === OBU.tileGroup ||
    type === OBU.metadata ||
    type === OBU.frame
  );
}

export function hasFrameHeader(type: number): boolean {
  return type === OBU.frame || type === OBU.frameHeader;
}

export type FrameStart = Readonly<{
  /** A frame decoded earlier is put out: it ends a temporal unit. */
  showExisting: boolean;
  /** It can be decoded, and all after it, without what was before. */
  key: boolean;
  /** It is put out: it ends a temporal unit. */
  shown: boolean;
}>;

/** @param reducedStill reduced_still_picture_header of the sequence header
 *  @returns null when it has no payload Source: 5.9.2 */
export function readFrameStart(obu: Obu, reducedStill = false): FrameStart | null {
  if (reducedStill) return { showExisting: false, key: true, shown: true };
  const byte = obu.bytes[obu.payloadAt];
  if (byte === undefined) return null;
  if (byte & 0x80) return { showExisting: true, key: false, shown: true };
  return { showExisting: false, key: ((byte >> 5) & 3) === KEY_FRAME, shown: (byte & 0x10) !== 0 };
}

/** Whether a temporal unit begins with a key frame that is shown: then decoding may start afresh there. A key frame that
 *  is shown later (delayed random access) does not count. @param payload low-overhead format with size fields */
export function beginsWithKeyFrame(payload: Buffer): boolean {
  let at = 0;
  try {
    while (at < payload.length) {
      const obu = readObu(payload.subarray(at));
      if (hasFrameHeader(obu.type)) {
        const start = readFrameStart(obu);
        return start?.key === true && start.shown;
      }
      at += obu.bytes.length;
    }
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
  }
  return false;
}
