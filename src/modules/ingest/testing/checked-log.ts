// A sink that holds a session's log and checks, entry by entry, what every reader relies on. A test that drives the
// sequencer into it needs no assertions of its own for that.
import { strict as assert } from "node:assert";
import {
  type Boundary,
  type DriftStep,
  type Entry,
  type EraOpened,
  INTERLEAVE_MAX_NS,
  STRETCH_MAX,
  type Track,
  type Unit,
} from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { indexAt, indexOnGridAtOrAfter, timeOf } from "#media/time/rate.ts";
import { segmentStart } from "#media/time/segmentation.ts";
import type { EntrySink } from "../output-side.ts";
import { CheckedSource } from "./checked-source.ts";

export class CheckedLog implements EntrySink {
  readonly entries: Entry[] = [];
  readonly #eras: EraOpened[] = [];
  #tracks: readonly Track[] = [];
  /** First frame of the newest era that is neither given nor a hole. */
  #next = 0;
  #floor = 0;
  #splices = new Set<number>();
  #drifted = "";
  readonly #newest = new Map<number, bigint>();
  readonly #audioEndNs = new Map<number, bigint>();
  /** The newest era, when pictures are copied in it. */
  #source: CheckedSource | null = null;
  /** As readers hold it. */
  readonly timeline = new Timeline();
  ended = false;

  append(entry: Entry): number {
    assert.ok(!this.ended, `${entry.kind} after the end`);
    this.#check(entry);
    if (entry.kind !== "unit") this.timeline.apply(entry);
    this.entries.push(entry);
    return this.entries.length - 1;
  }

  get next(): number {
    return this.#source?.next ?? this.#next;
  }

  units(track?: number): Unit[] {
    return this.entries.filter(
      (entry): entry is Unit => entry.kind === "unit" && (track === undefined || entry.track === track),
    );
  }

  of<K extends Entry["kind"]>(kind: K): Extract<Entry, { kind: K }>[] {
    return this.entries.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind);
  }

  #check(entry: Entry): void {
    if (entry.kind === "tracks") this.#tracks = entry.tracks;
    else if (entry.kind === "era") this.#era(entry);
    else if (entry.kind === "hole") this.#hole(entry.from, entry.to);
    else if (entry.kind === "boundary") this.#boundary(entry);
    else if (entry.kind === "drift") this.#drift(entry);
    else if (entry.kind === "splice") {
      assert.ok(entry.frame >= this.#next, `splice at ${entry.frame}, which is given: ${this.#next} is free`);
      this.#next = entry.frame;
      this.#floor = entry.frame;
      this.#splices.add(entry.frame);
      assert.equal(this.#source, null, "no splice between copied pictures");
    } else if (entry.kind === "end") {
      assert.ok(entry.frame >= this.next, `end at ${entry.frame}, below ${this.next}`);
      this.ended = true;
    } else if (entry.kind === "unit") this.#unit(entry);
  }

  #era(era: EraOpened): void {
    const before = this.#eras.at(-1);
    assert.equal(era.era, this.#eras.length);
    assert.equal(era.previousEnd === null, before === undefined);
    assert.equal(era.mode, era.renditions.some(({ copied }) => copied) ? "source" : "grid");
    if (before && (before.mode === "source" || era.mode === "source")) this.#eraOfCopies(before, era);
    else if (before) {
      const end = era.previousEnd!;
      assert.ok(end >= this.#next, `era ends at ${end}, ${this.#next} is free`);
      assert.ok(end === segmentStart(end, before.segmentFrames) || this.#splices.has(end), "on a boundary");
      assert.equal(era.frame, indexOnGridAtOrAfter(before.rate, end, era.rate));
    }
    this.#eras.push(era);
    this.#source = era.mode === "source" ? new CheckedSource(era) : null;
    this.#splices.clear();
    this.#next = era.frame;
    this.#floor = era.frame;
  }

  #eraOfCopies(before: EraOpened, era: EraOpened): void {
    const end = era.previousEnd!;
    this.#source?.close(end);
    assert.ok(end >= this.next, `era ends at ${end}, ${this.next} is free`);
    const gapNs = timeOf(era.rate, era.frame) - timeOf(before.rate, end);
    assert.ok(gapNs >= -20_000n && gapNs <= timeOf(era.frameRate, 1), `${gapNs} ns between two eras`);
  }

  #boundary(boundary: Boundary): void {
    assert.ok(this.#source, "boundaries are of copied pictures");
    const { era, previousEnd } = this.#source.era;
    const isFirst = boundary.frame === this.#source.era.frame;
    const lastBefore = this.#eras.at(-2);
    const last = isFirst
      ? lastBefore && this.timeline.segmentAt(lastBefore.era, previousEnd! - 1)
      : this.timeline.segmentAt(era, boundary.frame - 1);
    this.#source.boundary(boundary, last ? last.ordinal + 1 : 0);
    const discontinuities = last ? this.timeline.discontinuitiesBefore(last) + (last.discontinuity ? 1 : 0) : 0;
    assert.equal(boundary.discontinuities, discontinuities);
  }

  /** At a boundary, and at most once: of copies the one that the newest picture began, else one to come. */
  #drift({ frame, step }: DriftStep): void {
    assert.ok(step === 1 || step === -1);
    const era = this.#eras.at(-1)!;
    const drifted = `${era.era}/${frame}`;
    assert.notEqual(drifted, this.#drifted, "one step at a boundary");
    this.#drifted = drifted;
    if (this.#source) assert.equal(frame, this.timeline.segmentAt(era.era, Number.MAX_SAFE_INTEGER - 1)!.start);
    else assert.ok(frame >= this.#next && frame % era.segmentFrames === 0, `a step at ${frame}, ${this.#next} is free`);
  }

  #hole(from: number, to: number): void {
    assert.ok(from < to, `hole ${from}..${to}`);
    if (this.#source) {
      this.#source.hole(from, to);
      return;
    }
    assert.ok(from >= this.#next, `hole from ${from}, ${this.#next} is free`);
    this.#next = to;
    this.#floor = to;
  }

  #unit(unit: Unit): void {
    const track = this.#tracks.find((candidate) => candidate.track === unit.track);
    assert.ok(track, "the track is known");
    const era = this.#eras.at(-1);
    assert.ok(era, "an era is open");
    assert.ok(unit.decodeNs <= unit.timeNs, "decoded no later than shown");
    for (const [other, newest] of this.#newest)
      if (other !== unit.track) assert.ok(newest - unit.timeNs <= INTERLEAVE_MAX_NS, "interleaved within a second");
    if (track.kind === "audio") this.#audio(unit, track.sampleRate, track.samplesPerUnit);
    else this.#video(unit, era);
    if (unit.timeNs > (this.#newest.get(unit.track) ?? 0n)) this.#newest.set(unit.track, unit.timeNs);
  }

  #audio(unit: Unit, sampleRate: number, samplesPerUnit: number): void {
    const samples = { num: sampleRate, den: 1 };
    assert.equal(unit.timeNs, timeOf(samples, unit.index));
    this.#source?.audio();
    const endNs = this.#audioEndNs.get(unit.track) ?? 0n;
    assert.ok(unit.index >= indexAt(samples, endNs), "audio positions rise");
    const least = samplesPerUnit - Math.floor(samplesPerUnit * STRETCH_MAX); // a drift step may push units together
    this.#audioEndNs.set(unit.track, timeOf(samples, unit.index + least));
  }

  #video(unit: Unit, era: EraOpened): void {
    if (this.#source) this.#source.video(unit, this.#tracks);
    else if (indexAt(era.rate, unit.timeNs) >= era.frame) {
      const nearest = indexAt(era.rate, unit.timeNs);
      // From a planned border to half a frame before the next era's first one: the last slot of this era takes it.
      const isAtBorder = (unit.index + 1) % era.segmentFrames === 0 && nearest > unit.index && nearest < unit.index + 7;
      assert.ok(unit.index === nearest || isAtBorder, `slot ${unit.index} instead of ${nearest}`);
      assert.ok(unit.index >= this.#floor, `slot ${unit.index} is past: ${this.#floor}`);
      this.#next = Math.max(this.#next, unit.index + 1);
    } else {
      const before = this.#eras.at(-2);
      assert.ok(before && unit.index < era.previousEnd!, "a picture of the era before");
    }
  }
}
