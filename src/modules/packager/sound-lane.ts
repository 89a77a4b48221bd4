// Copied sound. A segment begins at the frame whose start is nearest to the boundary, so a frame is settled once it is
// known where the next one starts and that no boundary comes between them; it lasts until that one starts.
// Where the source has no sound for longer than a frame, a player would stall: AAC gets frames of silence there. They lie
// on multiples of the frame's length since the epoch, so whoever makes a segment finds the same ones without knowing when
// it became silent.
import { silentAac } from "#media/codec/aac-silence.ts";
import { type AudioTrack, type EraOpened, STRETCH_MAX, type Unit } from "#media/session-log/entries.ts";
import type { Lane } from "./lane.ts";
import type { PartMaker } from "./part-maker.ts";

/** All positions are samples since the epoch. Boundaries fall between them and are compared to the middle of two frames:
 *  twice the position, rounded up, is exact for that. */
type Boundary = Readonly<{ frame: number; twice: number }>;

type Sound = Readonly<{ start: number; bytes: Uint8Array; arrivedNs: bigint }>;

export type SoundLaneOptions = Readonly<{
  era: EraOpened;
  track: AudioTrack;
  maker: PartMaker;
}>;

export class SoundLane implements Lane {
  readonly #options: SoundLaneOptions;
  readonly #unitSamples: number;
  /** What differs by more is a gap. */
  readonly #slack: number;
  readonly #silence: Uint8Array | null;
  #boundaries: Boundary[] = [];
  #queue: Sound[] = [];
  /** Start of the newest frame that left the queue. */
  #before: number | null = null;
  /** Where the next frame should start; null: nobody knows, and there is nothing to fill. */
  #next: number | null = null;
  #isOpen = false;
  #arrivedNs = 0n;

  constructor(options: SoundLaneOptions) {
    const { codec, config, samplesPerUnit } = options.track;
    this.#options = options;
    this.#unitSamples = samplesPerUnit;
    this.#slack = Math.ceil(samplesPerUnit * (1 + STRETCH_MAX));
    this.#silence = codec === "aac" ? silentAac(config) : null;
  }

  unit({ index, payload, arrivedNs }: Unit): void {
    const last = this.#queue.at(-1)?.start ?? this.#before;
    if (last !== null && index <= last) return;
    this.#fillTo(index);
    this.#queue.push({ start: index, bytes: payload, arrivedNs });
    this.#next = index + this.#unitSamples;
  }

  boundary(frame: number): void {
    const twice = this.#twice(frame);
    this.#boundaries.push({ frame, twice });
    this.#next ??= Math.ceil(twice / 2) - this.#unitSamples;
  }

  settle(known: number, arrivedNs: bigint): void {
    const twice = this.#twice(known);
    this.#arrivedNs = arrivedNs;
    // Tracks are never further apart than a second: what did not come by then is silence.
    this.#fillTo(Math.floor(twice / 2) - this.#options.track.sampleRate);
    while (this.#queue.length > 1) {
      const [sound, next] = [this.#queue[0]!, this.#queue[1]!];
      const isGap = next.start - sound.start > this.#slack;
      if (twice <= (isGap ? 2 * next.start : sound.start + next.start)) return;
      this.#queue.shift();
      this.#decide(sound, sound.start + next.start, isGap ? this.#startOf(sound, next) : next.start);
    }
  }

  stop(frame: number): void {
    const end = this.#twice(frame);
    const isMade = this.#isOpen || this.#boundaries.some((boundary) => boundary.frame < frame);
    if (isMade) this.#fillTo(Math.floor(end / 2));
    while (this.#queue.length > 0 && 2 * this.#queue[0]!.start < end) {
      const sound = this.#queue.shift()!;
      const next = this.#queue[0];
      if (next && 2 * next.start < end) this.#decide(sound, sound.start + next.start, this.#startOf(sound, next));
      else this.#decide(sound, end - 1, sound.start + this.#unitSamples);
    }
    this.#end();
    this.#boundaries = this.#boundaries.filter((boundary) => boundary.frame > frame);
    const last = this.#queue.at(-1);
    this.#next = last ? last.start + this.#unitSamples : null;
  }

  /** @param middle boundaries up to it (twice) are nearer to `sound` than to what follows @param until it lasts */
  #decide(sound: Sound, middle: number, until: number): void {
    let begins: Boundary | null = null;
    while (this.#boundaries.length > 0 && this.#boundaries[0]!.twice <= middle) {
      if (this.#isFarAfter(sound, this.#boundaries[0]!)) break;
      begins = this.#boundaries.shift()!;
    }
    const start = begins ? this.#beginning(sound, begins) : sound.start;
    if (begins) {
      this.#end();
      this.#options.maker.begin(start);
      this.#isOpen = true;
    }
    if (this.#isOpen)
      this.#options.maker.add({
        bytes: sound.bytes,
        startTicks: start,
        durationTicks: Math.max(1, until - start),
        compositionOffsetTicks: 0,
        sync: true,
        arrivedNs: sound.arrivedNs,
      });
    this.#before = sound.start;
  }

  /** A boundary in a gap, too far behind the frame before it: the next frame begins there. */
  #isFarAfter(sound: Sound, { twice }: Boundary): boolean {
    return twice - 2 * sound.start > 2 * this.#slack;
  }

  /** Where a segment's sound starts: at its first frame, which in a gap that nothing fills is brought forward. */
  #beginning(sound: Sound, { twice }: Boundary): number {
    return 2 * sound.start - twice > 2 * this.#slack ? Math.ceil(twice / 2) : sound.start;
  }

  /** Where `next` will be said to start. */
  #startOf(sound: Sound, next: Sound): number {
    const begins = this.#boundaries.findLast(
      (boundary) =>
        boundary.twice <= 2 * next.start &&
        (boundary.twice > sound.start + next.start || this.#isFarAfter(sound, boundary)),
    );
    return begins ? this.#beginning(next, begins) : next.start;
  }

  #end(): void {
    if (this.#isOpen) this.#options.maker.end();
    this.#isOpen = false;
  }

  /** Nothing comes before `to` any more. */
  #fillTo(to: number): void {
    if (this.#next === null || this.#silence === null) return;
    const length = this.#unitSamples;
    let start = Math.ceil(this.#next / length) * length;
    for (; start + length / 2 <= to; start += length) {
      this.#queue.push({ start, bytes: this.#silence, arrivedNs: this.#arrivedNs });
      this.#next = start + length;
    }
  }

  #twice(frame: number): number {
    const { num, den } = this.#options.era.rate;
    const numerator = 2n * BigInt(frame) * BigInt(this.#options.track.sampleRate) * BigInt(den);
    return Number((numerator + BigInt(num) - 1n) / BigInt(num));
  }
}
