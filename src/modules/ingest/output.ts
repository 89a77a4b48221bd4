// A session's output: one side at a time, and what is counted over all its eras when the mode changes from one to the next.
import { assert } from "#base/assert.ts";
import type { DriftStep, EndReason, Entry, EraOpened } from "#media/session-log/entries.ts";
import type { Counted } from "#media/session-log/stretch.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { type GridState, OutputGrid } from "./output-grid.ts";
import type { CopyProblem, Cut, EntrySink, OutputSide, Placed, Stamped } from "./output-side.ts";
import type { EraPlan } from "./plan-era.ts";
import { SourceOutput, type SourceState } from "./source-output.ts";

/** Where a session stood when its process died. */
export type OutputState = Readonly<{
  side: GridState | SourceState;
  /** Fed with its decisions, but the first. */
  timeline: Timeline;
}>;

export class Output {
  readonly #sink: EntrySink;
  readonly #timeline: Timeline;
  #side: OutputSide | null = null;
  #holesBefore = 0;

  constructor(sink: EntrySink, state: OutputState | null) {
    this.#timeline = state?.timeline ?? new Timeline();
    this.#sink = { append: (entry) => this.#append(sink, entry) };
    if (state === null) return;
    const { side } = state;
    this.#side = "boundary" in side ? new SourceOutput(this.#sink, side) : new OutputGrid(this.#sink, side);
  }

  get era(): EraOpened | null {
    return this.#side?.era ?? null;
  }

  get copies(): boolean {
    return this.era?.mode === "source";
  }

  /** The open era shows pictures, which lead; else its sound does. */
  get hasVideo(): boolean {
    return this.era?.renditions.some(({ kind }) => kind === "video") ?? false;
  }

  get next(): number {
    return this.#side?.next ?? 0;
  }

  get floorNs(): bigint {
    return this.#side?.floorNs ?? 0n;
  }

  get holes(): number {
    return this.#holesBefore + (this.#side?.holes ?? 0);
  }

  get problem(): CopyProblem | null {
    return this.#side?.problem ?? null;
  }

  /** Start an era at once: the first at the frame nearest to `timeNs`, a later one at the nearest free frame.
   *  @param goesOn pictures of before may still come, in decoding order: they are the era's before
   *  @param hole nothing came for a while: what is between the eras is no picture that stands
   *  @returns the instant of its first frame */
  openEra(plan: EraPlan, timeNs: bigint, { goesOn = false, hole = false } = {}): bigint {
    const before = this.#side;
    if (before === null) {
      this.#side = this.#sideOf(plan);
      return this.#side.open(plan, timeNs);
    }
    const end = before.leave(timeNs, { hole });
    const floorNs = goesOn ? before.floorNs : null;
    const left = { era: before.era!, end, counted: this.#countedTo(before.era!, end), floorNs };
    if (before.era!.mode !== plan.mode) {
      this.#holesBefore += before.holes;
      this.#side = this.#sideOf(plan);
    }
    return this.#side!.follow(left, plan, timeNs);
  }

  /** Start an era of the grid at its next segment boundary, when frames get there. */
  planEra(plan: EraPlan): void {
    const grid = this.#side;
    assert.ok(grid instanceof OutputGrid && plan.mode === "grid", "copied eras begin with a picture");
    grid.planEra(plan);
  }

  cut(timeNs: bigint, how: Cut): bigint {
    return this.#open.cut(timeNs, how);
  }

  nearest(timeNs: bigint): bigint {
    return this.#open.nearest(timeNs);
  }

  isFree(timeNs: bigint): boolean {
    return this.#open.isFree(timeNs);
  }

  stepAt(afterNs: bigint): number | null {
    return this.#open.stepAt(afterNs);
  }

  wouldBreak(timeNs: bigint): CopyProblem | null {
    return this.#open.wouldBreak(timeNs);
  }

  step(frame: number, step: DriftStep["step"]): void {
    this.#open.step(frame, step);
  }

  place(picture: Stamped): Placed | null {
    return this.#open.place(picture);
  }

  lead(startNs: bigint, endNs: bigint): void {
    this.#open.lead(startNs, endNs);
  }

  heard(timeNs: bigint): void {
    this.#open.heard(timeNs);
  }

  settleTo(timeNs: bigint): void {
    this.#open.settleTo(timeNs);
  }

  holeUntil(nowNs: bigint): void {
    this.#open.holeUntil(nowNs);
  }

  /** Nothing comes any more. A session that never began ends at frame 0. */
  end(reason: EndReason): void {
    if (this.#side) this.#side.end(reason);
    else this.#sink.append({ kind: "end", frame: 0, reason });
  }

  get #open(): OutputSide {
    assert.ok(this.#side, "an era is open");
    return this.#side;
  }

  #sideOf({ mode }: EraPlan): OutputSide {
    return mode === "grid" ? new OutputGrid(this.#sink, null) : new SourceOutput(this.#sink);
  }

  #append(sink: EntrySink, entry: Entry): number {
    if (entry.kind !== "unit") this.#timeline.apply(entry);
    if (entry.kind === "boundary") this.#timeline.forgetBefore(entry.ordinal - 1);
    return sink.append(entry);
  }

  #countedTo({ era }: EraOpened, end: number): Counted {
    const last = this.#timeline.segmentAt(era, end - 1);
    assert.ok(last, "an era that is left had a segment");
    const discontinuities = this.#timeline.discontinuitiesBefore(last) + (last.discontinuity ? 1 : 0);
    return { ordinal: last.ordinal + 1, discontinuities };
  }
}
