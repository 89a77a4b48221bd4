// The decoder configuration record of H.265 in MP4 and FLV. Source: ISO/IEC 14496-15, 8.3.3.1
import { PlatformError } from "#base/errors.ts";
import { NAL, nalType, parseSps } from "./hevc.ts";

export type HevcConfig = Readonly<{
  lengthBytes: number;
  vps: readonly Buffer[];
  sps: readonly Buffer[];
  pps: readonly Buffer[];
}>;

const HEADER_BYTES = 23;
const NALS_MAX = 512;

/** Views into the record. SEI and other arrays are not returned.
 *  @throws PlatformError media.truncated, media.malformed */
export function parseHevcConfig(record: Uint8Array): HevcConfig {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < HEADER_BYTES) throw new PlatformError("media.truncated", `hvcC of ${bytes.length} bytes`);
  if (bytes[0] !== 1) throw new PlatformError("media.malformed", `hvcC version ${bytes[0]}`);
  const nals: Buffer[] = [];
  let at = HEADER_BYTES;
  for (let arrays = bytes[22]!; arrays > 0; arrays -= 1) {
    if (at + 3 > bytes.length) throw new PlatformError("media.truncated", "hvcC ends before its arrays do");
    const count = bytes.readUInt16BE(at + 1);
    at += 3;
    for (let i = 0; i < count; i += 1) {
      if (at + 2 > bytes.length) throw new PlatformError("media.truncated", "hvcC ends before its parameter sets do");
      const end = at + 2 + bytes.readUInt16BE(at);
      if (end > bytes.length) throw new PlatformError("media.truncated", "hvcC ends inside a parameter set");
      if (end > at + 4) nals.push(bytes.subarray(at + 2, end)); // shorter is less than a NAL unit's header
      if (nals.length > NALS_MAX) throw new PlatformError("media.malformed", `hvcC with more than ${NALS_MAX} sets`);
      at = end;
    }
  }
  const ofType = (type: number) => nals.filter((nal) => nalType(nal) === type);
  return { lengthBytes: (bytes[21]! & 3) + 1, vps: ofType(NAL.vps), sps: ofType(NAL.sps), pps: ofType(NAL.pps) };
}

/** Length size 4, arrays complete (sample entry hvc1). The same sets give the same bytes.
 *  @throws PlatformError media.malformed, media.truncated when a set is none or one kind is missing */
export function buildHevcConfig(vps: readonly Buffer[], sps: readonly Buffer[], pps: readonly Buffer[]): Buffer {
  const first = sps[0];
  if (!first || vps.length === 0 || pps.length === 0)
    throw new PlatformError("media.malformed", `hvcC with ${vps.length} VPS, ${sps.length} SPS and ${pps.length} PPS`);
  const parsed = parseSps(first);
  const { space, tier, profile, compatibility, constraints, level } = parsed.profile;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(1, 0);
  header.writeUInt8((space << 6) | (tier << 5) | profile, 1);
  header.writeUInt32BE(compatibility, 2);
  header.set(constraints, 6);
  header.writeUInt8(level, 12);
  header.writeUInt16BE(0xf000 | parsed.minSpatialSegmentation, 13);
  header.writeUInt8(0xfc, 15); // parallelism unknown
  header.writeUInt8(0xfc | parsed.chromaFormat, 16);
  header.writeUInt8(0xf8 | (parsed.bitDepthLuma - 8), 17);
  header.writeUInt8(0xf8 | (parsed.bitDepthChroma - 8), 18);
  header.writeUInt8((parsed.temporalLayers << 3) | (parsed.temporalNesting ? 4 : 0) | 3, 21); // no average rate
  header.writeUInt8(3, 22);
  return Buffer.concat([header, ...array(NAL.vps, vps), ...array(NAL.sps, sps), ...array(NAL.pps, pps)]);
}

function array(type: number, nals: readonly Buffer[]): Buffer[] {
  const head = Buffer.of(0x80 | type, nals.length >> 8, nals.length & 0xff);
  return [
    head,
    ...nals.flatMap((nal) => {
      if (nal.length > 0xffff) throw new PlatformError("media.malformed", `a parameter set of ${nal.length} bytes`);
      return [Buffer.of(nal.length >> 8, nal.length & 0xff), nal];
    }),
  ];
}
