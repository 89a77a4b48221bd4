// The decoder configuration record of H.264 in MP4 and FLV. Source: ISO/IEC 14496-15, 5.3.3.1
import { PlatformError } from "#base/errors.ts";
import { hasChromaFormat, parseSps } from "./h264.ts";

export type AvcConfig = Readonly<{ lengthBytes: number; sps: readonly Buffer[]; pps: readonly Buffer[] }>;

const SPS_MAX = 31;
const PPS_MAX = 255;

/** Views into the record. Whatever follows the parameter sets is not looked at: some encoders leave it out.
 *  @throws PlatformError media.truncated, media.malformed */
export function parseAvcConfig(record: Uint8Array): AvcConfig {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < 7) throw new PlatformError("media.truncated", `avcC of ${bytes.length} bytes`);
  if (bytes[0] !== 1) throw new PlatformError("media.malformed", `avcC version ${bytes[0]}`);
  let at = 5;
  const sets = (count: number): Buffer[] => {
    const nals: Buffer[] = [];
    for (let i = 0; i < count; i += 1) {
      if (at + 2 > bytes.length) throw new PlatformError("media.truncated", "avcC ends before its parameter sets do");
      const end = at + 2 + bytes.readUInt16BE(at);
      if (end > bytes.length) throw new PlatformError("media.truncated", "avcC ends inside a parameter set");
      if (end > at + 2) nals.push(bytes.subarray(at + 2, end));
      at = end;
    }
    return nals;
  };
  const sps = sets(bytes[at++]! & 0x1f);
  if (at >= bytes.length) throw new PlatformError("media.truncated", "avcC ends before its picture parameter sets");
  const pps = sets(bytes[at++]!);
  return { lengthBytes: (bytes[4]! & 3) + 1, sps, pps };
}

/** Length size 4. The same sets give the same bytes.
 *  @throws PlatformError media.malformed, media.truncated when a set is none, or there are too many */
export function buildAvcConfig(sps: readonly Buffer[], pps: readonly Buffer[]): Buffer {
  const first = sps[0];
  if (!first || sps.length > SPS_MAX || pps.length === 0 || pps.length > PPS_MAX)
    throw new PlatformError("media.malformed", `avcC with ${sps.length} SPS and ${pps.length} PPS`);
  const { profile, constraints, level, chromaFormat, bitDepthLuma, bitDepthChroma } = parseSps(first);
  const withLength = (nal: Buffer): Buffer[] => {
    if (nal.length > 0xffff) throw new PlatformError("media.malformed", `a parameter set of ${nal.length} bytes`);
    return [Buffer.of(nal.length >> 8, nal.length & 0xff), nal];
  };
  return Buffer.concat([
    Buffer.of(1, profile, constraints, level, 0xfc | 3, 0xe0 | sps.length),
    ...sps.flatMap(withLength),
    Buffer.of(pps.length),
    ...pps.flatMap(withLength),
    ...(hasChromaFormat(profile)
      ? [Buffer.of(0xfc | chromaFormat, 0xf8 | (bitDepthLuma - 8), 0xf8 | (bitDepthChroma - 8), 0)]
      : []),
  ]);
}
