import { strict as assert } from "node:assert";
import { test } from "node:test";
import { rate, rateText } from "#media/time/rate.ts";
import { chooseCopied, measure, type PictureTimes } from "./source-rate.ts";

/** Pictures of a rate with the stamps of a clock, some of them lost. */
function pictures(
  framesPerSecond: number,
  timescale: number,
  isLost: (i: number) => boolean = () => false,
): PictureTimes[] {
  const all = Array.from({ length: 40 }, (_, i) => Math.round((i * timescale) / framesPerSecond));
  return all.filter((_, i) => !isLost(i)).map((ticks) => ({ ptsTicks: ticks, dtsTicks: ticks }));
}

const choose = (declared: Parameters<typeof chooseCopied>[0], times: PictureTimes[], timescale: number) => {
  const { sourceRate, varies } = chooseCopied(declared, measure(times, timescale));
  return varies ? "varies" : rateText(sourceRate);
};

test("what is declared counts when pictures come so, whatever the stamps' precision", () => {
  for (const timescale of [1000, 90_000])
    for (const declared of [rate(30_000, 1001), rate(30), rate(60), rate(60_000, 1001), rate(24_000, 1001), rate(48)])
      assert.equal(
        choose(declared, pictures(declared.num / declared.den, timescale), timescale),
        rateText(declared),
        `${rateText(declared)} at ${timescale}`,
      );
});

test("a declared rate that lies, and none: the usual rate that was measured", () => {
  assert.equal(choose(rate(60), pictures(30, 90_000), 90_000), "30");
  assert.equal(choose(null, pictures(30_000 / 1001, 90_000), 90_000), "30000/1001");
  assert.equal(choose(null, pictures(20, 1000), 1000), "20");
  assert.equal(choose(null, pictures(25, 1000), 1000), "25");
});

test("some pictures lost are no other rate; many, or none in order, are one that varies", () => {
  assert.equal(
    choose(
      rate(30),
      pictures(30, 1000, (i) => i % 9 === 4),
      1000,
    ),
    "30",
  );
  assert.equal(
    choose(
      rate(60),
      pictures(60, 1000, (i) => (i * 7919) % 13 > 4),
      1000,
    ),
    "varies",
  );
  assert.equal(choose(null, pictures(17.3, 90_000), 90_000), "varies");
});

test("too few pictures to measure: what is declared, else nothing is known", () => {
  assert.equal(choose(rate(50), [], 1000), "50");
  assert.equal(choose(null, [], 1000), "varies");
});
