// The output side of a session whose pictures are copied: they keep their own times, so segments begin where the source
// has an instant refresh, and the log says where (`boundary`).
// Boundaries are written together with the picture they begin with, and with nothing else except around a hole: a
// boundary that is in the log without its picture would promise a segment that nobody can make.
import { assert } from "#base/assert.ts";
import {
  type Boundary,
  type DriftStep,
  type EndReason,
  type EraOpened,
  INTERLEAVE_MAX_NS,
} from "#media/session-log/entries.ts";
import type { Counted } from "#media/session-log/stretch.ts";
import { indexAt, indexOnGridAtOrAfter, timeOf } from "#media/time/rate.ts";
import { FrameTicks } from "./frame-ticks.ts";
import type { CopyProblem, Cut, EntrySink, Left, OutputSide, Placed, Stamped } from "./output-side.ts";
import { PictureRow } from "./picture-row.ts";
import { type EraPlan, ROUNDING_MS } from "./plan-era.ts";

/** A picture may stand for so long where its source was away: shorter absences are no holes. */
const HELD_MS_MAX = 500;

/** Readers see the end of an open segment coming while sound goes on alone: it is told before they pass it, by more than a
 *  frame of sound. */
const FORESIGHT_NS = 100_000_000n;

/** Random access points that are no refresh, where a segment should begin: after so many there will be none. */
const OPEN_POINTS = 2;

/** Where a session stood when its process died. */
export type SourceState = Readonly<{
  era: EraOpened;
  next: number;
  boundary: Boundary | null;
  /** The newest boundary ends a hole. */
  inHole: boolean;
}>;

export class SourceOutput implements OutputSide {
  readonly #sink: EntrySink;
  #open: { era: EraOpened; ticks: FrameTicks } | null = null;
  /** Of the segment that comes next. */
  #counted: Counted = { ordinal: 0, discontinuities: 0 };
  #boundary: Boundary | null = null;
  /** Segments should begin each N from here: the era's first picture, moved with the source by drift steps. And the next. */
  #origin = 0;
  #mark = 0;
  #rows = new Map<number, PictureRow>();
  /** Tracks beside the leader that have begun with a refresh since the output went on. */
  readonly #fresh = new Set<number>();
  /** Where the newest picture ends, as far as anybody knows; in a hole, where that ends. */
  #next = 0;
  /** Nothing may begin before it: sound went on alone up to there. */
  #settled = 0;
  /** The newest boundary has begun with the picture that was placed last. */
  #isBegun = false;
  /** The newest boundary is the end of a hole, or the begin of one. */
  #inHole = false;
  /** What comes next begins a segment, here at the earliest. */
  #begins: { tick: number; cut: Cut } | null = null;
  #floorNs = 0n;
  #openPoints = 0;
  problem: CopyProblem | null = null;
  holes = 0;

  constructor(sink: EntrySink, state: SourceState | null = null) {
    this.#sink = sink;
    if (!state) return;
    const { era, boundary, inHole } = state;
    this.#open = { era, ticks: new FrameTicks(era) };
    this.#boundary = boundary;
    if (boundary) this.#counted = countedAfter(boundary);
    this.#origin = era.frame;
    this.#mark = this.#markAfter(boundary?.frame ?? era.frame);
    this.#inHole = inHole;
    this.#next = inHole ? boundary!.frame : Math.max(state.next, (boundary?.frame ?? era.frame) + 1);
    this.#begins = { tick: this.#next, cut: { hole: true } };
    this.#floorNs = this.#instant(this.#next);
  }

  get era(): EraOpened | null {
    return this.#open?.era ?? null;
  }

  get next(): number {
    return this.#next;
  }

  get floorNs(): bigint {
    return this.#floorNs;
  }

  open(plan: EraPlan, timeNs: bigint): bigint {
    const ticks = new FrameTicks(plan);
    return this.#enter({ ...plan, era: 0, frame: ticks.nearest(timeNs, 0), previousEnd: null }, ticks);
  }

  leave(timeNs: bigint, how: Pick<Cut, "hole">): number {
    const least = Math.max(this.#least, this.#inHole ? 0 : this.#boundary!.frame + 1);
    const end = Math.max(least, indexAt(this.#era.era.rate, timeNs)); // the era that follows has frames of its own
    this.#fillTo(end, how);
    return end;
  }

  follow({ era, end, counted }: Left, plan: EraPlan, timeNs: bigint): bigint {
    const ticks = new FrameTicks(plan);
    const endNs = timeOf(era.rate, end);
    const frame = ticks.nearest(timeNs > endNs ? timeNs : endNs, indexOnGridAtOrAfter(era.rate, end, plan.rate));
    this.#counted = counted;
    return this.#enter({ ...plan, era: era.era + 1, frame, previousEnd: end }, ticks);
  }

  cut(timeNs: bigint, cut: Cut): bigint {
    const { ticks } = this.#era;
    const tick = ticks.nearest(timeNs, this.#free);
    this.#begins = { tick, cut };
    this.#floorNs = this.#instant(tick);
    return this.#floorNs;
  }

  nearest(timeNs: bigint): bigint {
    return this.#instant(this.#era.ticks.of(timeNs));
  }

  isFree(timeNs: bigint): boolean {
    const { ticks } = this.#era;
    return this.nearest(timeNs) >= this.#floorNs && ticks.of(timeNs) + ticks.perFrame > this.#least;
  }

  wouldBreak(timeNs: bigint): CopyProblem | null {
    if (this.#begins || this.#inHole) return null;
    const { ticks } = this.#era;
    const end = ticks.of(timeNs) + ticks.perFrame;
    if (this.#spanMs(this.#boundary!.frame, end) <= this.#longestMs) return null;
    return this.#openPoints > 0 ? "open_gop" : "gop_too_long";
  }

  stepAt(): number | null {
    return this.#isBegun && !this.#begins ? this.#boundary!.frame : null;
  }

  /** The source's refreshes are moved too, and segments go on to begin with the same ones. */
  step(frame: number, step: DriftStep["step"]): void {
    this.#sink.append({ kind: "drift", frame, step });
    const moved = step * this.#era.ticks.perFrame;
    this.#origin += moved;
    this.#mark += moved;
  }

  place(picture: Stamped): Placed | null {
    const { ticks, era } = this.#era;
    const row = this.#rowOf(picture.track);
    const spread = ticks.span(picture.spreadNs);
    const stamped = ticks.of(picture.timeNs) + spread;
    // Pictures that follow a refresh in decoding order are shown after it; stamps that say otherwise are only a little off,
    // or the pictures are leading ones, which are shown for no time.
    const least = indexAt(era.rate, this.#floorNs);
    if (!this.#begins && stamped < least - era.rate.num) return null;
    const before = this.#boundary;
    const begun = picture.leads ? this.#begin(picture, stamped) : this.#accompany(picture, stamped);
    if (begun === null) return null;
    const tick = row.free(Math.max(begun, least));
    const decode = row.take(tick, Math.min(tick, ticks.of(picture.decodeNs) + spread));
    this.#next = Math.max(this.#next, tick + ticks.perFrame);
    if (picture.leads) this.#isBegun = this.#boundary !== before;
    this.#look(this.#instant(tick));
    return { index: tick, timeNs: this.#instant(tick), decodeNs: this.#instant(decode) };
  }

  lead(startNs: bigint, endNs: bigint): void {
    const { rate, segmentFrames } = this.#era.era;
    const middle = indexAt(rate, (startNs + endNs) / 2n);
    const before = this.#boundary;
    if (this.#begins) {
      const { tick } = this.#begins;
      const hasBegun = !this.#inHole && this.#boundary?.frame === tick; // with silence, as it begins an era
      const isLater = !hasBegun && 2n * startNs > this.#instant(tick) + endNs;
      this.#resume(Math.max(isLater ? indexAt(rate, startNs) : tick, this.#free));
    } else if (middle >= this.#mark) {
      const passed = Math.floor((middle - this.#origin) / segmentFrames);
      this.#bound(this.#origin + passed * segmentFrames, false);
    }
    this.#next = Math.max(this.#next, indexAt(rate, endNs));
    this.#inHole = false;
    this.#isBegun = this.#boundary !== before;
  }

  heard(timeNs: bigint): void {
    this.#look(timeNs - INTERLEAVE_MAX_NS + FORESIGHT_NS);
  }

  /** Audio went on alone up to there: the newest picture stands that long, or nobody could place its successor. What is
   *  more than the open segment may hold is left to a hole. */
  settleTo(timeNs: bigint): void {
    this.#look(timeNs);
    this.#settled = indexAt(this.#era.era.rate, timeNs);
    this.#next = Math.max(this.#next, Math.min(this.#settled, this.#latestEnd));
  }

  holeUntil(nowNs: bigint): void {
    const { segmentFrames } = this.#era.era;
    for (let end = this.#next + segmentFrames; this.#instant(end) <= nowNs; end = this.#next + segmentFrames)
      this.#hole(end);
  }

  end(reason: EndReason): void {
    this.#sink.append({ kind: "end", frame: this.#next, reason });
  }

  get #era(): { era: EraOpened; ticks: FrameTicks } {
    assert.ok(this.#open, "an era is open");
    return this.#open;
  }

  #instant(tick: number): bigint {
    return timeOf(this.#era.era.rate, tick);
  }

  /** First tick at which a picture can begin something. */
  get #least(): number {
    const highest = [...this.#rows.values()].map((row) => row.highest + 1);
    return Math.max(this.#settled, this.#inHole ? this.#next : 0, ...highest);
  }

  /** The same, and the newest picture has stood as long as others. */
  get #free(): number {
    return Math.max(this.#next, this.#least);
  }

  /** Where the segment after the one that begins at `frame` should begin. */
  #markAfter(frame: number): number {
    const { segmentFrames } = this.#era.era;
    const passed = Math.floor((frame + this.#tolerance - this.#origin) / segmentFrames);
    return this.#origin + (passed + 1) * segmentFrames;
  }

  get #tolerance(): number {
    return Math.floor(this.#era.ticks.perFrame / 2);
  }

  /** The leader's picture begins a segment where it should and can.
   *  @returns its tick, null when it is none to go on with */
  #begin(picture: Stamped, stamped: number): number | null {
    const begins = this.#begins;
    if (begins) {
      if (!picture.randomAccess || !picture.isRefresh()) return null;
      const { perFrame } = this.#era.ticks;
      const tick = Math.abs(stamped - begins.tick) < perFrame ? begins.tick : Math.max(stamped, begins.tick);
      return this.#resume(Math.max(tick, this.#inHole ? this.#next : this.#highest(picture.track) + 1));
    }
    const isDue = stamped + this.#tolerance >= this.#mark;
    if (!isDue || !picture.randomAccess) return stamped;
    if (!picture.isRefresh()) {
      this.#openPoints += 1;
      return stamped;
    }
    const tick = Math.max(stamped, this.#highest(picture.track) + 1);
    this.#fillTo(tick, {}); // pictures that paused for too long leave a hole
    this.#bound(tick, false);
    this.#begins = null;
    return tick;
  }

  /** A picture of another size than the leader's. The leader says where it goes on. */
  #accompany(picture: Stamped, stamped: number): number | null {
    if (this.#begins) return null;
    if (this.#fresh.has(picture.track)) return stamped;
    if (!picture.randomAccess || !picture.isRefresh()) return null;
    this.#fresh.add(picture.track);
    return stamped;
  }

  /** Go on at `tick`, after a hole or a jump. */
  #resume(tick: number): number {
    const { cut } = this.#begins!;
    this.#fresh.clear();
    this.#fillTo(tick, cut);
    this.#bound(tick, cut.splice ?? false);
    this.#begins = null;
    return tick;
  }

  /** What lies between the newest picture and `tick`: a hole, or that picture stands until then. */
  #fillTo(tick: number, { hole = false }: Cut): void {
    const heldTicks = (HELD_MS_MAX * this.#era.era.rate.num) / 1000;
    const isTooLong = !this.#inHole && this.#spanMs(this.#boundary!.frame, tick) > this.#longestMs;
    if (tick > this.#next && (this.#inHole || isTooLong || (hole && tick - this.#next > heldTicks))) this.#hole(tick);
    else this.#next = Math.max(this.#next, tick);
  }

  #hole(to: number): void {
    if (!this.#inHole) this.#bound(this.#next, false);
    this.#sink.append({ kind: "hole", from: this.#next, to });
    this.holes += 1;
    this.#next = to;
    this.#bound(to, false);
    this.#floorNs = this.#instant(to);
    this.#inHole = true;
    this.#begins ??= { tick: to, cut: { hole: true } };
    this.#fresh.clear();
  }

  /** A segment begins. At the end of a hole one has begun already. */
  #bound(frame: number, discontinuity: boolean): void {
    this.#openPoints = 0;
    this.#inHole = false;
    this.problem = null;
    if (this.#boundary?.frame === frame) return;
    this.#boundary = { kind: "boundary", frame, discontinuity, ...this.#counted };
    this.#sink.append(this.#boundary);
    this.#counted = countedAfter(this.#boundary);
    this.#mark = this.#markAfter(frame);
  }

  /** Whether the open segment can still end as it must: media has come to `timeNs`. */
  #look(timeNs: bigint): void {
    if (this.#inHole || this.#era.era.renditions.every(({ kind }) => kind === "audio")) return;
    const spanMs = Number((timeNs - this.#instant(this.#boundary!.frame)) / 1_000_000n);
    if (spanMs > this.#longestMs) this.problem = this.#openPoints > 0 ? "open_gop" : "gop_too_long";
    else if (this.#openPoints >= OPEN_POINTS) this.problem = "open_gop";
  }

  /** Of a segment, so that its EXTINF does not round above the target duration. */
  get #longestMs(): number {
    return this.#era.era.targetDurationSeconds * 1000 + ROUNDING_MS;
  }

  /** Where the open segment must have ended; sound alone is cut anywhere. */
  get #latestEnd(): number {
    const { rate, renditions } = this.#era.era;
    if (this.#inHole || renditions.every(({ kind }) => kind === "audio")) return Number.POSITIVE_INFINITY;
    return this.#boundary!.frame + Math.floor((this.#longestMs * rate.num) / 1000);
  }

  #spanMs(from: number, to: number): number {
    return ((to - from) * 1000) / this.#era.era.rate.num;
  }

  #rowOf(track: number): PictureRow {
    const known = this.#rows.get(track);
    if (known) return known;
    const row = new PictureRow();
    this.#rows.set(track, row);
    return row;
  }

  #highest(track: number): number {
    return this.#rowOf(track).highest;
  }

  #enter(era: EraOpened, ticks: FrameTicks): bigint {
    this.#open = { era, ticks };
    this.#rows = new Map();
    this.#settled = 0;
    this.#fresh.clear();
    this.#boundary = null;
    this.#origin = era.frame;
    this.#sink.append(era);
    this.#bound(era.frame, true);
    this.#begins = { tick: era.frame, cut: {} };
    this.#next = era.frame;
    this.#floorNs = this.#instant(era.frame);
    return this.#floorNs;
  }
}

function countedAfter({ ordinal, discontinuity, discontinuities }: Boundary): Counted {
  return { ordinal: ordinal + 1, discontinuities: discontinuities + (discontinuity ? 1 : 0) };
}
