import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { SourceClock } from "./source-clock.ts";

const MS = 1_000_000n;
const T0 = 1_800_000_000_000_000_000n;

function anchored(): SourceClock {
  const clock = new SourceClock({ timescale: 1000, wrapBits: 32 });
  clock.anchor(5000, T0);
  return clock;
}

test("clocks that wrap go on, forward and back", () => {
  const clock = new SourceClock({ timescale: 90_000, wrapBits: 33 });
  assert.equal(clock.unwrap(2 ** 33 - 10), 2 ** 33 - 10);
  assert.equal(clock.unwrap(5), 2 ** 33 + 5);
  assert.equal(clock.unwrap(2 ** 33 - 3), 2 ** 33 - 3);
  assert.equal(clock.near(2 ** 34 + 1, 2), 2 ** 34 + 2);
});

test("a step moves what is at or after its begin, and sound hears of it as a whole", () => {
  const clock = anchored();
  clock.step({ fromNs: T0 + 1000n * MS, moveNs: 40n * MS, lengthNs: 0n });
  assert.equal(clock.timeOf(5999), T0 + 999n * MS);
  assert.equal(clock.timeOf(6000), T0 + 1040n * MS);
  assert.deepEqual(clock.soundAt(5999), { timeNs: T0 + 999n * MS, movedNs: 0n });
  assert.deepEqual(clock.soundAt(6000), { timeNs: T0 + 1040n * MS, movedNs: 40n * MS });
  assert.equal(clock.anchoredTimeOf(6000), T0 + 1000n * MS);
});

test("backward, nothing gets in front of the begin; forward and backward come to nothing", () => {
  const clock = anchored();
  clock.step({ fromNs: T0 + 1000n * MS, moveNs: -40n * MS, lengthNs: 0n });
  assert.equal(clock.timeOf(5999), T0 + 999n * MS);
  assert.equal(clock.timeOf(6000), T0 + 1000n * MS);
  assert.equal(clock.timeOf(6040), T0 + 1000n * MS);
  assert.equal(clock.timeOf(6041), T0 + 1001n * MS);
  clock.step({ fromNs: T0 + 9000n * MS, moveNs: 40n * MS, lengthNs: 0n });
  assert.equal(clock.timeOf(14_050), T0 + 9050n * MS);
  assert.deepEqual(clock.soundAt(14_050).movedNs, 0n);
  clock.anchor(20_000, T0 + 20_000n * MS);
  assert.equal(clock.timeOf(20_000), T0 + 20_000n * MS);
});

test("spread over a length, times rise evenly and end a whole step further", () => {
  const property = fc.property(
    fc.constantFrom(40n, -40n),
    fc.nat(4000),
    fc.integer({ min: 1, max: 100 }),
    (by, at, on) => {
      const clock = anchored();
      const [fromNs, moveNs, lengthNs] = [T0 + 1000n * MS, by * MS, 2000n * MS];
      clock.step({ fromNs, moveNs, lengthNs });
      const stepNs = clock.timeOf(5000 + at + on) - clock.timeOf(5000 + at);
      const evenNs = BigInt(on) * MS;
      assert.ok(stepNs * 100n >= evenNs * 98n - 100n && stepNs * 100n <= evenNs * 102n + 100n, `${stepNs} ns`);
      const { timeNs, spreadNs } = clock.pictureAt(5000 + 3000 + at);
      assert.deepEqual([timeNs, spreadNs], [T0 + BigInt(3000 + at) * MS, moveNs]);
    },
  );
  fc.assert(property, { seed: 3, numRuns: 300 });
});
