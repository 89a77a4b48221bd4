// What every key driver must do. Each driver's test calls this.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type SimClock, simClock } from "#base/clock.ts";
import type { Keys, Scope } from "./keys.ts";

const SCOPES: readonly Scope[] = [
  { kind: "session", session: "s1", channel: "news" },
  { kind: "worker", worker: "w1" },
  { kind: "internal", role: "gateway" },
];

const unauthorized = { code: "api.unauthorized" };

/** @param create makes keys under one of several secrets */
export function keysConformance(name: string, create: (clock: SimClock, secret: number) => Keys): void {
  test(`${name}: each scope comes back as it was minted`, async () => {
    const keys = create(simClock(), 1);
    for (const scope of SCOPES) assert.deepEqual(await keys.verify(await keys.mint(scope, 60)), scope);
  });

  test(`${name}: a second reading gives the same scope`, async () => {
    const keys = create(simClock(), 1);
    const token = await keys.mint(SCOPES[0]!, 60);
    assert.deepEqual([await keys.verify(token), await keys.verify(token)], [SCOPES[0], SCOPES[0]]);
  });

  test(`${name}: an expired token is refused, also when it was read before`, async () => {
    const clock = simClock();
    const keys = create(clock, 1);
    const [read, unread] = [await keys.mint(SCOPES[0]!, 60), await keys.mint(SCOPES[1]!, 60)];
    await keys.verify(read);
    clock.advance(59_000);
    await keys.verify(read);
    clock.advance(20_000);
    await assert.rejects(keys.verify(read), unauthorized);
    await assert.rejects(keys.verify(unread), unauthorized);
  });

  test(`${name}: a token minted by a clock that is seconds ahead is taken, one from the far future is not`, async () => {
    const [here, ahead, future] = [simClock(), simClock(), simClock()];
    ahead.advance(4000);
    future.advance(3_600_000);
    const keys = create(here, 1);
    await keys.verify(await create(ahead, 1).mint(SCOPES[2]!, 60));
    await assert.rejects(keys.verify(await create(future, 1).mint(SCOPES[2]!, 60)), unauthorized);
  });

  test(`${name}: another installation's token is refused`, async () => {
    const clock = simClock();
    const token = await create(clock, 2).mint(SCOPES[0]!, 60);
    await assert.rejects(create(clock, 1).verify(token), unauthorized);
  });

  test(`${name}: a token with any character changed is refused`, async () => {
    const keys = create(simClock(), 1);
    const token = await keys.mint(SCOPES[0]!, 60);
    const last = token.length - 1; // its two low bits are padding: the same bytes may have two spellings
    for (let at = 0; at < last; at += 7) {
      const other = token[at] === "A" ? "B" : "A";
      await assert.rejects(keys.verify(`${token.slice(0, at)}${other}${token.slice(at + 1)}`), unauthorized);
    }
  });

  test(`${name}: text that is no token is refused`, async () => {
    const keys = create(simClock(), 1);
    for (const text of ["", "x", "a.b", "a.b.c", "....", "a".repeat(100_000), "\u0000"])
      await assert.rejects(keys.verify(text), unauthorized);
  });
}
