// What a sample entry says about its codec: the name of it, its configuration, and the sizes that stand beside them.
import { PlatformError } from "#base/errors.ts";
import { codecString } from "#media/codec/codec-string.ts";
import type { AudioCodec, VideoCodec } from "#media/session-log/entries.ts";
import { type BoxView, need, only, shown } from "./read-box.ts";

/** By sample entry. avc3 and hev1 are refused: CODECS could not be known from the init segment. */
const VIDEO: Readonly<Record<string, readonly [VideoCodec, string]>> = {
  avc1: ["h264", "avcC"],
  hvc1: ["hevc", "hvcC"],
  av01: ["av1", "av1C"],
};

/** What follows the fields of any visual sample entry. Source: ISO/IEC 14496-12, 12.1.3 */
const VIDEO_FIELD_BYTES = 78;
/** Source: ISO/IEC 14496-12, 12.2.3 */
const AUDIO_FIELD_BYTES = 28;

/** @throws PlatformError media.truncated, media.malformed, media.unsupported */
export function videoEntry(bytes: Buffer, entry: BoxView) {
  const known = Object.hasOwn(VIDEO, entry.type) ? VIDEO[entry.type] : undefined;
  if (known === undefined)
    throw new PlatformError("media.unsupported", `sample entry ${shown(entry.type)}; avc1, hvc1 and av01 are taken`);
  const [codecName, configType] = known;
  need(entry, VIDEO_FIELD_BYTES);
  const view = only(bytes, entry.body + VIDEO_FIELD_BYTES, entry.end, configType);
  const config = Buffer.from(bytes.subarray(view.body, view.end));
  return {
    codec: codecString({ codec: codecName, config }),
    codecName,
    width: bytes.readUInt16BE(entry.body + 24),
    height: bytes.readUInt16BE(entry.body + 26),
    channels: 0,
    config,
  };
}

/** Box of the configuration, by sample entry. Source: ETSI TS 102 366, annex F; Opus in ISOBMFF, 4.3 */
const AUDIO: Readonly<Record<string, readonly [AudioCodec, string, number]>> = {
  "ac-3": ["ac3", "dac3", 3],
  "ec-3": ["eac3", "dec3", 5],
  Opus: ["opus", "dOps", 11],
};

/** @throws PlatformError media.truncated, media.malformed, media.unsupported */
export function audioEntry(bytes: Buffer, entry: BoxView) {
  need(entry, AUDIO_FIELD_BYTES);
  const { codecName, config } = entry.type === "mp4a" ? mpegAudio(bytes, entry) : otherAudio(bytes, entry);
  const channels = bytes.readUInt16BE(entry.body + 16);
  return { codec: codecString({ codec: codecName, config }), codecName, width: 0, height: 0, channels, config };
}

function otherAudio(bytes: Buffer, entry: BoxView): { codecName: AudioCodec; config: Buffer } {
  const known = Object.hasOwn(AUDIO, entry.type) ? AUDIO[entry.type] : undefined;
  if (known === undefined)
    throw new PlatformError(
      "media.unsupported",
      `sample entry ${shown(entry.type)}; mp4a, ac-3, ec-3 and Opus are taken`,
    );
  const [codecName, configType, leastBytes] = known;
  const view = only(bytes, entry.body + AUDIO_FIELD_BYTES, entry.end, configType);
  need(view, leastBytes);
  return { codecName, config: Buffer.from(bytes.subarray(view.body, view.end)) };
}

const TAG = { es: 3, decoder: 4, specific: 5 } as const;
/** Object type indications. Source: ISO/IEC 14496-1, table 5 */
const MPEG4_AUDIO = 0x40;
const MP3 = [0x69, 0x6b]; // ISO/IEC 13818-3 and 11172-3
/** audioObjectType of MP3 inside of MPEG-4 audio: 5 bits of ones, then 34 - 32. */
const MP3_IN_MPEG4 = 0xf8_40;

/** What an ES descriptor says. Source: ISO/IEC 14496-1, 7.2.6; ISO/IEC 14496-14, 5.6 */
function mpegAudio(bytes: Buffer, entry: BoxView): { codecName: AudioCodec; config: Buffer } {
  const esds = only(bytes, entry.body + AUDIO_FIELD_BYTES, entry.end, "esds");
  need(esds, 4);
  const descriptors = bytes.subarray(esds.body + 4, esds.end);
  const es = descriptorBody(descriptors, 0, TAG.es);
  const flags = es[2];
  if (flags === undefined) throw new PlatformError("media.truncated", "an empty ES descriptor");
  let at = 3;
  if (flags & 0x80) at += 2; // depends on another stream
  if (flags & 0x40) at += 1 + (es[at] ?? 0); // URL
  if (flags & 0x20) at += 2; // OCR stream
  const decoder = descriptorBody(es, at, TAG.decoder);
  const objectType = decoder[0];
  if (objectType !== undefined && MP3.includes(objectType)) return { codecName: "mp3", config: Buffer.alloc(0) };
  if (objectType !== MPEG4_AUDIO)
    throw new PlatformError(
      "media.unsupported",
      `audio object type 0x${objectType?.toString(16)}; MPEG-4 AAC and MP3 are taken`,
    );
  const config = Buffer.from(descriptorBody(decoder, 13, TAG.specific));
  const isMp3 = config.length >= 2 && (config.readUInt16BE(0) & 0xff_e0) === MP3_IN_MPEG4;
  return isMp3 ? { codecName: "mp3", config: Buffer.alloc(0) } : { codecName: "aac", config };
}

function descriptorBody(bytes: Buffer, at: number, tag: number): Buffer {
  if (bytes[at] !== tag) throw new PlatformError("media.malformed", `descriptor ${bytes[at]} where ${tag} belongs`);
  let size = 0;
  let next = at + 1;
  for (let i = 0; i < 4; i += 1) {
    const byte = bytes[next++];
    if (byte === undefined) throw new PlatformError("media.truncated", `descriptor ${tag} is cut off`);
    size = size * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  if (next + size > bytes.byteLength) throw new PlatformError("media.truncated", `descriptor ${tag} is cut off`);
  return bytes.subarray(next, next + size);
}
