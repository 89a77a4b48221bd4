import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { STRETCH_MAX } from "#media/session-log/entries.ts";
import { AudioRun } from "./audio-run.ts";
import { audioTrack } from "./testing/source.ts";

const T0 = 1_800_000_000_000_000_000n;
const SEGMENT_NS = 2_000_000_000n;
const MS = 1_000_000;
const UNIT_MS = (1024 * 1000) / 48_000;

type Sound = Readonly<{ units: number; clockMs: (n: number) => number; movedMs?: (n: number) => number }>;

/** Places unit after unit. @returns indexes; null where one was dropped */
function placed({ units, clockMs, movedMs = () => 0 }: Sound, track = audioTrack()): (number | null)[] {
  const run = new AudioRun(track);
  return Array.from({ length: units }, (_, n) => {
    const stamp = { timeNs: T0 + BigInt(Math.round(clockMs(n) * MS)), movedNs: BigInt(Math.round(movedMs(n) * MS)) };
    const index = run.place(stamp, SEGMENT_NS);
    if (index !== null) run.took(index, SEGMENT_NS);
    return index;
  });
}

const spacings = (indexes: readonly (number | null)[]) => indexes.slice(1).map((index, i) => index! - indexes[i]!);

test("stamps in milliseconds: samples without a break", () => {
  const indexes = placed({ units: 5000, clockMs: (n) => Math.round(n * UNIT_MS) });
  assert.deepEqual(new Set(spacings(indexes)), new Set([1024]));
});

test("a drift step is spread over a segment: evenly, in whole samples, and exactly", () => {
  for (const stepMs of [40, -40, 1000 / 60, -1000 / 29.97]) {
    const from = 50;
    const movedMs = (n: number) => (n < from ? 0 : stepMs);
    const steps = spacings(placed({ units: 300, clockMs: (n) => n * UNIT_MS + movedMs(n), movedMs }));
    assert.deepEqual(new Set(steps.slice(0, from)), new Set([1024]));
    const spread = steps.slice(from, from + 94); // 2 s
    const share = (stepMs * 48) / 94;
    for (const step of spread) assert.ok(Math.abs(step - 1024 - share) <= 1, `${step} samples`);
    assert.equal(
      spread.reduce((sum, step) => sum + step - 1024, 0),
      Math.round(stepMs * 48),
    );
    assert.deepEqual(new Set(steps.slice(from + 94)), new Set([1024]));
  }
});

test("steps of any length, one in another's spreading: no unit is moved by more than may be heard", () => {
  const property = fc.property(
    fc.array(fc.record({ at: fc.nat(400), ms: fc.integer({ min: -1000, max: 1000 }) }), { maxLength: 3 }),
    fc.constantFrom(120, 1024, 1152, 2048),
    (moves, samplesPerUnit) => {
      const movedMs = (n: number) => moves.reduce((sum, { at, ms }) => sum + (n >= at ? ms : 0), 0);
      const unitMs = (samplesPerUnit * 1000) / 48_000;
      const clockMs = (n: number) => n * unitMs + movedMs(n);
      const track = { ...audioTrack(), samplesPerUnit };
      const indexes = placed({ units: 30_000, clockMs, movedMs }, track);
      for (const step of spacings(indexes))
        assert.ok(Math.abs(step - samplesPerUnit) <= samplesPerUnit * STRETCH_MAX, `${step} samples`);
      const offSamples = indexes.at(-1)! - indexes[0]! - (clockMs(29_999) - clockMs(0)) * 48;
      assert.ok(Math.abs(offSamples) <= 1, `${offSamples} samples off in the end`);
    },
  );
  fc.assert(property, { seed: 5, numRuns: 40 });
});

test("a sound clock that drifts is followed without a break, and never far off", () => {
  for (const ppm of [3000, -3000, 200, -200]) {
    const clockMs = (n: number) => n * UNIT_MS * (1 + ppm * 1e-6) + ((n * 7) % 5); // and some jitter
    const indexes = placed({ units: 30_000, clockMs });
    for (const step of spacings(indexes)) assert.ok(Math.abs(step - 1024) <= 1024 * STRETCH_MAX, `${step} samples`);
    indexes.forEach((index, n) => {
      const offMs = (index! - indexes[0]!) / 48 - (clockMs(n) - clockMs(0));
      assert.ok(Math.abs(offMs) < 32, `${offMs} ms off at unit ${n}, ${ppm} ppm`);
    });
  }
});

test("a moment's deviation is none; one that stays is led back", () => {
  const moment = placed({ units: 400, clockMs: (n) => n * UNIT_MS + (n % 40 < 20 ? 0 : 50) });
  assert.deepEqual(new Set(spacings(moment)), new Set([1024]));
  const stays = placed({ units: 600, clockMs: (n) => n * UNIT_MS + (n < 100 ? 0 : 43) });
  assert.ok(spacings(stays).every((step) => Math.abs(step - 1024) <= 51));
  assert.equal(stays.at(-1)! - stays[0]!, 599 * 1024 + 43 * 48);
});

test("what is far off at once begins anew: a hole, or units that are dropped until they fit", () => {
  const lost = placed({ units: 100, clockMs: (n) => n * UNIT_MS + (n < 50 ? 0 : 500) });
  assert.equal(lost[50]! - lost[49]!, 1024 + 500 * 48);
  const twice = placed({ units: 100, clockMs: (n) => n * UNIT_MS - (n < 50 ? 0 : 500) });
  assert.equal(twice.filter((index) => index === null).length, 23);
  assert.equal(twice[73]! - twice[49]!, 1024);
});

test("nothing lies before what the log holds", () => {
  const run = new AudioRun(audioTrack(), T0);
  assert.equal(run.place({ timeNs: T0 - 1_000_000n, movedNs: 0n }, SEGMENT_NS), null);
  assert.notEqual(run.place({ timeNs: T0, movedNs: 0n }, SEGMENT_NS), null);
});
