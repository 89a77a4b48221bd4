// NAL units in their two wrappings: start codes (Annex B, in MPEG-TS) and lengths (in FLV, MP4 and the session log).
// The search for start codes is Buffer.indexOf: a loop over bytes in JavaScript costs more than the rest of the demuxer.
import { PlatformError } from "#base/errors.ts";

const START_CODE = Buffer.of(0, 0, 1);

/** Most NAL units taken of one access unit: above any level's slice count, below what a flood of start codes can hold. */
export const NALS_MAX = 4096;

export type AnnexB = Readonly<{
  /** Views into the input, without start codes and trailing zero bytes; never empty. */
  nals: Buffer[];
  /** Bytes before the first start code, but for zeros: the rest of a NAL unit whose begin is elsewhere. */
  leading: number;
}>;

/** @throws PlatformError media.malformed when there are more than NALS_MAX
 *  Source: ITU-T H.264, B.1 */
export function splitAnnexB(bytes: Buffer): AnnexB {
  const nals: Buffer[] = [];
  let start = bytes.indexOf(START_CODE);
  const leading = trimmedEnd(bytes, 0, start < 0 ? bytes.length : start);
  while (start >= 0) {
    const from = start + 3;
    start = bytes.indexOf(START_CODE, from);
    const end = trimmedEnd(bytes, from, start < 0 ? bytes.length : start);
    if (end > from) nals.push(bytes.subarray(from, end));
    if (nals.length > NALS_MAX) throw new PlatformError("media.malformed", `more than ${NALS_MAX} NAL units at once`);
  }
  return { nals, leading };
}

/** A NAL unit never ends with a zero byte: zeros there belong to the next start code or are padding. */
function trimmedEnd(bytes: Buffer, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}

/** Views of the NAL units of a length-prefixed access unit. Empty ones are left out.
 *  @param lengthBytes size of each length: 1, 2, 3 or 4
 *  @throws PlatformError media.truncated, media.malformed
 *  Source: ISO/IEC 14496-15, 5.3.2 */
export function splitLengths(bytes: Buffer, lengthBytes = 4): Buffer[] {
  const nals: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + lengthBytes > bytes.length) throw new PlatformError("media.truncated", "a NAL unit's length is cut off");
    const length = bytes.readUIntBE(at, lengthBytes);
    at += lengthBytes;
    if (at + length > bytes.length)
      throw new PlatformError("media.truncated", `a NAL unit of ${length} bytes, ${bytes.length - at} are left`);
    if (length > 0) nals.push(bytes.subarray(at, at + length));
    if (nals.length > NALS_MAX) throw new PlatformError("media.malformed", `more than ${NALS_MAX} NAL units at once`);
    at += length;
  }
  return nals;
}

/** One new buffer with the NAL units behind 4-byte lengths. */
export function joinLengths(nals: readonly Uint8Array[]): Buffer {
  const out = Buffer.allocUnsafeSlow(nals.reduce((sum, nal) => sum + 4 + nal.length, 0));
  let at = 0;
  for (const nal of nals) {
    at = out.writeUInt32BE(nal.length, at);
    out.set(nal, at);
    at += nal.length;
  }
  return out;
}

/** One new buffer with the NAL units behind 4-byte start codes. */
export function joinAnnexB(nals: readonly Uint8Array[]): Buffer {
  const out = Buffer.allocUnsafeSlow(nals.reduce((sum, nal) => sum + 4 + nal.length, 0));
  let at = 0;
  for (const nal of nals) {
    at = out.writeUInt32BE(1, at);
    out.set(nal, at);
    at += nal.length;
  }
  return out;
}
