// The head of an FLV tag body, old and enhanced, as one value. Bytes that are none give null and never throw.
// Source: Adobe Flash Video File Format 10.1, annex E.4; Enhanced RTMP (Veovera) v2, "Enhanced Video" and "Enhanced Audio"

export const SOUND_AAC = 10;
export const SOUND_ENHANCED = 9;
export const CODEC = { avc: 7, hevc: 12 } as const;
export const FRAME = { key: 1, command: 5 } as const;

/** Packet types of enhanced tags; the first four have the meaning of the old AVCPacketType and more. */
export const PACKET = {
  sequenceStart: 0,
  codedFrames: 1,
  sequenceEnd: 2,
  codedFramesX: 3,
  metadata: 4,
  multitrack: 6,
  audioMultitrack: 5,
  modifier: 7,
} as const;

export type TagBody = Readonly<{
  /** FourCC ("avc1"), or the number of an old codec as text ("2"); null when several tracks share the tag. */
  codec: string | null;
  keyFrame: boolean;
  what: "config" | "frame" | "nothing";
  /** Presentation after decoding, ms; may be negative. */
  compositionMs: number;
  /** A view into the body. */
  data: Buffer;
}>;

/** @returns null when the bytes end too early */
export function parseVideoTag(bytes: Buffer): TagBody | null {
  const head = bytes[0];
  if (head === undefined) return null;
  const frameType = (head >> 4) & (head & 0x80 ? 7 : 15);
  if (head & 0x80) return enhancedVideo(bytes, frameType);
  const keyFrame = frameType === FRAME.key;
  const codec = head & 15;
  const known = codec === CODEC.avc ? "avc1" : codec === CODEC.hevc ? "hvc1" : String(codec);
  const tag = { codec: known, keyFrame, what: "nothing" as const, compositionMs: 0, data: bytes.subarray(1) };
  if (frameType === FRAME.command || known.length < 4) return tag;
  if (bytes.length < 5) return null;
  const what = bytes[1] === 0 ? "config" : bytes[1] === 1 ? "frame" : "nothing";
  return { ...tag, what, compositionMs: bytes.readIntBE(2, 3), data: bytes.subarray(5) };
}

function enhancedVideo(bytes: Buffer, frameType: number): TagBody | null {
  const start = afterModifiers(bytes);
  if (!start) return null;
  const { type, at } = start;
  const keyFrame = frameType === FRAME.key;
  const nothing = { keyFrame, what: "nothing" as const, compositionMs: 0, data: bytes.subarray(bytes.length) };
  if (type === PACKET.multitrack) return { ...nothing, codec: null };
  if (bytes.length < at + 4) return null;
  const codec = bytes.toString("latin1", at, at + 4);
  const data = bytes.subarray(at + 4);
  if (frameType === FRAME.command) return { ...nothing, codec };
  if (type === PACKET.sequenceStart) return { ...nothing, codec, what: "config", data };
  if (type === PACKET.codedFramesX) return { ...nothing, codec, what: "frame", data };
  if (type !== PACKET.codedFrames) return { ...nothing, codec };
  if (data.length < 3) return null;
  return { codec, keyFrame, what: "frame", compositionMs: data.readIntBE(0, 3), data: data.subarray(3) };
}

/** @returns null when the bytes end too early */
export function parseAudioTag(bytes: Buffer): TagBody | null {
  const head = bytes[0];
  if (head === undefined) return null;
  const nothing = { keyFrame: true, what: "nothing" as const, compositionMs: 0, data: bytes.subarray(bytes.length) };
  const format = head >> 4;
  if (format === SOUND_AAC) {
    if (bytes.length < 2) return null;
    const what = bytes[1] === 0 ? "config" : bytes[1] === 1 ? "frame" : "nothing";
    return { ...nothing, codec: "mp4a", what, data: bytes.subarray(2) };
  }
  if (format !== SOUND_ENHANCED) return { ...nothing, codec: String(format) };
  const start = afterModifiers(bytes);
  if (!start) return null;
  if (start.type === PACKET.audioMultitrack) return { ...nothing, codec: null };
  if (bytes.length < start.at + 4) return null;
  const codec = bytes.toString("latin1", start.at, start.at + 4);
  const what = start.type === 0 ? "config" : start.type === 1 ? "frame" : "nothing";
  return { ...nothing, codec, what, data: bytes.subarray(start.at + 4) };
}

/** Packet type and where its content begins, past all modifiers (nanosecond offsets: below what our clock resolves). */
function afterModifiers(bytes: Buffer): { type: number; at: number } | null {
  let type = bytes[0]! & 15;
  let at = 1;
  while (type === PACKET.modifier) {
    if (bytes.length < at + 3) return null;
    let size = bytes[at]! + 1;
    at += 1;
    if (size === 256) {
      size = bytes.readUInt16BE(at) + 1;
      at += 2;
    }
    const next = bytes[at + size];
    if (next === undefined) return null;
    type = next & 15;
    at += size + 1;
  }
  return { type, at };
}

const OLD_VIDEO: Readonly<Record<string, string>> = {
  "2": "Sorenson H.263",
  "3": "screen video",
  "4": "VP6",
  "5": "VP6 with alpha",
};
const OLD_AUDIO: Readonly<Record<string, string>> = {
  "0": "PCM",
  "1": "ADPCM",
  "2": "MP3",
  "3": "PCM",
  "5": "Nellymoser",
  "6": "Nellymoser",
  "7": "G.711 A-law",
  "8": "G.711 mu-law",
  "11": "Speex",
};

/** For a report about a codec that is not taken. */
export function codecText(kind: "video" | "audio", codec: string | null): string {
  if (codec === null) return `${kind}: several tracks in one message`;
  const name =
    codec.length === 4 ? codec.replaceAll(/[^\x20-\x7e]/g, "?") : (kind === "video" ? OLD_VIDEO : OLD_AUDIO)[codec];
  return `${kind} codec ${name ?? `number ${codec}`}`;
}
