// What an elementary stream of a program map is: its stream type says it, or, for private data, its descriptors do.
// Source: ISO/IEC 13818-1, table 2-34 and 2.6; ETSI EN 300 468, annex D (AC-3, E-AC-3) and 6.4; ATSC A/53-3 (types 0x81,
// 0x87); ETSI TS 103 491 (Opus); Carriage of AV1 in MPEG-2 TS (AOM)
import type { Descriptor, ElementaryStream } from "./sections.ts";

export type Kind =
  | Readonly<{ media: "video"; codec: "h264" | "hevc" | "av1" }>
  | Readonly<{ media: "audio"; codec: "adts" | "latm" | "mpeg" | "dolby"; language: string }>
  | Readonly<{ media: "audio"; codec: "opus"; channels: number; language: string }>;

const TYPE = {
  mpeg1Audio: 0x03,
  mpeg2Audio: 0x04,
  privateData: 0x06,
  aacAdts: 0x0f,
  aacLatm: 0x11,
  h264: 0x1b,
  hevc: 0x24,
  ac3: 0x81,
  eac3: 0x87,
} as const;

const DESCRIPTOR = {
  registration: 0x05,
  language: 0x0a,
  ac3: 0x6a,
  enhancedAc3: 0x7a,
  extension: 0x7f,
} as const;

const OPUS_EXTENSION = 0x80;
const OPUS_CHANNELS_MAX = 8;

/** Null when it is nothing that we take. */
export function kindOf({ type, descriptors }: ElementaryStream): Kind | null {
  const language = languageOf(descriptors);
  switch (type) {
    case TYPE.h264:
      return { media: "video", codec: "h264" };
    case TYPE.hevc:
      return { media: "video", codec: "hevc" };
    case TYPE.aacAdts:
      return { media: "audio", codec: "adts", language };
    case TYPE.aacLatm:
      return { media: "audio", codec: "latm", language };
    case TYPE.mpeg1Audio:
    case TYPE.mpeg2Audio:
      return { media: "audio", codec: "mpeg", language };
    case TYPE.ac3:
    case TYPE.eac3:
      return { media: "audio", codec: "dolby", language };
    case TYPE.privateData:
      return privateKind(descriptors, language);
    default:
      return null;
  }
}

function privateKind(descriptors: readonly Descriptor[], language: string): Kind | null {
  for (const { tag, data } of descriptors) {
    if (tag === DESCRIPTOR.ac3 || tag === DESCRIPTOR.enhancedAc3) return { media: "audio", codec: "dolby", language };
    if (tag !== DESCRIPTOR.registration) continue;
    const format = data.toString("latin1", 0, 4);
    if (format === "AC-3" || format === "EAC3") return { media: "audio", codec: "dolby", language };
    if (format === "HEVC") return { media: "video", codec: "hevc" };
    if (format === "AV01" || format === "AV1G") return { media: "video", codec: "av1" };
    if (format === "Opus") return opusKind(descriptors, language);
  }
  return null;
}

/** By channel_config_code: two channels when there is none, or 0 (two independent ones); null for a mapping of its own. */
function opusKind(descriptors: readonly Descriptor[], language: string): Kind | null {
  const own = descriptors.find(({ tag, data }) => tag === DESCRIPTOR.extension && data[0] === OPUS_EXTENSION);
  const channels = own?.data[1] || 2;
  return channels <= OPUS_CHANNELS_MAX ? { media: "audio", codec: "opus", channels, language } : null;
}

/** ISO 639-2 code of the first language; "und" when there is none. */
function languageOf(descriptors: readonly Descriptor[]): string {
  const data = descriptors.find(({ tag }) => tag === DESCRIPTOR.language)?.data;
  const code = data?.toString("latin1", 0, 3).toLowerCase() ?? "";
  return /^[a-z]{3}$/.test(code) ? code : "und";
}

export function isSameKind(a: Kind, b: Kind): boolean {
  if (a.codec !== b.codec) return false;
  if (a.media === "video" || b.media === "video") return true;
  return a.language === b.language && (a.codec !== "opus" || b.codec !== "opus" || a.channels === b.channels);
}

/** For a report about a stream that is not taken. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: "MPEG-1 video",
  2: "MPEG-2 video",
  3: "MPEG-1 audio",
  4: "MPEG-2 audio",
  5: "private sections",
  6: "private data: subtitles, teletext, AC-3",
  16: "MPEG-4 video",
  17: "AAC in LATM",
  21: "metadata",
  27: "H.264",
  15: "AAC in ADTS",
  36: "H.265",
  51: "H.266",
  129: "AC-3",
  134: "SCTE-35 splice information",
  135: "E-AC-3",
};

export function streamTypeText(type: number): string {
  return `stream type 0x${type.toString(16).padStart(2, "0")} (${TYPE_NAMES[type] ?? "unknown"})`;
}
