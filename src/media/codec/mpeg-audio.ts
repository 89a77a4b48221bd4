// MPEG audio layers II and III (MP2, MP3): each frame begins with a header that says all there is to say.
// Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; ISO/IEC 13818-3, 2.4.2.3 for the low sample rates
import { PlatformError } from "#base/errors.ts";
import type { AudioSyntax, FrameHead } from "./audio-syntax.ts";

const HEADER_BYTES = 4;
const VERSION = { mpeg25: 0, mpeg2: 2, mpeg1: 3 } as const;
const LAYER = { third: 1, second: 2 } as const;
const MONO = 3;

/** Hz at MPEG-1; half of it at MPEG-2, a quarter at MPEG-2.5. */
const SAMPLE_RATES = [44_100, 48_000, 32_000] as const;

/** kbit/s by bitrate_index 1 to 14. */
const KBITS = {
  mpeg1Second: [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  mpeg1Third: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  low: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
} as const;

export type MpegAudioHeader = Readonly<{
  codec: "mp2" | "mp3";
  sampleRate: number;
  channels: 1 | 2;
  samples: 576 | 1152;
  frameBytes: number;
}>;

/** Null when no frame of layer II or III begins there: no sync, reserved values, layer I, free format (whose length only
 *  the next frame tells). @param bytes at least 4 from `at` on */
export function parseMpegAudio(bytes: Buffer, at: number): MpegAudioHeader | null {
  const word = bytes.readUInt32BE(at);
  const version = (word >>> 19) & 3;
  const layer = (word >>> 17) & 3;
  const bitrateIndex = (word >>> 12) & 15;
  const rate = SAMPLE_RATES[(word >>> 10) & 3];
  if (word >>> 21 !== 0x7ff || version === 1 || rate === undefined) return null;
  if ((layer !== LAYER.second && layer !== LAYER.third) || bitrateIndex === 0 || bitrateIndex === 15) return null;
  const isThird = layer === LAYER.third;
  const kbits = version !== VERSION.mpeg1 ? KBITS.low : isThird ? KBITS.mpeg1Third : KBITS.mpeg1Second;
  const sampleRate = version === VERSION.mpeg1 ? rate : version === VERSION.mpeg2 ? rate / 2 : rate / 4;
  const samples = isThird && version !== VERSION.mpeg1 ? 576 : 1152;
  const padding = (word >>> 9) & 1;
  return {
    codec: isThird ? "mp3" : "mp2",
    sampleRate,
    channels: ((word >>> 6) & 3) === MONO ? 1 : 2,
    samples,
    frameBytes: Math.floor(((samples / 8) * kbits[bitrateIndex - 1]! * 1000) / sampleRate) + padding,
  };
}

export const MPEG_AUDIO: AudioSyntax = {
  name: "MPEG audio",
  firstByte: 0xff,
  read(bytes, at): FrameHead | null | "more" {
    if (at + HEADER_BYTES > bytes.length) return "more";
    const header = parseMpegAudio(bytes, at);
    if (!header) return null;
    const { sampleRate, frameBytes, samples } = header;
    const key = (sampleRate << 2) | (header.channels === 1 ? 2 : 0) | (header.codec === "mp3" ? 1 : 0);
    return { skipBytes: 0, frameBytes, sampleRate, samples, unitSamples: samples, mayGrow: false, key };
  },
  describe(frame) {
    const header = parseMpegAudio(frame, 0);
    if (!header) throw new PlatformError("media.malformed", "MPEG audio: no frame header");
    const { codec, sampleRate, channels, samples } = header;
    return { codec, config: Buffer.alloc(0), sampleRate, channels, samplesPerUnit: samples };
  },
};
