// What a session puts out, as a value that every reader of its log sees: nothing about an encoder is decided anywhere
// else, since the settings are part of the bytes (a segment is a pure function of log and ladder).

export type VideoRendition = Readonly<{
  kind: "video";
  /** Unique in the presentation, fit for a URL: "v720". */
  name: string;
  codec: "h264";
  /** Coded size, even numbers. */
  width: number;
  height: number;
  pixelAspect: Readonly<{ num: number; den: number }>;
  profile: "main" | "high" | "baseline";
  /** H.264 level as in level_idc: 31 for 3.1. */
  levelIdc: number;
  preset: "ultrafast" | "superfast" | "veryfast";
  crf: number;
  /** Rate cap R in bit/s. The buffer is R / 2, starts half full; advertised BANDWIDTH is R x 1.125 (+ audio). */
  maxBitrate: number;
}>;

export type AudioRendition = Readonly<{
  kind: "audio";
  name: string;
  codec: "aac";
  sampleRate: number;
  channels: number;
  bitrate: number;
  language: string;
}>;

export type Rendition = VideoRendition | AudioRendition;

/** Ticks per second of a rendition's track: the numerator of the frame rate, or the sample rate. */
export function timescaleOf(rendition: Rendition, videoRate: Readonly<{ num: number }>): number {
  return rendition.kind === "video" ? videoRate.num : rendition.sampleRate;
}
