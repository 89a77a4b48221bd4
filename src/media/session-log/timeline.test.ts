import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Decision, EraOpened } from "./entries.ts";
import { type Segment, Timeline } from "./timeline.ts";

const N = 60;

function era(number: number, frame: number, previousEnd: number | null): EraOpened {
  const rate = { num: 30, den: 1 };
  const lengths = { segmentFrames: N, partFrames: 10, partTargetMs: 334, targetDurationSeconds: 2 };
  return {
    kind: "era",
    era: number,
    mode: "grid",
    rate,
    frame,
    previousEnd,
    ...lengths,
    sourceRate: rate,
    renditions: [],
  };
}

function timelineOf(...decisions: Decision[]): Timeline {
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

const step = fc.record({
  kind: fc.constantFrom("splice", "jump", "era"),
  after: fc.integer({ min: 1, max: 200 }),
});

test("discontinuities before a segment are the marks on the segments before it, however splices and eras fall", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      let frame = 1_000_017;
      let eras = 0;
      const decisions: Decision[] = [era(0, frame, null)];
      for (const { kind, after } of steps) {
        frame += after;
        if (kind !== "splice") decisions.push({ kind: "splice", frame, discontinuity: true });
        else decisions.push({ kind: "splice", frame, discontinuity: false });
        if (kind === "era") decisions.push(era((eras += 1), frame, frame));
      }
      decisions.push({ kind: "end", frame: frame + 70, reason: "publisher" });
      const timeline = timelineOf(...decisions);
      let marks = 5;
      for (const [ordinal, segment] of all(timeline).entries()) {
        assert.equal(segment.ordinal, ordinal);
        assert.equal(timeline.discontinuitiesBefore(segment), marks);
        if (segment.discontinuity) marks += 1;
      }
    }),
    { numRuns: 300, seed: 4 },
  );
});
