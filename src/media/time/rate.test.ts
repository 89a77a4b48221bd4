import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  indexAt,
  indexAtOrAfter,
  indexOnGridAtOrAfter,
  nearestStandardRate,
  nsToTicks,
  type Rate,
  rate,
  STANDARD_RATES,
  standardRateAtMost,
  ticksToNs,
  timeOf,
} from "./rate.ts";

const SAMPLE_RATES = [rate(8000), rate(22_050), rate(44_100), rate(48_000), rate(96_000), rate(90_000)];
const ALL = [...STANDARD_RATES, ...SAMPLE_RATES];
const anyRate = fc.constantFrom(...ALL);
const NS = 1_000_000_000n;
/** 1970 to 2110: twice the 60 years of which exactness is asked, from now. */
const anyTime = fc.bigInt({ min: 0n, max: 140n * 366n * 86_400n * NS });
const runs = { seed: 7, numRuns: 500 };

test("instants and indices agree with the vectors of MXL", () => {
  const times = [9_999_999n, 10_000_000n, 20_000_000n, 1_795_231_538_969_089_175n];
  const vectors: [Rate, number[], bigint[]][] = [
    [rate(50), [0, 1, 1, 89_761_576_948], [20_000_000n, 40_000_000n, 20_000_000_140_000_000n]],
    [rate(25), [0, 0, 1, 44_880_788_474], [40_000_000n, 80_000_000n, 40_000_000_280_000_000n]],
    [rate(30_000, 1001), [0, 0, 1, 53_803_143_026], [33_366_667n, 66_733_333n, 33_366_666_900_233_333n]],
    [rate(60_000, 1001), [1, 1, 1, 107_606_286_052], [16_683_333n, 33_366_667n, 16_683_333_450_116_667n]],
    [rate(24_000, 1001), [0, 0, 0, 43_042_514_421], [41_708_333n, 83_416_667n, 41_708_333_625_291_667n]],
    [rate(48_000), [480, 480, 960, 86_171_113_870_516], [20_833n, 41_667n, 20_833_333_479_167n]],
    [rate(44_100), [441, 441, 882, 79_169_710_868_537], [22_676n, 45_351n, 22_675_737_120_181n]],
  ];
  for (const [r, indices, instants] of vectors) {
    assert.deepEqual(
      times.map((time) => indexAt(r, time)),
      indices,
    );
    assert.deepEqual(
      [1, 2, 1_000_000_007].map((index) => timeOf(r, index)),
      instants,
    );
  }
});

test("an index becomes an instant and the same index again", () => {
  fc.assert(
    fc.property(anyRate, anyTime, (r, time) => {
      const index = indexAt(r, time);
      assert.ok(Number.isSafeInteger(index));
      assert.equal(indexAt(r, timeOf(r, index)), index);
      const away = timeOf(r, index) - time;
      const half = (NS * BigInt(r.den)) / (2n * BigInt(r.num)) + 1n;
      assert.ok(away <= half && away >= -half, `${away} of ${half}`);
    }),
    runs,
  );
});

test("nothing adds up over 60 years: each instant is within half a nanosecond of the fraction", () => {
  const years = 60n * 366n * 86_400n;
  for (const r of ALL) {
    const last = Number((years * BigInt(r.num)) / BigInt(r.den));
    for (const index of [0, 1, 2, 3, Math.floor(last / 3), last - 1, last]) {
      const exact = BigInt(index) * BigInt(r.den) * NS; // times num
      const error = timeOf(r, index) * BigInt(r.num) - exact;
      assert.ok(2n * (error < 0n ? -error : error) <= BigInt(r.num), `${r.num}/${r.den} ${index}`);
      assert.equal(indexAt(r, timeOf(r, index)), index);
    }
  }
});

test("the first index at or after an instant is the smallest that is not before it", () => {
  fc.assert(
    fc.property(anyRate, anyTime, (r, time) => {
      const index = BigInt(indexAtOrAfter(r, time));
      const before = (i: bigint) => i * BigInt(r.den) * NS < time * BigInt(r.num);
      assert.ok(!before(index) && (index === 0n || before(index - 1n)));
    }),
    runs,
  );
});

test("between two grids the first index at or after is exact", () => {
  fc.assert(
    fc.property(anyRate, anyRate, anyTime, (from, to, time) => {
      const index = indexAt(from, time);
      const found = BigInt(indexOnGridAtOrAfter(from, index, to));
      const before = (i: bigint) =>
        i * BigInt(to.den) * BigInt(from.num) < BigInt(index) * BigInt(from.den) * BigInt(to.num);
      assert.ok(!before(found) && (found === 0n || before(found - 1n)));
      assert.equal(indexOnGridAtOrAfter(from, index, from), index);
    }),
    runs,
  );
});

test("ticks survive the way through nanoseconds", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(24_000, 25, 30_000, 60_000, 90_000, 48_000, 44_100, 1000),
      anyTime,
      (timescale, time) => {
        const ticks = nsToTicks(time, timescale);
        assert.equal(nsToTicks(ticksToNs(ticks, timescale), timescale), ticks);
      },
    ),
    runs,
  );
});

test("decimal numbers stand for standard rates", () => {
  const cases: [number, Rate | null][] = [
    [23.976, rate(24_000, 1001)],
    [23.98, rate(24_000, 1001)],
    [24, rate(24)],
    [24.01, rate(24)],
    [29.97, rate(30_000, 1001)],
    [29.97003, rate(30_000, 1001)],
    [30, rate(30)],
    [59.94, rate(60_000, 1001)],
    [60, rate(60)],
    [12.5, rate(25, 2)],
    [27, null],
    [1000, null],
    [0.5, null],
  ];
  for (const [number, expected] of cases) assert.deepEqual(nearestStandardRate(number), expected, String(number));
});

test("the standard rate at most", () => {
  const cases: [number, Rate][] = [
    [5, rate(10)],
    [11, rate(10)],
    [14.9999, rate(15)],
    [20, rate(15)],
    [27, rate(25)],
    [29.97, rate(30_000, 1001)],
    [30, rate(30)],
    [45, rate(30)],
    [120, rate(60)],
  ];
  for (const [number, expected] of cases) assert.deepEqual(standardRateAtMost(number), expected, String(number));
  for (const r of STANDARD_RATES) assert.deepEqual(standardRateAtMost(r.num / r.den), r);
});

test("rates come in lowest terms and refuse nonsense", () => {
  assert.deepEqual(rate(60_000, 2000), { num: 30, den: 1 });
  for (const [num, den] of [
    [0, 1],
    [1, 0],
    [-1, 1],
    [1.5, 1],
  ] as const)
    assert.throws(() => rate(num, den));
});
