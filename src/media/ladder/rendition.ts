// What a session puts out, as a value that every reader of its log sees: nothing about an encoder is decided anywhere
// else, since the settings are part of the bytes (a segment is a pure function of log and ladder).
import type { AudioCodec, VideoCodec, VideoRange } from "#media/session-log/entries.ts";

/** Pictures that a worker encodes. */
export type VideoRendition = Readonly<{
  kind: "video";
  copied: false;
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

/** Sound that a worker encodes. */
export type AudioRendition = Readonly<{
  kind: "audio";
  copied: false;
  /** Of the source, which track it is made from. */
  track: number;
  name: string;
  codec: "aac";
  sampleRate: number;
  channels: number;
  bitrate: number;
  language: string;
}>;

/** A track of the source as it is, remuxed by the packager. Its parameters are those of the track in the log. */
export type CopiedVideo = Readonly<{
  kind: "video";
  copied: true;
  track: number;
  name: string;
  codec: VideoCodec;
  width: number;
  height: number;
  pixelAspect: Readonly<{ num: number; den: number }>;
  range: VideoRange;
}>;

export type CopiedAudio = Readonly<{
  kind: "audio";
  copied: true;
  track: number;
  name: string;
  /** What HLS players take in fMP4. */
  codec: Exclude<AudioCodec, "mp2">;
  sampleRate: number;
  channels: number;
  samplesPerUnit: number;
  language: string;
}>;

export type Rendition = VideoRendition | AudioRendition | CopiedVideo | CopiedAudio;

export const isEncodedVideo = (rendition: Rendition): rendition is VideoRendition =>
  rendition.kind === "video" && !rendition.copied;

export const isEncodedAudio = (rendition: Rendition): rendition is AudioRendition =>
  rendition.kind === "audio" && !rendition.copied;

export const isCopied = (rendition: Rendition): rendition is CopiedVideo | CopiedAudio => rendition.copied;

/** Ticks per second of a rendition's track: the numerator of the frame rate, or the sample rate. */
export function timescaleOf(rendition: Rendition, videoRate: Readonly<{ num: number }>): number {
  return rendition.kind === "video" ? videoRate.num : rendition.sampleRate;
}
