import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Boundary, Decision, Entry, Unit } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { timeOf } from "#media/time/rate.ts";
import { SessionLog } from "./session-log.ts";
import { START_NS, TestSource } from "./testing/source.ts";

const SECOND_NS = 1_000_000_000n;
const TICKS = { num: 90_000, den: 1 };
const SEGMENT = 180_000;
const FIRST = Number(START_NS / SECOND_NS) * TICKS.num;

const boundary = (ordinal: number): Boundary => ({
  kind: "boundary",
  frame: FIRST + ordinal * SEGMENT,
  ordinal,
  discontinuity: ordinal === 0,
  discontinuities: ordinal === 0 ? 0 : 1,
});

const picture = (tick: number): Unit => ({
  kind: "unit",
  track: 0,
  index: tick,
  timeNs: timeOf(TICKS, tick),
  decodeNs: timeOf(TICKS, tick),
  randomAccess: true,
  damaged: false,
  arrivedNs: timeOf(TICKS, tick),
  payload: new Uint8Array(10),
});

/** A log of copied pictures, one a second, everything stored as soon as it is there. */
function dayOf(segments: number): { log: SessionLog; appended: Entry[] } {
  const log = new SessionLog({ session: "s", bytesMax: 1_000_000, keepNs: 12n * SECOND_NS });
  const appended: Entry[] = [];
  const append = (...entries: Entry[]) => {
    for (const entry of entries) {
      log.append(entry);
      appended.push(entry);
    }
  };
  const source = new TestSource({ audio: false });
  const opening = source.opening().map((entry): Decision => {
    if (entry.kind !== "era") return entry;
    const lengths = { segmentFrames: SEGMENT, partFrames: SEGMENT / 6 };
    return { ...entry, mode: "source", rate: TICKS, frame: FIRST, ...lengths };
  });
  append(...opening);
  for (let ordinal = 0; ordinal < segments; ordinal += 1) {
    const at = boundary(ordinal);
    append(at, picture(at.frame), picture(at.frame + SEGMENT / 2));
    log.storedThrough(timeOf(TICKS, at.frame));
  }
  return { log, appended };
}

test("a day of boundaries takes the memory of those in the ring", () => {
  const { log } = dayOf(43_200);
  const kept = log.decisions().filter(({ entry }) => entry.kind === "boundary");
  assert.ok(kept.length <= 10, `${kept.length} boundaries`);
  assert.ok(kept[0]!.position < log.first, "the newest before the ring is among them");
  assert.ok(kept[1]!.position >= log.first);
  const timeline = new Timeline();
  const reader = log.openReader("first");
  for (let at = reader.poll(); at; at = reader.poll()) if (at.entry.kind !== "unit") timeline.apply(at.entry);
  const newest = timeline.segmentAt(0, boundary(43_199).frame + 5);
  assert.deepEqual([newest?.ordinal, timeline.discontinuitiesBefore(newest!)], [43_199, 1]);
});

test("a reader of decisions that is late misses boundaries and nothing else; one in time sees all", () => {
  const early = dayOf(20);
  const follower = early.log.openReader({ position: 0 }, { decisionsOnly: true });
  const ordinals: number[] = [];
  const drain = () => {
    for (let at = follower.poll(); at; at = follower.poll())
      if (at.entry.kind === "boundary") ordinals.push(at.entry.ordinal);
  };
  drain();
  for (let ordinal = 20; ordinal < 60; ordinal += 1) {
    early.log.append(boundary(ordinal));
    early.log.append(picture(boundary(ordinal).frame));
    early.log.storedThrough(timeOf(TICKS, boundary(ordinal).frame));
    drain();
  }
  assert.deepEqual(
    ordinals.slice(-40),
    Array.from({ length: 40 }, (_, i) => 20 + i),
  );
  const late = early.log.openReader({ position: 0 }, { decisionsOnly: true });
  const kinds: string[] = [];
  for (let at = late.poll(); at; at = late.poll()) kinds.push(at.entry.kind);
  assert.deepEqual(kinds.slice(0, 4), ["session", "tracks", "anchor", "era"]);
  assert.ok(kinds.slice(4).every((kind) => kind === "boundary") && kinds.length < 15);
});

test("of an era that is over the last boundary stays", () => {
  const { log } = dayOf(30);
  const era = log.decisions().find(({ entry }) => entry.kind === "era")!.entry;
  assert.ok(era.kind === "era");
  const frame = boundary(30).frame;
  log.append({ ...era, era: 1, frame, previousEnd: frame });
  for (let ordinal = 30; ordinal < 60; ordinal += 1) {
    log.append(boundary(ordinal));
    log.append(picture(boundary(ordinal).frame));
    log.storedThrough(timeOf(TICKS, boundary(ordinal).frame));
  }
  const ordinals = log.decisions().flatMap(({ entry }) => (entry.kind === "boundary" ? [entry.ordinal] : []));
  assert.equal(ordinals[0], 29);
  assert.ok(ordinals[1]! > 40 && ordinals.at(-1) === 59);
});
