// H.264, HEVC and AV1 decoding with one thread: what the decoder makes of a damaged picture depends on the thread count.
import { AV_PIX_FMT_NONE, AVERROR_EAGAIN, AVERROR_EOF } from "node-av/constants";
import { CodecContext, Dictionary, type Frame, Packet } from "node-av/lib";
import { assert } from "#base/assert.ts";
import type { VideoCodec } from "#media/session-log/entries.ts";
import type { Picture, VideoDecoder, VideoDecoderSettings } from "../../av.ts";
import { check, findDecoder, Serial } from "./native.ts";
import { emptyFrame, NativePicture } from "./picture.ts";

const DECODERS: Readonly<Record<VideoCodec, string>> = { h264: "h264", hevc: "hevc", av1: "libdav1d" };

export async function openVideoDecoder(settings: VideoDecoderSettings): Promise<VideoDecoder> {
  const codec = findDecoder(DECODERS[settings.codec]);
  const context = new CodecContext();
  context.allocContext3(codec);
  context.threadCount = 1;
  context.extraData = Buffer.from(settings.config);
  const options = Dictionary.fromObject({
    ...(settings.reorders ? { strict: "1" } : {}),
    ...(settings.codec === "av1" ? { max_frame_delay: "1" } : {}),
  });
  try {
    check(await context.open2(codec, options), `open decoder ${settings.codec}`);
  } catch (error) {
    context.freeContext();
    throw error;
  } finally {
    options.free();
  }
  return new NativeVideoDecoder(context);
}

class NativeVideoDecoder implements VideoDecoder {
  readonly #context: CodecContext;
  readonly #serial = new Serial();
  readonly #packet = new Packet();
  /** Empty, for the next picture. */
  #spare: Frame = emptyFrame();
  #drained = false;

  constructor(context: CodecContext) {
    this.#context = context;
    this.#packet.alloc();
  }

  decode(unit: Readonly<{ payload: Uint8Array; tag: number }>): Promise<Picture[]> {
    return this.#serial.run(async () => {
      assert.ok(!this.#drained, "a drained decoder takes no more units");
      if (unit.payload.byteLength === 0) return []; // to the library an empty packet means the end
      this.#packet.data = Buffer.from(unit.payload.buffer, unit.payload.byteOffset, unit.payload.byteLength);
      this.#packet.pts = BigInt(unit.tag);
      try {
        const code = await this.#context.sendPacket(this.#packet);
        assert.ok(code !== AVERROR_EAGAIN, "a decoder that is emptied after each unit takes the next");
        // Any other error is the unit's: bad syntax, missing references. The stream goes on behind it.
      } finally {
        this.#packet.unref();
      }
      return this.#receive();
    });
  }

  drain(): Promise<Picture[]> {
    return this.#serial.run(async () => {
      if (this.#drained) return [];
      this.#drained = true;
      const code = await this.#context.sendPacket(null);
      if (code !== AVERROR_EOF) check(code, "drain decoder");
      return this.#receive();
    });
  }

  close(): Promise<void> {
    return this.#serial.close(() => {
      this.#context.freeContext();
      this.#packet.free();
      this.#spare.free();
    });
  }

  /** Not awaited calls: the pictures were made while the unit was sent, these only fetch them. */
  #receive(): Picture[] {
    const pictures: Picture[] = [];
    for (;;) {
      const code = this.#context.receiveFrameSync(this.#spare);
      if (code === AVERROR_EAGAIN || code === AVERROR_EOF) return pictures;
      if (code < 0) continue; // one more broken picture; the queue inside gets shorter with each call
      const frame = this.#spare;
      this.#spare = emptyFrame();
      if (frame.format === AV_PIX_FMT_NONE) frame.free();
      else pictures.push(new NativePicture(frame, Number(frame.pts)));
    }
  }
}
