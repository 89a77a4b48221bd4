import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { memoryPlacement } from "#platform/placement/drivers/memory.ts";
import { createReconciler } from "./reconcile.ts";
import { gatewaySession, originSession } from "./testing/house.ts";
import type { FromControl } from "./worker-protocol.ts";
import type { WorkerRecord } from "./workers.ts";

test("a session's token is renewed once a day, on the monotonic clock", async () => {
  const clock = simClock();
  const placement = memoryPlacement(clock);
  const sent: FromControl[] = [];
  let minted = 0;
  const hello = { kind: "hello", worker: "w", pid: 1, build: "b", cpuClass: "c" } as const;
  const progress = { kind: "progress", phase: "running", session: "s", frame: 1, speed: 1, encodedFrames: 1 } as const;
  const record = (): WorkerRecord => {
    const told = sent.some(({ kind }) => kind === "assign");
    return {
      id: "w",
      hello,
      progress: told ? progress : null,
      packaging: null,
      connected: true,
      heardMs: clock.monotonicMs(),
    };
  };
  const reconciler = createReconciler({
    clock,
    placement,
    random: seededRandom(1),
    log: silentLog,
    keys: { mint: async () => `token-${(minted += 1)}`, verify: () => Promise.reject(new Error("not asked here")) },
    gateway: { sessions: () => [gatewaySession("s")], stop: async () => {} },
    origins: [
      {
        name: "o",
        sessions: () => [originSession("s")],
        audience: () => [],
        openSession: async () => ({ msnBase: 0, discontinuityBase: 0 }),
      },
    ],
    workers: { list: () => [record()], forget: () => {}, send: (_, message) => sent.push(message) > 0 },
    warmMin: 0,
    addresses: () => ({ gatewayUrl: "http://g", originUrls: ["http://o"], controlUrl: "http://c" }),
    channel: () => null,
    copies: () => false,
    sources: () => [],
    onDeed: () => {},
  });
  await placement.ensure({ id: "w", role: "transcode", specHash: "1", env: {} });
  for (let i = 0; i < 3; i += 1) await reconciler.pass();
  assert.deepEqual(
    sent.map(({ kind }) => kind),
    ["assign"],
  );
  clock.stepUtc(30 * 86_400_000);
  await reconciler.pass();
  assert.equal(sent.length, 1, "UTC may step");
  clock.advance(86_400_000);
  for (let i = 0; i < 3; i += 1) await reconciler.pass();
  assert.deepEqual(sent[1], { kind: "token", session: "s", token: "token-2" });
  assert.equal(sent.length, 2);
});
