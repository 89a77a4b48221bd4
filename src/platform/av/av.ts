// Decoding, scaling and encoding as the worker sees them: a few small machines, each with one life.
// Why not the library's own objects: they crash the process when two calls overlap, when something is freed while a call
// uses it, or when an owner is collected. Here each machine serialises its calls, closes only after the last of them has
// settled, and hands out pictures that are counted; no order of calls, right or wrong, reaches freed memory.
// What is pure: each machine's output is a function of its settings and of what was put in since it was opened. None
// takes a thread count from the host.
import type { Colour } from "#media/codec/vui.ts";
import type { VideoRendition } from "#media/ladder/rendition.ts";
import type { AudioCodec, Rotation, VideoCodec, VideoRange } from "#media/session-log/entries.ts";

/** A decoded picture, outside of JavaScript's heap (1.4 MB at 720p). Whoever holds one releases it, exactly once. */
export interface Picture {
  /** What was given with the coded unit it came from. */
  readonly tag: number;
  readonly width: number;
  readonly height: number;
  readonly colour: Colour;
  /** The decoder saw errors in it and concealed them. (Not set for what only inherits from such a picture.) */
  readonly concealed: boolean;
  /** Another handle on the same picture, to be released as well. */
  share(): Picture;
  /** @throws AssertionError when released twice */
  release(): void;
  /** A copy of the luma plane without padding, width x height bytes; of 8-bit pictures only. */
  luma(): Uint8Array;
}

export type VideoDecoderSettings = Readonly<{
  codec: VideoCodec;
  /** avcC, hvcC (units have 4-byte lengths) or av1C (units are temporal units). */
  config: Uint8Array;
  /** The stream reorders pictures. Matters only where the stream itself does not say how far: then the decoder waits
   *  for as many as its level allows instead of guessing, and dropping what it guessed wrong. */
  reorders: boolean;
}>;

/** Begins at a random access unit. Pictures come in presentation order, a few units late when the stream reorders. */
export interface VideoDecoder {
  /** A unit too broken to decode gives no picture and is no error. */
  decode(unit: Readonly<{ payload: Uint8Array; tag: number }>): Promise<Picture[]>;
  /** What is still inside. The decoder takes nothing afterwards. */
  drain(): Promise<Picture[]>;
  close(): Promise<void>;
}

export type ScalerSettings = Readonly<{
  /** Make progressive pictures of those flagged as interlaced; the others pass. Holds one picture back. */
  deinterlace: boolean;
  /** Degrees clockwise that pictures are turned by; outputs are as they look afterwards. Absent: 0. */
  rotation?: Rotation;
  /** What the pictures' transfer characteristic makes of them: PQ and HLG are mapped to standard range. Absent: SDR. */
  range?: VideoRange;
  /** How numbers become colours in what comes out; pictures of another matrix are converted. Absent: as they come. */
  colour?: Colour;
  outputs: readonly Readonly<{
    width: number;
    height: number;
    pixelAspect: Readonly<{ num: number; den: number }>;
  }>[];
}>;

/** One picture of any size, format and bit depth in, one set of 8-bit 4:2:0 pictures of limited range out (one per output,
 *  same tag). Follows its input: when size or format change, what is inside comes out and it begins anew. */
export interface Scaler {
  /** Takes over the picture. @returns sets that are ready now */
  scale(picture: Picture): Promise<Picture[][]>;
  drain(): Promise<Picture[][]>;
  close(): Promise<void>;
}

export type VideoEncoderSettings = Readonly<{
  rendition: VideoRendition;
  /** Ticks are of its numerator. */
  rate: Readonly<{ num: number; den: number }>;
  /** Pictures a second as rate control counts them, when pictures come at any ticks. Absent: `rate`, frame f at f x den. */
  frameRate?: Readonly<{ num: number; den: number }>;
  colour: Colour;
}>;

export type EncodedUnit = Readonly<{ ptsTicks: number; key: boolean; bytes: Uint8Array }>;

/** One closed stretch of a rendition: key picture first, no reordering, one unit out for each picture in. */
export interface VideoEncoder {
  /** avcC. A function of the settings. */
  readonly config: Uint8Array;
  /** Does not take over the picture. @param frame.repeated it was shown before: its captions are not sent again */
  encode(
    picture: Picture,
    frame: Readonly<{ ptsTicks: number; key: boolean; repeated: boolean }>,
  ): Promise<EncodedUnit[]>;
  drain(): Promise<EncodedUnit[]>;
  close(): Promise<void>;
}

/** Samples, one array per channel, full scale = 1. Plain memory: nothing to release. */
export type Samples = Readonly<{
  planes: readonly Float32Array[];
  count: number;
  sampleRate: number;
  /** Which speakers, as WAVEFORMATEXTENSIBLE's channel mask says it; planes are in the order of its bits. */
  speakers: number;
}>;

export type AudioDecoderSettings = Readonly<{
  codec: AudioCodec;
  /** As in AudioTrack. */
  config: Uint8Array;
  sampleRate: number;
  channels: number;
}>;

/** Samples a second, and which speakers (Samples.speakers). */
export type SampleFormat = Readonly<{ sampleRate: number; speakers: number }>;

export interface AudioDecoder {
  /** Samples of one coded frame; null when it gives none (broken, or the decoder's first). */
  decode(payload: Uint8Array): Samples | null;
  close(): void;
}

/** Sample rate and channels to those of a rendition: more channels are mixed down within full scale. Begins in phase: its first input and its first output sample are
 *  the same instant. */
export interface Resampler {
  convert(samples: Samples): Samples;
  close(): void;
}

export type AudioEncoderSettings = Readonly<{ sampleRate: number; channels: number; bitrate: number }>;

/** AAC-LC. What goes in with frame f comes out when f + 2 went in. */
export interface AudioEncoder {
  /** AudioSpecificConfig. A function of the settings. */
  readonly config: Uint8Array;
  /** @param samples exactly 1024 per channel @param frame its index; they go up by one */
  encode(samples: readonly Float32Array[], frame: number): Readonly<{ frame: number; bytes: Uint8Array }>[];
  close(): void;
}

export interface Av {
  /** Name and version of what makes the bytes: byte identity holds for equal builds on one CPU class. */
  readonly build: string;
  /** A picture from 8-bit 4:2:0 planes without padding, which are copied; chroma planes are (width / 2) x (height / 2). */
  picture(
    size: Readonly<{ width: number; height: number }>,
    planes: Readonly<{ y: Uint8Array; u: Uint8Array; v: Uint8Array }>,
    tag: number,
  ): Picture;
  /** All of them: @throws PlatformError av.failed */
  openVideoDecoder(settings: VideoDecoderSettings): Promise<VideoDecoder>;
  openScaler(settings: ScalerSettings): Promise<Scaler>;
  openVideoEncoder(settings: VideoEncoderSettings): Promise<VideoEncoder>;
  openAudioDecoder(settings: AudioDecoderSettings): Promise<AudioDecoder>;
  openResampler(from: SampleFormat, to: Readonly<{ sampleRate: number; channels: number }>): Promise<Resampler>;
  openAudioEncoder(settings: AudioEncoderSettings): Promise<AudioEncoder>;
}
