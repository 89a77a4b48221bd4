import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  ALWAYS,
  contains,
  intersect,
  isNever,
  lengthNs,
  NEVER,
  overlaps,
  type Timerange,
  timerange,
} from "./timerange.ts";

const instant = fc.option(fc.bigInt({ min: -5n, max: 15n }), { nil: null });
const range = fc.tuple(instant, instant).map(([start, end]) => timerange(start, end));
const probes = Array.from({ length: 25 }, (_, i) => BigInt(i) - 7n);
const runs = { seed: 5, numRuns: 1000 };

test("borders: start is in, end is out, touching is not overlapping, one nanosecond is", () => {
  const a = timerange(10n, 20n);
  assert.deepEqual(
    [9n, 10n, 19n, 20n].map((t) => contains(a, t)),
    [false, true, true, false],
  );
  assert.equal(overlaps(a, timerange(20n, 30n)), false);
  assert.equal(overlaps(a, timerange(19n, 30n)), true);
  assert.deepEqual(intersect(a, timerange(19n, 30n)), { start: 19n, end: 20n });
  assert.equal(lengthNs(timerange(19n, 20n)), 1n);
});

test("all empty ranges are one value", () => {
  for (const empty of [
    timerange(5n, 5n),
    timerange(6n, 5n),
    intersect(timerange(1n, 2n), timerange(2n, 3n)),
    intersect(ALWAYS, NEVER),
  ])
    assert.equal(empty, NEVER);
  assert.ok(isNever(NEVER) && !isNever(ALWAYS));
  assert.equal(lengthNs(NEVER), 0n);
  assert.equal(overlaps(NEVER, ALWAYS), false);
});

test("unbounded ranges", () => {
  assert.ok(contains(ALWAYS, -(10n ** 30n)) && contains(timerange(0n, null), 10n ** 30n));
  assert.equal(lengthNs(timerange(0n, null)), null);
  assert.deepEqual(intersect(timerange(null, 5n), timerange(3n, null)), { start: 3n, end: 5n });
});

test("an intersection holds what both hold, in either order", () => {
  fc.assert(
    fc.property(range, range, (a: Timerange, b: Timerange) => {
      const both = intersect(a, b);
      for (const t of probes) assert.equal(contains(both, t), contains(a, t) && contains(b, t));
      assert.deepEqual(both, intersect(b, a));
      assert.equal(overlaps(a, b), !isNever(both));
      assert.deepEqual(intersect(a, a), a);
      assert.deepEqual(intersect(a, ALWAYS), a);
    }),
    runs,
  );
});
