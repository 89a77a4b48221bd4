// Sources as publishers send them, made in the test itself: with reordering, interlaced, at the rate cap, with noise
// substitution in the audio. Not the encoders of the product: those make neither B-frames nor fields.
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_CODEC_FLAG_INTERLACED_DCT,
  AV_CODEC_FLAG_INTERLACED_ME,
  AV_FRAME_DATA_A53_CC,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
} from "node-av/constants";
import { CodecContext, Dictionary, Packet, Rational } from "node-av/lib";
import { seededRandom } from "#base/random.ts";
import * as hevc from "#media/codec/hevc.ts";
import { buildHevcConfig } from "#media/codec/hvcc.ts";
import { joinLengths, splitAnnexB } from "#media/codec/nal.ts";
import type { VideoCodec } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import { openAudioEncoder } from "../drivers/node-av/audio.ts";
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
  interlaced?: boolean;
  /** film: moves, with some grain. noise: cannot be compressed. */
  content?: "film" | "noise";
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

const NOISE = seededRandom(3).bytes(1 << 18);

/** Planes of one frame of the scene. An interlaced one shows its lower field half a frame later. */
export function scenePlanes(
  { width, height, interlaced = false, content = "film" }: SourceVideoSettings,
  frame: number,
): { y: Uint8Array; u: Uint8Array; v: Uint8Array } {
  const y = new Uint8Array(width * height);
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
  const u = new Uint8Array((width * height) / 4).fill(100 + (frame % 50));
  const v = new Uint8Array((width * height) / 4).fill(150 - (frame % 40));
  return { y, u, v };
}

export async function makeVideo(settings: SourceVideoSettings): Promise<SourceVideo> {
  const { width, height, rate, gopFrames, bFrames = 0, interlaced = false, frames } = settings;
  const isHevc = settings.codec === "hevc";
  const codec = findEncoder(isHevc ? "libx265" : "libx264");
  const context = new CodecContext();
  context.allocContext3(codec);
  context.width = width;
  context.height = height;
  context.pixelFormat = AV_PIX_FMT_YUV420P;
  context.timeBase = new Rational(1, rate.num);
  context.framerate = new Rational(rate.num, rate.den);
  context.threadCount = 1;
  context.gopSize = 100_000;
  context.maxBFrames = bFrames;
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  if (interlaced) context.setFlags(AV_CODEC_FLAG_INTERLACED_DCT, AV_CODEC_FLAG_INTERLACED_ME);
  const options = Dictionary.fromObject({
    preset: "ultrafast",
    crf: "20",
    sc_threshold: "0",
    "forced-idr": "1",
    ...(isHevc
      ? { "x265-params": `bframes=${bFrames}:b-adapt=0:open-gop=0:pools=none:frame-threads=1:log-level=none` }
      : { "x264-params": `annexb=0:b-adapt=0:b-pyramid=none${interlaced ? ":tff=1" : ""}` }),
  });
  check(await context.open2(codec, options), "open the source's encoder");
  options.free();
  const packet = new Packet();
  packet.alloc();
  const units: SourceUnit[] = [];
  const receive = () => {
    while (received(context.receivePacketSync(packet), "encode the source")) {
      units.push({
        payload: isHevc ? withoutSets(present(packet.data, "bytes")) : new Uint8Array(present(packet.data, "bytes")),
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
    frame.format = AV_PIX_FMT_YUV420P;
    check(frame.getBuffer(0), "memory");
    const planes = scenePlanes(settings, f);
    const data = present(frame.data, "planes");
    [planes.y, planes.u, planes.v].forEach((plane, i) => {
      const rowBytes = i === 0 ? width : width / 2;
      for (let row = 0; row * rowBytes < plane.length; row += 1)
        data[i]!.set(plane.subarray(row * rowBytes, (row + 1) * rowBytes), row * frame.linesize[i]!);
    });
    frame.pts = BigInt(f * rate.den);
    frame.pictType = f % gopFrames === 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    if (settings.captions) frame.newSideData(AV_FRAME_DATA_A53_CC, 3).set([0xfc, 0x80 | (f & 0x7f), 0x20]);
    if (interlaced) frame.flags |= FRAME_INTERLACED | FRAME_TOP_FIELD_FIRST;
    check(await context.sendFrame(frame), "encode the source");
    frame.free();
    receive();
  }
  await context.sendFrame(null);
  receive();
  const extra = present(context.extraData, "parameter sets");
  const config = isHevc ? hevcConfig(extra) : new Uint8Array(extra);
  context.freeContext();
  packet.free();
  return { codec: settings.codec ?? "h264", config, units };
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

export type SourceAudioSettings = Readonly<{
  sampleRate: number;
  channels: number;
  /** Of 1024 samples. */
  frames: number;
  /** tone: two sines. hiss: band noise that makes the encoder substitute noise (PNS). */
  content?: "tone" | "hiss";
}>;

export type SourceAudio = Readonly<{ config: Uint8Array; units: readonly Uint8Array[] }>;

/** Samples of the scene: two sines, or those with noise above. */
export function sceneSamples(
  { sampleRate, content = "tone" }: SourceAudioSettings,
  from: number,
  count: number,
): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const t = (from + i) / sampleRate;
    const tone = 0.25 * Math.sin(2 * Math.PI * 440 * t) + 0.17 * Math.sin(2 * Math.PI * 1234.5 * t);
    return content === "hiss" ? tone + (NOISE[(from + i) & 0x3ffff]! - 127.5) / 900 : tone;
  });
}

/** Unit i holds samples [1024 i, 1024 (i + 1)). */
export async function makeAudio(settings: SourceAudioSettings): Promise<SourceAudio> {
  const { sampleRate, channels, frames } = settings;
  const encoder = await openAudioEncoder({ sampleRate, channels, bitrate: 64_000 * channels });
  const units: Uint8Array[] = [];
  for (let f = 0; f < frames + 3; f += 1) {
    const plane = sceneSamples(settings, f * 1024, 1024);
    for (const { frame, bytes } of encoder.encode(new Array<Float32Array>(channels).fill(plane), f))
      if (frame >= 0 && frame < frames) units.push(bytes);
  }
  encoder.close();
  return { config: encoder.config, units };
}
