// Which picture each slot of the output grid shows. A function of the log alone: neither when a picture is decoded nor
// when a worker joined changes it.
//  - Two pictures in one slot: the later. But where the source is not faster than the output, a second one is only
//    jitter, and waiting for it would cost a frame of delay: there the first is shown at once and a second dropped.
//  - An empty slot shows what is before it.
//  - Except after a hole: where a segment begins in or behind one, a worker that joins need not have what was before. Its
//    empty slots show the first real picture that follows, and a segment that is all hole shows nothing.
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Timeline } from "#media/session-log/timeline.ts";
import { compareRates } from "#media/time/rate.ts";

/** Shows `picture` in a slot; `repeated` when it was or will be shown in another one as its own. Called in slot order,
 *  without gaps except whole segments that lie in holes. The picture stays the caller's. */
type Show<T> = (slot: number, picture: T, repeated: boolean) => Promise<void>;

export type SlotsSettings<T> = Readonly<{
  era: EraOpened;
  timeline: Timeline;
  /** First slot to show; null: that of the first picture. */
  first: number | null;
  show: Show<T>;
  release: (picture: T) => void;
  /** What to show when an era ends before any picture came that its last slots could show. */
  blank: () => T;
}>;

type Placed<T> = { slot: number; picture: T };

export class Slots<T> {
  readonly #settings: SlotsSettings<T>;
  /** A second picture may belong to a slot. */
  readonly #sourceIsFaster: boolean;
  #next: number | null;
  /** The newest real picture that was shown. */
  #held: Placed<T> | null = null;
  /** The newest real picture whose slot may still get a later one. */
  #candidate: Placed<T> | null = null;
  /** First slot that waits for the next real picture. */
  #pendingFrom: number | null = null;

  constructor(settings: SlotsSettings<T>) {
    this.#settings = settings;
    this.#next = settings.first;
    this.#sourceIsFaster = compareRates(settings.era.sourceRate, settings.era.rate) > 0;
  }

  /** Slots below are shown or wait for a picture. */
  get next(): number | null {
    return this.#next;
  }

  /** The next real picture in presentation order. It is the slots' from now on. */
  async picture(slot: number, picture: T): Promise<void> {
    this.#next ??= slot;
    const taken = this.#candidate?.slot;
    if (slot < this.#next || (taken !== undefined && slot < taken)) this.#settings.release(picture);
    else if (!this.#sourceIsFaster) {
      await this.#fillTo(slot);
      await this.#showReal({ slot, picture });
    } else if (taken === slot) {
      this.#settings.release(this.#candidate!.picture);
      this.#candidate = { slot, picture };
    } else {
      await this.#settle(slot);
      this.#candidate = { slot, picture };
    }
  }

  /** No picture will come for slots below `slot` any more. */
  async advance(slot: number): Promise<void> {
    if (this.#next === null) return;
    await this.#settle(slot);
    await this.#fillTo(slot);
  }

  /** Nothing at or after `slot` exists. */
  async finish(slot: number): Promise<void> {
    await this.advance(slot);
    if (this.#pendingFrom !== null) {
      const blank = this.#settings.blank();
      await this.#showPending(blank, slot);
      this.#settings.release(blank);
    }
    this.close();
  }

  close(): void {
    for (const placed of [this.#held, this.#candidate]) if (placed) this.#settings.release(placed.picture);
    this.#held = null;
    this.#candidate = null;
  }

  /** The candidate's slot is over when `slot` is above it. */
  async #settle(slot: number): Promise<void> {
    const candidate = this.#candidate;
    if (candidate === null || candidate.slot >= slot) return;
    await this.#fillTo(candidate.slot);
    this.#candidate = null;
    await this.#showReal(candidate);
  }

  async #showReal(placed: Placed<T>): Promise<void> {
    const before = this.#held;
    this.#held = placed; // first: whatever fails below, close() releases it
    this.#next = placed.slot + 1;
    if (before) this.#settings.release(before.picture);
    await this.#showPending(placed.picture, placed.slot);
    await this.#settings.show(placed.slot, placed.picture, false);
  }

  async #showPending(picture: T, end: number): Promise<void> {
    const { timeline, era } = this.#settings;
    const from = this.#pendingFrom;
    this.#pendingFrom = null;
    for (let slot = from ?? end; slot < end; slot += 1) {
      const segment = timeline.segmentAt(era.era, slot);
      if (segment && timeline.isGap(segment)) slot = segment.end - 1;
      else await this.#settings.show(slot, picture, true);
    }
  }

  /** The empty slots below `slot`. */
  async #fillTo(slot: number): Promise<void> {
    for (let empty = this.#next!; empty < slot; empty += 1) {
      this.#next = empty + 1;
      if (this.#pendingFrom !== null) continue;
      if (this.#held === null || this.#beginsBehindHole(empty, this.#held.slot)) this.#pendingFrom = empty;
      else await this.#settings.show(empty, this.#held.picture, true);
    }
  }

  #beginsBehindHole(slot: number, heldSlot: number): boolean {
    const { timeline, era } = this.#settings;
    if (timeline.segmentAt(era.era, slot)?.start !== slot) return false;
    return timeline.holeCoverage(era.era, heldSlot + 1, slot + 1) !== "none";
  }
}
