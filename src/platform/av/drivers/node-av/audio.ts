// AAC in, AAC out, and the resampler between. Samples cross as plain arrays: 380 KB/s at 48 kHz stereo, and nothing to
// own. Calls are synchronous (a coded frame takes 0.1 to 0.3 ms), so they cannot overlap.

import * as layouts from "node-av/constants";
import { AV_CODEC_FLAG_GLOBAL_HEADER, AV_SAMPLE_FMT_FLTP, AVERROR_EAGAIN, AVERROR_EOF } from "node-av/constants";
import { type ChannelLayout, CodecContext, Packet, Rational, SoftwareResampleContext } from "node-av/lib";
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import type { AudioDecoder, AudioEncoder, AudioEncoderSettings, Resampler, Samples } from "../../av.ts";
import { check, findDecoder, findEncoder, present, received } from "./native.ts";
import { emptyFrame } from "./picture.ts";

const AAC_FRAME_SAMPLES = 1024;

/** Speakers of AAC's channel configurations, by number of channels.
 *  Source: ISO/IEC 14496-3, table 1.19 */
const LAYOUTS: readonly (ChannelLayout | undefined)[] = [
  undefined,
  layouts.AV_CHANNEL_LAYOUT_MONO,
  layouts.AV_CHANNEL_LAYOUT_STEREO,
  layouts.AV_CHANNEL_LAYOUT_SURROUND,
  layouts.AV_CHANNEL_LAYOUT_4POINT0,
  layouts.AV_CHANNEL_LAYOUT_5POINT0_BACK,
  layouts.AV_CHANNEL_LAYOUT_5POINT1_BACK,
  layouts.AV_CHANNEL_LAYOUT_6POINT1,
  layouts.AV_CHANNEL_LAYOUT_7POINT1,
];

function layoutOf(channels: number): ChannelLayout {
  const layout = LAYOUTS[channels];
  if (layout === undefined) throw new PlatformError("media.unsupported", `audio with ${channels} channels`);
  return layout;
}

/** The plane's bytes as the library wants them: the same memory. */
function bytesOf(plane: Float32Array): Buffer {
  return Buffer.from(plane.buffer, plane.byteOffset, plane.byteLength);
}

export async function openAudioDecoder(config: Uint8Array): Promise<AudioDecoder> {
  const codec = findDecoder("aac");
  const context = new CodecContext();
  context.allocContext3(codec);
  context.threadCount = 1;
  context.extraData = Buffer.from(config);
  try {
    check(await context.open2(codec, null), "open decoder aac");
  } catch (error) {
    context.freeContext();
    throw error;
  }
  return new NativeAudioDecoder(context);
}

class NativeAudioDecoder implements AudioDecoder {
  #context: CodecContext | null;
  readonly #packet = new Packet();
  readonly #frame = emptyFrame();

  constructor(context: CodecContext) {
    this.#context = context;
    this.#packet.alloc();
  }

  decode(payload: Uint8Array): Samples | null {
    const context = this.#context;
    assert.ok(context, "a closed decoder takes no more units");
    if (payload.byteLength === 0) return null;
    this.#packet.data = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const sent = context.sendPacketSync(this.#packet);
    this.#packet.unref();
    if (sent < 0) return null; // the unit is broken
    const code = context.receiveFrameSync(this.#frame);
    if (code < 0) return null;
    const { nbSamples: count, sampleRate, channels, format } = this.#frame;
    assert.equal(format, AV_SAMPLE_FMT_FLTP, "the AAC decoder gives planar floats");
    const data = present(this.#frame.extendedData ?? this.#frame.data, "decoded samples");
    const planes = data.slice(0, channels).map((plane) => {
      const copy = new Float32Array(count);
      bytesOf(copy).set(plane.subarray(0, count * 4));
      return copy;
    });
    this.#frame.unref();
    return { planes, count, sampleRate };
  }

  close(): void {
    if (this.#context === null) return;
    this.#context.freeContext();
    this.#context = null;
    this.#packet.free();
    this.#frame.free();
  }
}

type Format = Readonly<{ sampleRate: number; channels: number }>;

export async function openResampler(from: Format, to: Format): Promise<Resampler> {
  const context = new SoftwareResampleContext();
  const input = layoutOf(from.channels);
  const output = layoutOf(to.channels);
  try {
    check(
      context.allocSetOpts2(output, AV_SAMPLE_FMT_FLTP, to.sampleRate, input, AV_SAMPLE_FMT_FLTP, from.sampleRate),
      "set up the resampler",
    );
    check(context.setOption("rematrix_maxval", "1.0"), "keep a downmix within full scale");
    // One channel goes to each at its own level; the library's default takes 3 dB off.
    if (from.channels === 1) check(context.setMatrix(new Array(to.channels).fill(1), 1), "spread one channel");
    check(context.init(), `resample ${from.sampleRate} to ${to.sampleRate}`);
  } catch (error) {
    context.free();
    throw error;
  }
  return new NativeResampler(context, to);
}

class NativeResampler implements Resampler {
  #context: SoftwareResampleContext | null;
  readonly #to: Format;

  constructor(context: SoftwareResampleContext, to: Format) {
    this.#context = context;
    this.#to = to;
  }

  convert(samples: Samples): Samples {
    const context = this.#context;
    assert.ok(context, "a closed resampler takes no more samples");
    const room = context.getOutSamples(samples.count);
    const planes = Array.from({ length: this.#to.channels }, () => new Float32Array(room));
    const count = check(
      context.convertSync(planes.map(bytesOf), room, samples.planes.map(bytesOf), samples.count),
      "resample",
    );
    return { planes: planes.map((plane) => plane.subarray(0, count)), count, sampleRate: this.#to.sampleRate };
  }

  close(): void {
    this.#context?.free();
    this.#context = null;
  }
}

export async function openAudioEncoder({ sampleRate, channels, bitrate }: AudioEncoderSettings): Promise<AudioEncoder> {
  const codec = findEncoder("aac");
  const context = new CodecContext();
  context.allocContext3(codec);
  context.threadCount = 1;
  context.sampleRate = sampleRate;
  context.sampleFormat = AV_SAMPLE_FMT_FLTP;
  context.channelLayout = layoutOf(channels);
  context.bitRate = BigInt(bitrate);
  context.timeBase = new Rational(1, sampleRate);
  context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  try {
    check(await context.open2(codec, null), "open encoder aac");
    return new NativeAudioEncoder(context);
  } catch (error) {
    context.freeContext();
    throw error;
  }
}

class NativeAudioEncoder implements AudioEncoder {
  readonly config: Uint8Array;
  #context: CodecContext | null;
  readonly #packet = new Packet();

  constructor(context: CodecContext) {
    this.#context = context;
    this.config = new Uint8Array(present(context.extraData, "encoder configuration"));
    this.#packet.alloc();
  }

  encode(samples: readonly Float32Array[], frame: number): Readonly<{ frame: number; bytes: Uint8Array }>[] {
    const context = this.#context;
    assert.ok(context, "a closed encoder takes no more samples");
    assert.ok(
      samples.every((plane) => plane.length === AAC_FRAME_SAMPLES),
      "a frame has 1024 samples",
    );
    const input = emptyFrame();
    try {
      input.nbSamples = AAC_FRAME_SAMPLES;
      input.format = AV_SAMPLE_FMT_FLTP;
      input.sampleRate = context.sampleRate;
      input.channelLayout = context.channelLayout;
      input.pts = BigInt(frame) * BigInt(AAC_FRAME_SAMPLES);
      check(input.getBuffer(0), "memory for a frame");
      const data = present(input.data, "frame data");
      samples.forEach((plane, channel) => {
        data[channel]!.set(bytesOf(plane));
      });
      const sent = context.sendFrameSync(input);
      assert.ok(sent !== AVERROR_EAGAIN && sent !== AVERROR_EOF, "an encoder that is emptied takes the next frame");
      check(sent, "encode audio");
    } finally {
      input.free();
    }
    return this.#receive(context);
  }

  close(): void {
    this.#context?.freeContext();
    if (this.#context !== null) this.#packet.free();
    this.#context = null;
  }

  #receive(context: CodecContext): Readonly<{ frame: number; bytes: Uint8Array }>[] {
    const units: { frame: number; bytes: Uint8Array }[] = [];
    while (received(context.receivePacketSync(this.#packet), "encode audio")) {
      const bytes = new Uint8Array(present(this.#packet.data, "encoded bytes"));
      units.push({ frame: Number(this.#packet.pts) / AAC_FRAME_SAMPLES, bytes });
      this.#packet.unref();
    }
    return units;
  }
}
