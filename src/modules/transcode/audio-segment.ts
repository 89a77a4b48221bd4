// One segment's audio: a fresh decoder, resampler and encoder, fed from fixed source samples.
// Why fresh: a long-lived AAC decoder is not a function of its input (its noise generator runs since it was opened), and
// an encoder's bit reservoir remembers the whole stream. Why pre-roll: the transform overlaps with the frame before, and
// without it the first kept frame is 14 dB worse than any other. Why post-roll: the encoder looks ahead.
import type { AudioRendition } from "#media/ladder/rendition.ts";
import { preRollUnits } from "#media/session-log/audio-pre-roll.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import { gcd, rate, timeOf } from "#media/time/rate.ts";
import { AAC_FRAME_SAMPLES } from "#media/time/segmentation.ts";
import type { AudioDecoder, AudioEncoder, Av, Resampler, Samples } from "#platform/av/av.ts";
import type { AudioInput, AudioUnit } from "./audio-input.ts";
import { SampleQueue } from "./sample-queue.ts";
import { stretchSamples } from "./stretch-samples.ts";

/** Frames that each segment's encoder is given before its first. A click is gone with 2; the encoder's idea of how many bits
 *  it may spend settles with 12: seams then measure 0 to 2 dB below elsewhere, with 4 frames 3 to 5 dB. */
export const PRE_ROLL_FRAMES = 12;
const POST_ROLL_FRAMES = 2;

/** Source samples before the first needed one, so that the resampler's filter is full there. */
const RESAMPLER_PRE_ROLL_SAMPLES = 256;

/** Silence goes in by pieces of this, so that a long hole needs no memory. */
const SILENCE_SAMPLES = 1024;

/** 20 s of samples of one rate: what one step may put in before others get their turn. */
const STEPS_MAX = 1000;

export type EncodedAudio = Readonly<{ frame: number; bytes: Uint8Array }>;

/** One resampler's stretch of the source: samples of one rate, contiguous from a point of both grids. */
type Run = { resampler: Resampler; sampleRate: number; speakers: number; channels: number; next: number };

type Three = [number, number, number];

export class AudioSegment {
  readonly #av: Av;
  readonly #rendition: AudioRendition;
  readonly #input: AudioInput;
  readonly #first: number;
  readonly #encoder: AudioEncoder;
  readonly #queue: SampleQueue;
  #decoder: { decoder: AudioDecoder; track: AudioTrack } | null = null;
  #run: Run | null = null;
  #position: number | null = null;
  #nextFrame: number;
  #newestArrivedNs = 0n;

  /** @param first first audio frame of the segment, on the grid of the rendition */
  static async open(av: Av, rendition: AudioRendition, input: AudioInput, first: number): Promise<AudioSegment> {
    return new AudioSegment(av, rendition, input, first, await av.openAudioEncoder(rendition));
  }

  private constructor(av: Av, rendition: AudioRendition, input: AudioInput, first: number, encoder: AudioEncoder) {
    this.#av = av;
    this.#rendition = rendition;
    this.#input = input;
    this.#first = first;
    this.#encoder = encoder;
    this.#nextFrame = first - PRE_ROLL_FRAMES;
    this.#queue = new SampleQueue(rendition.channels, this.#nextFrame * AAC_FRAME_SAMPLES);
  }

  get config(): Uint8Array {
    return this.#encoder.config;
  }

  /** Of the units that were used so far; 0 when there were none. */
  get newestArrivedNs(): bigint {
    return this.#newestArrivedNs;
  }

  /** Encode what is known, up to what frames below `end` need. @returns frames of the segment and after, ascending */
  async advance(end: number): Promise<EncodedAudio[]> {
    const encoded: EncodedAudio[] = [];
    while (this.#nextFrame < end + POST_ROLL_FRAMES) {
      for (let step = 0; this.#queue.available < AAC_FRAME_SAMPLES; step += 1)
        if (step > STEPS_MAX || !(await this.#feed())) return encoded;
      const samples = this.#queue.take(AAC_FRAME_SAMPLES);
      encoded.push(...this.#encoder.encode(samples, this.#nextFrame).filter(({ frame }) => frame >= this.#first));
      this.#nextFrame += 1;
    }
    return encoded;
  }

  close(): void {
    this.#decoder?.decoder.close();
    this.#run?.resampler.close();
    this.#encoder.close();
  }

  /** One unit or one piece of silence into the queue. @returns false when nothing more is known yet */
  async #feed(): Promise<boolean> {
    this.#position ??= this.#startPosition();
    const unit = this.#position === null ? null : this.#input.unitAt(this.#position);
    if (unit === null) return this.#silence();
    if (this.#run !== null && this.#run.sampleRate === unit.track.sampleRate && unit.from > this.#run.next) {
      this.#put(silence(this.#run, Math.min(SILENCE_SAMPLES, unit.from - this.#run.next)));
      return true;
    }
    this.#position! += 1;
    await this.#decode(unit);
    return true;
  }

  /** Where decoding begins: a function of the segment's start and of the units, not of when they came. Null: there is
   *  nothing known at all yet. */
  #startPosition(): number | null {
    const start = timeOf(rate(this.#rendition.sampleRate), this.#nextFrame * AAC_FRAME_SAMPLES);
    const first = this.#input.unitAt(this.#input.positionAfter(start));
    if (first === null && this.#input.knownNs <= start && !this.#input.complete) return null;
    const track = first?.track ?? this.#input.track;
    if (track === null) return this.#input.positionAfter(start);
    const { input } = gridStart(track.sampleRate, this.#rendition.sampleRate, this.#first);
    // Half a sample later than its instant, so that rounding to nanoseconds cannot let one unit more in.
    const from = 2 * (input - preRollUnits(track) * track.samplesPerUnit) + 1;
    return this.#input.positionAfter(timeOf(rate(2 * track.sampleRate), from));
  }

  async #silence(): Promise<boolean> {
    if (this.#position === null) return false;
    if (this.#run === null) return this.#plainSilence();
    const known = this.#input.knownIndex(this.#run.sampleRate);
    if (known <= this.#run.next) return false;
    this.#put(silence(this.#run, Math.min(SILENCE_SAMPLES, known - this.#run.next)));
    return true;
  }

  /** Before any unit: there is no source rate to count in. */
  #plainSilence(): boolean {
    const missing = this.#input.knownIndex(this.#rendition.sampleRate) - this.#queue.end;
    if (missing <= 0) return false;
    this.#queue.pushSilenceTo(this.#queue.end + Math.min(SILENCE_SAMPLES, missing));
    return true;
  }

  async #decode(unit: AudioUnit): Promise<void> {
    if (this.#decoder === null || this.#decoder.track !== unit.track) {
      this.#decoder?.decoder.close();
      this.#decoder = null;
      this.#decoder = { decoder: await this.#av.openAudioDecoder(unit.track), track: unit.track };
    }
    const samples = this.#decoder.decoder.decode(unit.payload);
    if (samples === null) return; // broken: the next unit finds its samples missing
    // A decoder that finds replicated bands gives twice the samples at twice the rate.
    const factor = samples.sampleRate / unit.track.sampleRate;
    const [index, from, end] = [unit.index, unit.from, unit.end].map((sample) => Math.round(sample * factor)) as Three;
    if (unit.stretched) {
      const count = end - from;
      await this.#enter({ ...samples, planes: stretchSamples(samples.planes, count), count }, from, from);
    } else await this.#enter(samples, index, from);
    if (unit.arrivedNs > this.#newestArrivedNs) this.#newestArrivedNs = unit.arrivedNs;
  }

  async #enter(samples: Samples, index: number, from: number): Promise<void> {
    const run = await this.#runFor(samples, index);
    while (from > run.next) this.#put(silence(run, Math.min(SILENCE_SAMPLES, from - run.next)));
    const skip = run.next - index;
    if (skip >= samples.count) return; // pre-roll, or samples that are there already
    const planes = samples.planes.map((plane) => plane.subarray(skip));
    this.#put({ ...samples, planes, count: samples.count - skip });
  }

  /** The run these samples go on with, or another: the source changed its rate or its channels. */
  async #runFor(samples: Samples, index: number): Promise<Run> {
    const { sampleRate, speakers } = samples;
    if (this.#run?.sampleRate === sampleRate && this.#run.speakers === speakers) return this.#run;
    const target = this.#rendition.sampleRate;
    const start =
      this.#run === null ? gridStart(sampleRate, target, this.#first) : gridPointFrom(sampleRate, target, index);
    this.#run?.resampler.close();
    this.#run = null;
    this.#run = {
      resampler: await this.#av.openResampler({ sampleRate, speakers }, this.#rendition),
      sampleRate,
      speakers,
      channels: samples.planes.length,
      next: start.input,
    };
    this.#queue.continueAt(start.output);
    return this.#run;
  }

  #put(samples: Samples): void {
    const run = this.#run!;
    run.next += samples.count;
    this.#queue.push(run.resampler.convert(samples).planes);
  }
}

function silence({ channels, sampleRate, speakers }: Run, count: number): Samples {
  const plane = new Float32Array(count);
  return { planes: new Array<Float32Array>(channels).fill(plane), count, sampleRate, speakers };
}

type GridPoint = { input: number; output: number };

/** The point of both grids from which a resampler begins, with its filter full at the segment's pre-roll. */
function gridStart(sampleRate: number, outputRate: number, first: number): GridPoint {
  const divisor = gcd(sampleRate, outputRate);
  const neededFrom = (first - PRE_ROLL_FRAMES) * AAC_FRAME_SAMPLES;
  const preRoll = Math.ceil(RESAMPLER_PRE_ROLL_SAMPLES / (sampleRate / divisor));
  const point = Math.floor(neededFrom / (outputRate / divisor)) - preRoll;
  return { input: point * (sampleRate / divisor), output: point * (outputRate / divisor) };
}

/** The first point of both grids at or after a source sample. */
function gridPointFrom(sampleRate: number, outputRate: number, index: number): GridPoint {
  const divisor = gcd(sampleRate, outputRate);
  const point = Math.ceil(index / (sampleRate / divisor));
  return { input: point * (sampleRate / divisor), output: point * (outputRate / divisor) };
}
