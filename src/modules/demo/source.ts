// The demo channel's encoder: draws and codes in step with the clock, as a camera would, and hands out coded units.
// Each picture carries the UTC instant at which it was drawn, so what a viewer sees tells the whole latency.
// When the machine falls behind, pictures are left out; the timeline never slows down.
import { after, type Clock } from "#base/clock.ts";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import { AAC_FRAME_SAMPLES } from "#media/time/segmentation.ts";
import type { AudioEncoder, Av, VideoEncoder } from "#platform/av/av.ts";
import { DemoPicture } from "./picture.ts";
import { SAMPLE_RATE, toneSamples } from "./tone.ts";

export type DemoUnit = Readonly<{
  kind: "video" | "audio";
  /** Milliseconds since the source began; video and audio of one instant have the same. */
  timeMs: number;
  key: boolean;
  payload: Uint8Array;
}>;

export type DemoSettings = Readonly<{
  /** Shown in the picture. */
  name: string;
  width: number;
  height: number;
  framesPerSecond: number;
  videoBitrate: number;
  audioBitrate: number;
}>;

export const demoDefaults: Omit<DemoSettings, "name"> = Object.freeze({
  width: 1280,
  height: 720,
  framesPerSecond: 30,
  videoBitrate: 2_000_000,
  audioBitrate: 128_000,
});

export interface DemoSource {
  readonly video: VideoTrack;
  readonly audio: AudioTrack;
  /** Runs until the signal aborts, `send` rejects, or the machine was away for so long that a new timeline is better.
   *  May be called again: each run begins at 0 with a key picture. */
  run(send: (unit: DemoUnit) => Promise<void>, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const CHANNELS = 2;
/** After so long a gap (the machine slept) sound is not made up for: it is time to begin anew. */
const GAP_MS_MAX = 5000;
const BT709 = { primaries: 1, transfer: 1, matrix: 1, fullRange: false };

/** @throws PlatformError av.failed */
export async function openDemoSource(av: Av, clock: Clock, settings: DemoSettings): Promise<DemoSource> {
  const { width, height, framesPerSecond } = settings;
  const video = await av.openVideoEncoder({
    rendition: {
      kind: "video",
      copied: false,
      name: "demo",
      codec: "h264",
      width,
      height,
      pixelAspect: { num: 1, den: 1 },
      profile: "main",
      levelIdc: 31,
      preset: "ultrafast",
      crf: 20,
      maxBitrate: settings.videoBitrate,
    },
    rate: { num: framesPerSecond, den: 1 },
    colour: BT709,
  });
  let audio: AudioEncoder;
  try {
    const rates = { sampleRate: SAMPLE_RATE, channels: CHANNELS, bitrate: settings.audioBitrate };
    audio = await av.openAudioEncoder(rates);
  } catch (error) {
    await video.close();
    throw error;
  }
  return new Source(av, clock, settings, video, audio);
}

class Source implements DemoSource {
  readonly video: VideoTrack;
  readonly audio: AudioTrack;
  readonly #av: Av;
  readonly #clock: Clock;
  readonly #settings: DemoSettings;
  readonly #videoEncoder: VideoEncoder;
  readonly #audioEncoder: AudioEncoder;
  readonly #picture: DemoPicture;
  #nextAudioFrame = 0;
  #nextVideoFrame = 0;

  constructor(av: Av, clock: Clock, settings: DemoSettings, video: VideoEncoder, audio: AudioEncoder) {
    this.#av = av;
    this.#clock = clock;
    this.#settings = settings;
    this.#videoEncoder = video;
    this.#audioEncoder = audio;
    const { width, height, framesPerSecond } = settings;
    this.#picture = new DemoPicture(width, height, settings.name);
    this.video = {
      track: 0,
      kind: "video",
      codec: "h264",
      config: video.config,
      width,
      height,
      pixelAspect: { num: 1, den: 1 },
      declaredRate: { num: framesPerSecond, den: 1 },
      interlaced: false,
      bitDepth: 8,
      range: "SDR",
      rotation: 0,
    };
    this.audio = {
      track: 1,
      kind: "audio",
      codec: "aac",
      config: audio.config,
      sampleRate: SAMPLE_RATE,
      channels: CHANNELS,
      samplesPerUnit: AAC_FRAME_SAMPLES,
      language: "und",
    };
  }

  async run(send: (unit: DemoUnit) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { framesPerSecond } = this.#settings;
    const startMs = this.#clock.monotonicMs();
    const startUtcMs = Number(this.#clock.utcNs() / 1_000_000n);
    const firstSample = Math.round(startUtcMs * (SAMPLE_RATE / 1000));
    const firstVideoFrame = this.#nextVideoFrame; // encoders go on counting when a connection is replaced
    const firstAudioFrame = this.#nextAudioFrame;
    for (let frame = 0, key = true; !signal.aborted; ) {
      const dueMs = startMs + (frame * 1000) / framesPerSecond;
      const earlyMs = dueMs - this.#clock.monotonicMs();
      if (earlyMs > 0.5) await after(this.#clock, earlyMs);
      if (signal.aborted) return;
      key ||= frame % framesPerSecond === 0;
      const timeMs = (frame * 1000) / framesPerSecond;
      for (const unit of await this.#codePicture(firstVideoFrame + frame, key)) await send({ ...unit, timeMs });
      for (const unit of this.#codeSound(firstAudioFrame, firstSample, timeMs)) await send(unit);
      const lateMs = this.#clock.monotonicMs() - startMs - timeMs;
      if (lateMs > GAP_MS_MAX) return;
      const passed = Math.floor(((timeMs + lateMs) * framesPerSecond) / 1000);
      const next = Math.max(frame + 1, passed);
      key = Math.floor(next / framesPerSecond) > Math.floor(frame / framesPerSecond); // also when its own frame was left out
      frame = next;
    }
  }

  async close(): Promise<void> {
    await this.#videoEncoder.close();
    this.#audioEncoder.close();
  }

  async #codePicture(frame: number, key: boolean): Promise<{ kind: "video"; key: boolean; payload: Uint8Array }[]> {
    const utcMs = Number(this.#clock.utcNs() / 1_000_000n);
    const { width, height } = this.#settings;
    const picture = this.#av.picture({ width, height }, this.#picture.draw(utcMs, frame), frame);
    this.#nextVideoFrame = frame + 1;
    try {
      const units = await this.#videoEncoder.encode(picture, { ptsTicks: frame, key, repeated: false });
      return units.map((unit) => ({ kind: "video", key: unit.key, payload: unit.bytes }));
    } finally {
      picture.release();
    }
  }

  /** Sound up to that instant. */
  *#codeSound(firstFrame: number, firstSample: number, untilMs: number): Generator<DemoUnit> {
    const frameMs = (AAC_FRAME_SAMPLES * 1000) / SAMPLE_RATE;
    while ((this.#nextAudioFrame - firstFrame + 1) * frameMs <= untilMs) {
      const frame = this.#nextAudioFrame;
      this.#nextAudioFrame += 1;
      const mono = toneSamples(firstSample + (frame - firstFrame) * AAC_FRAME_SAMPLES, AAC_FRAME_SAMPLES);
      for (const unit of this.#audioEncoder.encode([mono, mono], frame))
        if (unit.frame >= firstFrame)
          yield { kind: "audio", timeMs: (unit.frame - firstFrame) * frameMs, key: true, payload: unit.bytes };
    }
  }
}
