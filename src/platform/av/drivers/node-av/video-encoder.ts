// x264, opened anew for each segment so that a segment's bytes depend on nothing before it.
// One thread: rate control by VBV is not deterministic with any second one. Capped CRF: a fresh ABR would start each
// segment from a guess (up to 1.4 dB, and a visible breath). The buffer starts half full: full, two segments in a row
// could exceed the cap. cpu-independent: equal bytes with and without AVX. annexb=0: avcC and 4-byte lengths at once.
// force-cfr, where times are free: rate control and the VUI then count pictures of the usual length; times pass as they are.
import {
  AV_CODEC_FLAG_CLOSED_GOP,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_FRAME_DATA_A53_CC,
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_YUV420P,
  AVCOL_RANGE_JPEG,
  AVCOL_RANGE_MPEG,
  AVERROR_EOF,
} from "node-av/constants";
import { CodecContext, Dictionary, Packet, Rational } from "node-av/lib";
import { assert } from "#base/assert.ts";
import type { EncodedUnit, Picture, VideoEncoder, VideoEncoderSettings } from "../../av.ts";
import { check, findEncoder, present, received, Serial } from "./native.ts";
import { native } from "./picture.ts";

/** Larger than any segment: key pictures are ours to place. */
const GOP_FRAMES = 100_000;

export async function openVideoEncoder(settings: VideoEncoderSettings): Promise<VideoEncoder> {
  const { rendition, rate, frameRate, colour } = settings;
  const perSecond = frameRate ?? rate;
  const codec = findEncoder("libx264");
  const context = new CodecContext();
  context.allocContext3(codec);
  context.width = rendition.width;
  context.height = rendition.height;
  context.pixelFormat = AV_PIX_FMT_YUV420P;
  context.sampleAspectRatio = new Rational(rendition.pixelAspect.num, rendition.pixelAspect.den);
  context.timeBase = new Rational(1, rate.num);
  context.framerate = new Rational(perSecond.num, perSecond.den);
  context.threadCount = 1;
  context.gopSize = GOP_FRAMES;
  context.maxBFrames = 0;
  context.rcMaxRate = BigInt(rendition.maxBitrate);
  context.rcBufferSize = Math.round(rendition.maxBitrate / 2);
  context.colorPrimaries = colour.primaries as typeof context.colorPrimaries;
  context.colorTrc = colour.transfer as typeof context.colorTrc;
  context.colorSpace = colour.matrix as typeof context.colorSpace;
  context.colorRange = colour.fullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER, AV_CODEC_FLAG_CLOSED_GOP);
  const options = Dictionary.fromObject({
    preset: rendition.preset,
    tune: "zerolatency",
    profile: rendition.profile,
    level: String(rendition.levelIdc / 10),
    crf: String(rendition.crf),
    sc_threshold: "0",
    "forced-idr": "1",
    a53cc: "1",
    "x264-params": `cpu-independent=1:vbv-init=0.5:annexb=0${frameRate ? ":force-cfr=1" : ""}`,
  });
  try {
    check(await context.open2(codec, options), `open encoder for ${rendition.name}`);
    return new NativeVideoEncoder(context);
  } catch (error) {
    context.freeContext();
    throw error;
  } finally {
    options.free();
  }
}

class NativeVideoEncoder implements VideoEncoder {
  readonly config: Uint8Array;
  readonly #context: CodecContext;
  readonly #serial = new Serial();
  readonly #packet = new Packet();
  #lastTicks = -1;

  constructor(context: CodecContext) {
    this.#context = context;
    this.config = new Uint8Array(present(context.extraData, "encoder configuration"));
    this.#packet.alloc();
  }

  encode(
    picture: Picture,
    { ptsTicks, key, repeated }: Readonly<{ ptsTicks: number; key: boolean; repeated: boolean }>,
  ): Promise<EncodedUnit[]> {
    // x264 takes times that go back and answers with broken ones.
    assert.ok(ptsTicks > this.#lastTicks, `frame at ${ptsTicks} after ${this.#lastTicks}`);
    this.#lastTicks = ptsTicks;
    const frame = native(picture).cloneFrame(); // now: the caller may release the picture before its turn comes
    frame.pts = BigInt(ptsTicks);
    frame.pictType = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE; // decoders leave their own value there
    if (repeated) frame.removeSideData(AV_FRAME_DATA_A53_CC);
    return this.#serial.run(async () => {
      try {
        check(await this.#context.sendFrame(frame), "encode a picture");
      } finally {
        frame.free();
      }
      return this.#receive();
    });
  }

  drain(): Promise<EncodedUnit[]> {
    return this.#serial.run(async () => {
      const code = await this.#context.sendFrame(null);
      if (code !== AVERROR_EOF) check(code, "drain encoder");
      return this.#receive();
    });
  }

  close(): Promise<void> {
    return this.#serial.close(() => {
      this.#context.freeContext();
      this.#packet.free();
    });
  }

  /** Not awaited calls: the work was done while the picture was sent. */
  #receive(): EncodedUnit[] {
    const units: EncodedUnit[] = [];
    while (received(this.#context.receivePacketSync(this.#packet), "encode a picture")) {
      units.push({
        ptsTicks: Number(this.#packet.pts),
        key: this.#packet.isKeyframe,
        bytes: new Uint8Array(present(this.#packet.data, "encoded bytes")), // a copy: the packet is used again
      });
      this.#packet.unref();
    }
    return units;
  }
}
