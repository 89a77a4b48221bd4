// A source for tests of the log: entries as a sequencer would append them, in real order, without any media in them.
import { type Random, seededRandom } from "#base/random.ts";
import type { Decision, Entry, EraOpened, Track, Unit } from "#media/session-log/entries.ts";
import { type Rate, rate, timeOf } from "#media/time/rate.ts";

export const START_NS = 1_800_000_000_000_000_000n;
const VIDEO = 0;
const AUDIO = 1;
const SAMPLE_RATE = 48_000;

export type SourceOptions = Readonly<{
  seed?: number;
  rate?: Rate;
  /** Frames from one random access point to the next. */
  gopFrames?: number;
  video?: boolean;
  audio?: boolean;
  payloadBytes?: number;
}>;

export class TestSource {
  readonly rate: Rate;
  readonly firstFrame: number;
  /** The next frame; move it on for a hole. */
  frame: number;
  readonly #options: Required<SourceOptions>;
  readonly #random: Random;
  #audioFrame: number;
  #gopLeft = 0;

  constructor(options: SourceOptions = {}) {
    const defaults = { seed: 1, rate: rate(30), gopFrames: 60, video: true, audio: true, payloadBytes: 200 };
    this.#options = { ...defaults, ...options };
    this.#random = seededRandom(this.#options.seed);
    this.rate = this.#options.rate;
    this.frame = Math.ceil((Number(START_NS / 1_000_000_000n) * this.rate.num) / this.rate.den);
    this.firstFrame = this.frame;
    this.#audioFrame = this.#audioFrameAt(this.frame);
  }

  opening(): Decision[] {
    return [
      {
        kind: "session",
        session: "s1",
        channel: "news",
        tenant: "main",
        msnBase: 0,
        discontinuityBase: 0,
        openedNs: START_NS,
        traceparent: "",
      },
      { kind: "tracks", tracks: this.#tracks() },
      { kind: "anchor", sourceTicks: 0n, timescale: 90_000, timeNs: timeOf(this.rate, this.frame) },
      this.era(0, null),
    ];
  }

  era(era: number, previousEnd: number | null): EraOpened {
    return {
      kind: "era",
      era,
      mode: "grid",
      rate: this.rate,
      frameRate: this.rate,
      frame: this.frame,
      previousEnd,
      segmentFrames: 60,
      partFrames: 10,
      partTargetMs: 340,
      targetDurationSeconds: 2,
      sourceRate: this.rate,
      renditions: [],
    };
  }

  end(): Entry {
    return { kind: "end", frame: this.frame, reason: "publisher" };
  }

  /** One frame of video and the audio up to its end, in an order that varies. */
  step(): Entry[] {
    const frame = this.frame++;
    const units: Entry[] = this.#options.audio ? this.#audioUpTo(this.frame + this.#random.int(0, 6)) : [];
    if (this.#options.video) units.splice(this.#random.int(0, units.length + 1), 0, this.#videoUnit(frame));
    return units;
  }

  /** The publisher was away until `frame`: it comes back with a random access point. */
  resumeAt(frame: number): Decision {
    const hole: Decision = { kind: "hole", from: this.frame, to: frame };
    this.frame = frame;
    this.#audioFrame = this.#audioFrameAt(frame);
    this.#gopLeft = 0;
    return hole;
  }

  #tracks(): Track[] {
    const video: Track = {
      track: VIDEO,
      kind: "video",
      codec: "h264",
      config: new Uint8Array([1]),
      width: 1280,
      height: 720,
      pixelAspect: { num: 1, den: 1 },
      declaredRate: this.rate,
      interlaced: false,
      bitDepth: 8,
      range: "SDR",
      rotation: 0,
    };
    const audio: Track = {
      track: AUDIO,
      kind: "audio",
      codec: "aac",
      config: new Uint8Array([1]),
      sampleRate: SAMPLE_RATE,
      channels: 2,
      samplesPerUnit: 1024,
      language: "und",
    };
    return [...(this.#options.video ? [video] : []), ...(this.#options.audio ? [audio] : [])];
  }

  #videoUnit(frame: number): Unit {
    const randomAccess = this.#gopLeft === 0;
    this.#gopLeft = randomAccess ? this.#options.gopFrames - 1 : this.#gopLeft - 1;
    return this.#unit(VIDEO, frame, timeOf(this.rate, frame), randomAccess);
  }

  #audioUpTo(frame: number): Unit[] {
    const end = this.#audioFrameAt(frame);
    const units: Unit[] = [];
    for (; this.#audioFrame < end; this.#audioFrame += 1) {
      const index = this.#audioFrame * 1024;
      units.push(this.#unit(AUDIO, index, timeOf({ num: SAMPLE_RATE, den: 1 }, index), true));
    }
    return units;
  }

  #audioFrameAt(frame: number): number {
    return Math.ceil((frame * this.rate.den * SAMPLE_RATE) / (this.rate.num * 1024));
  }

  #unit(track: number, index: number, timeNs: bigint, randomAccess: boolean): Unit {
    const payload = this.#random.bytes(this.#random.int(1, this.#options.payloadBytes));
    const decodeNs = timeNs - 40_000_000n;
    return { kind: "unit", track, index, timeNs, decodeNs, randomAccess, damaged: false, arrivedNs: timeNs, payload };
  }
}
