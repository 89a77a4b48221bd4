// The output side of a session whose pictures are encoded: which frames are given already, and the decisions that place
// the next ones. It appends eras, holes, splices and the end, and never contradicts what a reader of the log may have
// concluded before.
import { assert } from "#base/assert.ts";
import type { DriftStep, EndReason, EraOpened } from "#media/session-log/entries.ts";
import { indexAt, indexAtOrAfter, indexOnGridAtOrAfter, timeOf } from "#media/time/rate.ts";
import { segmentStart } from "#media/time/segmentation.ts";
import type { Cut, EntrySink, Left, OutputSide, Placed, Stamped } from "./output-side.ts";
import type { EraPlan } from "./plan-era.ts";

/** Where a session stood when its process died. */
export type GridState = Readonly<{ era: EraOpened; next: number }>;

export class OutputGrid implements OutputSide {
  readonly #sink: EntrySink;
  #era: EraOpened | null = null;
  #previous: EraOpened | null = null;
  #next = 0;
  #floorNs = 0n;
  /** Where the open segment begins that a splice or an era cut off the regular grid. */
  #cut = 0;
  #planned: { end: number; frame: number; plan: EraPlan } | null = null;
  #decodeNs = 0n;
  readonly problem = null;
  holes = 0;

  constructor(sink: EntrySink, state: GridState | null) {
    this.#sink = sink;
    if (!state) return;
    this.#era = state.era;
    this.#next = Math.max(state.next, state.era.frame);
    this.#cut = state.era.frame;
    this.#floorNs = this.#instant(this.#next);
  }

  get era(): EraOpened | null {
    return this.#era;
  }

  /** First frame that nothing is decided about. */
  get next(): number {
    return this.#next;
  }

  /** What ends before it comes too late: a hole is there, or the session had not begun. */
  get floorNs(): bigint {
    return this.#floorNs;
  }

  get #open(): EraOpened {
    assert.ok(this.#era, "an era is open");
    return this.#era;
  }

  #instant(frame: number): bigint {
    return timeOf(this.#open.rate, frame);
  }

  open(plan: EraPlan, timeNs: bigint): bigint {
    this.#enter({ ...plan, era: 0, frame: indexAt(plan.rate, timeNs), previousEnd: null });
    return this.#begin();
  }

  leave(timeNs: bigint, how: Pick<Cut, "hole">): number {
    this.#planned = null; // what was to come is in the plan that follows
    const oneFrame = this.#instant(this.#open.frame + 1); // an era without a frame would be none
    this.cut(timeNs > oneFrame ? timeNs : oneFrame, how);
    this.#sink.append({ kind: "splice", frame: this.#next, discontinuity: false }); // the era is one itself
    return this.#next;
  }

  follow({ era, end, floorNs }: Left, plan: EraPlan): bigint {
    this.#era = era; // maybe one of the other mode
    this.#openAt(end, indexOnGridAtOrAfter(era.rate, end, plan.rate), plan);
    const beginNs = this.#begin();
    if (floorNs !== null) this.#floorNs = floorNs;
    return beginNs;
  }

  #begin(): bigint {
    this.#floorNs = this.#instant(this.#next);
    return this.#floorNs;
  }

  /** Start an era at the next segment boundary, when frames get there. */
  planEra(plan: EraPlan): void {
    const end = this.#segmentEnd(this.#next);
    this.#planned = { end, frame: indexOnGridAtOrAfter(this.#open.rate, end, plan.rate), plan };
  }

  /** A splice is a discontinuity there, unless an era begins with one. */
  cut(timeNs: bigint, { hole = false, splice = false }: Cut): bigint {
    const leaveOff = (frame: number) => (hole ? this.#hole(frame) : this.#settle(frame));
    while (this.#planned && this.#planned.end <= indexAt(this.#open.rate, timeNs)) {
      leaveOff(this.#planned.end);
      this.#openPlanned();
    }
    leaveOff(indexAt(this.#open.rate, timeNs));
    if (this.#planned && this.#next >= this.#planned.end) this.#openPlanned();
    if (splice && this.#next > this.#open.frame) {
      this.#sink.append({ kind: "splice", frame: this.#next, discontinuity: true });
      this.#cut = this.#next;
    }
    this.#floorNs = this.#instant(this.#next);
    return this.#floorNs;
  }

  nearest(timeNs: bigint): bigint {
    return timeNs; // the slot is beside the time, not in its place
  }

  isFree(timeNs: bigint): boolean {
    return this.#slotOf(timeNs) !== null;
  }

  stepAt(afterNs: bigint): number | null {
    if (this.#planned) return null; // another grid begins there
    const { rate, segmentFrames } = this.#open;
    const free = Math.max(this.#next, indexAtOrAfter(rate, afterNs));
    return segmentStart(free + segmentFrames - 1, segmentFrames);
  }

  wouldBreak(): null {
    return null;
  }

  step(frame: number, step: DriftStep["step"]): void {
    this.#sink.append({ kind: "drift", frame, step });
  }

  place(picture: Stamped): Placed | null {
    const timeNs = picture.timeNs + picture.spreadNs;
    const decodeNs = picture.decodeNs + picture.spreadNs;
    const index = this.#slotOf(timeNs);
    if (index === null) return null;
    if (decodeNs > this.#decodeNs) this.#decodeNs = decodeNs;
    this.#took(timeNs);
    const isAfter = this.#decodeNs > timeNs; // than it is shown
    return { index, timeNs, decodeNs: isAfter ? timeNs : this.#decodeNs };
  }

  /** On the grid of the era that the time lies in; null when that slot is past. */
  #slotOf(timeNs: bigint): number | null {
    if (this.#planned && indexAt(this.#planned.plan.rate, timeNs) >= this.#planned.frame) this.#openPlanned();
    const { rate, frame } = this.#open;
    const index = indexAt(rate, timeNs);
    if (index < frame) return this.#placeBefore(timeNs);
    // Past a planned border, and before the first frame of the era behind it: the last slot takes it.
    const slot = this.#planned ? Math.min(index, this.#planned.end - 1) : index;
    return timeOf(rate, slot) < this.#floorNs ? null : slot;
  }

  /** In the era before: decoding order may put its pictures behind the first of the next. */
  #placeBefore(timeNs: bigint): number | null {
    if (!this.#previous) return null;
    const slot = Math.min(indexAt(this.#previous.rate, timeNs), this.#open.previousEnd! - 1);
    return slot < this.#previous.frame || timeOf(this.#previous.rate, slot) < this.#floorNs ? null : slot;
  }

  settleTo(timeNs: bigint): void {
    if (this.#planned && indexAtOrAfter(this.#open.rate, timeNs) > this.#planned.end) this.#openPlanned();
    this.#settle(indexAtOrAfter(this.#open.rate, timeNs));
  }

  lead(): void {} // boundaries are where they are; `settleTo` follows

  heard(): void {} // empty slots repeat the picture before

  #took(timeNs: bigint): void {
    const most = this.#planned?.end ?? Number.MAX_SAFE_INTEGER;
    this.#settle(Math.min(most, indexAt(this.#open.rate, timeNs) + 1));
  }

  /** The rest of the open segment part by part, then whole segments. */
  holeUntil(nowNs: bigint): void {
    for (;;) {
      if (this.#planned && this.#next >= this.#planned.end) this.#openPlanned();
      const end = this.#holeEnd();
      if (this.#instant(end) > nowNs) return;
      this.#hole(end);
    }
  }

  end(reason: EndReason): void {
    this.#sink.append({ kind: "end", frame: this.#next, reason });
  }

  #hole(to: number): void {
    if (to <= this.#next) return;
    this.#sink.append({ kind: "hole", from: this.#next, to });
    this.holes += 1;
    this.#next = to;
    this.#floorNs = this.#instant(to);
  }

  #holeEnd(): number {
    const start = this.#segmentStart(this.#next);
    const end = this.#segmentEnd(this.#next);
    if (start === this.#next) return end;
    const { partFrames } = this.#open;
    return Math.min(end, start + (Math.floor((this.#next - start) / partFrames) + 1) * partFrames);
  }

  #segmentStart(frame: number): number {
    return Math.max(segmentStart(frame, this.#open.segmentFrames), this.#cut <= frame ? this.#cut : 0);
  }

  #segmentEnd(frame: number): number {
    return segmentStart(frame, this.#open.segmentFrames) + this.#open.segmentFrames;
  }

  #settle(frame: number): void {
    if (frame > this.#next) this.#next = frame;
  }

  #openPlanned(): void {
    const { end, frame, plan } = this.#planned!;
    this.#planned = null;
    this.#openAt(end, frame, plan);
  }

  #openAt(end: number, frame: number, plan: EraPlan): void {
    this.#enter({ ...plan, era: this.#open.era + 1, frame, previousEnd: end });
  }

  #enter(era: EraOpened): void {
    this.#previous = this.#era;
    this.#era = era;
    this.#next = era.frame;
    this.#cut = era.frame;
    this.#sink.append(era);
  }
}
