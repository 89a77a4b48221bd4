// A log in `source` mode, made of one in `grid` mode: the same units at their own ticks, and segments that begin at boundaries.
import type { CopiedVideo, Rendition } from "#media/ladder/rendition.ts";
import type { Boundary, Entry, EraOpened, Positioned, Unit } from "#media/session-log/entries.ts";
import { indexAt, type Rate, timeOf } from "#media/time/rate.ts";
import { tickRate, ticksPerFrame } from "#media/time/source-ticks.ts";

export type SourceLogSettings = Readonly<{
  /** Encoded ones; the copied one is added. */
  renditions: readonly Rendition[];
  /** Ticks that picture i, counted from the first, comes later than its frame; 0 for the first. */
  laterBy?: (frame: number) => number;
  /** The publisher is away for frames [from, to), counted from the first; it returns with the next key picture. */
  away?: readonly [from: number, to: number];
}>;

const COPY: CopiedVideo = {
  kind: "video",
  copied: true,
  track: 1,
  name: "vcopy",
  codec: "h264",
  width: 320,
  height: 180,
  pixelAspect: { num: 1, den: 1 },
  range: "SDR",
};

/** @param log of one era, with pictures, without holes and splices */
export function asSourceLog(log: readonly Positioned<Entry>[], settings: SourceLogSettings): Positioned<Entry>[] {
  const grid = log.map(({ entry }) => entry).find((entry) => entry.kind === "era") as EraOpened;
  const writer = new SourceLogWriter(grid, settings);
  for (const { entry } of log) writer.take(entry);
  return writer.entries.map((entry, position) => ({ position, entry }));
}

class SourceLogWriter {
  readonly entries: Entry[] = [];
  readonly #grid: EraOpened;
  readonly #ticks: Rate;
  readonly #perFrame: number;
  readonly #settings: SourceLogSettings;
  #boundaries: Boundary[] = [];
  /** End of the newest picture, and of what is told of the hole. */
  #end = 0;
  #isAway = false;

  constructor(grid: EraOpened, settings: SourceLogSettings) {
    this.#grid = grid;
    this.#settings = settings;
    this.#ticks = tickRate(grid.rate);
    this.#perFrame = ticksPerFrame(this.#ticks, grid.rate);
  }

  take(entry: Entry): void {
    if (entry.kind === "era") this.entries.push(this.#era(entry));
    else if (entry.kind === "unit") this.#unit(entry);
    else this.entries.push(entry.kind === "end" ? { ...entry, frame: this.#end } : entry);
  }

  #era(era: EraOpened): EraOpened {
    return {
      ...era,
      mode: "source",
      rate: this.#ticks,
      frame: this.#tickOf(era.frame),
      segmentFrames: era.segmentFrames * this.#perFrame,
      partFrames: era.partFrames * this.#perFrame,
      renditions: [COPY, ...this.#settings.renditions],
    };
  }

  #unit(unit: Unit): void {
    const [from, to] = (this.#settings.away ?? [Infinity, Infinity]).map((frame) => this.#grid.frame + frame) as [
      number,
      number,
    ];
    const frame = indexAt(this.#grid.rate, unit.timeNs);
    const isKey = unit.track === 1 && unit.randomAccess;
    if (frame >= from && (frame < to || this.#isAway) && !(isKey && frame >= to)) {
      this.#away(frame);
      return;
    }
    if (unit.track !== 1) {
      this.entries.push(unit);
      return;
    }
    const tick = this.#tickOf(frame) + (this.#settings.laterBy?.(frame - this.#grid.frame) ?? 0);
    if (this.#isAway) this.#hole(tick);
    if (isKey) this.#keyAt(tick);
    this.#isAway = false;
    const timeNs = timeOf(this.#ticks, tick);
    const decodeNs = timeNs - (unit.timeNs - unit.decodeNs);
    this.entries.push({ ...unit, index: tick, timeNs, decodeNs });
    this.#end = Math.max(this.#end, tick + this.#perFrame);
  }

  /** A whole segment's length at a time. */
  #away(frame: number): void {
    if (!this.#isAway) this.#boundary(this.#end);
    this.#isAway = true;
    const length = this.#grid.segmentFrames * this.#perFrame;
    if (this.#tickOf(frame) >= this.#end + length) {
      this.#hole(this.#end + length);
      this.#boundary(this.#end);
    }
  }

  #hole(to: number): void {
    this.entries.push({ kind: "hole", from: this.#end, to });
    this.#end = to;
  }

  #keyAt(tick: number): void {
    const first = this.#boundaries[0]?.frame;
    const last = this.#boundaries.at(-1)?.frame ?? 0;
    const length = this.#grid.segmentFrames * this.#perFrame;
    const nominal = (at: number) => Math.floor((at - (first ?? at) + this.#perFrame / 2) / length);
    if (first === undefined || this.#isAway || nominal(tick) > nominal(last)) this.#boundary(tick);
  }

  #boundary(frame: number): void {
    const ordinal = this.#boundaries.length;
    const last = this.#boundaries.at(-1);
    if (last?.frame === frame) return;
    const discontinuities = last ? last.discontinuities + (last.discontinuity ? 1 : 0) : 0;
    this.#boundaries.push({ kind: "boundary", frame, ordinal, discontinuity: ordinal === 0, discontinuities });
    this.entries.push(this.#boundaries.at(-1)!);
  }

  #tickOf(frame: number): number {
    return indexAt(this.#ticks, timeOf(this.#grid.rate, frame));
  }
}
