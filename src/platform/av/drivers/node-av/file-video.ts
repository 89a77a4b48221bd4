// The picture track of a file on its way to a live stream: as it is, or through decoder, scaler and x264.
import {
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AV_NOPTS_VALUE,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUV420P10LE,
  AV_PIX_FMT_YUVJ420P,
  AVERROR_EAGAIN,
  AVERROR_EOF,
} from "node-av/constants";
import type { CodecContext, Frame, Packet, Stream } from "node-av/lib";
import { splitAnnexB, splitLengths } from "#media/codec/nal.ts";
import type { NalCodec } from "#media/codec/parameter-sets.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { VideoTrack } from "#media/session-log/entries.ts";
import { rate as makeRate, nearestStandardRate, perSecond, type Rate, standardRateAtMost } from "#media/time/rate.ts";
import type { Picture, Scaler, VideoEncoder } from "../../av.ts";
import type { FileUnit } from "../../media-file.ts";
import { openStreamDecoder, type TrackPath, timesOf } from "./file-path.ts";
import { check, present } from "./native.ts";
import { emptyFrame, NativePicture } from "./picture.ts";
import { openScaler } from "./scaler.ts";
import { openVideoEncoder } from "./video-encoder.ts";

/** Rates of conversion: enough for a source that is coded once more by the ladder. */
const WIDTH_MAX = 1920;
const HEIGHT_MAX = 1080;
const CRF = 19;
const BITRATE_PER_PIXEL = 4;
/** Encoder ticks per frame: frames of a file without a constant rate keep their times this finely. */
const TICKS_PER_FRAME = 1000;

/** @param bare without a container that knows times: a decoder must find the order */
export async function openVideoPath(stream: Stream, bare: boolean): Promise<TrackPath<VideoTrack>> {
  const codec = bare ? null : copyCodec(stream);
  return codec === null ? VideoConverter.open(stream) : new VideoCopy(stream, codec);
}

/** H.264 of 8 bits and H.265 of 8 or 10, both 4:2:0: what every reader of the session log decodes. */
function copyCodec(stream: Stream): NalCodec | null {
  const { codecId, format } = stream.codecpar;
  const eightBits = format === AV_PIX_FMT_YUV420P || format === AV_PIX_FMT_YUVJ420P;
  if (codecId === AV_CODEC_ID_H264 && eightBits) return "h264";
  return codecId === AV_CODEC_ID_HEVC && (eightBits || format === AV_PIX_FMT_YUV420P10LE) ? "hevc" : null;
}

function rateOf(stream: Stream): Rate {
  const { num, den } = stream.avgFrameRate.num > 0 ? stream.avgFrameRate : stream.rFrameRate;
  if (num <= 0 || den <= 0) return makeRate(25);
  return nearestStandardRate(num / den) ?? standardRateAtMost(num / den);
}

class VideoCopy implements TrackPath<VideoTrack> {
  readonly converts = false;
  readonly unitMs: number;
  readonly #stream: Stream;
  readonly #units: VideoStream;
  /** 0: the file has start codes instead of lengths. */
  readonly #lengthBytes: number;
  #begun = false;
  #lastDtsMs = Number.NEGATIVE_INFINITY;
  /** Coded pictures that wait for a decode time. */
  #undated: { ptsMs: number | null; key: boolean; payload: Uint8Array }[] = [];

  constructor(stream: Stream, codec: NalCodec) {
    this.#stream = stream;
    this.unitMs = 1000 / perSecond(rateOf(stream));
    this.#units = new VideoStream(0, codec);
    this.#units.hint({ rate: rateOf(stream) });
    const extra = stream.codecpar.extradata;
    const isRecord = extra !== null && extra[0] === 1;
    this.#lengthBytes = isRecord ? this.#units.configure(new Uint8Array(extra)).lengthBytes : 0;
    if (!isRecord && extra !== null) this.#units.units(splitAnnexB(Buffer.from(extra)).nals, SINGLE);
  }

  get track(): VideoTrack | null {
    return this.#units.track;
  }

  async feed(packet: Packet): Promise<FileUnit[]> {
    const bytes = Buffer.from(present(packet.data, "a packet's bytes")); // a copy: the packet is used again
    const nals = this.#lengthBytes > 0 ? splitLengths(bytes, this.#lengthBytes) : splitAnnexB(bytes).nals;
    const [unit] = this.#units.units(nals, { ...SINGLE, randomAccessHint: packet.isKeyframe });
    if (unit === undefined) return [];
    this.#begun ||= unit.randomAccess; // a file that was cut from a stream begins with pictures nobody can decode
    if (!this.#begun) return [];
    const { ptsMs, dtsMs } = timesOf(packet, this.#stream);
    this.#undated.push({ ptsMs, key: unit.randomAccess, payload: unit.payload });
    if (dtsMs === null && this.#undated.length < UNDATED_MAX) return [];
    return this.#dated(dtsMs);
  }

  drain = async (): Promise<FileUnit[]> => this.#dated(null);
  close = async (): Promise<void> => {};

  /** Some containers know no decode times, and the library finds them out only after as many pictures as are reordered.
   *  Those before are a frame apart, counted back from the first that is known; if none is, on from the last. */
  #dated(newestDtsMs: number | null): FileUnit[] {
    const undated = this.#undated;
    this.#undated = [];
    const firstMs =
      newestDtsMs === null
        ? Number.isFinite(this.#lastDtsMs)
          ? this.#lastDtsMs + this.unitMs
          : Math.min(...undated.map(({ ptsMs }) => ptsMs ?? 0)) - (undated.length - 1) * this.unitMs
        : newestDtsMs - (undated.length - 1) * this.unitMs;
    return undated.map(({ ptsMs, key, payload }, i) => {
      const dtsMs = Math.max(firstMs + i * this.unitMs, this.#lastDtsMs + DTS_STEP_MS_MIN);
      this.#lastDtsMs = dtsMs;
      return { kind: "video", ptsMs: ptsMs ?? dtsMs, dtsMs, key, payload };
    });
  }
}

/** Most pictures that H.264 and H.265 reorder, and one. */
const UNDATED_MAX = 17;
/** Two ticks of 90 kHz: muxers want decode times that really go up. */
const DTS_STEP_MS_MIN = 2 / 90;
const SINGLE = { randomAccessHint: false, single: true } as const;

class VideoConverter implements TrackPath<VideoTrack> {
  readonly converts = true;
  readonly unitMs: number;
  readonly #stream: Stream;
  readonly #decoder: CodecContext;
  readonly #scaler: Scaler;
  readonly #size: { width: number; height: number };
  readonly #pixelAspect: { num: number; den: number };
  readonly #rate: Rate;
  #encoder: VideoEncoder | null = null;
  #spare: Frame = emptyFrame();
  #lastTicks = Number.NEGATIVE_INFINITY;
  /** Encoder time 0, in ms of the file. */
  #originMs: number | null = null;
  #lastKeySecond = Number.NEGATIVE_INFINITY;

  static async open(stream: Stream): Promise<VideoConverter> {
    const size = fitted(stream.codecpar.width, stream.codecpar.height);
    const { num, den } = stream.codecpar.sampleAspectRatio;
    const pixelAspect = num > 0 && den > 0 ? { num, den } : { num: 1, den: 1 };
    const decoder = await openStreamDecoder(stream);
    try {
      const scaler = await openScaler({ deinterlace: true, outputs: [{ ...size, pixelAspect }] });
      return new VideoConverter(stream, decoder, scaler, size, pixelAspect);
    } catch (error) {
      decoder.freeContext();
      throw error;
    }
  }

  constructor(
    stream: Stream,
    decoder: CodecContext,
    scaler: Scaler,
    size: { width: number; height: number },
    pixelAspect: { num: number; den: number },
  ) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#scaler = scaler;
    this.#size = size;
    this.#pixelAspect = pixelAspect;
    this.#rate = rateOf(stream);
    this.unitMs = 1000 / perSecond(this.#rate);
  }

  get track(): VideoTrack | null {
    if (this.#encoder === null) return null;
    return {
      track: 0,
      kind: "video",
      codec: "h264",
      config: this.#encoder.config,
      ...this.#size,
      pixelAspect: this.#pixelAspect,
      declaredRate: this.#rate,
      interlaced: false,
      bitDepth: 8,
      range: "SDR",
      rotation: 0,
    };
  }

  async feed(packet: Packet): Promise<FileUnit[]> {
    const code = await this.#decoder.sendPacket(packet);
    if (code === AVERROR_EAGAIN) check(code, "a decoder that is emptied takes the next packet");
    return this.#encodeAll(await this.#scaled(this.#decoded())); // another error is the packet's: the next ones go on
  }

  async drain(): Promise<FileUnit[]> {
    const code = await this.#decoder.sendPacket(null);
    if (code !== AVERROR_EOF) check(code, "drain decoder");
    const units = await this.#encodeAll([
      ...(await this.#scaled(this.#decoded())),
      ...(await this.#scaler.drain()).flat(),
    ]);
    return [...units, ...this.#units((await this.#encoder?.drain()) ?? [])];
  }

  async close(): Promise<void> {
    await this.#scaler.close();
    await this.#encoder?.close();
    this.#decoder.freeContext();
    this.#spare.free();
  }

  #decoded(): Picture[] {
    const pictures: Picture[] = [];
    const { num, den } = this.#stream.timeBase;
    for (;;) {
      const code = this.#decoder.receiveFrameSync(this.#spare);
      if (code === AVERROR_EAGAIN || code === AVERROR_EOF) return pictures;
      if (code < 0) continue; // a broken picture; the queue inside gets shorter with each call
      const frame = this.#spare;
      this.#spare = emptyFrame();
      const pts = frame.bestEffortTimestamp;
      const timeMs = pts === AV_NOPTS_VALUE ? null : (Number(pts) * num * 1000) / den;
      this.#originMs ??= timeMs ?? 0;
      const ticksPerMs = (this.#rate.num * TICKS_PER_FRAME) / (this.#rate.den * 1000);
      const ticks =
        timeMs === null ? this.#lastTicks + TICKS_PER_FRAME : Math.round((timeMs - this.#originMs) * ticksPerMs);
      if (ticks <= this.#lastTicks || ticks < 0)
        frame.free(); // two at one instant: the first is shown
      else {
        this.#lastTicks = ticks;
        pictures.push(new NativePicture(frame, ticks));
      }
    }
  }

  async #scaled(pictures: Picture[]): Promise<Picture[]> {
    const out: Picture[] = [];
    for (const picture of pictures) out.push(...(await this.#scaler.scale(picture)).flat());
    return out;
  }

  async #encodeAll(pictures: Picture[]): Promise<FileUnit[]> {
    const units: FileUnit[] = [];
    for (const picture of pictures) {
      try {
        this.#encoder ??= await this.#openEncoder(picture);
        const second = Math.floor(this.#msOf(picture.tag) / 1000);
        const key = second > this.#lastKeySecond;
        if (key) this.#lastKeySecond = second;
        units.push(
          ...this.#units(await this.#encoder.encode(picture, { ptsTicks: picture.tag, key, repeated: false })),
        );
      } finally {
        picture.release();
      }
    }
    return units;
  }

  #openEncoder(picture: Picture): Promise<VideoEncoder> {
    const { width, height } = this.#size;
    return openVideoEncoder({
      rendition: {
        kind: "video",
        copied: false,
        name: "file",
        codec: "h264",
        width,
        height,
        pixelAspect: this.#pixelAspect,
        profile: "high",
        levelIdc: 51,
        preset: "superfast",
        crf: CRF,
        maxBitrate: Math.max(500_000, Math.round(width * height * BITRATE_PER_PIXEL)),
      },
      rate: { num: this.#rate.num * TICKS_PER_FRAME, den: this.#rate.den * TICKS_PER_FRAME },
      colour: { ...picture.colour, fullRange: false },
    });
  }

  #msOf(ticks: number): number {
    return (ticks * 1000 * this.#rate.den) / (this.#rate.num * TICKS_PER_FRAME);
  }

  #units(encoded: readonly { ptsTicks: number; key: boolean; bytes: Uint8Array }[]): FileUnit[] {
    return encoded.map(({ ptsTicks, key, bytes }) => {
      const ptsMs = this.#originMs! + this.#msOf(ptsTicks);
      return { kind: "video", ptsMs, dtsMs: ptsMs, key, payload: bytes };
    });
  }
}

/** Even, at most 1080p, same shape. */
function fitted(width: number, height: number): { width: number; height: number } {
  const shrink = Math.min(1, WIDTH_MAX / width, HEIGHT_MAX / height);
  const even = (value: number) => Math.max(2, 2 * Math.round((value * shrink) / 2));
  return { width: even(width), height: even(height) };
}
