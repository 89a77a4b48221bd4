// The timeline's arithmetic against the plain way: a list of every frame and what is known of it.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { rate } from "#media/time/rate.ts";
import type { Decision, EraOpened } from "./entries.ts";
import { type Segment, Timeline } from "./timeline.ts";

const opened: Decision = {
  kind: "session",
  session: "s",
  channel: "c",
  tenant: "main",
  msnBase: 700,
  discontinuityBase: 3,
  openedNs: 0n,
  traceparent: "",
};

const eraOpened = (era: number, frame: number, previousEnd: number | null, segmentFrames: number): EraOpened => ({
  kind: "era",
  era,
  mode: "grid",
  rate: rate(30),
  frameRate: rate(30),
  frame,
  previousEnd,
  segmentFrames,
  partFrames: Math.max(1, Math.floor(segmentFrames / 3)),
  partTargetMs: 334,
  targetDurationSeconds: 2,
  sourceRate: rate(30),
  renditions: [],
});

type Step =
  | { do: "splice"; ahead: number; discontinuity: boolean }
  | { do: "hole"; frames: number }
  | { do: "advance"; frames: number }
  | { do: "era"; segmentFrames: number; shift: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("splice" as const), ahead: fc.nat(40), discontinuity: fc.boolean() }),
  fc.record({ do: fc.constant("hole" as const), frames: fc.nat(60) }),
  fc.record({ do: fc.constant("advance" as const), frames: fc.nat(60) }),
  fc.record({ do: fc.constant("era" as const), segmentFrames: fc.integer({ min: 1, max: 25 }), shift: fc.nat(100) }),
);

type Model = { era: EraOpened; end: number | null; cuts: Map<number, boolean>; holes: Set<number>; now: number }[];
const HORIZON = 120;

function boundariesOf({ era, end, cuts, now }: Model[number]): number[] {
  const last = end ?? now + HORIZON;
  const frames: number[] = [];
  for (let frame = era.frame; frame < last; frame += 1)
    if (frame === era.frame || frame % era.segmentFrames === 0 || cuts.has(frame)) frames.push(frame);
  return frames;
}

function segmentsOf(model: Model): Segment[] {
  const all: Segment[] = [];
  for (const stretch of model) {
    const starts = boundariesOf(stretch);
    starts.forEach((start, i) => {
      const end = starts[i + 1] ?? stretch.end;
      if (end === null) return; // past the horizon of an open era
      const discontinuity = start === stretch.era.frame || stretch.cuts.get(start) === true;
      all.push({ ordinal: all.length, msn: 700 + all.length, era: stretch.era.era, start, end, discontinuity });
    });
  }
  return all;
}

function play(first: number, segmentFrames: number, steps: readonly Step[], ends: boolean) {
  const timeline = new Timeline();
  const model: Model = [];
  timeline.apply(opened);
  const open = (era: EraOpened) => {
    timeline.apply(era);
    const last = model.at(-1);
    if (last) last.end = era.previousEnd;
    model.push({ era, end: null, cuts: new Map(), holes: new Set(), now: era.frame });
  };
  open(eraOpened(0, first, null, segmentFrames));
  for (const next of steps) {
    const stretch = model.at(-1)!;
    if (next.do === "advance") stretch.now += next.frames;
    else if (next.do === "splice") {
      const frame = stretch.now + next.ahead;
      timeline.apply({ kind: "splice", frame, discontinuity: next.discontinuity });
      stretch.cuts.set(frame, next.discontinuity || stretch.cuts.get(frame) === true);
    } else if (next.do === "hole") {
      timeline.apply({ kind: "hole", from: stretch.now, to: stretch.now + next.frames });
      for (let i = 0; i < next.frames; i += 1) stretch.holes.add(stretch.now + i);
      stretch.now += next.frames;
    } else {
      const previousEnd = boundariesOf(stretch).find((frame) => frame >= stretch.now)!;
      open(eraOpened(stretch.era.era + 1, previousEnd * 2 + next.shift, previousEnd, next.segmentFrames));
    }
  }
  if (ends) {
    const last = model.at(-1)!;
    last.end = last.now;
    timeline.apply({ kind: "end", frame: last.now, reason: "publisher" });
  }
  return { timeline, model };
}

const scenario = fc.tuple(
  fc.oneof(fc.nat(100), fc.integer({ min: 50_000_000_000, max: 50_000_000_100 })),
  fc.integer({ min: 1, max: 25 }),
  fc.array(step, { maxLength: 25 }),
  fc.boolean(),
);

test("segments tile, ordinals count up, and every way to a segment leads to the same", () => {
  fc.assert(
    fc.property(scenario, ([first, segmentFrames, steps, ends]) => {
      const { timeline, model } = play(first, segmentFrames, steps, ends);
      const expected = segmentsOf(model);
      assert.deepEqual(timeline.first(), expected[0] ?? null);
      expected.forEach((segment, i) => {
        assert.deepEqual(timeline.segment(segment.ordinal), segment);
        assert.deepEqual(timeline.segmentAt(segment.era, segment.start), segment);
        assert.deepEqual(timeline.segmentAt(segment.era, segment.end - 1), segment);
        const following = expected[i + 1];
        if (following) assert.deepEqual(timeline.next(segment), following);
        const parts = timeline.partStarts(segment);
        assert.equal(parts[0], segment.start);
        assert.ok(parts.every((part, k) => part < segment.end && (k === 0 || part > parts[k - 1]!)));
      });
      if (ends && expected.length > 0) assert.equal(timeline.next(expected.at(-1)!), null);
      assert.equal(timeline.segment(-1), null);
      for (const { era, end } of model) {
        assert.equal(timeline.segmentAt(era.era, era.frame - 1), null);
        if (end !== null) assert.equal(timeline.segmentAt(era.era, end), null);
      }
    }),
    { seed: 13, numRuns: 600 },
  );
});

test("gaps and discontinuities are those of the plain count", () => {
  fc.assert(
    fc.property(scenario, ([first, segmentFrames, steps, ends]) => {
      const { timeline, model } = play(first, segmentFrames, steps, ends);
      let discontinuities = 3;
      for (const segment of segmentsOf(model)) {
        const { holes } = model.find(({ era }) => era.era === segment.era)!;
        const frames = Array.from({ length: segment.end - segment.start }, (_, i) => segment.start + i);
        const empty = frames.filter((frame) => holes.has(frame)).length;
        const coverage = empty === 0 ? "none" : empty === frames.length ? "whole" : "some";
        assert.equal(timeline.holeCoverage(segment.era, segment.start, segment.end), coverage);
        assert.equal(timeline.isGap(segment), coverage === "whole");
        assert.equal(timeline.discontinuitiesBefore(segment), discontinuities);
        if (segment.discontinuity) discontinuities += 1;
      }
    }),
    { seed: 17, numRuns: 600 },
  );
});

test("before the anchor there is nothing", () => {
  const timeline = new Timeline();
  timeline.apply(opened);
  timeline.apply({ kind: "splice", frame: 5, discontinuity: true });
  timeline.apply({ kind: "hole", from: 0, to: 5 });
  assert.equal(timeline.era, null);
  assert.deepEqual([timeline.first(), timeline.segment(3), timeline.segmentAt(0, 5)], [null, null, null]);
  timeline.apply({ kind: "end", frame: 0, reason: "lost" });
  assert.equal(timeline.first(), null);
  assert.throws(() => timeline.holeCoverage(0, 0, 5));
});

test("the segment of an ordinal is found late in a session and behind many splices", () => {
  const timeline = new Timeline();
  timeline.apply(opened);
  timeline.apply(eraOpened(0, 53_803_143_026, null, 60));
  for (let i = 0; i < 1000; i += 1)
    timeline.apply({ kind: "splice", frame: 53_803_143_026 + 7 + i * 18_000, discontinuity: false });
  for (let ordinal = 299_000; ordinal < 301_000; ordinal += 1) {
    // walked one by one, these 2000 would be 6e8 steps
    const segment = timeline.segment(ordinal)!;
    assert.equal(segment.ordinal, ordinal);
    assert.deepEqual(timeline.segmentAt(0, segment.start), segment);
  }
});
