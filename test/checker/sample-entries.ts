// What a sample entry says: the codec as CODECS names it, and of pictures the size and the range of light.
import { type Box, boxes, need } from "./boxes.ts";
import { av1Picture, h264Picture, hevcPicture, type Picture } from "./sequence-headers.ts";

export type VideoRange = "SDR" | "PQ" | "HLG";

export type Entry = {
  /** RFC 6381. */
  codec: string;
  width: number;
  height: number;
  /** From the sequence header; null where there is none, and for audio. */
  codedSize: { width: number; height: number } | null;
  range: VideoRange;
};

const CONFIGURATION = { avc1: "avcC", hvc1: "hvcC", av01: "av1C" } as const;
const PLAIN = { "ac-3": ["dac3", "ac-3"], "ec-3": ["dec3", "ec-3"], Opus: ["dOps", "opus"] } as const;

export function readEntry(bytes: Buffer, entry: Box): Entry {
  if (entry.type in CONFIGURATION) return videoEntry(bytes, entry, entry.type as keyof typeof CONFIGURATION);
  const inner = { ...entry, start: entry.start + 28 };
  const sound = { width: 0, height: 0, codedSize: null, range: "SDR" } as const;
  if (entry.type === "mp4a") {
    const esds = need(bytes, "esds", inner);
    return { ...sound, codec: mpegAudio(bytes.subarray(esds.start + 4, esds.end)) };
  }
  if (!(entry.type in PLAIN)) throw new Error(`sample entry ${entry.type}`);
  const [box, codec] = PLAIN[entry.type as keyof typeof PLAIN];
  need(bytes, box, inner);
  return { ...sound, codec };
}

function videoEntry(bytes: Buffer, entry: Box, type: keyof typeof CONFIGURATION): Entry {
  const inner = { ...entry, start: entry.start + 78 };
  const box = need(bytes, CONFIGURATION[type], inner);
  const config = bytes.subarray(box.start, box.end);
  const { codec, picture } = { avc1: avc, hvc1: hevc, av01: av1 }[type](config);
  const colour = boxes(bytes, inner.start, inner.end).find(({ type: name }) => name === "colr");
  const isCoded = colour && bytes.toString("latin1", colour.start, colour.start + 4) === "nclx";
  const transfers = [picture?.transfer, isCoded ? bytes.readUInt16BE(colour.start + 6) : undefined];
  return {
    codec,
    width: bytes.readUInt16BE(entry.start + 24),
    height: bytes.readUInt16BE(entry.start + 26),
    codedSize: picture && { width: picture.width, height: picture.height },
    range: transfers.includes(16) ? "PQ" : transfers.includes(18) ? "HLG" : "SDR", // ITU-T H.273, table 3
  };
}

type Described = { codec: string; picture: Picture | null };

/** ISO/IEC 14496-15, 5.3.3.1 */
function avc(config: Buffer): Described {
  const codec = `avc1.${config.toString("hex", 1, 4)}`;
  return { codec, picture: h264Picture(config.subarray(8, 8 + config.readUInt16BE(6))) };
}

/** ISO/IEC 14496-15, 8.3.3.1 and E.3 */
function hevc(config: Buffer): Described {
  const profile = `${["", "A", "B", "C"][config[1]! >> 6]}${config[1]! & 31}`;
  const flags = [...config.readUInt32BE(2).toString(2).padStart(32, "0")].reverse().join("");
  const tier = config[1]! & 32 ? "H" : "L";
  const constraints = config.toString("hex", 6, 12).replace(/(00)+$/, "");
  const bytes = constraints.match(/../g) ?? [];
  const rest = bytes.map((byte) => `.${Number.parseInt(byte, 16).toString(16)}`).join("");
  const codec = `hvc1.${profile}.${Number.parseInt(flags, 2).toString(16)}.${tier}${config[12]}${rest}`;
  let at = 23;
  for (let arrays = config[22]!; arrays > 0; arrays -= 1) {
    const type = config[at]! & 63;
    const count = config.readUInt16BE(at + 1);
    at += 3;
    for (let i = 0; i < count; i += 1) {
      const length = config.readUInt16BE(at);
      if (type === 33) return { codec, picture: hevcPicture(config.subarray(at + 2, at + 2 + length)) };
      at += 2 + length;
    }
  }
  return { codec, picture: null };
}

/** AV1 Codec ISO Media File Format Binding, 2.3 and 5 */
function av1(config: Buffer): Described {
  const level = String(config[1]! & 31).padStart(2, "0");
  const depth = config[2]! & 64 ? (config[2]! & 32 ? "12" : "10") : "08";
  const codec = `av01.${config[1]! >> 5}.${level}${config[2]! & 128 ? "H" : "M"}.${depth}`;
  return { codec, picture: av1Picture(config.subarray(4)) };
}

/** ES_Descriptor, DecoderConfigDescriptor, DecoderSpecificInfo (ISO/IEC 14496-1, 7.2.6). MP3 as HLS calls it. */
function mpegAudio(esds: Buffer): string {
  const decoder = descriptor(esds, 3, 3)(4);
  const objectType = decoder[0];
  if (objectType === 0x69 || objectType === 0x6b) return "mp4a.40.34";
  const config = descriptor(decoder, 5, 0, 13)();
  const type = config[0]! >> 3;
  return `mp4a.40.${type === 31 ? 32 + (((config[0]! & 7) << 3) | (config[1]! >> 5)) : type}`;
}

/** The body of a descriptor; and through it, that of the first one inside. */
function descriptor(bytes: Buffer, tag: number, skipped: number, from = 0) {
  const body = bodyOf(bytes, from, tag);
  return (inner?: number) => (inner === undefined ? body : bodyOf(body, skipped, inner));
}

function bodyOf(bytes: Buffer, at: number, tag: number): Buffer {
  if (bytes[at] !== tag) throw new Error(`descriptor ${bytes[at]} where ${tag} belongs`);
  let next = at + 1;
  let size = 0;
  for (let more = true; more; next += 1) {
    size = size * 128 + (bytes[next]! & 127);
    more = (bytes[next]! & 128) !== 0;
  }
  return bytes.subarray(next, next + size);
}

/** Whether a name in CODECS stands for that media. Names of AV1 may say more than ours, and MP3 has several. */
export function isNamed(codec: string, declared: string): boolean {
  const [media, name] = [codec.toLowerCase(), declared.trim().toLowerCase()];
  if (media === "mp4a.40.34") return [media, "mp4a.69", "mp4a.6b"].includes(name);
  return name === media || (media.startsWith("av01.") && name.startsWith(`${media}.`));
}
