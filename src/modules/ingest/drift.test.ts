import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Random, seededRandom } from "#base/random.ts";
import type { DriftStep } from "#media/session-log/entries.ts";
import { Drift } from "./drift.ts";
import { network } from "./testing/drifting-source.ts";

const FRAME_NS = 40_000_000;
const T0 = 1_800_000_000_000_000_000n;

type Line = Readonly<{ seconds: number; ppm: number; delaySeconds: (atSeconds: number) => number; drift?: Drift }>;

/** Steps by the second at which they came, each taken at once; 25 units a second. */
function steps({
  seconds,
  ppm,
  delaySeconds,
  drift = new Drift(),
}: Line): { atSeconds: number; step: DriftStep["step"] }[] {
  const found: { atSeconds: number; step: DriftStep["step"] }[] = [];
  let arrivedSeconds = 0;
  for (let n = 0; n < seconds * 25; n += 1) {
    const atSeconds = n / 25;
    arrivedSeconds = Math.max(arrivedSeconds, atSeconds + delaySeconds(atSeconds));
    const mediaNs = BigInt(Math.round(atSeconds * (1 + ppm * 1e-6) * 1e9));
    drift.observe(T0 + mediaNs, T0 + BigInt(Math.round(arrivedSeconds * 1e9)));
    const step = drift.due(FRAME_NS);
    if (step === null) continue;
    drift.stepped(step * FRAME_NS);
    found.push({ atSeconds, step });
  }
  return found;
}

const jittery = (random: Random, most: number) => () => 0.05 + random.next() * most;

test("an exact clock takes no step, whatever the jitter", () => {
  for (const most of [0.001, 0.05, 0.2])
    assert.deepEqual(steps({ seconds: 1800, ppm: 0, delaySeconds: jittery(seededRandom(1), most) }), []);
});

test("a slow clock has a picture repeated, a fast one a picture dropped, each time it is one off", () => {
  for (const [ppm, step] of [
    [-100, 1],
    [100, -1],
  ] as const) {
    const found = steps({ seconds: 3600, ppm, delaySeconds: jittery(seededRandom(2), 0.1) });
    assert.deepEqual(new Set(found.map((one) => one.step)), new Set([step]));
    assert.equal(found.length, 8); // 0.36 s are nine pictures, less what is seen a minute later
    found.forEach(({ atSeconds }, i) => {
      const dueSeconds = (i + 1) * 400;
      assert.ok(atSeconds > dueSeconds - 30 && atSeconds < dueSeconds + 90, `step ${i} at ${atSeconds} s`);
    });
  }
});

test("a line that is congested for less than a minute, over and over, is no drift", () => {
  const grows = (atSeconds: number) => 0.05 + Math.max(0, (atSeconds % 130) - 80) * 0.02; // to a second, over 50 s
  assert.deepEqual(steps({ seconds: 3600, ppm: 0, delaySeconds: grows }), []);
  for (let seed = 0; seed < 20; seed += 1)
    assert.deepEqual(steps({ seconds: 1800, ppm: 0, delaySeconds: network(seededRandom(seed), 40, 50) }), []);
});

test("a publisher that sends in bursts is judged by the last of each", () => {
  const bursts = (atSeconds: number) => Math.ceil((atSeconds + 0.04) / 10) * 10 - atSeconds;
  assert.deepEqual(steps({ seconds: 1200, ppm: 0, delaySeconds: bursts }), []);
  assert.equal(steps({ seconds: 1200, ppm: -100, delaySeconds: bursts }).length, 2);
});

test("a longer way is followed, but no faster than a clock could drift", () => {
  const longer = (atSeconds: number) => (atSeconds < 300 ? 0.05 : 0.35);
  const found = steps({ seconds: 900, ppm: 0, delaySeconds: longer });
  assert.equal(found.length, 7); // the eighth would have been a whole picture only by a rounding
  assert.ok(found[0]!.atSeconds > 355, `${found[0]!.atSeconds}`);
  for (const [i, { atSeconds }] of found.slice(1).entries())
    assert.ok(atSeconds - found[i]!.atSeconds >= 19.9, `step ${i} at ${atSeconds} s`);
});

test("nothing in the first minute, nor in the first after units were missing; what the anchor said stays", () => {
  const drift = new Drift();
  assert.deepEqual(steps({ seconds: 61, ppm: -5000, delaySeconds: () => 0.05, drift }), []);
  drift.restart();
  const again = steps({ seconds: 90, ppm: 0, delaySeconds: () => 0.05 + 0.3, drift });
  assert.ok(again.length > 0 && again[0]!.atSeconds + 0.35 >= 60, `${again[0]?.atSeconds}`);
  drift.anchored();
  assert.equal(drift.behindNs, 0);
  assert.deepEqual(steps({ seconds: 200, ppm: 0, delaySeconds: () => 5, drift }), []);
});
