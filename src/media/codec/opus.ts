// Opus: how long a packet lasts (its first byte, the TOC), the record of MP4 files (dOps), the identification header of
// Ogg and RTMP, and the control header that packets have in MPEG-TS.
// Source: RFC 6716, 3.1 and 3.2; RFC 7845, 5.1; Encapsulation of Opus in ISO Base Media File Format, 4.3.2; ETSI TS 103
// 491 (Opus in MPEG-2 transport streams), 4.2 and 5.1
import { PlatformError } from "#base/errors.ts";
import type { AudioDescription, AudioSyntax, FrameHead } from "./audio-syntax.ts";

/** Opus counts at 48 kHz whatever its input was. */
const OPUS_RATE = 48_000;
const SAMPLES_MAX = 5760;

/** Samples of one frame by config / 4 (SILK, then hybrid in pairs, then CELT) and config % 4. */
const SILK_SAMPLES = [480, 960, 1920, 2880] as const;
const HYBRID_SAMPLES = [480, 960] as const;
const CELT_SAMPLES = [120, 240, 480, 960] as const;

/** Samples of a packet; null when it is none. */
export function opusSamples(packet: Uint8Array): number | null {
  const toc = packet[0];
  if (toc === undefined) return null;
  const config = toc >> 3;
  const frame =
    config < 12 ? SILK_SAMPLES[config & 3]! : config < 16 ? HYBRID_SAMPLES[config & 1]! : CELT_SAMPLES[config & 3]!;
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : packet.length < 2 ? 0 : packet[1]! & 0x3f;
  const samples = frame * frames;
  return samples > 0 && samples <= SAMPLES_MAX ? samples : null;
}

export type OpusLayout = Readonly<{
  channels: number;
  preSkip: number;
  inputRate: number;
  gain: number;
  family: number;
  /** stream count, coupled count, channel mapping; empty for family 0. */
  mapping: Uint8Array;
}>;

/** Channels of family 1 (surround in Vorbis order) as encoders pair them. Source: RFC 7845, 5.1.1.2 */
const SURROUND: readonly (readonly number[])[] = [
  [1, 0, 0],
  [1, 1, 0, 1],
  [2, 1, 0, 2, 1],
  [2, 2, 0, 1, 2, 3],
  [3, 2, 0, 4, 1, 2, 3],
  [4, 2, 0, 4, 1, 2, 3, 5],
  [4, 3, 0, 4, 1, 2, 3, 5, 6],
  [5, 3, 0, 6, 1, 2, 3, 4, 5, 7],
];

/** What is known when only the number of channels is. @throws PlatformError media.unsupported */
export function opusLayout(channels: number): OpusLayout {
  const mapping = SURROUND[channels - 1];
  if (!mapping) throw new PlatformError("media.unsupported", `Opus with ${channels} channels`);
  const family = channels > 2 ? 1 : 0;
  return { channels, preSkip: 0, inputRate: OPUS_RATE, gain: 0, family, mapping: Buffer.from(family ? mapping : []) };
}

/** The identification header. @throws PlatformError media.truncated, media.malformed, media.unsupported */
export function parseOpusHead(bytes: Uint8Array): OpusLayout {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (head.length < 19) throw new PlatformError("media.truncated", `Opus header of ${head.length} bytes`);
  if (head.toString("latin1", 0, 8) !== "OpusHead" || head[8]! > 15)
    throw new PlatformError("media.malformed", "Opus: no identification header");
  const channels = head[9]!;
  const family = head[18]!;
  if (channels === 0 || (family === 0 && channels > 2))
    throw new PlatformError("media.malformed", `Opus with ${channels} channels in mapping family ${family}`);
  const mappingBytes = family === 0 ? 0 : 2 + channels;
  if (head.length < 19 + mappingBytes)
    throw new PlatformError("media.truncated", "Opus: the channel mapping is cut off");
  return {
    channels,
    preSkip: head.readUInt16LE(10),
    inputRate: head.readUInt32LE(12),
    gain: head.readInt16LE(16),
    family,
    mapping: Buffer.from(head.subarray(19, 19 + mappingBytes)),
  };
}

/** Body of the dOps box. */
export function buildOpusConfig({ channels, preSkip, inputRate, gain, family, mapping }: OpusLayout): Buffer {
  const out = Buffer.alloc(11 + mapping.length);
  out.writeUInt8(channels, 1);
  out.writeUInt16BE(preSkip, 2);
  out.writeUInt32BE(inputRate, 4);
  out.writeInt16BE(gain, 8);
  out.writeUInt8(family, 10);
  out.set(mapping, 11);
  return out;
}

/** Of the body of a dOps box. @throws PlatformError media.truncated */
export function layoutOfConfig(config: Uint8Array): OpusLayout {
  const body = Buffer.from(config.buffer, config.byteOffset, config.byteLength);
  if (body.length < 11) throw new PlatformError("media.truncated", `dOps of ${body.length} bytes`);
  return {
    channels: body[1]!,
    preSkip: body.readUInt16BE(2),
    inputRate: body.readUInt32BE(4),
    gain: body.readInt16BE(8),
    family: body[10]!,
    mapping: Buffer.from(body.subarray(11)),
  };
}

/** @throws PlatformError media.malformed when the packet is none */
export function describeOpus(packet: Uint8Array, layout: OpusLayout): AudioDescription {
  const samplesPerUnit = opusSamples(packet);
  if (samplesPerUnit === null) throw new PlatformError("media.malformed", "Opus: a packet with an impossible length");
  const { channels } = layout;
  return { codec: "opus", config: buildOpusConfig(layout), sampleRate: OPUS_RATE, channels, samplesPerUnit };
}

const TRIM = { start: 0x10, end: 0x08, extension: 0x04 } as const;

/** Packets behind control headers, as MPEG-TS has them. */
export function opusSyntax(layout: OpusLayout): AudioSyntax {
  return {
    name: "Opus",
    firstByte: 0x7f,
    read(bytes, at): FrameHead | null | "more" {
      const size = readControlHeader(bytes, at);
      if (size === null || size === "more") return size;
      const samples = opusSamples(bytes.subarray(at + size.headerBytes, at + size.headerBytes + 2));
      if (samples === null) return bytes.length < at + size.headerBytes + 2 ? "more" : null;
      const frameBytes = size.headerBytes + size.packetBytes;
      const { headerBytes: skipBytes } = size;
      return { skipBytes, frameBytes, sampleRate: OPUS_RATE, samples, unitSamples: samples, mayGrow: false, key: 0 };
    },
    describe: (frame, head) => describeOpus(frame.subarray(head.skipBytes), layout),
  };
}

function readControlHeader(bytes: Buffer, at: number): { headerBytes: number; packetBytes: number } | null | "more" {
  if (at + 2 > bytes.length) return "more";
  const flags = bytes[at + 1]!;
  if (bytes[at] !== 0x7f || (flags & 0xe0) !== 0xe0) return null;
  let next = at + 2;
  let packetBytes = 0;
  let last = 255;
  while (last === 255) {
    if (next >= bytes.length) return "more";
    last = bytes[next]!;
    packetBytes += last;
    next += 1;
    if (packetBytes > 0xffff) return null;
  }
  next += (flags & TRIM.start ? 2 : 0) + (flags & TRIM.end ? 2 : 0);
  if (flags & TRIM.extension) {
    if (next >= bytes.length) return "more";
    next += 1 + bytes[next]!;
  }
  return packetBytes > 0 ? { headerBytes: next - at, packetBytes } : null;
}
