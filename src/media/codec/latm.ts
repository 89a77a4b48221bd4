// AAC in LATM, as European broadcasts carry it: each frame in an AudioMuxElement behind a LOAS sync word. The
// configuration comes now and then inside of an element, and nothing in one is aligned to bytes.
// One program, one layer and one frame per element are taken: nothing else is broadcast.
// Source: ISO/IEC 14496-3, 1.7.2 (LOAS) and 1.7.3 (LATM)
import { PlatformError } from "#base/errors.ts";
import { type AacConfig, aacTrack, parseAacConfig, readAacConfig } from "./aac.ts";
import type { AudioSyntax, FrameHead } from "./audio-syntax.ts";
import { BitReader } from "./bits.ts";

const HEADER_BYTES = 3;

type Configuration = { config: Buffer; parsed: AacConfig };

export function latmSyntax(): AudioSyntax {
  let known: Configuration | null = null;
  return {
    name: "AAC",
    firstByte: 0x56,
    read(bytes, at): FrameHead | null | "more" {
      if (at + HEADER_BYTES > bytes.length) return "more";
      if (bytes[at] !== 0x56 || (bytes[at + 1]! & 0xe0) !== 0xe0) return null;
      const frameBytes = HEADER_BYTES + (bytes.readUInt16BE(at + 1) & 0x1fff);
      const samples = known?.parsed.samplesPerUnit ?? 1024;
      const sampleRate = known?.parsed.sampleRate ?? 48_000;
      return { skipBytes: HEADER_BYTES, frameBytes, sampleRate, samples, unitSamples: samples, mayGrow: false, key: 0 };
    },
    describe(frame) {
      known = readConfiguration(new BitReader(frame.subarray(HEADER_BYTES))) ?? known;
      return known && aacTrack(0, known.config);
    },
    payload(frame) {
      const bits = new BitReader(frame.subarray(HEADER_BYTES));
      readConfiguration(bits);
      let length = 0;
      for (let more = 255; more === 255; length += more) more = bits.bits(8);
      return bits.copy(bits.position, length * 8);
    },
  };
}

/** StreamMuxConfig, when the element has one. @throws PlatformError media.truncated, media.malformed, media.unsupported */
function readConfiguration(bits: BitReader): Configuration | null {
  if (bits.flag()) return null; // useSameStreamMux
  const version = bits.bits(1);
  if (version === 1 && bits.flag()) throw new PlatformError("media.unsupported", "AAC in LATM of an unknown version");
  if (version === 1) readValue(bits);
  bits.skip(1);
  const [frames, programs, layers] = [bits.bits(6) + 1, bits.bits(4) + 1, bits.bits(3) + 1];
  if (frames * programs * layers > 1)
    throw new PlatformError("media.unsupported", `AAC in LATM: ${frames} frames of ${programs} programs in an element`);
  const config = readSpecificConfig(bits, version === 1 ? readValue(bits) : null);
  if (bits.bits(3) !== 0) throw new PlatformError("media.unsupported", "AAC in LATM with frames of a fixed length");
  bits.skip(8);
  const hasOtherData = bits.flag();
  if (hasOtherData && version === 1) readValue(bits);
  else if (hasOtherData) for (let more = true; more; bits.skip(8)) more = bits.flag();
  if (bits.flag()) bits.skip(8);
  return { config, parsed: parseAacConfig(config) };
}

/** @param length in bits, as newer multiplexers tell it */
function readSpecificConfig(bits: BitReader, length: number | null): Buffer {
  const before = bits.position;
  if (readAacConfig(bits).describesChannels)
    throw new PlatformError("media.unsupported", "AAC in LATM with channels described by a program config element");
  const read = bits.position - before;
  if (length !== null && length > read) bits.skip(length - read);
  return bits.copy(before, length === null ? read : Math.max(read, length));
}

/** LatmGetValue. */
function readValue(bits: BitReader): number {
  return bits.bits((bits.bits(2) + 1) * 8);
}
