import assert from "node:assert/strict";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { keptToken } from "./kept-token.ts";

const SCOPE = { kind: "internal", role: "front" } as const;

test("one token for half of its life, and it is always good for the other half", async () => {
  const clock = simClock();
  const keys = jwtKeys(new Uint8Array(32).fill(7), clock);
  const token = keptToken(clock, 600, (seconds) => keys.mint(SCOPE, seconds));
  const first = await token();
  clock.advance(299_999);
  assert.equal(await token(), first);
  clock.advance(1);
  const second = await token();
  assert.notEqual(second, first);
  clock.advance(299_000);
  assert.equal(await token(), second);
  assert.deepEqual(await keys.verify(second), SCOPE);
});

test("a host clock that is set, forward or back, costs a new token and no refusal", async () => {
  let utcNs = 1_800_000_000_000_000_000n;
  const clock = { ...simClock(), utcNs: () => utcNs };
  const keys = jwtKeys(new Uint8Array(32).fill(7), clock);
  const token = keptToken(clock, 600, (seconds) => keys.mint(SCOPE, seconds));
  await token();
  for (const stepSeconds of [3600n, -7200n, -1n, 301n]) {
    utcNs += stepSeconds * 1_000_000_000n;
    assert.deepEqual(await keys.verify(await token()), SCOPE, `after a step of ${stepSeconds} s`);
  }
});

test("what could not be minted is not kept", async () => {
  let mints = 0;
  const token = keptToken(simClock(), 600, async () => {
    mints += 1;
    if (mints === 1) throw new Error("no entropy");
    return `token ${mints}`;
  });
  await assert.rejects(token(), /no entropy/);
  assert.equal(await token(), "token 2");
  assert.equal(await token(), "token 2");
});
