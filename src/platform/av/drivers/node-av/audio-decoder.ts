// Sound of every codec that publishers send, to planes of floats. One thread, and nothing that remembers more than its input:
// a decoder opened at the same frame gives the same samples. Calls are synchronous (a coded frame takes 0.1 to 0.3 ms), so
// they cannot overlap.
import { AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP } from "node-av/constants";
import { CodecContext, Dictionary, type Frame, Packet } from "node-av/lib";
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import type { AudioCodec } from "#media/session-log/entries.ts";
import type { AudioDecoder, AudioDecoderSettings, Samples } from "../../av.ts";
import { check, findDecoder, present } from "./native.ts";
import { emptyFrame } from "./picture.ts";
import { bytesOf, layoutOf, speakersOf } from "./samples.ts";

/** The library's decoders with floats inside. libopus gives as many samples as a packet lasts; the library's own one holds
 *  some back. */
const DECODERS: Readonly<Record<AudioCodec, string>> = {
  aac: "aac",
  mp2: "mp2float",
  mp3: "mp3float",
  ac3: "ac3",
  eac3: "eac3",
  opus: "libopus",
};

/** AC-3: no dynamic range compression (the listener's device has its own), and dither that is a function of the frame. */
const DOLBY = { drc_scale: "0", cons_noisegen: "1" };
const OPTIONS: Readonly<Record<AudioCodec, Readonly<Record<string, string>>>> = {
  aac: {},
  mp2: {},
  mp3: {},
  ac3: DOLBY,
  eac3: DOLBY,
  opus: { request_sample_fmt: "flt" },
};

/** @throws PlatformError av.failed, media.unsupported */
export async function openAudioDecoder({
  codec,
  config,
  sampleRate,
  channels,
}: AudioDecoderSettings): Promise<AudioDecoder> {
  const context = new CodecContext();
  context.allocContext3(findDecoder(DECODERS[codec]));
  context.threadCount = 1;
  const options = Dictionary.fromObject({ ...OPTIONS[codec] });
  try {
    if (codec === "aac") context.extraData = Buffer.from(config);
    if (codec === "opus") {
      context.extraData = opusHead(config);
      context.sampleRate = sampleRate;
      context.channelLayout = layoutOf(channels);
    }
    check(await context.open2(findDecoder(DECODERS[codec]), options), `open decoder ${codec}`);
  } catch (error) {
    context.freeContext();
    throw error;
  } finally {
    options.free();
  }
  return new NativeAudioDecoder(context);
}

const DOPS_BYTES_MIN = 11;

/** The decoder's setup from a dOps body. The pre-skip is left out: it belongs to the stream's beginning, and this decoder
 *  begins anywhere.
 *  Source: RFC 7845, 5.1; Encapsulation of Opus in ISOBMFF, 4.3.2 */
function opusHead(dops: Uint8Array): Buffer {
  if (dops.length < DOPS_BYTES_MIN)
    throw new PlatformError("media.unsupported", `An Opus configuration of ${dops.length} bytes says too little.`);
  const from = Buffer.from(dops.buffer, dops.byteOffset, dops.byteLength);
  const head = Buffer.alloc(8 + from.length);
  head.write("OpusHead", "latin1");
  head[8] = 1;
  head[9] = from[1]!;
  head.writeUInt32LE(from.readUInt32BE(4), 12);
  head.writeInt16LE(from.readInt16BE(8), 16);
  from.copy(head, 18, 10);
  return head;
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
    if (context.receiveFrameSync(this.#frame) < 0) return null;
    const samples = samplesOf(this.#frame);
    this.#frame.unref();
    return samples;
  }

  close(): void {
    if (this.#context === null) return;
    this.#context.freeContext();
    this.#context = null;
    this.#packet.free();
    this.#frame.free();
  }
}

/** Copies: the frame's memory is used again. */
function samplesOf(frame: Frame): Samples | null {
  const { nbSamples: count, sampleRate, channels, format, channelLayout } = frame;
  const speakers = speakersOf(channels, channelLayout.mask);
  if (speakers === null) return null;
  const data = present(frame.extendedData ?? frame.data, "decoded samples");
  const planes = Array.from({ length: channels }, () => new Float32Array(count));
  if (format === AV_SAMPLE_FMT_FLTP) {
    for (const [channel, plane] of planes.entries()) bytesOf(plane).set(data[channel]!.subarray(0, count * 4));
  } else {
    assert.equal(format, AV_SAMPLE_FMT_FLT, "decoders give floats");
    const woven = new Float32Array(count * channels);
    bytesOf(woven).set(data[0]!.subarray(0, woven.byteLength));
    for (const [channel, plane] of planes.entries())
      for (let i = 0; i < count; i += 1) plane[i] = woven[i * channels + channel]!;
  }
  return { planes, count, sampleRate, speakers };
}
