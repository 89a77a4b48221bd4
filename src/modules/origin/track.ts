// One rendition of one session: takes parts in any order, publishes them in the timeline's order, seals segments.
// The cursor (next segment, next part) only moves forward: what was published stays, what is lost becomes a gap.
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import type { CmafInit } from "#media/cmaf/read-init.ts";
import { timescaleOf } from "#media/ladder/rendition.ts";
import { OPEN_END } from "#media/session-log/stretch.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import { spanNs, ticksToNs, timeOf } from "#media/time/rate.ts";
import { Ahead, type Arrived } from "./ahead.ts";
import { peakAtEnd } from "./bitrate.ts";
import type { HeldPart, HeldSegment, SegmentHead } from "./held.ts";
import { gapAfter, sealSegment } from "./held.ts";
import { endOf, type NextPart, type Plan, type Progress } from "./plan.ts";
import { planFor } from "./plan-for.ts";
import { renditionOf } from "./planned-parts.ts";

export type HeldInit = Readonly<{ bytes: Buffer; init: CmafInit }>;

/** The segment whose parts come now. */
export type Growing = {
  readonly segment: Segment;
  readonly startTicks: number;
  readonly parts: HeldPart[];
  /** Its sender has said that no part follows. */
  ended: boolean;
};

/** What a track needs of its session. */
export type TrackHost = Readonly<{
  timeline: Timeline;
  /** Position of the newest decision in it. */
  logPosition: () => number;
  /** Segments below are not in the timeline: their place in time was forgotten. */
  oldestKnown: () => number;
  aheadBytesMax: number;
  /** A part or a segment can be listed that could not before. */
  published: (track: Track) => void;
  /** To be journalled. @param record shares the segment's memory */
  sealed: (track: Track, segment: HeldSegment, record: Buffer) => void;
}>;

/** Segments that are listed as gaps when the log has forgotten them; of more the list begins anew behind them. */
const SKIPPED_MAX = 100;
const SKIPPED_KEEP_MS = 60_000;

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
  readonly #ahead: Ahead;

  /** @param nextOrdinal first segment it can have */
  constructor(name: string, kind: Track["kind"], host: TrackHost, nextOrdinal: number, nowMs: number) {
    this.name = name;
    this.kind = kind;
    this.nextOrdinal = nextOrdinal;
    this.publishedMs = nowMs;
    this.#timeline = host.timeline;
    this.#host = host;
    this.#ahead = new Ahead(host.aheadBytesMax);
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
   *  @param segment the one it belongs to; gone when that is older than anybody remembers
   *  @throws PlatformError origin.busy when too much waits behind a missing part */
  take(arrived: Arrived, segment: Segment | "gone"): Taken {
    const known = segment === "gone" ? "gone" : this.#known(arrived, segment.ordinal);
    if (known === null) {
      this.#ahead.add(arrived, this.name);
      return "new";
    }
    if (known === "none") return "differs";
    if (known !== "gone" && !sameBytes(known.bytes, arrived.part.bytes)) return "differs";
    // Whoever sends it again may know by now what was not known then: that it was the last.
    if (arrived.endsSegment && known === this.growing?.parts.at(-1) && !this.growing.ended) {
      this.growing.ended = true;
      this.#host.published(this); // another part is hinted now
    }
    return "known";
  }

  /** The part that is there at an arrival's place. none: what is there is cut elsewhere. */
  #known({ era, part: { startTicks } }: Arrived, ordinal: number): HeldPart | "gone" | "none" | null {
    const isIt = (part: HeldPart) => part.startTicks === startTicks;
    if (ordinal < this.nextOrdinal) {
      const held = this.held(ordinal);
      return held?.parts.find(isIt) ?? (held === null || held.gap ? "gone" : "none");
    }
    if (this.growing?.segment.ordinal === ordinal) {
      const last = this.growing.parts.at(-1)!;
      if (startTicks < last.startTicks + last.durationTicks) return this.growing.parts.find(isIt) ?? "none";
    }
    const before = this.listed.at(-1); // sound near a boundary may have gone to either side of it
    const isBefore = before?.era === era && !before.gap && startTicks < before.startTicks + before.durationTicks;
    if (isBefore) return before.parts.find(isIt) ?? "none";
    return this.#ahead.at(era, startTicks)?.part ?? null;
  }

  /** Where a segment of it starts; null when nothing of it is here. */
  startOf(ordinal: number): number | null {
    if (this.growing?.segment.ordinal === ordinal) return this.growing.startTicks;
    return this.held(ordinal)?.startTicks ?? null;
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

  /** The segment that is sealed next; null when the log has not come that far, ended, or goes on without it. */
  nextSegment(): Segment | null {
    return this.#now()?.segment ?? null;
  }

  /** The part that comes next; null when nobody can tell yet, or none comes. */
  nextPart(): NextPart | null {
    const now = this.#now();
    return now ? now.plan.next(now.segment, this.#progress(now.segment)) : null;
  }

  #now(): { segment: Segment; plan: Plan } | null {
    const segment = this.finished ? null : this.#timeline.segment(this.nextOrdinal);
    const plan = segment && planFor(this.#timeline, this.#timeline.eraOf(segment.era), this.name);
    return segment && plan && { segment, plan };
  }

  #progress({ ordinal, era }: Segment): Progress {
    const { parts = [], startTicks = null, ended = false } = this.growing ?? {};
    const before = this.listed.at(-1);
    const joins = before?.ordinal === ordinal - 1 && before.era === era && !before.gap;
    return { parts, startTicks, ended, joinsAt: joins ? before.startTicks + before.durationTicks : null };
  }

  /** One part or one segment further. */
  #step(): boolean {
    const now = this.#now();
    if (now === null) return this.#leave() || this.#skipForgotten();
    const { segment, plan } = now;
    const progress = this.#progress(segment);
    const isGap = progress.parts.length === 0 && this.#timeline.isGap(segment);
    if (isGap || plan.isWhole(segment, progress, this.#ahead)) {
      this.#seal(segment, plan);
      return true;
    }
    const next = plan.pick(segment, progress, this.#ahead);
    if (next === null) return false;
    this.#ahead.remove(next);
    this.#grow(segment, next.part);
    this.growing!.ended = next.endsSegment;
    this.counters.parts += 1;
    this.counters.bytes += next.part.bytes!.byteLength;
    this.newestFrameNs = next.producedNs ?? this.#lastFrameNs(segment, next.part);
    return true;
  }

  /** The log ended, or goes on without this rendition. @returns whether that is news */
  #leave(): boolean {
    const segment = this.#timeline.segment(this.nextOrdinal);
    if (this.finished || (segment === null && this.#timeline.end === null)) return false;
    if (segment === null && this.nextOrdinal < this.#host.oldestKnown()) return false;
    this.finished = true;
    this.left = segment !== null;
    return true;
  }

  /** The log does not remember any more where the next segments were: they are lost. */
  #skipForgotten(): boolean {
    const oldest = this.#host.oldestKnown();
    const to = this.#timeline.segment(oldest);
    if (this.finished || this.nextOrdinal >= oldest || to === null) return false;
    const last = this.listed.at(-1);
    const count = oldest - this.nextOrdinal;
    this.growing = null;
    if (!last || count > SKIPPED_MAX) this.beginAt(oldest, this.publishedMs, SKIPPED_KEEP_MS);
    else this.#appendGap(last, timeOf(this.#timeline.eraOf(to.era).rate, to.start), count);
    return true;
  }

  #lastFrameNs({ era }: Segment, part: HeldPart): bigint {
    const { rate, frameRate, renditions } = this.#timeline.eraOf(era);
    const timescale = timescaleOf(renditions.find(({ name }) => name === this.name)!, rate);
    return ticksToNs(part.startTicks + part.durationTicks, timescale) - spanNs(frameRate, 1);
  }

  #grow(segment: Segment, part: HeldPart): void {
    this.growing ??= { segment, startTicks: part.startTicks, parts: [], ended: false };
    this.growing.parts.push(part);
  }

  #seal(segment: Segment, plan: Plan): void {
    const progress = this.#progress(segment);
    const era = this.#timeline.eraOf(segment.era);
    const timescale = timescaleOf(renditionOf(era, this.name)!, era.rate);
    const { startTicks, durationTicks } = plan.extent(segment, progress);
    const { parts } = progress;
    const head: SegmentHead = {
      ordinal: segment.ordinal,
      msn: segment.msn,
      era: segment.era,
      startTicks,
      durationTicks,
      timescale,
      startNs: ticksToNs(startTicks, timescale),
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

  #append(head: SegmentHead, parts: readonly HeldPart[]): HeldSegment {
    const { segment, record } = sealSegment(this.name, head, parts);
    this.growing = null;
    this.nextOrdinal = head.ordinal + 1;
    this.listed.push(segment);
    this.counters.segments += 1;
    if (segment.gap) this.counters.gaps += 1;
    this.peakBitrate = Math.max(this.peakBitrate, peakAtEnd(this.listed));
    this.unsaved.add(head.ordinal);
    this.#host.sealed(this, segment, record);
    return segment;
  }

  /** The parts between the last published one and the first that waits are lost: publish behind them. */
  giveUpMissing(): void {
    for (let now = this.#now(); now !== null; now = this.#now()) {
      const { segment, plan } = now;
      const progress = this.#progress(segment);
      const first = this.#ahead.first();
      if (first === null || plan.pick(segment, progress, this.#ahead)) return;
      const ordinal = this.#ordinalOf(first);
      const isHere = ordinal === segment.ordinal;
      if (ordinal === null || ordinal < segment.ordinal || (isHere && first.part.startTicks < (endOf(progress) ?? 0))) {
        this.#ahead.remove(first); // cut elsewhere than what is there: no part will ever lead to it
        continue;
      }
      const missing = plan.missing(segment, progress, isHere ? first.part.startTicks : null);
      for (const part of missing) this.#grow(segment, part);
      if (isHere && missing.length === 0 && first.endsSegment && segment.end === OPEN_END) return; // but the log's word
      if (isHere && missing.length === 0) this.#ahead.remove(first);
      else if (!isHere) this.#seal(segment, plan);
    }
  }

  #ordinalOf({ era, part, startsSegment }: Arrived): number | null {
    const known = this.#timeline.eras().find((one) => one.era === era);
    const plan = known && planFor(this.#timeline, known, this.name);
    try {
      const placed = plan?.place({ ...part, startsSegment }) ?? "gone";
      return placed === "gone" ? null : placed.segment.ordinal;
    } catch (error) {
      if (error instanceof PlatformError) return null; // the log said since that there is no such place
      throw error;
    }
  }

  /** Nothing more of its open segment will come. @returns false while the log does not say where that ends */
  giveUpSegment(): boolean {
    const now = this.#now();
    if (now === null || now.segment.end === OPEN_END) return false;
    const { segment, plan } = now;
    for (const part of plan.missing(segment, this.#progress(segment), null)) this.#grow(segment, part);
    this.#seal(segment, plan);
    return true;
  }

  /** Nothing will come any more: gaps up to the session's last number, so that all renditions end at the same one. */
  finish(lastMsn: number, msnBase: number): void {
    while (!this.finished && this.nextOrdinal + msnBase <= lastMsn && this.giveUpSegment());
    const last = this.listed.at(-1);
    if (!this.left && last && this.nextOrdinal + msnBase <= lastMsn)
      this.#appendGap(last, null, lastMsn + 1 - msnBase - this.nextOrdinal);
    if (this.growing && this.growing.segment.msn > lastMsn) this.growing = null;
    this.finished = true;
    this.#ahead.clear();
    this.#host.published(this);
  }

  /** Numbers that a playlist may have shown, or others have, and nobody knows of what any more.
   *  @param untilNs where they end together; null: nothing follows */
  #appendGap(last: HeldSegment, untilNs: bigint | null, count: number): void {
    this.growing = null;
    for (let left = count, at = last; left > 0; left -= 1) at = this.#append(gapAfter(at, untilNs, left), []);
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
    this.peakBitrate = Math.max(this.peakBitrate, peakAtEnd(this.listed));
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
