import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { EraOpened, SessionOpened } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { type Rate, rate } from "#media/time/rate.ts";
import { Slots } from "./slots.ts";

const SEGMENT = 10;
const session: SessionOpened = {
  kind: "session",
  session: "s",
  channel: "c",
  tenant: "main",
  msnBase: 0,
  discontinuityBase: 0,
  openedNs: 0n,
  traceparent: "",
};

function eraOf(frame: number, sourceRate: Rate = rate(25)): EraOpened {
  return {
    kind: "era",
    era: 0,
    mode: "grid",
    rate: rate(25),
    frameRate: rate(25),
    frame,
    previousEnd: null,
    segmentFrames: SEGMENT,
    partFrames: 5,
    partTargetMs: 200,
    targetDurationSeconds: 1,
    sourceRate,
    renditions: [],
  };
}

/** Pictures are texts; "=" marks a repeat. */
function world(first: number | null, sourceRate?: Rate) {
  const timeline = new Timeline();
  const era = eraOf(100, sourceRate);
  timeline.apply(session);
  timeline.apply(era);
  const shown: string[] = [];
  let alive = 0;
  const slots = new Slots<string>({
    era,
    timeline,
    first,
    show: async (slot, picture, repeated) => void shown.push(`${slot}${repeated ? "=" : ":"}${picture}`),
    release: () => {
      alive -= 1;
    },
    blank: () => {
      alive += 1;
      return "blank";
    },
  });
  return {
    timeline,
    slots,
    shown,
    alive: () => alive,
    picture: (slot: number, name = `p${slot}`) => {
      alive += 1;
      return slots.picture(slot, name);
    },
    hole: async (from: number, to: number) => {
      timeline.apply({ kind: "hole", from, to });
      await slots.advance(to);
    },
  };
}

test("an empty slot shows what is before it; a late picture is dropped", async () => {
  const w = world(100);
  await w.picture(100);
  await w.picture(103);
  await w.picture(102);
  await w.slots.finish(105);
  assert.deepEqual(w.shown, ["100:p100", "101=p100", "102=p100", "103:p103", "104=p103"]);
  assert.equal(w.alive(), 0);
});

test("two in one slot: the first at once when the source is not faster, else the later", async () => {
  const same = world(100);
  await same.picture(100, "a");
  assert.deepEqual(same.shown, ["100:a"], "no waiting");
  await same.picture(100, "b");
  await same.slots.finish(101);
  assert.deepEqual(same.shown, ["100:a"]);
  const faster = world(100, rate(30));
  await faster.picture(100, "a");
  await faster.picture(100, "b");
  assert.deepEqual(faster.shown, []);
  await faster.picture(101, "c");
  assert.deepEqual(faster.shown, ["100:b"]);
  await faster.slots.finish(103);
  assert.deepEqual(faster.shown, ["100:b", "101:c", "102=c"]);
  assert.equal(faster.alive(), 0);
});

test("a drift step at a boundary: +1 repeats the picture before it, -1 leaves one of two out", async () => {
  const plus = world(108);
  for (const [slot, name] of [
    [108, "a"],
    [109, "b"],
    [111, "c"], // its slot was 110, where a segment begins
  ] as const)
    await plus.picture(slot, name);
  assert.deepEqual(plus.shown, ["108:a", "109:b", "110=b", "111:c"]);
  for (const [source, kept] of [
    [rate(25), "b"],
    [rate(30), "c"],
  ] as const) {
    const minus = world(108, source);
    for (const [slot, name] of [
      [108, "a"],
      [109, "b"],
      [109, "c"], // its slot was 110
      [110, "d"],
    ] as const)
      await minus.picture(slot, name);
    await minus.slots.finish(111);
    assert.deepEqual(minus.shown, ["108:a", `109:${kept}`, "110:d"]);
    assert.equal(minus.alive(), 0);
  }
});

test("missing first pictures are shown by the first real one", async () => {
  const w = world(100);
  await w.picture(102);
  assert.deepEqual(w.shown, ["100=p102", "101=p102", "102:p102"]);
});

test("a hole repeats in the open segment, skips whole segments, and the next one shows what follows", async () => {
  const w = world(100);
  await w.picture(100);
  await w.hole(101, 106);
  assert.deepEqual(w.shown, ["100:p100", "101=p100", "102=p100", "103=p100", "104=p100", "105=p100"], "as it is told");
  w.shown.length = 0;
  await w.hole(106, 115);
  await w.hole(115, 123);
  assert.deepEqual(w.shown, ["106=p100", "107=p100", "108=p100", "109=p100"], "the next segment may be all hole");
  w.shown.length = 0;
  await w.picture(124);
  assert.deepEqual(w.shown, ["120=p124", "121=p124", "122=p124", "123=p124", "124:p124"]);
  w.slots.close();
  assert.equal(w.alive(), 0);
});

test("a segment behind a hole does not show what was before it, even when its first slot is no hole", async () => {
  const w = world(100);
  await w.picture(100);
  await w.hole(101, 120);
  await w.picture(122);
  assert.deepEqual(w.shown.slice(-3), ["120=p122", "121=p122", "122:p122"]);
  assert.equal(w.shown.length, 10 + 3);
});

test("an end without a picture is blank, and only where the origin expects media", async () => {
  const w = world(100);
  await w.picture(100);
  await w.hole(101, 121);
  await w.slots.finish(123);
  assert.deepEqual(w.shown.slice(-3), ["120=blank", "121=blank", "122=blank"]);
  assert.equal(w.shown.length, 10 + 3);
  assert.equal(w.alive(), 0);
});

test("property: from any later picture on, a second reader shows the same; every slot of a made segment once", async () => {
  const step = fc.record({
    gap: fc.integer({ min: 0, max: 12 }),
    hole: fc.boolean(),
    known: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 25 }),
      fc.boolean(),
      fc.nat(),
      async (steps, faster, joinAt) => {
        const source = faster ? rate(60) : rate(25);
        const reference = world(100, source);
        const joiner = world(null, source);
        const join = 1 + (joinAt % (steps.length - 1));
        fc.pre(steps[join]!.gap > 0); // a random access point is the first picture of its slot
        let slot = 100;
        let joinSlot = 0;
        for (const [i, { gap, hole, known }] of steps.entries()) {
          const to = slot + gap;
          for (const w of i < join ? [reference] : [reference, joiner]) {
            if (hole && gap > 1) await w.hole(slot + 1, to);
            else if (known && gap > 1) await w.slots.advance(to);
            await w.picture(to, `p${i}`);
          }
          if (i < join && hole && gap > 1) joiner.timeline.apply({ kind: "hole", from: slot + 1, to });
          if (i === join) joinSlot = to;
          slot = to;
        }
        await reference.slots.finish(slot + 3);
        await joiner.slots.finish(slot + 3);
        const numbers = reference.shown.map((text) => Number.parseInt(text, 10));
        for (let k = 1; k < numbers.length; k += 1) {
          const from = numbers[k - 1]! + 1;
          assert.ok(numbers[k]! >= from, "ascending, once each");
          if (numbers[k]! > from)
            assert.ok(from % SEGMENT === 0 && numbers[k]! % SEGMENT === 0, "only whole segments miss");
        }
        // What a joiner may be asked for: segments that begin after its first picture.
        const first = Math.ceil((joinSlot + 1) / SEGMENT) * SEGMENT;
        const wanted = (text: string) => Number.parseInt(text, 10) >= first;
        assert.deepEqual(joiner.shown.filter(wanted), reference.shown.filter(wanted));
        assert.equal(reference.alive(), 0);
        assert.equal(joiner.alive(), 0);
      },
    ),
    { numRuns: 400, seed: 1 },
  );
});
