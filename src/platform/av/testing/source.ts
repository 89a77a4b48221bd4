// Pictures as publishers send them, made in the test itself: with reordering, interlaced, at the rate cap, of high dynamic
// range, of odd sizes. Not the encoders of the product: those make neither B-frames nor fields.
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_CODEC_FLAG_INTERLACED_DCT,
  AV_CODEC_FLAG_INTERLACED_ME,
  AV_FRAME_DATA_A53_CC,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUV420P10LE,
  AV_PIX_FMT_YUV422P,
  AV_PIX_FMT_YUV422P10LE,
  AV_PIX_FMT_YUV444P,
  AVCOL_RANGE_MPEG,
} from "node-av/constants";
import { CodecContext, Dictionary, type Frame, Packet, Rational } from "node-av/lib";
import { seededRandom } from "#base/random.ts";
import { isKept, joinObus, OBU, splitObus } from "#media/codec/av1.ts";
import { buildAv1Config } from "#media/codec/av1-sequence.ts";
import * as hevc from "#media/codec/hevc.ts";
import { buildHevcConfig } from "#media/codec/hvcc.ts";
import { joinLengths, splitAnnexB } from "#media/codec/nal.ts";
import type { VideoCodec } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import { check, findEncoder, present, received } from "../drivers/node-av/native.ts";
import { emptyFrame } from "../drivers/node-av/picture.ts";

/** Bits of AVFrame.flags. */
const FRAME_INTERLACED = 1 << 3;
const FRAME_TOP_FIELD_FIRST = 1 << 4;

export type SourceVideoSettings = Readonly<{
  codec?: VideoCodec;
  width: number;
  height: number;
  rate: Rate;
  frames: number;
  /** An IDR each so many frames. */
  gopFrames: number;
  bFrames?: number;
  /** H.264: key frames after the first are no instant refresh; reordered pictures before them refer to what was before. */
  openGop?: boolean;
  interlaced?: boolean;
  /** film: moves, with some grain. noise: cannot be compressed. Else grey, all of it. */
  content?: "film" | "noise" | Readonly<{ luma: number }>;
  format?: keyof typeof FORMATS;
  /** Says that values are PQ's or HLG's, of BT.2020. */
  range?: "PQ" | "HLG";
  /** Says only how luma and chroma are made of colours, as ITU-T H.273 numbers it. */
  matrix?: number;
  /** Each frame carries a pair of caption bytes. */
  captions?: boolean;
}>;

export type SourceUnit = Readonly<{
  payload: Uint8Array;
  /** Presentation and decode order, in frames from the source's start; decode is never above presentation. */
  frame: number;
  decode: number;
  key: boolean;
}>;

export type SourceVideo = Readonly<{ codec: VideoCodec; config: Uint8Array; units: readonly SourceUnit[] }>;

/** Pixel format, bits of a value, and how many luma columns and rows share one of chroma. */
const FORMATS = {
  "4:2:0": { pixels: AV_PIX_FMT_YUV420P, bytes: 1, columns: 2, rows: 2 },
  "4:2:2": { pixels: AV_PIX_FMT_YUV422P, bytes: 1, columns: 2, rows: 1 },
  "4:4:4": { pixels: AV_PIX_FMT_YUV444P, bytes: 1, columns: 1, rows: 1 },
  "4:2:0 10": { pixels: AV_PIX_FMT_YUV420P10LE, bytes: 2, columns: 2, rows: 2 },
  "4:2:2 10": { pixels: AV_PIX_FMT_YUV422P10LE, bytes: 2, columns: 2, rows: 1 },
} as const;
const TRANSFERS = { PQ: 16, HLG: 18 } as const;
const BT2020 = 9;

const ENCODERS: Readonly<Record<VideoCodec, string>> = { h264: "libx264", hevc: "libx265", av1: "libsvtav1" };

const NOISE = seededRandom(3).bytes(1 << 18);

/** Planes of one frame of the scene. An interlaced one shows its lower field half a frame later. */
export function scenePlanes(
  { width, height, interlaced = false, content = "film" }: SourceVideoSettings,
  frame: number,
): { y: Uint8Array; u: Uint8Array; v: Uint8Array } {
  const y = new Uint8Array(width * height);
  const chroma = Math.ceil(width / 2) * Math.ceil(height / 2);
  if (typeof content === "object") {
    const none = new Uint8Array(chroma).fill(128);
    return { y: y.fill(content.luma), u: none, v: none };
  }
  for (let row = 0; row < height; row += 1) {
    const time = frame + (interlaced && row % 2 === 1 ? 0.5 : 0);
    const noiseAt = (frame * 7919 + row * 331) & 0xffff;
    if (content === "noise") {
      y.set(NOISE.subarray(noiseAt, noiseAt + width), row * width);
      continue;
    }
    const shift = Math.round(time * 4);
    const wave = Math.round(30 * Math.sin(row / 9 + time / 7));
    for (let x = 0; x < width; x += 1)
      y[row * width + x] = 40 + ((x + shift + wave) % 128) + ((x >> 4) & 1) * 20 + (NOISE[noiseAt + x]! & 7);
  }
  const u = new Uint8Array(chroma).fill(100 + (frame % 50));
  const v = new Uint8Array(chroma).fill(150 - (frame % 40));
  return { y, u, v };
}

export async function makeVideo(settings: SourceVideoSettings): Promise<SourceVideo> {
  const { width, height, rate, gopFrames, bFrames = 0, interlaced = false, frames, range } = settings;
  const { codec: name = "h264", format = "4:2:0", openGop = false } = settings;
  const codec = findEncoder(ENCODERS[name]);
  const context = new CodecContext();
  context.allocContext3(codec);
  context.width = width;
  context.height = height;
  context.pixelFormat = FORMATS[format].pixels;
  if (range) {
    context.colorPrimaries = BT2020 as typeof context.colorPrimaries;
    context.colorTrc = TRANSFERS[range] as typeof context.colorTrc;
    context.colorSpace = BT2020 as typeof context.colorSpace;
    context.colorRange = AVCOL_RANGE_MPEG;
  }
  context.timeBase = new Rational(1, rate.num);
  context.framerate = new Rational(rate.num, rate.den);
  context.threadCount = 1;
  context.gopSize = 100_000;
  context.maxBFrames = bFrames;
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  if (interlaced) context.setFlags(AV_CODEC_FLAG_INTERLACED_DCT, AV_CODEC_FLAG_INTERLACED_ME);
  if (settings.matrix) context.colorSpace = settings.matrix as typeof context.colorSpace;
  if (name === "av1") context.gopSize = gopFrames;
  const options = Dictionary.fromObject(optionsOf(name, bFrames, interlaced, openGop ? gopFrames : null));
  check(await context.open2(codec, options), "open the source's encoder");
  options.free();
  const packet = new Packet();
  packet.alloc();
  const units: SourceUnit[] = [];
  const receive = () => {
    while (received(context.receivePacketSync(packet), "encode the source")) {
      units.push({
        payload: payloadOf(name, present(packet.data, "bytes")),
        frame: Number(packet.pts) / rate.den,
        decode: Math.min(Number(packet.dts), Number(packet.pts)) / rate.den,
        key: packet.isKeyframe,
      });
      packet.unref();
    }
  };
  for (let f = 0; f < frames; f += 1) {
    const frame = emptyFrame();
    frame.width = width;
    frame.height = height;
    frame.format = FORMATS[format].pixels;
    check(frame.getBuffer(0), "memory");
    fill(frame, scenePlanes(settings, f), format);
    frame.pts = BigInt(f * rate.den);
    frame.pictType = f % gopFrames === 0 && !openGop ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    if (settings.captions) frame.newSideData(AV_FRAME_DATA_A53_CC, 3).set([0xfc, 0x80 | (f & 0x7f), 0x20]);
    if (interlaced) frame.flags |= FRAME_INTERLACED | FRAME_TOP_FIELD_FIRST;
    check(await context.sendFrame(frame), "encode the source");
    frame.free();
    receive();
  }
  await context.sendFrame(null);
  receive();
  const config = configOf(name, present(context.extraData, "parameter sets"));
  context.freeContext();
  packet.free();
  return { codec: name, config, units };
}

/** @param openFrames length of open groups of pictures; null: they are closed */
function optionsOf(
  codec: VideoCodec,
  bFrames: number,
  interlaced: boolean,
  openFrames: number | null,
): Record<string, string> {
  if (codec === "av1") return { preset: "12", crf: "30", "svtav1-params": "lp=1:pred-struct=1:enable-tf=0" };
  const hevcParams = `bframes=${bFrames}:b-adapt=0:open-gop=0:pools=none:frame-threads=1:log-level=none`;
  const groups = openFrames === null ? "" : `:open-gop=1:keyint=${openFrames}:min-keyint=${openFrames}`;
  return {
    preset: "ultrafast",
    crf: "20",
    sc_threshold: "0",
    "forced-idr": "1",
    ...(codec === "hevc"
      ? { "x265-params": hevcParams }
      : { "x264-params": `annexb=0:b-adapt=0:b-pyramid=none${groups}${interlaced ? ":tff=1" : ""}` }),
  };
}

/** The scene's 4:2:0 planes of 8 bits, spread to what the frame has. */
function fill(frame: Frame, { y, u, v }: ReturnType<typeof scenePlanes>, format: keyof typeof FORMATS): void {
  const { bytes, columns, rows } = FORMATS[format];
  const { width, height } = frame;
  const data = present(frame.data, "planes");
  for (const [i, plane] of [y, u, v].entries()) {
    const [across, down] = i === 0 ? [width, height] : [Math.ceil(width / columns), Math.ceil(height / rows)];
    const [fromAcross, fromDown] = i === 0 ? [width, height] : [Math.ceil(width / 2), Math.ceil(height / 2)];
    const line = Buffer.alloc(across * bytes);
    for (let row = 0; row < down; row += 1) {
      const from = Math.floor((row * fromDown) / down) * fromAcross;
      for (let x = 0; x < across; x += 1) {
        const value = plane[from + Math.floor((x * fromAcross) / across)]!;
        if (bytes === 1) line[x] = value;
        else line.writeUInt16LE(value << 2, 2 * x);
      }
      data[i]!.set(line, row * frame.linesize[i]!);
    }
  }
}

function payloadOf(codec: VideoCodec, bytes: Buffer): Uint8Array {
  if (codec === "hevc") return withoutSets(bytes);
  if (codec === "av1") return joinObus(splitObus(Buffer.from(bytes)).filter(({ type }) => isKept(type)));
  return new Uint8Array(bytes);
}

function configOf(codec: VideoCodec, extra: Buffer): Uint8Array {
  if (codec === "hevc") return hevcConfig(extra);
  if (codec === "h264") return new Uint8Array(extra);
  const copy = Buffer.from(extra);
  const obus = splitObus((copy[0]! & 0x80) !== 0 ? copy.subarray(4) : copy); // an av1C record, or bare
  return buildAv1Config(
    present(
      obus.find(({ type }) => type === OBU.sequenceHeader),
      "sequence header",
    ),
  );
}

const isSet = (nal: Uint8Array) => [hevc.NAL.vps, hevc.NAL.sps, hevc.NAL.pps].includes(hevc.nalType(nal) as 32);

function withoutSets(annexB: Buffer): Uint8Array {
  return joinLengths(splitAnnexB(annexB).nals.filter((nal) => !isSet(nal)));
}

function hevcConfig(annexB: Buffer): Uint8Array {
  const { nals } = splitAnnexB(Buffer.from(annexB));
  const ofType = (type: number) => nals.filter((nal) => hevc.nalType(nal) === type);
  return buildHevcConfig(ofType(hevc.NAL.vps), ofType(hevc.NAL.sps), ofType(hevc.NAL.pps));
}
