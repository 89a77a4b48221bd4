// Pictures of a `source` era, each shown once at its own tick; each lasts until the next one, the last of a segment until the
// segment ends. A function of the log alone, as slots are: a segment's first picture is shown from its start on, and a
// segment that nothing of could be decoded shows the picture that follows it, which every worker has.
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";

export type OwnTimesSettings<T> = Readonly<{
  era: EraOpened;
  timeline: Timeline;
  /** The first segment to show begins here; null: with the first picture's. */
  first: number | null;
  /** Ticks ascend. The picture stays the caller's. */
  show: (tick: number, picture: T, repeated: boolean, previousEnd: number | null) => Promise<void>;
  /** The segment of the last picture shown ends there. */
  end: (tick: number) => Promise<void>;
  release: (picture: T) => void;
  /** What to show when an era ends before any picture came that its last segments could show. */
  blank: () => T;
}>;

export class OwnTimes<T> {
  readonly #settings: OwnTimesSettings<T>;
  /** The last picture's tick, and the segment that it was shown in. */
  #last: { tick: number; ordinal: number } | null = null;
  /** Ordinal of the next segment to begin; null: that of the first picture. */
  #nextOrdinal: number | null = null;
  #ended = false;

  constructor(settings: OwnTimesSettings<T>) {
    this.#settings = settings;
  }

  /** The next picture in presentation order. It is taken over. */
  async picture(tick: number, picture: T): Promise<void> {
    try {
      const segment = this.#settings.timeline.segmentAt(this.#settings.era.era, tick);
      if (segment === null || this.#isLate(segment, tick)) return;
      await this.#showMissing(segment.ordinal, picture);
      const begins = segment.ordinal !== this.#last?.ordinal;
      await this.#show(segment, begins ? segment.start : tick, tick, picture, false);
    } finally {
      this.#settings.release(picture);
    }
  }

  /** No picture will come for ticks below. */
  async advance(tick: number): Promise<void> {
    if (this.#last === null || this.#ended) return;
    const segment = this.#segmentOfLast();
    if (segment === null || segment.end > tick) return;
    this.#ended = true;
    await this.#settings.end(segment.end);
  }

  /** Nothing at or after `tick` exists. */
  async finish(tick: number): Promise<void> {
    const { timeline, era, blank, release } = this.#settings;
    await this.advance(tick);
    const last = timeline.segmentAt(era.era, tick - 1);
    if (last === null) return;
    const picture = blank();
    try {
      await this.#showMissing(last.ordinal + 1, picture);
    } finally {
      release(picture);
    }
    await this.advance(tick);
  }

  /** There is nothing to let go of: pictures are released as soon as they were shown. */
  close(): void {}

  /** The segments below `ordinal` that have no picture; those in holes show none. */
  async #showMissing(ordinal: number, picture: T): Promise<void> {
    const { timeline, era, first } = this.#settings;
    if (this.#nextOrdinal === null && first !== null)
      this.#nextOrdinal = timeline.segmentAt(era.era, first)?.ordinal ?? null;
    for (let missing = this.#nextOrdinal ?? ordinal; missing < ordinal; missing += 1) {
      const segment = timeline.segment(missing);
      if (segment === null || segment.era !== era.era || timeline.isGap(segment)) continue;
      await this.#show(segment, segment.start, segment.start, picture, true);
    }
  }

  async #show(segment: Segment, at: number, tick: number, picture: T, repeated: boolean): Promise<void> {
    const before = this.#last === null || this.#ended ? null : this.#segmentOfLast();
    const previousEnd = before === null ? null : Math.min(at, before.end);
    this.#last = { tick, ordinal: segment.ordinal };
    this.#nextOrdinal = segment.ordinal + 1;
    this.#ended = false;
    await this.#settings.show(at, picture, repeated, previousEnd);
  }

  /** At or before a picture that was shown, or in a segment that was ended. */
  #isLate({ ordinal }: Segment, tick: number): boolean {
    const last = this.#last;
    return last !== null && (tick <= last.tick || (this.#ended && ordinal === last.ordinal));
  }

  #segmentOfLast(): Segment | null {
    return this.#settings.timeline.segment(this.#last!.ordinal);
  }
}
