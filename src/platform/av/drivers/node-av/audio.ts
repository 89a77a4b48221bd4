// AAC out, and the resampler before it. Samples cross as plain arrays: 380 KB/s at 48 kHz stereo, and nothing to
// own. Calls are synchronous (a coded frame takes 0.1 to 0.3 ms), so they cannot overlap.
import { AV_CODEC_FLAG_GLOBAL_HEADER, AV_SAMPLE_FMT_FLTP, AVERROR_EAGAIN, AVERROR_EOF } from "node-av/constants";
import { CodecContext, Packet, Rational, SoftwareResampleContext } from "node-av/lib";
import { assert } from "#base/assert.ts";
import type { AudioEncoder, AudioEncoderSettings, Resampler, SampleFormat, Samples } from "../../av.ts";
import { check, findEncoder, present, received } from "./native.ts";
import { emptyFrame } from "./picture.ts";
import { bytesOf, layoutOf, layoutOfSpeakers, usualSpeakers } from "./samples.ts";

const AAC_FRAME_SAMPLES = 1024;

type Format = Readonly<{ sampleRate: number; channels: number }>;

export async function openResampler(from: SampleFormat, to: Format): Promise<Resampler> {
  const context = new SoftwareResampleContext();
  const input = layoutOfSpeakers(from.speakers);
  const output = layoutOf(to.channels);
  try {
    check(
      context.allocSetOpts2(output, AV_SAMPLE_FMT_FLTP, to.sampleRate, input, AV_SAMPLE_FMT_FLTP, from.sampleRate),
      "set up the resampler",
    );
    check(context.setOption("rematrix_maxval", "1.0"), "keep a downmix within full scale");
    // One channel goes to each at its own level; the library's default takes 3 dB off.
    if (input.nbChannels === 1) check(context.setMatrix(new Array(to.channels).fill(1), 1), "spread one channel");
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
  readonly #speakers: number;

  constructor(context: SoftwareResampleContext, to: Format) {
    this.#context = context;
    this.#to = to;
    this.#speakers = usualSpeakers(to.channels);
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
    return {
      planes: planes.map((plane) => plane.subarray(0, count)),
      count,
      sampleRate: this.#to.sampleRate,
      speakers: this.#speakers,
    };
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
