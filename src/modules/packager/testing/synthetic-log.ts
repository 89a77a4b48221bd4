// Session logs as a gateway writes them in `source` mode, from a seed: reordered pictures, key frames at odd distances,
// sound that begins at no boundary and is stretched, pauses, holes, several eras. Payloads are NAL units that nothing
// decodes.
import type { Random } from "#base/random.ts";
import { buildAacConfig } from "#media/codec/aac.ts";
import type {
  AudioCodec,
  AudioTrack,
  Entry,
  EraOpened,
  Positioned,
  Track,
  Unit,
  VideoTrack,
} from "#media/session-log/entries.ts";
import { indexAt, indexAtOrAfter, type Rate, rate, timeOf } from "#media/time/rate.ts";
import { tickRate, ticksPerFrame } from "#media/time/source-ticks.ts";

/** 2026, TAI. */
const BEGIN_NS = 1_790_000_000_000_000_000n;
const AVCC = Buffer.from("014d401effe1000a674d401e96540a02ff9101000468ee3c80", "hex");
const MS = 1_000_000n;

export type EraShape = Readonly<{
  seconds: number;
  frameRate: Rate;
  /** Pictures that a decoder holds back. */
  reorder: 0 | 1 | 2;
  /** Pictures come at odd times, as those of a screen do. */
  varies: boolean;
  /** Frames between key frames, from and to. */
  gop: readonly [number, number];
  sound: readonly Readonly<{ codec: AudioCodec; sampleRate: number }>[];
  /** From second to second without any media. */
  hole: readonly [number, number] | null;
  /** From second to second without sound. */
  mute: readonly [number, number] | null;
  /** A second picture track of half the size. */
  small: boolean;
}>;

type Timed = { atNs: bigint; order: number; entries: Entry[] };

export function videoTrack(track: number, width: number): VideoTrack {
  return {
    track,
    kind: "video",
    codec: "h264",
    config: AVCC,
    width,
    height: (width * 9) / 16,
    pixelAspect: { num: 1, den: 1 },
    declaredRate: null,
    interlaced: false,
    bitDepth: 8,
    range: "SDR",
    rotation: 0,
  };
}

export function audioTrack(track: number, codec: AudioCodec, sampleRate: number): AudioTrack {
  const config = codec === "aac" ? buildAacConfig(2, sampleRate, 2) : Buffer.from("1014c0", "hex");
  const samplesPerUnit = codec === "aac" ? 1024 : codec === "ac3" ? 1536 : 1152;
  return { track, kind: "audio", codec, config, sampleRate, channels: 2, samplesPerUnit, language: "und" };
}

function eraOf(shape: EraShape, tracks: readonly Track[], era: number, frame: number, previousEnd: number | null) {
  const ticks = tickRate(shape.varies ? null : shape.frameRate);
  const entry: EraOpened = {
    kind: "era",
    era,
    mode: "source",
    rate: ticks,
    frameRate: shape.frameRate,
    frame,
    previousEnd,
    segmentFrames: Math.round((2 * ticks.num) / ticks.den),
    partFrames: Math.round(ticks.num / 3),
    partTargetMs: 400,
    targetDurationSeconds: 10,
    sourceRate: shape.frameRate,
    renditions: tracks.map((track) => {
      const name = `${track.kind}-${track.track}`;
      if (track.kind === "audio")
        return { ...track, copied: true, name, codec: track.codec as "aac", config: undefined as never };
      const { codec, width, height, pixelAspect, range } = track;
      return { kind: "video", copied: true, track: track.track, name, codec, width, height, pixelAspect, range };
    }),
  };
  return entry;
}

/** Display order to decode order: an anchor picture, then those before it that refer to it. */
function decodeOrder(frames: number, reorder: number): number[] {
  const order = [0];
  for (let next = 1; next < frames; ) {
    const anchor = Math.min(frames - 1, next + reorder);
    order.push(anchor);
    for (let frame = next; frame < anchor; frame += 1) order.push(frame);
    next = anchor + 1;
  }
  return order;
}

export class SyntheticLog {
  readonly entries: Positioned[] = [];
  readonly #random: Random;
  #ordinal = 0;
  #discontinuities = 0;
  #nowNs = BEGIN_NS;
  #lastEnd: number | null = null;

  constructor(random: Random, shapes: readonly EraShape[]) {
    this.#random = random;
    this.#append({
      kind: "session",
      session: "s1",
      channel: "news",
      tenant: "main",
      msnBase: 0,
      discontinuityBase: 0,
      openedNs: BEGIN_NS,
      traceparent: "",
    });
    for (const [i, shape] of shapes.entries()) this.#era(shape, i);
    this.#append({ kind: "end", frame: this.#lastEnd!, reason: "publisher" });
  }

  #append(entry: Entry): void {
    this.entries.push({ position: this.entries.length, entry });
  }

  #boundary(frame: number, discontinuity: boolean): void {
    const [ordinal, discontinuities] = [this.#ordinal++, this.#discontinuities];
    this.#append({ kind: "boundary", frame, ordinal, discontinuity, discontinuities });
    if (discontinuity) this.#discontinuities += 1;
  }

  #era(shape: EraShape, number: number): void {
    const audios = shape.sound.map(({ codec, sampleRate }, i) => audioTrack(10 + i, codec, sampleRate));
    const tracks: Track[] = [videoTrack(1, 1280), ...(shape.small ? [videoTrack(2, 640)] : []), ...audios];
    const ticks = tickRate(shape.varies ? null : shape.frameRate);
    const perFrame = ticksPerFrame(ticks, shape.frameRate);
    const first = indexAtOrAfter(ticks, this.#nowNs);
    const era = eraOf(shape, tracks, number, first, this.#lastEnd);
    this.#append({ kind: "tracks", tracks });
    this.#append(era);
    this.#boundary(first, true);
    const startNs = timeOf(ticks, first);
    const away = (timeNs: bigint, span: readonly [number, number] | null) =>
      span !== null &&
      timeNs >= startNs + BigInt(span[0]) * 1000n * MS &&
      timeNs < startNs + BigInt(span[1]) * 1000n * MS;
    const media: Timed[] = [
      ...this.#pictures(shape, ticks, perFrame, first),
      ...audios.flatMap((track) => this.#sound(track, shape, startNs)),
    ].filter(({ atNs }) => !away(atNs, shape.hole));
    const sound = new Set(audios.map(({ track }) => track));
    const told = media.filter(({ entries, atNs }) => {
      const unit = entries[0] as Unit;
      return !(sound.has(unit.track) && away(atNs, shape.mute));
    });
    this.#write(
      told.toSorted((a, b) => (a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : a.order - b.order)),
      era,
      perFrame,
    );
  }

  /** Whole groups of pictures; two sizes of each when asked for. */
  #pictures(shape: EraShape, ticks: Rate, perFrame: number, first: number): Timed[] {
    const out: Timed[] = [];
    const random = this.#random;
    let start = first;
    const lastTick = first + shape.seconds * ticks.num;
    while (start < lastTick) {
      const frames = random.int(shape.gop[0], shape.gop[1] + 1);
      const stamps = Array.from({ length: frames }, (_, i) => start + i * perFrame);
      if (shape.varies) for (let i = 1; i < frames; i += 1) stamps[i] = stamps[i]! + random.int(0, perFrame >> 1);
      for (const [i, frame] of decodeOrder(frames, shape.reorder).entries()) {
        const tick = stamps[frame]!;
        const decode = Math.min(tick, start + (i - Math.min(shape.reorder, 1)) * perFrame);
        const key = frame === 0;
        const decodeNs = timeOf(ticks, decode);
        const sizes = shape.small ? [1, 2] : [1];
        for (const track of sizes) {
          const nal = Buffer.alloc(random.int(20, 120), random.int(0, 256));
          nal[0] = key ? 0x65 : 0x41;
          const payload = Buffer.concat([Buffer.of(0, 0, 0, nal.length), nal]);
          const arrivedNs = decodeNs + BigInt(random.int(0, 40)) * MS;
          const common = { kind: "unit", track, index: tick, randomAccess: key, damaged: false, arrivedNs } as const;
          const unit: Unit = { ...common, timeNs: timeOf(ticks, tick), decodeNs, payload };
          out.push({ atNs: decodeNs, order: track, entries: [unit] });
        }
      }
      start += frames * perFrame;
      if (shape.varies) start += random.int(0, 3) * perFrame;
    }
    return out;
  }

  /** Some of it late, some early in the log; for two seconds, stretched. */
  #sound(track: AudioTrack, shape: EraShape, startNs: bigint): Timed[] {
    const random = this.#random;
    const samples = rate(track.sampleRate);
    const skewNs = BigInt(random.int(-300, 300)) * MS;
    const out: Timed[] = [];
    let index = indexAt(samples, startNs) + random.int(-track.samplesPerUnit + 1, 2 * track.samplesPerUnit);
    const endNs = startNs + BigInt(shape.seconds) * 1000n * MS;
    const stretchedFrom = random.int(0, shape.seconds);
    for (let timeNs = timeOf(samples, index); timeNs < endNs; timeNs = timeOf(samples, index)) {
      const seconds = Number((timeNs - startNs) / (1000n * MS));
      const payload = Buffer.alloc(random.int(10, 40), random.int(0, 256));
      const common = { kind: "unit", track: track.track, index, randomAccess: true, damaged: false } as const;
      const unit: Unit = { ...common, timeNs, decodeNs: timeNs, arrivedNs: timeNs, payload };
      out.push({ atNs: timeNs + skewNs, order: track.track, entries: [unit] });
      const isStretched = seconds >= stretchedFrom && seconds < stretchedFrom + 2;
      index += track.samplesPerUnit + (isStretched ? random.int(-17, 25) : 0);
    }
    return out;
  }

  /** With boundaries where the largest picture has a refresh that is due, and around a hole. */
  #write(media: readonly Timed[], era: EraOpened, perFrame: number): void {
    const tolerance = Math.floor(perFrame / 2);
    const { hole } = holeOf(media, era, perFrame);
    let begun = false;
    let mark = era.frame + era.segmentFrames;
    let next = era.frame;
    let floorNs = 0n;
    let reachedNs = 0n;
    let away = hole;
    let needsKey = true;
    for (const { entries } of media) {
      for (const entry of entries) {
        const unit = entry as Unit;
        if (away && unit.timeNs > timeOf(era.rate, away.from) + 900n * MS) {
          this.#boundary(away.from, false);
          for (let at = away.from; at < away.to; ) {
            const to = Math.min(away.to, at + era.segmentFrames);
            this.#append({ kind: "hole", from: at, to: away.to - to < era.segmentFrames ? away.to : to });
            at = away.to - to < era.segmentFrames ? away.to : to;
            this.#boundary(at, false);
          }
          floorNs = timeOf(era.rate, away.to);
          mark = away.to + era.segmentFrames;
          next = away.to;
          needsKey = true;
          away = null;
        }
        if (unit.track <= 2 && away && unit.index >= away.from) continue; // what refers to the lost ones
        if (unit.track > 2 && (unit.timeNs + 21n * MS <= floorNs || reachedNs - unit.timeNs > 1000n * MS)) continue;
        if (unit.track <= 2 && unit.timeNs < floorNs) continue;
        if (unit.track === 1) {
          if (needsKey && !unit.randomAccess) continue;
          needsKey = false;
          if (unit.randomAccess && begun && unit.index + tolerance >= mark) {
            this.#boundary(unit.index, false);
            mark = unit.index + era.segmentFrames;
          }
          begun = true;
          next = Math.max(next, unit.index + perFrame);
        }
        if (unit.timeNs > reachedNs) reachedNs = unit.timeNs;
        this.#append(unit);
      }
    }
    this.#lastEnd = next;
    this.#nowNs = timeOf(era.rate, next) + BigInt(this.#random.int(0, 3000)) * MS;
  }
}

/** The end of the last picture before a pause of more than two seconds, and the refresh after it. */
function holeOf(media: readonly Timed[], era: EraOpened, perFrame: number) {
  const ticks = media
    .flatMap(({ entries }) => entries as Unit[])
    .filter(({ track }) => track === 1)
    .toSorted((a, b) => a.index - b.index);
  const at = ticks.findIndex(({ index }, i) => i > 0 && index - ticks[i - 1]!.index > era.segmentFrames);
  if (at < 0) return { hole: null };
  const to = ticks.slice(at).find(({ randomAccess }) => randomAccess)?.index;
  return { hole: to === undefined ? null : { from: ticks[at - 1]!.index + perFrame, to } };
}
