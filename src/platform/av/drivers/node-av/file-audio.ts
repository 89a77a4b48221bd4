// The sound track of a file on its way to a live stream: AAC-LC as it is, everything else through a decoder, a resampler
// to 48 kHz stereo and our AAC encoder.
import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_ID_AAC,
  AV_NOPTS_VALUE,
  AV_SAMPLE_FMT_FLTP,
  AVERROR_EAGAIN,
  AVERROR_EOF,
} from "node-av/constants";
import { type CodecContext, type Frame, type Packet, SoftwareResampleContext, type Stream } from "node-av/lib";
import { PlatformError } from "#base/errors.ts";
import { aacTrack, buildAacConfig, OBJECT, parseAacConfig, parseAdts } from "#media/codec/aac.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import type { AudioEncoder } from "../../av.ts";
import type { FileUnit } from "../../media-file.ts";
import { openAudioEncoder } from "./audio.ts";
import { openStreamDecoder, type TrackPath, timesOf } from "./file-path.ts";
import { check, present } from "./native.ts";
import { emptyFrame } from "./picture.ts";

const SAMPLE_RATE = 48_000;
const CHANNELS = 2;
const BITRATE = 128_000;
const AAC_FRAME_SAMPLES = 1024;
/** Sound that comes later than its predecessor's end by more is a pause: silence fills it. */
const PAUSE_SAMPLES_MIN = SAMPLE_RATE / 20;
/** A longer one is no pause but a jump of the file's clock. */
const PAUSE_SAMPLES_MAX = SAMPLE_RATE * 60;

export async function openAudioPath(stream: Stream): Promise<TrackPath<AudioTrack>> {
  return AudioCopy.fits(stream) ? new AudioCopy(stream) : AudioConverter.open(stream);
}

class AudioCopy implements TrackPath<AudioTrack> {
  readonly converts = false;
  track: AudioTrack | null = null;
  readonly #stream: Stream;
  readonly #adts: boolean;
  #lastDtsMs = Number.NEGATIVE_INFINITY;

  /** LC by its configuration, or (without one: ADTS) by what the library found. */
  static fits({ codecpar }: Stream): boolean {
    if (codecpar.codecId !== AV_CODEC_ID_AAC) return false;
    const config = codecpar.extradata;
    if (config === null || config.length === 0) return codecpar.profile + 1 === OBJECT.lc && codecpar.channels > 0;
    try {
      const { objectType, samplesPerUnit } = parseAacConfig(config);
      return objectType === OBJECT.lc && samplesPerUnit === AAC_FRAME_SAMPLES;
    } catch (error) {
      if (error instanceof PlatformError) return false; // a kind of AAC that only a decoder understands
      throw error;
    }
  }

  constructor(stream: Stream) {
    this.#stream = stream;
    const config = stream.codecpar.extradata;
    this.#adts = config === null || config.length === 0;
    if (!this.#adts) this.track = aacTrack(1, new Uint8Array(config!));
  }

  get unitMs(): number {
    return (AAC_FRAME_SAMPLES * 1000) / (this.track?.sampleRate ?? SAMPLE_RATE);
  }

  async feed(packet: Packet): Promise<FileUnit[]> {
    const bytes = Buffer.from(present(packet.data, "a packet's bytes")); // a copy: the packet is used again
    const { ptsMs, dtsMs: ownMs } = timesOf(packet, this.#stream);
    const payload = this.#adts ? this.#withoutHeader(bytes) : bytes;
    if (payload === null || payload.length === 0) return [];
    const dtsMs = Math.max(ptsMs ?? ownMs ?? this.#lastDtsMs + this.unitMs, this.#lastDtsMs);
    if (!Number.isFinite(dtsMs)) return []; // no time yet
    this.#lastDtsMs = dtsMs;
    return [{ kind: "audio", ptsMs: dtsMs, dtsMs, key: true, payload }];
  }

  drain = async (): Promise<FileUnit[]> => [];
  close = async (): Promise<void> => {};

  #withoutHeader(bytes: Buffer): Buffer | null {
    const header = bytes.length > 7 ? parseAdts(bytes, 0) : null;
    if (header === null || header.frameBytes !== bytes.length || header.channels === 0) return null;
    this.track ??= aacTrack(1, buildAacConfig(header.objectType, header.sampleRate, header.channels));
    return bytes.subarray(header.headerBytes);
  }
}

class AudioConverter implements TrackPath<AudioTrack> {
  readonly converts = true;
  readonly unitMs = (AAC_FRAME_SAMPLES * 1000) / SAMPLE_RATE;
  readonly track: AudioTrack;
  readonly #stream: Stream;
  readonly #decoder: CodecContext;
  readonly #encoder: AudioEncoder;
  readonly #frame = emptyFrame();
  #resampler: { context: SoftwareResampleContext; input: string } | null = null;
  /** Converted samples that do not fill a frame yet, per channel. */
  #held: Float32Array[] = Array.from({ length: CHANNELS }, () => new Float32Array(0));
  /** Time of the first sample, ms of the file; null before it. */
  #originMs: number | null = null;
  /** Samples taken since, those held included. */
  #samples = 0;
  #nextFrame = 0;

  static async open(stream: Stream): Promise<AudioConverter> {
    const decoder = await openStreamDecoder(stream);
    try {
      const encoder = await openAudioEncoder({ sampleRate: SAMPLE_RATE, channels: CHANNELS, bitrate: BITRATE });
      return new AudioConverter(stream, decoder, encoder);
    } catch (error) {
      decoder.freeContext();
      throw error;
    }
  }

  constructor(stream: Stream, decoder: CodecContext, encoder: AudioEncoder) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#encoder = encoder;
    this.track = aacTrack(1, encoder.config);
  }

  async feed(packet: Packet): Promise<FileUnit[]> {
    const code = await this.#decoder.sendPacket(packet);
    if (code === AVERROR_EAGAIN) check(code, "a decoder that is emptied takes the next packet");
    return this.#convert(); // another error is the packet's: the next ones go on
  }

  async drain(): Promise<FileUnit[]> {
    const code = await this.#decoder.sendPacket(null);
    if (code !== AVERROR_EOF) check(code, "drain decoder");
    const units = this.#convert();
    if (this.#originMs === null) return units;
    const wantedFrames = Math.ceil(this.#samples / AAC_FRAME_SAMPLES);
    // The encoder holds two frames back: silence pushes them out.
    this.#append(silence((wantedFrames + 2) * AAC_FRAME_SAMPLES - this.#samples));
    return [...units, ...this.#encode()].filter(
      ({ ptsMs }) => ptsMs < this.#originMs! + wantedFrames * this.unitMs - 1,
    );
  }

  async close(): Promise<void> {
    this.#encoder.close();
    this.#resampler?.context.free();
    this.#decoder.freeContext();
    this.#frame.free();
  }

  #convert(): FileUnit[] {
    for (;;) {
      const code = this.#decoder.receiveFrameSync(this.#frame);
      if (code === AVERROR_EAGAIN || code === AVERROR_EOF) return this.#encode();
      if (code < 0) continue; // a broken frame; the queue inside gets shorter with each call
      const frame = this.#frame;
      this.#bridge(frame);
      this.#append(this.#resample(frame));
      frame.unref();
    }
  }

  /** Keeps sound where its time says: a pause in the file is silence. */
  #bridge(frame: Frame): void {
    const pts = frame.bestEffortTimestamp;
    if (pts === AV_NOPTS_VALUE) return void (this.#originMs ??= 0);
    const { num, den } = this.#stream.timeBase;
    const timeMs = (Number(pts) * num * 1000) / den;
    this.#originMs ??= timeMs;
    const gap = Math.round(((timeMs - this.#originMs) * SAMPLE_RATE) / 1000) - this.#samples;
    if (gap > PAUSE_SAMPLES_MIN && gap < PAUSE_SAMPLES_MAX) this.#append(silence(gap));
  }

  #resample(frame: Frame): Float32Array[] {
    const { context } = this.#resamplerFor(frame);
    const data = present(frame.extendedData ?? frame.data, "decoded samples");
    const room = context.getOutSamples(frame.nbSamples);
    const planes = Array.from({ length: CHANNELS }, () => new Float32Array(room));
    const out = planes.map((plane) => Buffer.from(plane.buffer, plane.byteOffset, plane.byteLength));
    const count = check(context.convertSync(out, room, data, frame.nbSamples), "resample");
    return planes.map((plane) => plane.subarray(0, count));
  }

  #resamplerFor(frame: Frame): { context: SoftwareResampleContext; input: string } {
    const { format, sampleRate, channelLayout } = frame;
    const input = `${format} ${sampleRate} ${channelLayout.nbChannels} ${channelLayout.mask}`;
    if (this.#resampler?.input === input) return this.#resampler;
    this.#resampler?.context.free();
    const context = new SoftwareResampleContext();
    const set = [AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP, SAMPLE_RATE] as const;
    const from = format as Parameters<SoftwareResampleContext["allocSetOpts2"]>[4];
    check(context.allocSetOpts2(...set, channelLayout, from, sampleRate), "set up the resampler");
    check(context.setOption("rematrix_maxval", "1.0"), "keep a downmix within full scale");
    check(context.init(), `resample ${sampleRate} to ${SAMPLE_RATE}`);
    this.#resampler = { context, input };
    return this.#resampler;
  }

  #append(planes: readonly Float32Array[]): void {
    this.#held = this.#held.map((held, channel) => {
      const joined = new Float32Array(held.length + planes[channel]!.length);
      joined.set(held);
      joined.set(planes[channel]!, held.length);
      return joined;
    });
    this.#samples += planes[0]!.length;
  }

  #encode(): FileUnit[] {
    const units: FileUnit[] = [];
    let at = 0;
    for (; at + AAC_FRAME_SAMPLES <= this.#held[0]!.length; at += AAC_FRAME_SAMPLES) {
      const planes = this.#held.map((plane) => plane.slice(at, at + AAC_FRAME_SAMPLES));
      for (const { frame, bytes } of this.#encoder.encode(planes, this.#nextFrame)) {
        if (frame < 0) continue; // what the encoder makes of the time before the first sample
        const ptsMs = this.#originMs! + frame * this.unitMs;
        units.push({ kind: "audio", ptsMs, dtsMs: ptsMs, key: true, payload: bytes });
      }
      this.#nextFrame += 1;
    }
    this.#held = this.#held.map((plane) => plane.slice(at));
    return units;
  }
}

function silence(samples: number): Float32Array[] {
  return Array.from({ length: CHANNELS }, () => new Float32Array(samples));
}
