// What a player gets from CMAF bytes: demuxed by FFmpeg's own reader and decoded in one go, so that neither our boxes nor
// our machines judge themselves.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Codec, CodecContext, FormatContext, type Frame, Packet } from "node-av/lib";
import { check, present, received } from "../drivers/node-av/native.ts";
import { emptyFrame } from "../drivers/node-av/picture.ts";

export type DecodedPicture = Readonly<{ ticks: number; key: boolean; luma: Uint8Array }>;
export type DecodedSound = Readonly<{ ticks: number; samples: Float32Array }>;

/** @param pieces init segment and parts @returns luma planes, in presentation order */
export function decodePictures(pieces: readonly Uint8Array[]): Promise<DecodedPicture[]> {
  return decode(pieces, (frame) => {
    const { width, height } = frame;
    const stride = frame.linesize[0]!;
    const plane = present(frame.data, "picture")[0]!;
    const luma = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) luma.set(plane.subarray(row * stride, row * stride + width), row * width);
    return { ticks: Number(frame.pts), key: frame.keyFrame === 1, luma };
  });
}

/** @returns samples of the first channel */
export function decodeSound(pieces: readonly Uint8Array[]): Promise<DecodedSound[]> {
  return decode(pieces, (frame) => {
    const samples = new Float32Array(frame.nbSamples);
    const plane = present(frame.data, "samples")[0]!;
    Buffer.from(samples.buffer).set(plane.subarray(0, samples.byteLength));
    return { ticks: Number(frame.pts), samples };
  });
}

async function decode<T>(pieces: readonly Uint8Array[], read: (frame: Frame) => T): Promise<T[]> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-decode-"));
  const input = new FormatContext();
  const packet = new Packet();
  const frame = emptyFrame();
  packet.alloc();
  const context = new CodecContext();
  try {
    const path = join(folder, "track.mp4");
    await writeFile(path, Buffer.concat(pieces));
    input.allocContext();
    check(await input.openInput(path, null, null), "open the track");
    const stream = present(input.streams?.[0], "the track");
    const codec = present(Codec.findDecoder(stream.codecpar.codecId), "its decoder");
    context.allocContext3(codec);
    check(stream.codecpar.toContext(context), "set up the decoder");
    context.threadCount = 1;
    check(await context.open2(codec, null), "open the decoder");
    const out: T[] = [];
    const receive = async () => {
      while (received(await context.receiveFrame(frame), "decode")) {
        out.push(read(frame));
        frame.unref();
      }
    };
    while (received(await input.readFrame(packet), "read the track")) {
      check(await context.sendPacket(packet), "decode");
      packet.unref();
      await receive();
    }
    check(await context.sendPacket(null), "end the decoder");
    await receive();
    return out;
  } finally {
    context.freeContext();
    packet.free();
    frame.free();
    await input.closeInput();
    await rm(folder, { recursive: true });
  }
}

/** dB; infinite for equal planes. */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10((255 * 255 * a.length) / sum);
}
