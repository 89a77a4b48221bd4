import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Boundary, Decision, EraOpened } from "./entries.ts";
import { OPEN_END } from "./stretch.ts";
import { type Segment, Timeline } from "./timeline.ts";

const RATE = { num: 90_000, den: 1 };

function era(mode: EraOpened["mode"], number: number, frame: number, previousEnd: number | null): EraOpened {
  const lengths = { segmentFrames: 180_000, partFrames: 30_000, partTargetMs: 334, targetDurationSeconds: 4 };
  const head = {
    kind: "era",
    era: number,
    mode,
    rate: RATE,
    frameRate: { num: 30, den: 1 },
    frame,
    previousEnd,
  } as const;
  return { ...head, ...lengths, sourceRate: RATE, renditions: [] };
}

const at = (frame: number, ordinal: number, discontinuities: number, discontinuity = false): Boundary => ({
  kind: "boundary",
  frame,
  ordinal,
  discontinuity,
  discontinuities,
});

function timelineOf(...decisions: Decision[]): Timeline {
  const timeline = new Timeline();
  const ids = { session: "s", channel: "c", tenant: "main", traceparent: "" };
  timeline.apply({ kind: "session", ...ids, msnBase: 7, discontinuityBase: 2, openedNs: 0n });
  for (const decision of decisions) timeline.apply(decision);
  return timeline;
}

const span = (segment: Segment | null) => segment && [segment.ordinal, segment.start, segment.end];

test("segments begin where the log says so; the newest is open until the next boundary, an era or the end", () => {
  const log: Decision[] = [era("source", 0, 1000, null), at(1000, 0, 0, true), at(181_003, 1, 1)];
  const timeline = timelineOf(...log);
  assert.deepEqual(span(timeline.segment(0)), [0, 1000, 181_003]);
  assert.deepEqual(span(timeline.segment(1)), [1, 181_003, OPEN_END]);
  assert.equal(timeline.segment(2), null);
  assert.equal(timeline.segmentAt(0, 999), null);
  assert.equal(timeline.segmentAt(0, 181_002)!.ordinal, 0);
  timeline.apply(era("grid", 1, 500, 370_000));
  assert.deepEqual(span(timeline.segment(1)), [1, 181_003, 370_000]);
  assert.deepEqual(span(timeline.segment(2)), [2, 500, 180_000]); // the grid's own lengths again
  assert.deepEqual([timeline.segment(2)!.msn, timeline.segment(2)!.discontinuity], [9, true]);
  assert.equal(timeline.discontinuitiesBefore(timeline.segment(2)!), 2 + 1);
  timeline.apply({ kind: "end", frame: 600, reason: "publisher" });
  assert.deepEqual(span(timeline.segment(2)), [2, 500, 600]);
  assert.equal(timeline.segment(3), null);
});

test("a hole between two boundaries is a gap", () => {
  const timeline = timelineOf(era("source", 0, 0, null), at(0, 0, 0, true), at(90_000, 1, 1));
  timeline.apply({ kind: "hole", from: 90_000, to: 270_000 });
  assert.equal(timeline.isGap(timeline.segment(1)!), false); // it may still go on with media
  timeline.apply(at(270_000, 2, 1));
  assert.equal(timeline.isGap(timeline.segment(1)!), true);
  assert.equal(timeline.isGap(timeline.segment(0)!), false);
});

test("who reads only the newest boundaries counts like who read all, and what was forgotten is no segment", () => {
  const boundaries = Array.from({ length: 50 }, (_, i) => at(i * 180_000, i, i === 0 ? 0 : 1, i === 0));
  const all = timelineOf(era("source", 0, 0, null), ...boundaries);
  const late = timelineOf(era("source", 0, 0, null), ...boundaries.slice(40));
  for (let ordinal = 40; ordinal < 50; ordinal += 1) {
    assert.deepEqual(late.segment(ordinal), all.segment(ordinal));
    assert.equal(late.discontinuitiesBefore(late.segment(ordinal)!), all.discontinuitiesBefore(all.segment(ordinal)!));
  }
  assert.equal(late.segment(39), null);
  all.forgetBefore(45);
  assert.equal(all.segment(44), null);
  assert.deepEqual(span(all.segment(45)), [45, 45 * 180_000, 46 * 180_000]);
  all.forgetBefore(1000);
  assert.equal(all.segment(49)!.ordinal, 49); // the newest stays: the next one is counted from it
});
