// Sound as publishers send it, made in the test itself: of every codec, and with noise substitution.
import { AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP, AV_SAMPLE_FMT_S16 } from "node-av/constants";
import { CodecContext, Packet, Rational } from "node-av/lib";
import { seededRandom } from "#base/random.ts";
import { buildOpusConfig, parseOpusHead } from "#media/codec/opus.ts";
import type { AudioCodec } from "#media/session-log/entries.ts";
import { openAudioEncoder } from "../drivers/node-av/audio.ts";
import { check, findEncoder, present, received } from "../drivers/node-av/native.ts";
import { emptyFrame } from "../drivers/node-av/picture.ts";
import { bytesOf, layoutOf } from "../drivers/node-av/samples.ts";

const NOISE = seededRandom(3).bytes(1 << 18);

export type SourceAudioSettings = Readonly<{
  sampleRate: number;
  channels: number;
  /** Coded ones. */
  frames: number;
  codec?: AudioCodec;
  bitrate?: number;
  /** tone: two sines. hiss: band noise that makes the encoder substitute noise (PNS). */
  content?: "tone" | "hiss";
}>;

export type SourceAudio = Readonly<{
  codec: AudioCodec;
  config: Uint8Array;
  samplesPerUnit: number;
  units: readonly Uint8Array[];
}>;

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

/** Unit i of AAC holds samples [1024 i, 1024 (i + 1)); those of other codecs the samples of their own place, later by what
 *  coder and decoder delay them. */
export async function makeAudio(settings: SourceAudioSettings): Promise<SourceAudio> {
  const { sampleRate, channels, frames, codec = "aac" } = settings;
  if (codec !== "aac") return makeOther({ ...settings, codec });
  const encoder = await openAudioEncoder({ sampleRate, channels, bitrate: settings.bitrate ?? 64_000 * channels });
  const units: Uint8Array[] = [];
  for (let f = 0; f < frames + 3; f += 1) {
    const plane = sceneSamples(settings, f * 1024, 1024);
    for (const { frame, bytes } of encoder.encode(new Array<Float32Array>(channels).fill(plane), f))
      if (frame >= 0 && frame < frames) units.push(bytes);
  }
  encoder.close();
  return { codec, config: encoder.config, samplesPerUnit: 1024, units };
}

type Other = Exclude<AudioCodec, "aac">;

const ENCODERS: Readonly<
  Record<Other, Readonly<{ name: string; format: "s16" | "planes" | "woven"; bitrate: number }>>
> = {
  mp2: { name: "mp2", format: "s16", bitrate: 192_000 },
  mp3: { name: "libmp3lame", format: "planes", bitrate: 96_000 },
  ac3: { name: "ac3", format: "planes", bitrate: 192_000 },
  eac3: { name: "eac3", format: "planes", bitrate: 96_000 },
  opus: { name: "libopus", format: "woven", bitrate: 96_000 },
};
const FORMATS = { s16: AV_SAMPLE_FMT_S16, planes: AV_SAMPLE_FMT_FLTP, woven: AV_SAMPLE_FMT_FLT } as const;

async function makeOther(settings: SourceAudioSettings & { codec: Other }): Promise<SourceAudio> {
  const { sampleRate, channels, frames, codec } = settings;
  const { name, format, bitrate } = ENCODERS[codec];
  const encoder = findEncoder(name);
  const context = new CodecContext();
  context.allocContext3(encoder);
  context.sampleRate = sampleRate;
  context.sampleFormat = FORMATS[format];
  context.channelLayout = layoutOf(channels);
  context.bitRate = BigInt(settings.bitrate ?? bitrate);
  context.timeBase = new Rational(1, sampleRate);
  check(await context.open2(encoder, null), "open the source's encoder");
  const samplesPerUnit = context.frameSize;
  const packet = new Packet();
  packet.alloc();
  const units: Uint8Array[] = [];
  for (let f = 0; units.length < frames; f += 1) {
    const input = emptyFrame();
    input.nbSamples = samplesPerUnit;
    input.format = FORMATS[format];
    input.sampleRate = sampleRate;
    input.channelLayout = context.channelLayout;
    input.pts = BigInt(f * samplesPerUnit);
    check(input.getBuffer(0), "memory");
    put(present(input.data, "samples"), sceneSamples(settings, f * samplesPerUnit, samplesPerUnit), channels, format);
    check(await context.sendFrame(input), "encode the source");
    input.free();
    while (received(context.receivePacketSync(packet), "encode the source")) {
      if (units.length < frames) units.push(new Uint8Array(present(packet.data, "bytes")));
      packet.unref();
    }
  }
  const config =
    codec === "opus" ? buildOpusConfig(parseOpusHead(present(context.extraData, "head"))) : Buffer.alloc(0);
  context.freeContext();
  packet.free();
  return { codec, config, samplesPerUnit, units };
}

/** The same in every channel. */
function put(data: readonly Buffer[], samples: Float32Array, channels: number, format: keyof typeof FORMATS): void {
  if (format === "planes") {
    for (let channel = 0; channel < channels; channel += 1) data[channel]!.set(bytesOf(samples));
    return;
  }
  const woven = new Float32Array(samples.length * channels);
  for (let i = 0; i < woven.length; i += 1) woven[i] = samples[Math.floor(i / channels)]!;
  if (format === "woven") data[0]!.set(bytesOf(woven));
  else data[0]!.set(new Uint8Array(Int16Array.from(woven, (value) => Math.round(value * 32_767)).buffer));
}
