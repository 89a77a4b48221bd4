// The CODECS value that a player reads before it has a byte of media: it must say what the media is, exactly.
// Source: RFC 6381; ISO/IEC 14496-15, annex E; AV1 Codec ISO Media File Format Binding, 5
import { PlatformError } from "#base/errors.ts";
import type { AudioCodec, Track } from "#media/session-log/entries.ts";
import { parseAacConfig } from "./aac.ts";
import { parseAv1Config } from "./av1-sequence.ts";
import { UNSPECIFIED } from "./vui.ts";

/** As players know them: MP2 and MP3 by their MPEG-4 audio object types, Opus as browsers spell it. */
const AUDIO: Readonly<Record<Exclude<AudioCodec, "aac">, string>> = {
  mp2: "mp4a.40.33",
  mp3: "mp4a.40.34",
  ac3: "ac-3",
  eac3: "ec-3",
  opus: "opus",
};

/** "avc1.64001f", "hvc1.1.6.L93.b0", "av01.0.04M.08", "mp4a.40.2".
 *  @throws PlatformError media.truncated, media.malformed, media.unsupported when the configuration is none */
export function codecString(track: Pick<Track, "codec" | "config">): string {
  const config = Buffer.from(track.config.buffer, track.config.byteOffset, track.config.byteLength);
  switch (track.codec) {
    case "aac":
      return `mp4a.40.${parseAacConfig(config).objectType}`;
    case "h264":
      return `avc1.${atLeast(config, 4).toString("hex", 1, 4)}`;
    case "hevc":
      return hevcString(atLeast(config, 13));
    case "av1":
      return av1String(config);
    default:
      return AUDIO[track.codec];
  }
}

function atLeast(config: Buffer, bytes: number): Buffer {
  if (config.length < bytes) throw new PlatformError("media.truncated", `configuration of ${config.length} bytes`);
  return config;
}

function hevcString(config: Buffer): string {
  const space = ["", "A", "B", "C"][config[1]! >> 6]!;
  const profile = config[1]! & 0x1f;
  const compatibility = reversed(config.readUInt32BE(2)).toString(16);
  const tier = config[1]! & 0x20 ? "H" : "L";
  const constraints = [...config.subarray(6, 12)];
  while (constraints.at(-1) === 0) constraints.pop();
  const rest = constraints.map((byte) => `.${byte.toString(16)}`).join("");
  return `hvc1.${space}${profile}.${compatibility}.${tier}${config[12]}${rest}`;
}

function reversed(word: number): number {
  let out = 0;
  for (let i = 0; i < 32; i += 1) out = out * 2 + ((word >>> i) & 1);
  return out;
}

/** What is left out means 4:2:0 and BT.709: all of it is written when the stream declares anything else. */
function av1String(config: Buffer): string {
  const sequence = parseAv1Config(config);
  const { profile, level, tier, bitDepth, monochrome, subsamplingX, subsamplingY, chromaPosition, colour } = sequence;
  const two = (value: number) => String(value).padStart(2, "0");
  const short = `av01.${profile}.${two(level)}${tier ? "H" : "M"}.${two(bitDepth)}`;
  const codes = [colour.primaries, colour.transfer, colour.matrix];
  const usualColour = codes.every((code) => code === 1) || codes.every((code) => code === UNSPECIFIED);
  const usualChroma = !monochrome && subsamplingX === 1 && subsamplingY === 1 && chromaPosition === 0;
  if (usualColour && usualChroma && !colour.fullRange) return short;
  const chroma = `${subsamplingX}${subsamplingY}${chromaPosition}`;
  return `${short}.${monochrome ? 1 : 0}.${chroma}.${codes.map(two).join(".")}.${colour.fullRange ? 1 : 0}`;
}
