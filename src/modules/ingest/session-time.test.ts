import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Clock, simClock } from "#base/clock.ts";
import { utcToTai } from "#media/time/tai.ts";
import { SessionTime } from "./session-time.ts";

const HOUR_MS = 3_600_000;
const NS_PER_MS = 1_000_000n;

test("it begins at TAI, and steps of the host's clock do not touch it", () => {
  const clock = simClock();
  clock.advance(1234.5);
  const startNs = utcToTai(clock.utcNs());
  const time = new SessionTime(clock);
  assert.equal(time.nowNs, startNs);
  for (const stepMs of [HOUR_MS, -2 * HOUR_MS, 5]) {
    clock.stepUtc(stepMs);
    clock.advance(100);
  }
  assert.equal(time.nowNs, startNs + 300n * NS_PER_MS);
  assert.equal(time.at(clock.monotonicMs() - 50), startNs + 250n * NS_PER_MS);
});

test("the next gateway on the same host goes on, whatever the wall clock says", () => {
  for (const stepMs of [HOUR_MS, -HOUR_MS]) {
    const clock = simClock();
    const before = new SessionTime(clock);
    clock.advance(60_000);
    const mark = before.mark();
    clock.advance(500);
    clock.stepUtc(stepMs);
    clock.advance(1500);
    assert.equal(new SessionTime(clock, mark, mark.taiNs).nowNs, mark.taiNs + 2000n * NS_PER_MS);
  }
});

test("on another host, and after the host began anew, the wall clock counts, but nothing goes back", () => {
  const clock = simClock();
  clock.advance(60_000);
  const wallNs = utcToTai(clock.utcNs());
  const mark = new SessionTime(clock).mark();
  const elsewhere = (host: ReturnType<Clock["hostInstant"]>): Clock => ({ ...clock, hostInstant: () => host });
  for (const host of [null, { boot: "another", ms: 60_000 }, { boot: "sim", ms: 59_999 }]) {
    const next = elsewhere(host);
    assert.equal(new SessionTime(next, { ...mark, taiNs: wallNs - 1n }, 0n).nowNs, wallNs);
    assert.equal(new SessionTime(next, { ...mark, taiNs: wallNs + 7n }, 0n).nowNs, wallNs + 7n);
    assert.equal(new SessionTime(next, mark, wallNs + 9n).nowNs, wallNs + 9n);
    assert.equal(new SessionTime(next, null, 0n).nowNs, wallNs);
  }
  assert.equal(new SessionTime(clock, { taiNs: 5n, host: null }, 0n).nowNs, wallNs);
});
