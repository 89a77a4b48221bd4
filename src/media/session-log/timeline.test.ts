import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Decision, EraOpened } from "./entries.ts";
import { type Segment, Timeline } from "./timeline.ts";

const FIRST_FRAME = 1_000_017; // off the grid: a session begins in the middle of a segment

function era(number: number, segmentFrames: number, frame: number, previousEnd: number | null): EraOpened {
  const rate = { num: 30, den: 1 };
  const lengths = { segmentFrames, partFrames: 10, partTargetMs: 334, targetDurationSeconds: 2 };
  const head = { kind: "era", era: number, mode: "grid", rate, frameRate: rate, frame, previousEnd } as const;
  return { ...head, ...lengths, sourceRate: rate, renditions: [] };
}

function timelineOf(decisions: readonly Decision[]): Timeline {
  const timeline = new Timeline();
  const ids = { session: "s", channel: "c", tenant: "main", traceparent: "" };
  timeline.apply({ kind: "session", ...ids, msnBase: 100, discontinuityBase: 5, openedNs: 0n });
  for (const decision of decisions) timeline.apply(decision);
  return timeline;
}

/** Every segment until the log's end. */
function all(timeline: Timeline): Segment[] {
  const segments: Segment[] = [];
  for (let at = timeline.first(); at !== null; at = timeline.next(at)) segments.push(at);
  return segments;
}

/** The same log read as slowly and plainly as can be: one frame after another, each asked whether a segment begins. */
function plainModel(decisions: readonly Decision[], end: number): Segment[] {
  const segments: { -readonly [key in keyof Segment]: Segment[key] }[] = [];
  const eras = decisions.filter((decision) => decision.kind === "era");
  for (const [i, opened] of eras.entries()) {
    const until = eras[i + 1]?.previousEnd ?? end;
    for (let frame = opened.frame; frame < until; frame += 1) {
      const splices = decisions.filter((decision) => decision.kind === "splice" && decision.frame === frame);
      const opens = frame === opened.frame;
      if (!opens && frame % opened.segmentFrames !== 0 && splices.length === 0) {
        segments.at(-1)!.end = frame + 1;
        continue;
      }
      const ordinal = segments.length;
      const discontinuity = opens || splices.some((splice) => splice.kind === "splice" && splice.discontinuity);
      segments.push({ ordinal, msn: 100 + ordinal, era: opened.era, start: frame, end: frame + 1, discontinuity });
    }
  }
  return segments;
}

const step = fc.record({
  kind: fc.constantFrom("cut", "jump", "era"),
  after: fc.integer({ min: 1, max: 200 }),
});
const log = fc.record({ steps: fc.array(step, { maxLength: 8 }), segmentFrames: fc.constantFrom(30, 48, 60) });

/** Splices and eras in the order and shape that a log has them. */
function decisionsOf({ steps, segmentFrames }: { steps: { kind: string; after: number }[]; segmentFrames: number }) {
  let frame = FIRST_FRAME;
  let eras = 0;
  const decisions: Decision[] = [era(0, segmentFrames, frame, null)];
  for (const { kind, after } of steps) {
    frame += after;
    decisions.push({ kind: "splice", frame, discontinuity: kind !== "cut" });
    if (kind === "era") decisions.push(era((eras += 1), segmentFrames, frame, frame));
  }
  decisions.push({ kind: "end", frame: frame + 70, reason: "publisher" });
  return { decisions, end: frame + 70 };
}

test("segments are those of a plain model, forward, by ordinal and by frame", () => {
  fc.assert(
    fc.property(log, (shape) => {
      const { decisions, end } = decisionsOf(shape);
      const timeline = timelineOf(decisions);
      const expected = plainModel(decisions, end);
      assert.deepEqual(all(timeline), expected);
      for (const segment of expected) {
        assert.deepEqual(timeline.segment(segment.ordinal), segment);
        for (const frame of [segment.start, segment.end - 1])
          assert.deepEqual(timeline.segmentAt(segment.era, frame), segment);
      }
      assert.equal(timeline.segment(expected.length), null);
      assert.equal(timeline.segment(-1), null);
    }),
    { numRuns: 150, seed: 4 },
  );
});

test("discontinuities before a segment are the marks on the segments before it", () => {
  fc.assert(
    fc.property(log, (shape) => {
      const timeline = timelineOf(decisionsOf(shape).decisions);
      let marks = 5;
      for (const segment of all(timeline)) {
        assert.equal(timeline.discontinuitiesBefore(segment), marks);
        if (segment.discontinuity) marks += 1;
      }
    }),
    { numRuns: 300, seed: 4 },
  );
});

test("a segment is a gap when holes cover all of it, and only then", () => {
  const frame = 6000;
  const timeline = timelineOf([
    era(0, 60, frame, null),
    { kind: "hole", from: frame + 30, to: frame + 60 },
    { kind: "hole", from: frame + 60, to: frame + 119 },
  ]);
  const [first, second] = [timeline.segment(0)!, timeline.segment(1)!];
  assert.deepEqual([timeline.isGap(first), timeline.isGap(second)], [false, false]);
  assert.equal(timeline.holeCoverage(0, first.start, first.end), "some");
  assert.equal(timeline.holeCoverage(0, first.start, first.start + 30), "none");
  timeline.apply({ kind: "hole", from: frame + 119, to: frame + 120 });
  assert.deepEqual([timeline.isGap(first), timeline.isGap(second)], [false, true]);
});
