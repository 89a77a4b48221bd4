import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { stretchSamples } from "./stretch-samples.ts";

const UNIT = 1024;
const RATE = 48_000;

function sine(hertz: number, from: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * (from + i)) / RATE));
}

/** Units one behind the other, each made `by` samples longer. */
function spread(hertz: number, by: number): Float32Array {
  const pieces = Array.from(
    { length: 40 },
    (_, unit) => stretchSamples([sine(hertz, unit * UNIT, UNIT)], UNIT + by)[0]!,
  );
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

test("a sine stays a sine: nothing between the samples of a unit, and no jump where units meet", () => {
  // Residual against the true signal at the stretched place, at the most stretching there is and at less.
  for (const [hertz, decibels] of [
    [440, -75],
    [3000, -55],
    [10_000, -45],
  ] as const)
    for (const by of [-51, -17, -1, 1, 17, 51]) {
      const made = spread(hertz, by);
      const step = (UNIT - 1) / (UNIT + by - 1);
      let noise = 0;
      for (const [i, sample] of made.entries()) {
        const unit = Math.floor(i / (UNIT + by));
        const place = unit * UNIT + (i - unit * (UNIT + by)) * step;
        const error = sample - 0.5 * Math.sin((2 * Math.PI * hertz * place) / RATE);
        noise += error * error;
      }
      const level = 10 * Math.log10(noise / made.length / 0.125);
      assert.ok(level < decibels, `${hertz} Hz by ${by}: ${level} dB`);
      // A click is a step that the signal cannot make.
      const slope = 0.5 * 2 * Math.sin((Math.PI * hertz) / RATE);
      for (let i = 1; i < made.length; i += 1)
        assert.ok(Math.abs(made[i]! - made[i - 1]!) < slope * 1.1 + 0.002, `${hertz} Hz by ${by}: a jump at ${i}`);
    }
});

test("property: as many as wanted, ends untouched, silence and one level stay what they are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 2, maxLength: 200 }),
      fc.integer({ min: 2, max: 210 }),
      (samples, count) => {
        const plane = Float32Array.from(samples);
        const [made, level] = stretchSamples([plane, new Float32Array(plane.length).fill(0.25)], count);
        assert.equal(made!.length, count);
        assert.equal(made![0], plane[0]);
        assert.ok(Math.abs(made!.at(-1)! - plane.at(-1)!) < 1e-6);
        assert.ok(level!.every((sample) => Math.abs(sample - 0.25) < 1e-6));
      },
    ),
    { numRuns: 300, seed: 1 },
  );
});
