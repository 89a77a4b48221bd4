// AAC in ADTS as framed audio. Several raw data blocks in a frame are allowed and not taken: no encoder makes them.
import { PlatformError } from "#base/errors.ts";
import { ADTS_HEADER_BYTES, aacTrack, buildAacConfig, parseAdts } from "./aac.ts";
import type { AudioSyntax, FrameHead } from "./audio-syntax.ts";

const SAMPLES = 1024;

export const ADTS: AudioSyntax = {
  name: "AAC",
  firstByte: 0xff,
  read(bytes, at): FrameHead | null | "more" {
    if (at + ADTS_HEADER_BYTES > bytes.length) return "more";
    const header = parseAdts(bytes, at);
    if (!header) return null;
    const samples = SAMPLES * header.blocks;
    return {
      skipBytes: header.headerBytes,
      frameBytes: header.frameBytes,
      sampleRate: header.sampleRate,
      samples,
      unitSamples: samples,
      mayGrow: false,
      key: (header.objectType << 24) | (header.channels << 20) | (header.sampleRate / 50),
    };
  },
  describe(frame) {
    const { blocks, objectType, sampleRate, channels } = parseAdts(frame, 0)!;
    if (blocks > 1) throw new PlatformError("media.unsupported", "ADTS frames with several raw data blocks");
    return aacTrack(0, buildAacConfig(objectType, sampleRate, channels));
  },
};
