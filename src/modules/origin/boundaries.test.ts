// A week of copied media at 2 s a segment: what is remembered of its boundaries does not grow.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { EraOpened } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { Boundaries } from "./boundaries.ts";
import { planFor } from "./plan-for.ts";
import { COPIED_VIDEO, START_TICK, TICKS } from "./testing/source-media.ts";
import { Track } from "./track.ts";

const SEGMENT = 2 * TICKS;
const WEEK_SEGMENTS = (7 * 86_400) / 2;
const WINDOW = 30;

const ERA: EraOpened = {
  kind: "era",
  era: 0,
  mode: "source",
  rate: { num: TICKS, den: 1 },
  frameRate: { num: 30, den: 1 },
  frame: START_TICK,
  previousEnd: null,
  segmentFrames: SEGMENT,
  partFrames: SEGMENT,
  partTargetMs: 2000,
  targetDurationSeconds: 2,
  sourceRate: { num: 30, den: 1 },
  renditions: [COPIED_VIDEO, { ...COPIED_VIDEO, name: "vdead" }],
};

function heapBytes(collect: () => void): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test("a week of boundaries in constant memory, with a rendition that never comes beside one that does", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const timeline = new Timeline();
  const boundaries = new Boundaries(timeline);
  const host = {
    timeline,
    logPosition: () => 0,
    oldestKnown: () => boundaries.oldest,
    aheadBytesMax: 1e6,
    published: () => {},
    sealed: (track: Track, { ordinal }: { ordinal: number }) => void track.unsaved.delete(ordinal),
  };
  const [live, dead] = ["vsource", "vdead"].map((name) => new Track(name, "video", host, 0, 0)) as [Track, Track];
  timeline.apply(ERA);
  const bytes = Buffer.alloc(64);
  let dayHeap = 0;
  for (let ordinal = 0; ordinal < WEEK_SEGMENTS; ordinal += 1) {
    const frame = START_TICK + ordinal * SEGMENT;
    const entry = { kind: "boundary", frame, ordinal, discontinuity: false, discontinuities: 1 } as const;
    timeline.apply(entry);
    boundaries.count(entry);
    for (const track of [live, dead]) track.advance();
    boundaries.forget([live.nextOrdinal, dead.nextOrdinal]);
    const claim = { startTicks: frame, durationTicks: SEGMENT, startsSegment: true };
    const placed = planFor(timeline, ERA, live.name)!.place(claim);
    assert.ok(placed !== null && placed !== "gone" && placed.segment.ordinal === ordinal);
    const part = { startTicks: frame, durationTicks: SEGMENT, independent: true, bytes };
    live.take({ era: 0, part, startsSegment: true, endsSegment: true, producedNs: null }, placed.segment);
    live.advance();
    while (live.listed.length > WINDOW) live.retireOldest(ordinal, 1);
    live.expire(ordinal);
    if (ordinal === WEEK_SEGMENTS / 7) dayHeap = heapBytes(collect);
  }
  assert.equal(live.nextOrdinal, WEEK_SEGMENTS - 1); // the last one's end is not in the log
  assert.equal(live.counters.gaps, 0);
  assert.equal(timeline.segment(WEEK_SEGMENTS - 5000), null);
  assert.ok(timeline.segment(WEEK_SEGMENTS - 4000) !== null, "the dead one may still come, for a while");
  const grown = heapBytes(collect) - dayHeap;
  assert.ok(grown < 1_000_000, `${grown} bytes more than after a day`);
});
