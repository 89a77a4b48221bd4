// What every reader relies on in an era of copied pictures, checked entry by entry.
import { strict as assert } from "node:assert";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { Boundary, EraOpened, Track, Unit } from "#media/session-log/entries.ts";
import { largestFirst } from "#media/session-log/tracks.ts";
import { timeOf } from "#media/time/rate.ts";

export class CheckedSource {
  readonly era: EraOpened;
  /** First tick that is neither given nor a hole. */
  next: number;
  #boundary: Boundary | null = null;
  /** A hole, and nothing but the boundary at its end, may follow the newest boundary. */
  #hole: "none" | "open" | "ended" = "none";
  /** The newest boundary has its picture. */
  #isBegun = false;
  readonly #taken = new Map<number, Set<number>>();
  readonly #decoded = new Map<number, bigint>();
  /** Boundary under which a smaller picture track last had a picture. */
  readonly #fresh = new Set<number>();
  readonly #hasVideo: boolean;

  constructor(era: EraOpened) {
    this.era = era;
    this.next = era.frame;
    this.#hasVideo = era.renditions.some(({ kind }) => kind === "video");
  }

  boundary(boundary: Boundary, ordinal: number): void {
    const before = this.#boundary;
    if (before === null) assert.deepEqual([boundary.frame, boundary.discontinuity], [this.era.frame, true]);
    else {
      assert.ok(boundary.frame > before.frame, "boundaries rise");
      this.#assertLength(boundary.frame);
      assert.ok(this.#isBegun || this.#hole !== "none", "a segment without a picture");
    }
    assert.equal(boundary.ordinal, ordinal);
    assert.ok(boundary.frame >= this.next, `boundary at ${boundary.frame}, ${this.next} is free`);
    if (this.#hole === "open") assert.equal(boundary.frame, this.next, "a hole ends with a boundary");
    this.#hole = this.#hole === "open" ? "ended" : "none";
    this.#boundary = boundary;
    this.#isBegun = false;
    this.next = boundary.frame;
  }

  hole(from: number, to: number): void {
    assert.equal(from, this.#boundary?.frame, "a hole begins with a boundary");
    assert.ok(!this.#isBegun, "a segment is a hole or none");
    this.#hole = "open";
    this.next = to;
    this.#fresh.clear();
  }

  video(unit: Unit, tracks: readonly Track[]): void {
    const [leader] = largestFirst(tracks);
    const { rate, frame } = this.era;
    assert.equal(unit.timeNs, timeOf(rate, unit.index), "the instant of its tick");
    assert.notEqual(this.#hole, "open", "a boundary ends the hole first");
    assert.ok(unit.index >= frame);
    const taken = this.#taken.get(unit.track) ?? new Set();
    this.#taken.set(unit.track, taken.add(unit.index));
    const count = [...this.#taken.values()].reduce((sum, { size }) => sum + size, 0);
    assert.equal(count, ++this.#pictures, "no two pictures of a track on one tick");
    const before = this.#decoded.get(unit.track) ?? -1n;
    assert.ok(unit.decodeNs > before || unit.decodeNs === unit.timeNs, "decode times rise");
    this.#decoded.set(unit.track, unit.decodeNs > before ? unit.decodeNs : before);
    const isRefresh = unit.randomAccess && isInstantRefresh(leader!.codec, unit.payload);
    if (unit.track === leader?.track) this.#leader(unit, isRefresh);
    else if (!this.#fresh.has(unit.track)) {
      assert.ok(isRefresh, "a smaller picture begins with a refresh");
      this.#fresh.add(unit.track);
    }
    if (unit.track === leader?.track) this.next = Math.max(this.next, unit.index + 1);
  }

  #pictures = 0;

  #leader(unit: Unit, isRefresh: boolean): void {
    if (this.#isBegun) return;
    assert.ok(isRefresh, "a segment begins with a refresh");
    assert.equal(unit.index, this.#boundary!.frame, "and at it");
    this.#isBegun = true;
    this.#hole = "none";
  }

  /** Of a session without pictures. */
  audio(): void {
    if (this.#hasVideo) return;
    assert.notEqual(this.#hole, "open");
    this.#isBegun = true;
    this.#hole = "none";
  }

  /** @param end first tick that is no longer the era's */
  close(end: number): void {
    assert.ok(end >= this.next, `it ends at ${end}, ${this.next} is free`);
    assert.notEqual(this.#hole, "open", "a hole ends with a boundary");
    assert.ok(end > this.era.frame, "an era that is left had a segment");
    this.#assertLength(end);
  }

  /** Of the segment that ends there, unless it is a hole. */
  #assertLength(end: number): void {
    assert.ok(this.#boundary);
    const seconds = (end - this.#boundary.frame) / this.era.rate.num;
    if (this.#hasVideo && this.#hole === "none")
      assert.ok(Math.round(seconds) <= this.era.targetDurationSeconds, `a segment of ${seconds} s`);
  }
}
