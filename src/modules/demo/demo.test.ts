import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readClock } from "#media/burnt-clock/read.ts";
import { DemoPicture } from "./picture.ts";
import { SAMPLE_RATE, toneSamples } from "./tone.ts";

const NOW = 1_795_570_000_000;

test("each picture holds its own instant, and what moves moves", () => {
  const picture = new DemoPicture(1280, 720, "demo");
  const chroma = Buffer.from(picture.draw(NOW, 0).u).toString("hex");
  const seen = new Set<string>();
  for (let frame = 0; frame < 30; frame += 1) {
    const utcMs = NOW + Math.round((frame * 1000) / 30);
    const { y, u } = picture.draw(utcMs, frame);
    assert.equal(
      readClock((column, row) => y[row * 1280 + column]!, 1280, 720),
      utcMs,
    );
    assert.equal(Buffer.from(u).toString("hex"), chroma);
    seen.add(Buffer.from(y.subarray(480 * 1280, 640 * 1280)).toString("hex"));
  }
  assert.equal(seen.size, 30);
});

test("a frame leaves nothing of the one before", () => {
  const one = new DemoPicture(640, 360, "demo");
  one.draw(NOW + 333, 1);
  one.draw(NOW + 1900, 2);
  const fresh = new DemoPicture(640, 360, "demo");
  assert.deepEqual(one.draw(NOW + 500, 3).y, fresh.draw(NOW + 500, 3).y);
});

test("levels stay within limited range", () => {
  const { y, u, v } = new DemoPicture(640, 360, "a-very-long-channel-name-that-does-not-fit-into-the-picture").draw(
    NOW,
    0,
  );
  assert.ok(y.every((value) => value >= 16 && value <= 235));
  for (const plane of [u, v]) assert.ok(plane.every((value) => value >= 16 && value <= 240));
});

test("the beep begins on the second and the tone has no seam between blocks", () => {
  const level = (from: number, count: number) => Math.max(...toneSamples(from, count).map(Math.abs));
  const second = Math.round((NOW / 1000) * SAMPLE_RATE);
  assert.ok(level(second - 4800, 4800) < 0.05);
  assert.ok(level(second, 2400) > 0.2);
  assert.ok(level(second + 4800, 4800) < 0.05);
  const whole = toneSamples(second - 1024, 2048);
  assert.deepEqual(whole.subarray(1024), toneSamples(second, 1024));
  const steps = whole.subarray(1).map((value, i) => Math.abs(value - whole[i]!));
  assert.ok(Math.max(...steps) < 0.04, "no click");
});
