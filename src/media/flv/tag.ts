// The head of an FLV tag body, old and enhanced, as values: one per track that the message carries. Bytes that are none
// give null and never throw.
// Source: Adobe Flash Video File Format 10.1, annex E.4; Enhanced RTMP (Veovera) v2, "Enhanced Video" and "Enhanced Audio"

export const SOUND = { mp3: 2, enhanced: 9, aac: 10, mp3Slow: 14 } as const;
/** 12 and 13 are what senders agreed on before there were FourCCs. */
export const CODEC = { avc: 7, hevc: 12, av1: 13 } as const;
export const FRAME = { key: 1, command: 5 } as const;

/** Packet types of enhanced tags; the first four have the meaning of the old AVCPacketType and more. */
export const PACKET = {
  sequenceStart: 0,
  codedFrames: 1,
  sequenceEnd: 2,
  codedFramesX: 3,
  metadata: 4,
  multichannel: 4,
  audioMultitrack: 5,
  multitrack: 6,
  modifier: 7,
} as const;

const MULTITRACK = { one: 0, many: 1, manyCodecs: 2 } as const;
const TRACKS_MAX = 64;

export type TagBody = Readonly<{
  /** 0 unless the message says another. */
  trackId: number;
  /** FourCC ("avc1"), or the number of an old codec as text ("2"). */
  codec: string;
  keyFrame: boolean;
  /** `metadata`: AMF0 values about a video track; `channels`: a layout of an audio track. */
  what: "config" | "frame" | "metadata" | "channels" | "nothing";
  /** Presentation after decoding, ms; may be negative. */
  compositionMs: number;
  /** A view into the body. */
  data: Buffer;
}>;

/** @returns null when the bytes end too early */
export function parseVideoTag(bytes: Buffer): readonly TagBody[] | null {
  const head = bytes[0];
  if (head === undefined) return null;
  const frameType = (head >> 4) & (head & 0x80 ? 7 : 15);
  const keyFrame = frameType === FRAME.key;
  if (head & 0x80) {
    const make = (type: number, trackId: number, codec: string, data: Buffer) =>
      enhancedVideo(type, { trackId, codec, keyFrame, data }, frameType);
    return enhancedTracks(bytes, PACKET.multitrack, make);
  }
  const codec = head & 15;
  const known = ({ [CODEC.avc]: "avc1", [CODEC.hevc]: "hvc1", [CODEC.av1]: "av01" } as Record<number, string>)[codec];
  const tag = { trackId: 0, codec: known ?? String(codec), keyFrame, compositionMs: 0 };
  if (frameType === FRAME.command || known === undefined) return [{ ...tag, what: "nothing", data: bytes.subarray(1) }];
  if (bytes.length < 5) return null;
  const what = bytes[1] === 0 ? "config" : bytes[1] === 1 ? "frame" : "nothing";
  return [{ ...tag, what, compositionMs: bytes.readIntBE(2, 3), data: bytes.subarray(5) }];
}

type Start = Pick<TagBody, "trackId" | "codec" | "keyFrame" | "data">;

function enhancedVideo(type: number, start: Start, frameType: number): TagBody | null {
  const tag = { ...start, compositionMs: 0 };
  if (type === PACKET.metadata) return { ...tag, what: "metadata" };
  if (frameType === FRAME.command) return { ...tag, what: "nothing" };
  if (type === PACKET.sequenceStart) return { ...tag, what: "config" };
  if (type === PACKET.codedFramesX) return { ...tag, what: "frame" };
  if (type !== PACKET.codedFrames) return { ...tag, what: "nothing" };
  if (start.codec !== "avc1" && start.codec !== "hvc1") return { ...tag, what: "frame" }; // they have no composition time
  if (start.data.length < 3) return null;
  return { ...tag, what: "frame", compositionMs: start.data.readIntBE(0, 3), data: start.data.subarray(3) };
}

/** @returns null when the bytes end too early */
export function parseAudioTag(bytes: Buffer): readonly TagBody[] | null {
  const head = bytes[0];
  if (head === undefined) return null;
  const format = head >> 4;
  const tag = { trackId: 0, keyFrame: true, compositionMs: 0 };
  if (format === SOUND.enhanced)
    return enhancedTracks(bytes, PACKET.audioMultitrack, (type, trackId, codec, data) => {
      const what = type === PACKET.sequenceStart ? "config" : type === PACKET.codedFrames ? "frame" : "nothing";
      return { ...tag, trackId, codec, what: type === PACKET.multichannel ? "channels" : what, data };
    });
  if (format === SOUND.mp3 || format === SOUND.mp3Slow)
    return [{ ...tag, codec: ".mp3", what: "frame", data: bytes.subarray(1) }];
  if (format !== SOUND.aac) return [{ ...tag, codec: String(format), what: "nothing", data: bytes.subarray(1) }];
  if (bytes.length < 2) return null;
  const what = bytes[1] === 0 ? "config" : bytes[1] === 1 ? "frame" : "nothing";
  return [{ ...tag, codec: "mp4a", what, data: bytes.subarray(2) }];
}

/** The tracks of an enhanced message, which are one unless its type says `multitrack`. */
function enhancedTracks(
  bytes: Buffer,
  multitrack: number,
  make: (type: number, trackId: number, codec: string, data: Buffer) => TagBody | null,
): readonly TagBody[] | null {
  const start = afterModifiers(bytes);
  if (!start) return null;
  let { at } = start;
  const fourCc = (): string => bytes.toString("latin1", at, (at += 4));
  if (start.type !== multitrack) {
    if (bytes.length < at + 4) return null;
    const body = make(start.type, 0, fourCc(), bytes.subarray(at));
    return body && [body];
  }
  const kind = bytes[at];
  if (kind === undefined) return null;
  at += 1;
  const type = kind & 15;
  if (type === multitrack) return null; // forbidden, and it would have no end
  const [isOne, hasCodecs] = [kind >> 4 === MULTITRACK.one, kind >> 4 === MULTITRACK.manyCodecs];
  let codec = "";
  if (!hasCodecs) {
    if (bytes.length < at + 4) return null;
    codec = fourCc();
  }
  const bodies: TagBody[] = [];
  while (at < bytes.length && bodies.length < TRACKS_MAX) {
    if (bytes.length < at + (hasCodecs ? 4 : 0) + (isOne ? 1 : 4)) return null;
    if (hasCodecs) codec = fourCc();
    const trackId = bytes[at]!;
    const size = isOne ? bytes.length - at - 1 : bytes.readUIntBE(at + 1, 3);
    at += isOne ? 1 : 4;
    if (at + size > bytes.length) return null;
    const body = make(type, trackId, codec, bytes.subarray(at, at + size));
    if (!body) return null;
    bodies.push(body);
    at += size;
  }
  return bodies;
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
  "3": "PCM",
  "5": "Nellymoser",
  "6": "Nellymoser",
  "7": "G.711 A-law",
  "8": "G.711 mu-law",
  "11": "Speex",
};

/** For a report about a codec that is not taken. */
export function codecText(kind: "video" | "audio", codec: string): string {
  const name =
    codec.length === 4 ? codec.replaceAll(/[^\x20-\x7e]/g, "?") : (kind === "video" ? OLD_VIDEO : OLD_AUDIO)[codec];
  return `${kind} codec ${name ?? `number ${codec}`}`;
}
