// `source` mode: the log says where segments begin, the media itself where parts do. A part begins where the one before it
// ended; the first of a segment says that it is one, and begins at the segment's boundary. Pictures hit that exactly. Sound
// that is copied keeps its own frames, so a segment of it begins at the frame nearest to the boundary, which the part
// before it leads to; only where nothing whole is before it does its own word count.
import { PlatformError } from "#base/errors.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import { type EraOpened, STRETCH_MAX } from "#media/session-log/entries.ts";
import { OPEN_END } from "#media/session-log/stretch.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import type { Ahead, Arrived } from "./ahead.ts";
import type { HeldPart } from "./held.ts";
import { type Claim, endOf, lostPart, type NextPart, type Placed, type Plan, type Progress } from "./plan.ts";
import { ticksAt } from "./planned-parts.ts";

export class SourcePlan implements Plan {
  readonly #timeline: Timeline;
  readonly #era: EraOpened;
  readonly #rendition: Rendition;
  /** A segment begins within so many ticks of its boundary. */
  readonly #slackTicks: number;
  /** Half a frame of sound before the boundary is still nearest to it. */
  readonly #nearestTicks: number;

  constructor(timeline: Timeline, era: EraOpened, rendition: Rendition) {
    this.#timeline = timeline;
    this.#era = era;
    this.#rendition = rendition;
    const isCopiedAudio = rendition.kind === "audio" && rendition.copied;
    this.#slackTicks = isCopiedAudio ? Math.ceil(rendition.samplesPerUnit * (1 + STRETCH_MAX)) : 0;
    this.#nearestTicks = isCopiedAudio ? rendition.samplesPerUnit / 2 : 0;
  }

  place({ startTicks, startsSegment }: Claim): Placed | "gone" | null {
    if (this.#frameAt(startTicks + this.#slackTicks) < this.#era.frame) throw this.#refusal(startTicks);
    const near = this.#segmentAt(startTicks + this.#slackTicks) ?? this.#segmentAt(startTicks);
    if (near === null) return this.#outside(startTicks);
    if (startsSegment) return this.#beginning(startTicks, near);
    const isBehind = startTicks >= this.#ticksAt(near.start) - this.#nearestTicks;
    const segment = isBehind ? near : (this.#segmentAt(startTicks) ?? near);
    if (segment.end === OPEN_END && startTicks > this.#ticksAt(segment.start) + this.#longestTicks()) return null;
    const segmentStartTicks = this.#slackTicks === 0 ? this.#ticksAt(segment.start) : null;
    return { segment, first: false, segmentStartTicks };
  }

  /** @param near the last segment that may begin there */
  #beginning(startTicks: number, near: Segment): Placed | null {
    if (Math.abs(this.#ticksAt(near.start) - startTicks) <= this.#slackTicks)
      return { segment: near, first: true, segmentStartTicks: startTicks };
    if (near.end === OPEN_END) return null; // its boundary is on the way
    throw this.#refusal(startTicks, ", beginning a segment");
  }

  /** Where no segment is known. */
  #outside(startTicks: number): "gone" | null {
    const end = this.#eraEnd();
    if (end !== null && this.#frameAt(startTicks) >= end) throw this.#refusal(startTicks);
    const newest = this.#timeline.segmentAt(this.#era.era, (end ?? OPEN_END) - 1);
    return newest === null ? null : "gone"; // boundaries of old were forgotten
  }

  #eraEnd(): number | null {
    const later = this.#timeline.eras().find(({ era }) => era === this.#era.era + 1);
    return later ? later.previousEnd : (this.#timeline.end?.frame ?? null);
  }

  /** What lies further into an open segment belongs to one that the log has not told of yet. */
  #longestTicks(): number {
    return (this.#era.targetDurationSeconds + 1) * this.#timescale();
  }

  /** The last part of a segment waits for the log to say that it is: with it the segment is whole, and what comes next is
   *  known (another era's media, or none, instead of the part that would follow). */
  pick(segment: Segment, progress: Progress, ahead: Ahead): Arrived | null {
    const arrived = this.#following(segment, progress, ahead);
    return arrived?.endsSegment && segment.end === OPEN_END ? null : arrived;
  }

  #following(segment: Segment, progress: Progress, ahead: Ahead): Arrived | null {
    const end = endOf(progress);
    if (end !== null) {
      const arrived = progress.ended ? null : ahead.at(segment.era, end);
      return arrived?.startsSegment ? null : arrived;
    }
    const boundary = this.#ticksAt(segment.start);
    const joined = progress.joinsAt === null ? null : ahead.at(segment.era, progress.joinsAt);
    if (joined?.startsSegment) return joined;
    return ahead.beginning(segment.era, boundary - this.#slackTicks, boundary + this.#slackTicks);
  }

  isWhole(segment: Segment, progress: Progress, ahead: Ahead): boolean {
    const end = endOf(progress);
    if (end === null || segment.end === OPEN_END) return false;
    return progress.ended || end >= this.#ticksAt(segment.end) || ahead.at(segment.era, end)?.startsSegment === true;
  }

  next(segment: Segment, progress: Progress): NextPart | null {
    const { era } = segment;
    const end = endOf(progress);
    if (end !== null && !progress.ended) {
      const number = progress.parts.length;
      return { era, segmentStartTicks: progress.startTicks!, number, frame: this.#frameAt(end) };
    }
    const starts = end ?? progress.joinsAt ?? (this.#slackTicks === 0 ? this.#ticksAt(segment.start) : null);
    return starts === null ? null : { era, segmentStartTicks: starts, number: 0, frame: this.#frameAt(starts) };
  }

  /** In pieces that are no longer than a part may be. A segment of which nothing came is lost as one. */
  missing(segment: Segment, progress: Progress, until: number | null): HeldPart[] {
    if (until === null && (progress.parts.length === 0 || progress.ended)) return [];
    const to = until ?? this.#ticksAt(segment.end);
    const cellTicks = Math.floor((this.#era.partFrames * this.#timescale() * this.#era.rate.den) / this.#era.rate.num);
    const parts: HeldPart[] = [];
    for (let at = this.#startOf(segment, progress); at < to; at += cellTicks)
      parts.push(lostPart(at, Math.min(cellTicks, to - at)));
    return parts;
  }

  #startOf(segment: Segment, progress: Progress): number {
    return endOf(progress) ?? progress.joinsAt ?? this.#ticksAt(segment.start);
  }

  extent(segment: Segment, progress: Progress) {
    const startTicks = progress.startTicks ?? progress.joinsAt ?? this.#ticksAt(segment.start);
    const end = endOf(progress) ?? this.#ticksAt(segment.end);
    return { startTicks, durationTicks: Math.max(1, end - startTicks) };
  }

  #segmentAt(ticks: number): Segment | null {
    return this.#timeline.segmentAt(this.#era.era, this.#frameAt(ticks));
  }

  #timescale(): number {
    return this.#rendition.kind === "video" ? this.#era.rate.num : this.#rendition.sampleRate;
  }

  /** A boundary in the track's ticks: exact for pictures, the first frame of the grid for encoded sound, the nearest
   *  sample for copied sound. */
  #ticksAt(frame: number): number {
    const { rate } = this.#era;
    if (this.#rendition.kind === "video" || !this.#rendition.copied) return ticksAt(this.#era, this.#rendition, frame);
    const numerator = BigInt(frame) * BigInt(this.#rendition.sampleRate) * BigInt(rate.den);
    return Number((numerator * 2n + BigInt(rate.num)) / BigInt(rate.num * 2));
  }

  /** The last frame at or before these ticks. */
  #frameAt(ticks: number): number {
    const { rate } = this.#era;
    if (this.#rendition.kind === "video") return Math.floor(ticks / rate.den);
    return Number((BigInt(ticks) * BigInt(rate.num)) / (BigInt(this.#rendition.sampleRate) * BigInt(rate.den)));
  }

  #refusal(startTicks: number, more = ""): PlatformError {
    const { name } = this.#rendition;
    return new PlatformError("api.bad_request", `${name} has no part at ${startTicks} in era ${this.#era.era}${more}.`);
  }
}
