import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Presence } from "./presence.ts";

/** Ticks every 100 ms from one instant to another. @returns when it was found silent, and for how long */
function pass(presence: Presence, fromMs: number, toMs: number, framesPerSecond: number | null = 25) {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) {
    presence.tick(nowMs);
    const silentMs = presence.silence(nowMs, framesPerSecond);
    if (silentMs !== null) return { nowMs, silentMs };
  }
  return null;
}

test("after a second without media it is away, and missed; media brings it back", () => {
  const presence = new Presence(0, false);
  assert.equal(presence.state, "starting");
  assert.equal(pass(presence, 0, 20_000), null, "nobody is missed who was never there");
  presence.heard(20_000);
  assert.equal(presence.state, "live");
  assert.deepEqual(pass(presence, 20_100, 30_000), { nowMs: 21_100, silentMs: 1100 });
  assert.equal(presence.state, "interrupted");
  assert.ok(presence.isMissed);
  presence.heard(25_000);
  assert.deepEqual([presence.state, presence.isMissed], ["live", false]);
});

test("a slow source may pause for three pictures, and none for more than five seconds", () => {
  for (const [framesPerSecond, awayMs] of [
    [25, 1100],
    [1, 3100],
    [0.1, 5100],
    [null, 1100],
  ] as const) {
    const presence = new Presence(0, false);
    presence.heard(0);
    assert.equal(pass(presence, 100, 10_000, framesPerSecond)?.nowMs, awayMs, `${framesPerSecond} a second`);
  }
});

test("where this process stood still, the publisher was not silent", () => {
  const presence = new Presence(0, false);
  presence.heard(0);
  assert.equal(pass(presence, 100, 900), null);
  assert.equal(pass(presence, 60_900, 60_900), null, "a minute without a tick");
  assert.equal(pass(presence, 61_000, 70_000)?.nowMs, 61_100, "the 900 ms before it count, and the 200 behind");
});

test("who says goodbye is not missed; who was away already, or is silent after it, is", () => {
  const presence = new Presence(0, false);
  presence.heard(0);
  assert.equal(presence.left(true), true);
  assert.deepEqual([presence.state, presence.isMissed], ["interrupted", false]);
  assert.equal(presence.left(true), false, "it was away");
  assert.ok(presence.isMissed);
  presence.heard(100);
  assert.equal(presence.left(false), true);
  assert.ok(presence.isMissed);
  presence.ended();
  assert.deepEqual([presence.state, presence.isMissed], ["ended", false]);
});

test("a session that is taken back from disk is one whose publisher is missed", () => {
  const presence = new Presence(0, true);
  assert.deepEqual([presence.state, presence.isMissed], ["interrupted", true]);
});
