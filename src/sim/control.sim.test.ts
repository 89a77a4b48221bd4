// Goal: after any storm, calm brings exactly one worker to each session that was not given up and has something to be
// encoded, exactly one packager to each that copies, and the warm ones beside them; and at no step does a worker get a
// second session, or more run than are wanted.
// Method: seeded faults, virtual clock, no sleeping. Replay: SEED=117 node --test src/sim/control.sim.test.ts
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { createReconciler, type Deed } from "#control/reconcile.ts";
import { channelDefaults } from "#media/channel.ts";
import { controlWorld, type Process } from "./control-world.ts";

const STEP_MS = 1000;
const STORM_STEPS = 120;
const CALM_STEPS = 90;
/** Silent ones may take 15 s to be found stuck, then 2 s to leave. */
const STRANGER_STEPS = 20;
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 200 }, (_, i) => i + 1);
const ENCODED = { worker: true, packager: false };
const COPIED = { worker: false, packager: true };
const BOTH = { worker: true, packager: true };
const addresses = { gatewayUrl: "http://g", originUrls: ["http://o"], controlUrl: "http://c" };

for (const seed of seeds) {
  test(`control converges, seed ${seed}`, async () => {
    const clock = simClock();
    const random = seededRandom(seed);
    const world = controlWorld(clock, random, {
      refuse: 0.2,
      crash: 0.03,
      hang: 0.1,
      wedge: 0.01,
      silence: 0.04,
      fail: 0.02,
      loseMessage: 0.2,
      gatewayAway: 0.1,
      originForgets: 0.05,
    });
    const warmMin = random.int(0, 3);
    const givenUp = new Set<string>();
    const control = () =>
      createReconciler({
        ...world,
        clock,
        random,
        warmMin,
        log: silentLog,
        keys: { mint: async () => "token", verify: () => Promise.reject(new Error("not asked here")) },
        origins: [world.origin],
        addresses: () => addresses,
        channel: (name) => ({ ...channelDefaults, name, origin: "auto" }),
        copies: () => copies,
        sources: () => [],
        onDeed: (deed: Deed) => deed.deed === "session.failed" && givenUp.add(deed.session),
      });
    let reconciler = control();
    let restartedAt = Number.NEGATIVE_INFINITY;
    let wanted = 0;
    let packagers: Process[] = [];
    let copies = random.next() < 0.5;
    const needs = () => [ENCODED, COPIED, BOTH][random.int(0, 3)]!;
    const pass = async () => {
      clock.advance(STEP_MS);
      world.step();
      wanted = world.wanted();
      await reconciler.pass();
      const of = (role: string) => [...world.processes.values()].filter(({ workload }) => workload.role === role);
      const working = of("transcode").filter(({ phase, released }) => phase !== "failed" && !released);
      for (const { sessions } of of("transcode")) assert.ok(sessions.size <= 1, "a worker got a second session");
      packagers = of("package").filter(({ phase }) => phase !== "failed");
      return working;
    };
    for (let i = 0; i < STORM_STEPS; i += 1) {
      if (random.next() < 0.15 && world.open().length < 4) world.publish(needs());
      if (random.next() < 0.05) world.unpublish();
      if (random.next() < 0.02) {
        world.hangUp();
        restartedAt = i;
        givenUp.clear(); // what the gateway was not told in time has another chance
        reconciler = control();
      }
      const working = await pass();
      if (world.gateway.sessions() === null) continue; // nothing was decided
      if (i - restartedAt < STRANGER_STEPS) continue; // those of the control before have not all spoken yet
      const releasing = reconciler.workers().filter(({ releasedMs }) => releasedMs !== null).length;
      const most = wanted + warmMin + releasing;
      assert.ok(working.length <= most, `${working.length} run, ${most} are wanted`);
    }
    world.heal();
    for (let i = 0; i < CALM_STEPS; i += 1) await pass();
    const last = world.publish(BOTH);
    let steps = 0;
    const hasLast = ({ sessions }: Process) => sessions.has(last);
    for (; !((await pass()).some(hasLast) && packagers.some(hasLast)); steps += 1)
      assert.ok(steps < 6, "the new session waits");
    for (let i = 0; i < 8; i += 1) await pass();
    const working = await pass();
    const served = working.flatMap(({ sessions }) => [...sessions]).toSorted();
    assert.deepEqual(served, world.open("worker").toSorted(), "each open session has one worker");
    const packaged = packagers.flatMap(({ sessions }) => [...sessions]).toSorted();
    assert.deepEqual(packaged, world.open("packager").toSorted(), "each that copies has one packager");
    assert.equal(working.length - served.length, warmMin, "and the warm ones are there");
    const held = new Set(world.origin.sessions().map(({ id }) => id));
    for (const session of world.open()) {
      assert.ok(held.has(session), "the origin that forgot it was told again");
      assert.ok(!givenUp.has(session), "a session that was given up is stopped");
    }
    copies = false;
    for (const id of world.open("packager")) await world.gateway.stop(id);
    for (let i = 0; i < 100; i += 1) await pass();
    assert.deepEqual(packagers, [], "nobody copies any more");
  });
}
