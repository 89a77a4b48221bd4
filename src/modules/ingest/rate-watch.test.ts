import { strict as assert } from "node:assert";
import { test } from "node:test";
import { channelDefaults } from "#media/channel.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { rate, rateText } from "#media/time/rate.ts";
import { planEra } from "./plan-era.ts";
import { RateWatch } from "./rate-watch.ts";
import { type ChosenRate, chooseDeclared } from "./source-rate.ts";
import { audioTrack, videoTrack } from "./testing/source.ts";

const MILLISECONDS = 1000;

function eraOf(chosen: ChosenRate): EraOpened {
  const channel = { ...channelDefaults, name: "cam", origin: "auto", ladder: "passthrough" } as const;
  return { ...planEra([videoTrack(), audioTrack()], chosen, channel), era: 0, frame: 0, previousEnd: null };
}

const STEADY = eraOf(chooseDeclared(rate(30)));
const VARYING = eraOf({ ...chooseDeclared(rate(30)), varies: true });

/** @param times seconds at which pictures come, in order @returns what the watch says, and after how many seconds */
function watched(era: EraOpened, times: readonly number[]): { says: string; after: number } | null {
  const watch = new RateWatch(MILLISECONDS);
  for (const seconds of times) {
    const ticks = Math.round(seconds * MILLISECONDS);
    const chosen = watch.add({ ptsTicks: ticks, dtsTicks: ticks }, era, rate(30));
    if (chosen) return { says: chosen.varies ? "varies" : rateText(chosen.sourceRate), after: seconds };
  }
  return null;
}

const SECONDS = 100;
const at30 = Array.from({ length: 30 * SECONDS }, (_, i) => i / 30);
const at1 = Array.from({ length: SECONDS }, (_, i) => i);
/** 30 pictures a second, but one where nothing moves. */
const shared = (isStill: (seconds: number) => boolean) =>
  at30.filter((seconds, i) => !isStill(seconds) || i % 30 === 0);

test("a steady rate, and one that pauses once: nothing to say", () => {
  assert.equal(watched(STEADY, at30), null);
  assert.equal(
    watched(
      STEADY,
      shared((seconds) => seconds > 9 && seconds < 11),
    ),
    null,
  );
});

test("a shared screen that stands still now and then varies, though most of its pictures come at one rate", () => {
  const said = watched(
    STEADY,
    shared((seconds) => seconds % 3 > 1.5),
  );
  assert.equal(said?.says, "varies");
  assert.ok(said.after < 10);
  const seldom = shared((seconds) => seconds % 10 > 4);
  assert.equal(watched(STEADY, seldom)?.says, "varies", "windows of another kind between do not hide it");
});

test("from one rate to another: the window with both of them is none that varies", () => {
  const at24 = Array.from({ length: 24 * 20 }, (_, i) => 7.5 + i / 24);
  const said = watched(STEADY, [...at30.filter((seconds) => seconds < 7.5), ...at24]);
  assert.equal(said?.says, "24");
  assert.ok(said.after < 17);
});

test("so few pictures that a few seconds hold only some: that is another rate too", () => {
  assert.equal(watched(STEADY, at1)?.says, "1");
  const tenSecondsApart = at1.map((i) => i * 10);
  assert.equal(watched(STEADY, tenSecondsApart)?.says, "varies");
});

test("one that varied is believed to be constant after a minute, and not when it still pauses", () => {
  const said = watched(VARYING, at30);
  assert.equal(said?.says, "30");
  assert.ok(said.after > 55 && said.after < 65, `${said.after} s`);
  assert.equal(
    watched(
      VARYING,
      shared((seconds) => seconds % 30 > 25),
    ),
    null,
  );
  assert.equal(
    watched(
      VARYING,
      at30.filter((_, i) => (i * 7919) % 13 < 6),
    ),
    null,
  );
});

test("a clock that goes back is no measure", () => {
  assert.equal(watched(STEADY, [...at30.slice(0, 60), ...at30.slice(0, 200)]), null);
});
