// One rendition of one session: takes parts in any order, publishes them in the timeline's order, seals segments.
// The cursor (next segment, next part) only moves forward: what was published stays, what is lost becomes a gap.
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import type { CmafInit } from "#media/cmaf/read-init.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import { timescaleOf } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import { ticksToNs, timeOf } from "#media/time/rate.ts";
import type { HeldPart, HeldSegment, SegmentHead } from "./held.ts";
import { sealSegment } from "./held.ts";
import { type PlannedPart, plannedParts, renditionOf, ticksAt } from "./planned-parts.ts";

export type HeldInit = Readonly<{ bytes: Buffer; init: CmafInit }>;

/** The segment whose parts come now. */
export type Growing = { readonly segment: Segment; readonly startTicks: number; readonly parts: HeldPart[] };

/** What a track needs of its session. */
export type TrackHost = Readonly<{
  timeline: Timeline;
  /** Position of the newest decision in it. */
  logPosition: () => number;
  aheadBytesMax: number;
  /** A part or a segment can be listed that could not before. */
  published: (track: Track) => void;
  /** To be journalled. @param record shares the segment's memory */
  sealed: (track: Track, segment: HeldSegment, record: Buffer) => void;
}>;

export type Taken = "new" | "known" | "differs";

export class Track {
  readonly name: string;
  readonly kind: "video" | "audio";
  /** By era. */
  readonly inits = new Map<number, HeldInit>();
  /** Whole segments that a playlist lists, oldest first. */
  listed: HeldSegment[] = [];
  /** No longer listed, still fetchable until an instant (monotonic ms). */
  retired: { segment: HeldSegment; untilMs: number }[] = [];
  growing: Growing | null = null;
  /** Segment that is sealed next. */
  nextOrdinal: number;
  /** Nothing of it will come any more: the log ended, or went on without it. */
  finished = false;
  /** Finished because a later era has no such rendition. */
  left = false;
  /** Segments whose journal record is not on disk yet. */
  readonly unsaved = new Set<number>();
  /** Most bits a second of any run of 0.5 to 1.5 target durations. */
  peakBitrate = 0;
  counters = { parts: 0, segments: 0, gaps: 0, bytes: 0, partAgeMs: null as number | null };
  /** Last frame of the newest part, TAI ns. */
  newestFrameNs: bigint | null = null;
  /** When something was published last, monotonic ms; set by the session. */
  publishedMs: number;
  readonly #timeline: Timeline;
  readonly #host: TrackHost;
  readonly #ahead = new Map<string, { planned: PlannedPart; part: HeldPart; producedNs: bigint | null }>();
  #aheadBytes = 0;

  /** @param nextOrdinal first segment it can have */
  constructor(name: string, kind: Track["kind"], host: TrackHost, nextOrdinal: number, nowMs: number) {
    this.name = name;
    this.kind = kind;
    this.nextOrdinal = nextOrdinal;
    this.publishedMs = nowMs;
    this.#timeline = host.timeline;
    this.#host = host;
  }

  get hasMedia(): boolean {
    return this.listed.length > 0 || this.growing !== null;
  }

  /** It and all before it are on disk. */
  isStored(ordinal: number): boolean {
    return ordinal < this.nextOrdinal && [...this.unsaved].every((unsaved) => unsaved > ordinal);
  }

  /** Parts came that cannot be published, since one before them is missing. */
  get isStuck(): boolean {
    return this.#ahead.size > 0;
  }

  /** Keep a part. Call `advance` to publish it.
   *  @param producedNs when its newest frame came, TAI; null when the sender did not say
   *  @throws PlatformError origin.busy when too much waits behind a missing part */
  take(planned: PlannedPart, part: HeldPart, producedNs: bigint | null): Taken {
    const known = this.#known(planned);
    if (known !== null) return known === "gone" || sameBytes(known.bytes, part.bytes) ? "known" : "differs";
    if (this.#aheadBytes + part.bytes!.byteLength > this.#host.aheadBytesMax)
      throw new PlatformError("origin.busy", `Too much of ${this.name} came ahead of a part that is missing.`);
    this.#ahead.set(`${planned.segment.ordinal}.${planned.number}`, { planned, part, producedNs });
    this.#aheadBytes += part.bytes!.byteLength;
    return "new";
  }

  #known(planned: PlannedPart): HeldPart | "gone" | null {
    const { ordinal } = planned.segment;
    if (ordinal < this.nextOrdinal) return this.held(ordinal)?.parts[planned.number] ?? "gone";
    if (this.growing?.segment.ordinal === ordinal && this.growing.parts[planned.number])
      return this.growing.parts[planned.number]!;
    return this.#ahead.get(`${ordinal}.${planned.number}`)?.part ?? null;
  }

  /** A whole segment that can still be fetched. */
  held(ordinal: number): HeldSegment | null {
    const first = this.listed[0];
    if (first && ordinal >= first.ordinal) return this.listed[ordinal - first.ordinal] ?? null;
    return this.retired.find(({ segment }) => segment.ordinal === ordinal)?.segment ?? null;
  }

  /** A whole segment by its name. The newest are asked for most. */
  find(era: number, startTicks: number): HeldSegment | null {
    const isIt = (segment: HeldSegment) => segment.startTicks === startTicks && segment.era === era;
    return this.listed.findLast(isIt) ?? this.retired.findLast(({ segment }) => isIt(segment))?.segment ?? null;
  }

  /** Publish what can be. @returns whether anything changed */
  advance(): boolean {
    let changed = false;
    while (!this.finished && this.#step()) changed = true;
    if (changed) this.#host.published(this);
    return changed;
  }

  /** The part that comes next by what the log has said so far; null when the log has not come that far, or ended. */
  nextPlanned(): PlannedPart | null {
    const segment = this.finished ? null : this.#timeline.segment(this.nextOrdinal);
    const rendition = segment && renditionOf(this.#timeline.eraOf(segment.era), this.name);
    if (!segment || !rendition) return null;
    const plannedOfSegment = plannedParts(this.#timeline, segment, rendition);
    const planned = plannedOfSegment[this.growing?.parts.length ?? 0];
    if (planned) return planned;
    const next = this.#timeline.segment(segment.ordinal + 1);
    const nextRendition = next && renditionOf(this.#timeline.eraOf(next.era), this.name);
    return nextRendition ? (plannedParts(this.#timeline, next, nextRendition)[0] ?? null) : null;
  }

  /** One part or one segment further. */
  #step(): boolean {
    const segment = this.#timeline.segment(this.nextOrdinal);
    if (segment === null) {
      this.finished = this.#timeline.end !== null;
      return this.finished;
    }
    const era = this.#timeline.eraOf(segment.era);
    const rendition = renditionOf(era, this.name);
    if (rendition === null) {
      this.finished = true;
      this.left = true;
      return true;
    }
    const plannedOfSegment = plannedParts(this.#timeline, segment, rendition);
    const parts = this.growing?.parts ?? [];
    if (parts.length === plannedOfSegment.length || (parts.length === 0 && this.#timeline.isGap(segment))) {
      this.#seal(segment, era, rendition, parts);
      return true;
    }
    const next = this.#ahead.get(`${segment.ordinal}.${parts.length}`);
    if (!next) return false;
    this.#forget(next.planned);
    this.#grow(segment, next.planned.startTicks, next.part);
    this.counters.parts += 1;
    this.counters.bytes += next.part.bytes!.byteLength;
    this.newestFrameNs = next.producedNs ?? timeOf(era.rate, next.planned.frameEnd - 1);
    return true;
  }

  #grow(segment: Segment, startTicks: number, part: HeldPart): void {
    this.growing ??= { segment, startTicks, parts: [] };
    this.growing.parts.push(part);
  }

  #forget(planned: PlannedPart): void {
    const key = `${planned.segment.ordinal}.${planned.number}`;
    this.#aheadBytes -= this.#ahead.get(key)?.part.bytes?.byteLength ?? 0;
    this.#ahead.delete(key);
  }

  #seal(segment: Segment, era: EraOpened, rendition: Rendition, parts: readonly HeldPart[]): void {
    const startTicks = ticksAt(era, rendition, segment.start);
    const head: SegmentHead = {
      ordinal: segment.ordinal,
      msn: segment.msn,
      era: segment.era,
      startTicks,
      durationTicks: ticksAt(era, rendition, segment.end) - startTicks,
      timescale: timescaleOf(rendition, era.rate),
      startNs: ticksToNs(startTicks, timescaleOf(rendition, era.rate)),
      boundaryNs: timeOf(era.rate, segment.end),
      discontinuity: segment.discontinuity,
      discontinuitiesBefore: this.#timeline.discontinuitiesBefore(segment),
      targetDurationSeconds: era.targetDurationSeconds,
      partTargetMs: era.partTargetMs,
      logPosition: this.#host.logPosition(),
      gap: parts.length === 0 || parts.some((part) => part.bytes === null),
    };
    this.#append(head, parts);
  }

  #append(head: SegmentHead, parts: readonly HeldPart[]): void {
    const { segment, record } = sealSegment(this.name, head, parts);
    this.growing = null;
    this.nextOrdinal = head.ordinal + 1;
    this.listed.push(segment);
    this.counters.segments += 1;
    if (segment.gap) this.counters.gaps += 1;
    this.#measure();
    this.unsaved.add(head.ordinal);
    this.#host.sealed(this, segment, record);
  }

  /** Source: draft-pantos-hls-rfc8216bis-22, 4.4.6.2: the peak of any contiguous run between 0.5 and 1.5 targets */
  #measure(): void {
    let [bytes, seconds] = [0, 0];
    for (let i = this.listed.length - 1; i >= 0; i -= 1) {
      const segment = this.listed[i]!;
      bytes += segment.bytes?.byteLength ?? 0;
      seconds += segment.durationTicks / segment.timescale;
      if (seconds > 1.5 * segment.targetDurationSeconds) return;
      if (seconds >= 0.5 * segment.targetDurationSeconds)
        this.peakBitrate = Math.max(this.peakBitrate, Math.ceil((bytes * 8) / seconds));
    }
  }

  /** The parts between the last published one and the first that waits are lost: publish behind them. */
  giveUpMissing(): void {
    const first = [...this.#ahead.values()].map(({ planned }) => planned).sort(byPlace)[0];
    if (!first) return;
    while (
      !this.finished &&
      (this.nextOrdinal < first.segment.ordinal || (this.growing?.parts.length ?? 0) < first.number)
    ) {
      const missing = this.nextPlanned();
      if (missing === null) break;
      this.#lose(missing);
    }
  }

  #lose({ segment, startTicks, durationTicks }: PlannedPart): void {
    this.#grow(segment, startTicks, { startTicks, durationTicks, independent: false, bytes: null });
    this.#step(); // seals the segment when that was its last part
  }

  /** Nothing will come any more: gaps up to the session's last number, so that all renditions end at the same one. */
  finish(lastMsn: number, msnBase: number): void {
    while (!this.finished && this.nextOrdinal + msnBase <= lastMsn) {
      const missing = this.nextPlanned();
      if (missing === null || this.#timeline.segment(this.nextOrdinal) === null) break;
      this.#lose(missing);
    }
    while (!this.left && this.listed.length > 0 && this.nextOrdinal + msnBase <= lastMsn) this.#appendGapAfterLast();
    if (this.growing && this.growing.segment.msn > lastMsn) this.growing = null;
    this.finished = true;
    this.#ahead.clear();
    this.#aheadBytes = 0;
    this.#host.published(this);
  }

  /** A number that a playlist may have shown, and nobody knows of what any more. */
  #appendGapAfterLast(): void {
    const last = this.listed.at(-1)!;
    this.growing = null;
    const startTicks = last.startTicks + last.durationTicks;
    const durationTicks = last.targetDurationSeconds * last.timescale;
    this.#append(
      {
        ...last,
        ordinal: last.ordinal + 1,
        msn: last.msn + 1,
        startTicks,
        durationTicks,
        startNs: ticksToNs(startTicks, last.timescale),
        boundaryNs: last.boundaryNs,
        discontinuity: false,
        discontinuitiesBefore: last.discontinuitiesBefore + (last.discontinuity ? 1 : 0),
        gap: true,
      },
      [],
    );
  }

  /** Take back what a journal held. Segments come in order. */
  restore(segment: HeldSegment): void {
    assert.ok(this.listed.length === 0 || segment.ordinal === this.nextOrdinal, "restored in order");
    this.listed.push(segment);
    this.nextOrdinal = segment.ordinal + 1;
    this.counters.segments += 1;
    if (segment.gap) this.counters.gaps += 1;
    this.counters.parts += segment.parts.length;
    this.counters.bytes += segment.bytes?.byteLength ?? 0;
    this.#measure();
  }

  /** An era has it again, or for the first time: go on with that era's first segment. What was listed before does not
   *  join up with it. */
  beginAt(ordinal: number, nowMs: number, keepMs: number): void {
    while (this.listed.length > 0) this.retireOldest(nowMs, keepMs);
    this.growing = null;
    this.nextOrdinal = ordinal;
    this.finished = false;
  }

  /** Off the list, oldest first. @param keepMs how long it stays fetchable */
  retireOldest(nowMs: number, keepMs: number): void {
    const segment = this.listed.shift();
    if (segment) this.retired.push({ segment, untilMs: nowMs + keepMs });
  }

  /** Let go of what nobody may ask for any more. @returns whether anything went */
  expire(nowMs: number): boolean {
    const before = this.retired.length;
    if (before === 0 || this.retired[0]!.untilMs > nowMs) return false;
    this.retired = this.retired.filter(({ untilMs }) => untilMs > nowMs);
    const eras = new Set([...this.retired.map(({ segment }) => segment.era), ...this.listed.map(({ era }) => era)]);
    const current = this.#timeline.era?.era ?? -1;
    for (const era of this.inits.keys()) if (!eras.has(era) && era < current) this.inits.delete(era);
    return this.retired.length < before;
  }

  /** Oldest segment still held; the next one when there is none. */
  get oldestOrdinal(): number {
    return this.retired[0]?.segment.ordinal ?? this.listed[0]?.ordinal ?? this.nextOrdinal;
  }
}

function sameBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null || a.equals(b);
}

function byPlace(a: PlannedPart, b: PlannedPart): number {
  return a.segment.ordinal - b.segment.ordinal || a.number - b.number;
}
