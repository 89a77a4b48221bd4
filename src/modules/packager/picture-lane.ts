// Copied pictures. A segment's decode times start at the presentation of the refresh it begins with: then no delay of the
// sender's shows between segments, whatever it is, and who joins needs nothing from before. Composition offsets may
// therefore be negative.
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { EraOpened, Unit, VideoTrack } from "#media/session-log/entries.ts";
import { indexAt } from "#media/time/rate.ts";
import { ticksPerFrame } from "#media/time/source-ticks.ts";
import type { Lane } from "./lane.ts";
import type { MadeSample, PartMaker } from "./part-maker.ts";

type Open = {
  /** Of decode times, from the sender's to the segment's. */
  shift: number;
  /** Highest presentation so far: what decodes after it would reach into the next segment. */
  highest: number;
};

/** A picture whose length is not known yet. */
type Pending = Readonly<{ unit: Unit; decode: number; sync: boolean }>;

export type PictureLaneOptions = Readonly<{
  era: EraOpened;
  track: VideoTrack;
  /** Boundaries stand in the log just before the pictures of this track that they belong to. Other sizes of the picture
   *  are cut at the refresh nearest to the boundary. */
  leads: boolean;
  maker: PartMaker;
}>;

export class PictureLane implements Lane {
  readonly #options: PictureLaneOptions;
  /** How far another size's refresh may lie from the boundary. */
  readonly #tolerance: number;
  /** Segments that have not begun here. */
  #boundaries: number[] = [];
  /** Pictures of another size, until it is known whether they begin a segment. */
  #held: Unit[] = [];
  #open: Open | null = null;
  #pending: Pending | null = null;

  constructor(options: PictureLaneOptions) {
    const { rate, frameRate } = options.era;
    this.#options = options;
    this.#tolerance = options.leads ? 0 : Math.floor(ticksPerFrame(rate, frameRate) / 2);
  }

  unit(unit: Unit): void {
    if (this.#options.leads) this.#place(unit);
    else this.#held.push(unit);
  }

  boundary(frame: number): void {
    if (this.#options.leads) this.#end(frame);
    if (this.#options.leads) this.#boundaries = [];
    this.#boundaries.push(frame);
  }

  settle(known: number): void {
    while (this.#held.length > 0 && this.#held[0]!.index + this.#tolerance < known) this.#place(this.#held.shift()!);
  }

  stop(frame: number): void {
    this.settle(frame + this.#tolerance);
    this.#end(frame);
    this.#boundaries = this.#boundaries.filter((boundary) => boundary > frame);
  }

  #place(unit: Unit): void {
    const { track, leads } = this.#options;
    const reach = unit.index + this.#tolerance;
    while (this.#boundaries.length > 1 && this.#boundaries[1]! <= reach) this.#end(this.#boundaries.shift()!);
    const sync = unit.randomAccess && isInstantRefresh(track.codec, unit.payload);
    const frame = this.#boundaries[0];
    if (frame !== undefined && frame <= reach) {
      // Sizes that are not aligned are cut all the same: their playlists list the same segments as all others.
      const begins = leads ? sync && unit.index === frame : sync || unit.index > frame + this.#tolerance;
      if (begins) this.#begin(frame, unit);
    }
    if (this.#open) this.#append(this.#open, unit, sync);
  }

  #begin(frame: number, unit: Unit): void {
    this.#end(frame);
    this.#boundaries.shift();
    this.#options.maker.begin(frame);
    this.#open = { shift: frame - this.#ticksOf(unit.decodeNs), highest: frame };
  }

  #append(open: Open, unit: Unit, sync: boolean): void {
    const { maker } = this.#options;
    const before = this.#pending;
    if (unit.index > open.highest) open.highest = unit.index;
    const meant = Math.min(this.#ticksOf(unit.decodeNs) + open.shift, open.highest);
    const decode = before ? Math.max(meant, before.decode + 1) : meant;
    if (before) {
      maker.add(sampleOf(before, decode));
      maker.reach(decode);
    }
    this.#pending = { unit, decode, sync };
  }

  /** The open segment ends at `frame`. */
  #end(frame: number): void {
    if (!this.#open) return;
    this.#options.maker.add(sampleOf(this.#pending!, frame));
    this.#options.maker.end();
    this.#open = null;
    this.#pending = null;
  }

  #ticksOf(timeNs: bigint): number {
    return indexAt(this.#options.era.rate, timeNs);
  }
}

function sampleOf({ unit, decode, sync }: Pending, until: number): MadeSample {
  return {
    bytes: unit.payload,
    startTicks: decode,
    durationTicks: Math.max(1, until - decode),
    compositionOffsetTicks: unit.index - decode,
    sync,
    arrivedNs: unit.arrivedNs,
  };
}
