// Copied media of which every byte is known: pictures at odd distances, sound that begins at no boundary, cut the way the
// law says, by other means than the code under test uses.
import { SEGMENT_END } from "#media/cmaf/segment-end.ts";
import { type CmafSample, writeChunk } from "#media/cmaf/write.ts";
import type { Rendition } from "#media/ladder/rendition.ts";

export const TICKS = 90_000;
/** 2025, in seconds of TAI. */
const START_SECONDS = 1_750_000_000;
export const START_TICK = START_SECONDS * TICKS;
const SAMPLE_RATE = 48_000;

export const COPIED_VIDEO: Rendition = {
  kind: "video",
  copied: true,
  track: 1,
  name: "vsource",
  codec: "h264",
  width: 640,
  height: 360,
  pixelAspect: { num: 1, den: 1 },
  range: "SDR",
};

export function copiedAudio(name: string, change: Partial<Extract<Rendition, { copied: true; kind: "audio" }>> = {}) {
  const rendition: Rendition = {
    kind: "audio",
    copied: true,
    track: 2,
    name,
    codec: "aac",
    sampleRate: SAMPLE_RATE,
    channels: 2,
    samplesPerUnit: 1024,
    language: "und",
    ...change,
  };
  return rendition;
}

/** One segment of one rendition, as its maker would cut it. */
export type MadePart = Readonly<{ start: number; duration: number; first: boolean; last: boolean; bytes: Buffer }>;

/** Samples as [start, end) of the track's ticks. */
type Span = Readonly<{ start: number; end: number; sync: boolean }>;

/** @param frames starts of the pictures, ticks; the last is where the media ends
 *  @param boundaries ticks where segments begin, and where the last ends */
export class SourceMedia {
  readonly frames: readonly number[];
  readonly boundaries: readonly number[];
  readonly cell: number;
  /** Where copied sound's frames lie, and how far their distance is from what the track says (drift that is spread). */
  readonly #phase: number;
  readonly #stretch: number;

  constructor(frames: readonly number[], boundaries: readonly number[], cell: number, phase = 333, stretch = 1) {
    this.frames = frames;
    this.boundaries = boundaries;
    this.cell = cell;
    this.#phase = phase;
    this.#stretch = stretch;
  }

  get segments(): number {
    return this.boundaries.length - 1;
  }

  parts(rendition: Rendition, ordinal: number, salt = 0): MadePart[] {
    const [from, to] = [this.boundaries[ordinal]!, this.boundaries[ordinal + 1]!];
    const spans = rendition.kind === "video" ? this.#pictures(from, to) : this.#sound(rendition, from, to);
    const cell = rendition.kind === "video" ? this.cell : (this.cell * rendition.sampleRate) / TICKS;
    const cells = Map.groupBy(spans, ({ start }) => Math.max(0, Math.floor((start - spans[0]!.start) / cell)));
    const groups = [...cells.values()];
    return groups.map((group, i) => {
      const samples = group.map((span): CmafSample => {
        const bytes = Buffer.alloc(40 + (span.start % 13), (span.start + salt) & 0xff);
        return { bytes, durationTicks: span.end - span.start, compositionOffsetTicks: 0, sync: span.sync };
      });
      const start = group[0]!.start;
      const first = i === 0;
      const chunk = { sequence: start >>> 0, baseDecodeTicks: start, samples, startsSegment: first };
      const duration = group.at(-1)!.end - start;
      return { start, duration, first, last: i === groups.length - 1, bytes: writeChunk(chunk) };
    });
  }

  #pictures(from: number, to: number): Span[] {
    const inside = this.frames.filter((frame) => frame >= from && frame < to);
    return inside.map((start, i) => ({ start, end: inside[i + 1] ?? to, sync: i === 0 }));
  }

  #sound(rendition: Extract<Rendition, { kind: "audio" }>, from: number, to: number): Span[] {
    const rate = rendition.sampleRate;
    const size = rendition.copied ? Math.round(rendition.samplesPerUnit * this.#stretch) : 1024;
    const phase = rendition.copied ? this.#phase : 0;
    const at = (ticks: number) => {
      const exact = (ticks / TICKS) * rate; // below 1e14: a double is exact enough for a test that picks whole samples
      const n = (exact - phase) / size;
      return (rendition.copied ? Math.ceil(n - 0.5) : Math.ceil(n - 1e-6)) * size + phase;
    };
    const spans: Span[] = [];
    for (let start = at(from); start < at(to); start += size) spans.push({ start, end: start + size, sync: true });
    return spans;
  }
}

/** A part as a packager sends it: behind the box that says it is the last of its segment. */
export function sent(part: MadePart): Buffer {
  return part.last ? Buffer.concat([SEGMENT_END, part.bytes]) : part.bytes;
}

/** Pictures at a constant rate with key frames at the given distances.
 *  @param gops ticks of each segment @param frameTicks distance of pictures */
export function regularMedia(
  gops: readonly number[],
  frameTicks = 3000,
  cell = 30_000,
  from = START_TICK,
): SourceMedia {
  const boundaries = [from];
  for (const gop of gops) boundaries.push(boundaries.at(-1)! + gop);
  const count = (boundaries.at(-1)! - from) / frameTicks;
  return new SourceMedia(
    Array.from({ length: count }, (_, i) => from + i * frameTicks),
    boundaries,
    cell,
  );
}
