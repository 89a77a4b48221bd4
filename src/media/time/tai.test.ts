import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { taiToIso, taiToUtc, utcToTai } from "./tai.ts";

const NS = 1_000_000_000n;
const utc = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n;

test("known differences", () => {
  const cases: [string, bigint][] = [
    ["1970-01-01T00:00:00Z", 10n],
    ["1972-01-01T00:00:00Z", 10n],
    ["1972-06-30T23:59:59Z", 10n],
    ["1972-07-01T00:00:00Z", 11n],
    ["1999-01-01T00:00:00Z", 32n],
    ["2016-12-31T23:59:59Z", 36n],
    ["2017-01-01T00:00:00Z", 37n],
    ["2026-11-25T00:00:00Z", 37n],
  ];
  for (const [text, difference] of cases) assert.equal(utcToTai(utc(text)) - utc(text), difference * NS, text);
});

test("UTC becomes TAI and UTC again, at every leap second and everywhere", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: utc("1972-01-01T00:00:00Z"), max: utc("2100-01-01T00:00:00Z") }), (t) => {
      assert.equal(taiToUtc(utcToTai(t)), t);
    }),
    { seed: 3, numRuns: 2000 },
  );
  for (let year = 1972; year < 2030; year += 1)
    for (const day of ["01-01", "07-01"])
      for (const around of [-NS, -1n, 0n, 1n, NS]) {
        const t = utc(`${year}-${day}T00:00:00Z`) + around;
        assert.equal(taiToUtc(utcToTai(t)), t);
      }
});

test("inside a leap second UTC repeats second 59", () => {
  const midnight = utc("2017-01-01T00:00:00Z");
  const border = utcToTai(midnight);
  const cases: [taiNs: bigint, utcNs: bigint][] = [
    [border - 2n * NS, midnight - NS], // 23:59:59
    [border - NS - 1n, midnight - 1n],
    [border - NS, midnight - NS], // 23:59:60
    [border - 1n, midnight - 1n],
    [border, midnight],
  ];
  for (const [tai, expected] of cases) assert.equal(taiToUtc(tai), expected);
});

test("text has milliseconds, rounded down", () => {
  assert.equal(taiToIso(utcToTai(utc("2026-11-25T01:02:03.456Z")) + 999_999n), "2026-11-25T01:02:03.456Z");
  assert.equal(taiToIso(utcToTai(utc("2026-11-25T01:02:03Z"))), "2026-11-25T01:02:03.000Z");
});
