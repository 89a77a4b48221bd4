import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { PlatformError } from "#base/errors.ts";
import { channelDefaults } from "#media/channel.ts";
import type { SessionNumbers } from "#media/session-log/entries.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import type { ControlEvent } from "./events.ts";
import { openAtOrigins } from "./open-session.ts";
import { createHouse, gatewaySession, type HouseOptions, originSession, PUBLISH_KEY, settle } from "./testing/house.ts";
import { type FromControl, type Progress, parseFromControl } from "./worker-protocol.ts";

type House = Awaited<ReturnType<typeof createHouse>>;

async function withHouse(options: HouseOptions, body: (house: House, events: ControlEvent[]) => Promise<void>) {
  const house = await createHouse(options);
  const events: ControlEvent[] = [];
  house.control.subscribe((event) => events.push(event));
  try {
    await body(house, events);
  } finally {
    await house.control.close();
  }
}

const types = (events: ControlEvent[]) => events.map(({ type }) => type);

/** A worker's line, as the worker holds it: what placement gave it is all it knows. */
async function workerLine(house: House, port: number, workload: { id: string; env: Readonly<Record<string, string>> }) {
  const headers = { authorization: `Bearer ${workload.env.CONTINUITY_WORKER_TOKEN}` };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/internal/workers/${workload.env.CONTINUITY_WORKER_ID}`, {
    headers,
  });
  const received: FromControl[] = [];
  socket.on("message", (data) => received.push(parseFromControl(String(data))));
  await once(socket, "open");
  socket.send(JSON.stringify({ kind: "hello", worker: workload.id, pid: 9, build: "b1", cpuClass: "c1" }));
  const known = () => house.control.workers().find(({ id }) => id === workload.id);
  await settle(house.clock, () => known()?.connected === true);
  return {
    socket,
    received,
    known,
    async report(phase: Progress["phase"], session: string | null) {
      socket.send(
        JSON.stringify({ kind: "progress", phase, session, frame: 5, speed: 1, encodedFrames: 1 } satisfies Progress),
      );
      await settle(house.clock, () => known()?.phase === phase);
    },
  };
}

/** Workloads as they are asked for, with the environment that list() does not show. */
function recordPlacement(house: House) {
  const asked: Parameters<House["placement"]["ensure"]>[0][] = [];
  const ensure = house.placement.ensure;
  house.placement.ensure = async (workload) => {
    asked.push(workload);
    await ensure(workload);
  };
  return asked;
}

test("a session's life, as events and views tell it; afterwards it is remembered", () =>
  withHouse({ warmMin: 0 }, async (house, events) => {
    await settle(house.clock);
    const seen = async (session: ReturnType<typeof gatewaySession> | null, ...more: string[]) => {
      house.gateway.set(session === null ? [] : [session]);
      await settle(house.clock);
      assert.deepEqual(
        types(events).filter((type) => type.startsWith("session.")),
        more,
      );
    };
    house.origin.set([originSession("s")]);
    const life = ["session.started"];
    await seen(gatewaySession("s", { state: "starting", anchorNs: null }), ...life);
    await seen(gatewaySession("s"), ...life, "session.live");
    await seen(gatewaySession("s", { state: "interrupted" }), ...life, "session.live", "session.interrupted");
    await seen(gatewaySession("s"), ...life, "session.live", "session.interrupted", "session.live");
    const told = [...life, "session.live", "session.interrupted", "session.live", "session.ending"];
    await seen(gatewaySession("s", { state: "ended", endReason: "publisher" }), ...told);
    house.origin.set([originSession("s", { state: "complete" })]);
    await seen(gatewaySession("s", { state: "ended", endReason: "publisher" }), ...told, "session.ended");
    assert.equal(events.findLast(({ type }) => type === "session.ended")!.message, "the publisher ended it");
    await seen(null, ...told, "session.ended");
    assert.deepEqual(
      house.control.sessions().map(({ id, state }) => [id, state]),
      [["s", "ended"]],
    );
    assert.deepEqual(house.control.session("s")?.renditions[0]?.name, "v720");
    await assert.rejects(house.control.stopSession("s"), { code: "log.unknown_session" });
  }));

test("a session that vanished is ended; what was refused is failed; history has an end", () =>
  withHouse({ warmMin: 0 }, async (house, events) => {
    house.gateway.set([gatewaySession("a"), gatewaySession("b", { state: "ended", endReason: "refused" })]);
    await settle(house.clock);
    house.gateway.set([]);
    await settle(house.clock);
    assert.deepEqual(
      house.control
        .sessions()
        .map(({ id, state }) => [id, state])
        .toSorted(),
      [
        ["a", "ended"],
        ["b", "failed"],
      ],
    );
    assert.equal(types(events).filter((type) => type === "session.ended").length, 1);
    const count = (type: string) => types(events).filter((one) => one === type).length;
    for (let round = 1; round <= 3; round += 1) {
      house.gateway.set(Array.from({ length: 100 }, (_, i) => gatewaySession(`r${round}-${i}`)));
      await settle(house.clock, () => count("session.live") === 1 + 100 * round);
      house.gateway.set([]);
      await settle(house.clock, () => count("session.ended") === 1 + 100 * round);
    }
    assert.equal(house.control.sessions().length, 200);
  }));

test("while the gateway is away nothing is decided, and the last states are shown", () =>
  withHouse({ warmMin: 1 }, async (house, events) => {
    house.gateway.set([gatewaySession("s")]);
    await settle(house.clock, () => house.control.workers().length > 0);
    const before = house.control.workers().map(({ id }) => id);
    house.gateway.set(null);
    house.placement.exit(before[0]!, 137);
    await settle(house.clock);
    assert.deepEqual(
      house.control.sessions().map(({ id, state }) => [id, state]),
      [["s", "live"]],
    );
    assert.equal(house.control.status().ready, false);
    assert.ok(!types(events).includes("worker.failed"));
    house.gateway.set([gatewaySession("s")]);
    await settle(house.clock, () => types(events).includes("worker.failed"));
  }));

test("new refusals are told once; those of before our start are not told again", () =>
  withHouse({ warmMin: 0 }, async (house, events) => {
    const refusal = (atNs: bigint) => ({
      atNs,
      code: "publish.key_refused",
      message: `m${atNs}`,
      protocol: "rtmp",
      channel: "c",
      remote: "r",
    });
    house.world.refusals = [refusal(1n)];
    await settle(house.clock);
    house.world.refusals = [refusal(3n), refusal(1n), refusal(2n)];
    house.gateway.set([]);
    await settle(house.clock);
    house.gateway.set([]);
    await settle(house.clock);
    assert.deepEqual(
      events.map(({ type, message }) => [type, message]),
      [
        ["publish.refused", "m2"],
        ["publish.refused", "m3"],
      ],
    );
    assert.deepEqual(
      house.control.refusals().map(({ message }) => message),
      ["m3", "m2", "m1"],
    );
  }));

test("numbers for a new session: the highest of all origins; one that is away keeps nobody out", async () => {
  const house = await createHouse();
  const { clock, log } = house;
  const channel = { ...channelDefaults, name: "c", origin: "auto" } as const;
  const origin = (name: string, answer: Promise<SessionNumbers>) => ({
    name,
    openSession: () => answer,
  });
  const gone = () => Promise.reject(new PlatformError("network.unreachable", "gone"));
  const low = Promise.resolve({ msnBase: 10, discontinuityBase: 5 });
  const high = Promise.resolve({ msnBase: 30, discontinuityBase: 1 });
  const deps = { clock, log };
  assert.deepEqual(
    await openAtOrigins([origin("a", low), origin("b", high), origin("c", gone())], "s", channel, deps),
    { msnBase: 30, discontinuityBase: 5 },
  );
  await assert.rejects(openAtOrigins([origin("a", gone())], "s", channel, deps), {
    code: "publish.unavailable",
    message: /a: network\.unreachable: gone/,
  });
  await assert.rejects(openAtOrigins([], "s", channel, deps), { code: "publish.unavailable" });
  const silent = openAtOrigins([origin("a", new Promise(() => {})), origin("b", low)], "s", channel, deps);
  await settle(clock);
  clock.advance(3000);
  assert.deepEqual(await silent, { msnBase: 10, discontinuityBase: 5 });
  const authority = house.control.publishAuthority();
  const request = {
    protocol: "rtmp",
    byInput: false,
    channel: "new",
    rtmpPath: null,
    key: PUBLISH_KEY,
    remote: "r",
  } as const;
  const made = await authority.authorize(request);
  assert.deepEqual(await authority.openSession("s", made), { msnBase: 40, discontinuityBase: 2 });
  await assert.rejects(authority.authorize({ ...request, key: "wrong" }), { code: "publish.key_refused" });
  await house.control.close();
});

test("a worker from its start to its end, over its own line", () =>
  withHouse({ warmMin: 1 }, async (house, events) => {
    const asked = recordPlacement(house);
    const server = await listenHttp({
      host: "127.0.0.1",
      port: 0,
      handlers: [],
      onUpgrade: house.control.handleUpgrade,
    });
    try {
      await settle(house.clock, () => asked.length === 1);
      assert.deepEqual(Object.keys(asked[0]!.env), [
        "CONTINUITY_CONTROL_URL",
        "CONTINUITY_WORKER_ID",
        "CONTINUITY_WORKER_TOKEN",
      ]);
      const line = await workerLine(house, server.port, asked[0]!);
      assert.deepEqual([line.known()!.phase, line.known()!.build], ["warm", "b1"]);

      house.origin.set([originSession("s")]);
      house.gateway.set([gatewaySession("s")]);
      await settle(house.clock, () => line.received.length === 1);
      const [assignment] = line.received;
      assert.ok(assignment?.kind === "assign");
      assert.deepEqual(await house.keys.verify(assignment.token), { kind: "session", session: "s", channel: "news" });
      assert.deepEqual(assignment.originUrls, ["http://o"]);
      await line.report("running", "s");
      assert.deepEqual(
        house.control.session("s")!.workers.map(({ id, phase }) => [id, phase]),
        [[asked[0]!.id, "running"]],
      );
      assert.equal(asked.length, 1, "the next warm one waits until the first part is out");

      house.clock.advance(1000); // the slow pass: nothing is said twice
      await settle(house.clock);
      assert.equal(line.received.length, 1);
      for (let i = 0; i < 3; i += 1) {
        house.clock.advance(1000);
        await settle(house.clock);
      }
      await settle(house.clock, () => asked.length === 2);

      house.origin.set([originSession("s", { state: "complete" })]);
      house.gateway.set([gatewaySession("s", { state: "ended", endReason: "publisher" })]);
      await settle(house.clock, () => line.received.some(({ kind }) => kind === "release"));
      line.socket.close();
      house.placement.exit(asked[0]!.id, 0);
      await settle(house.clock, () => types(events).includes("worker.ended"));
      assert.deepEqual(
        house.control.workers().map(({ id }) => id),
        [asked[1]!.id],
      );
      assert.ok(!types(events).includes("worker.failed"));
    } finally {
      await server.close();
    }
  }));

test("an assignment that is not confirmed is said again", () =>
  withHouse({ warmMin: 1 }, async (house) => {
    const asked = recordPlacement(house);
    const server = await listenHttp({
      host: "127.0.0.1",
      port: 0,
      handlers: [],
      onUpgrade: house.control.handleUpgrade,
    });
    try {
      await settle(house.clock, () => asked.length === 1);
      const line = await workerLine(house, server.port, asked[0]!);
      house.origin.set([originSession("s")]);
      house.gateway.set([gatewaySession("s")]);
      await settle(house.clock, () => line.received.length === 1);
      house.clock.advance(1000);
      await settle(house.clock, () => line.received.length === 2);
      assert.deepEqual(
        line.received.map(({ kind }) => kind),
        ["assign", "assign"],
      );
      await line.report("running", "s");
    } finally {
      await server.close();
    }
  }));

test("a worker that keeps failing its session: replaced ever more slowly, then the session is given up", () =>
  withHouse({ warmMin: 0 }, async (house, events) => {
    house.gateway.set([gatewaySession("s")]);
    house.origin.set([originSession("s")]);
    const failed = () => types(events).filter((type) => type === "worker.failed").length;
    const startsMs: number[] = [];
    house.control.subscribe(({ type }) => type === "worker.started" && startsMs.push(house.clock.monotonicMs()));
    for (let failures = 1; failures <= 5; failures += 1) {
      const waiting = () => house.control.workers().some(({ phase }) => phase !== "failed");
      for (let i = 0; i < 12 && !waiting(); i += 1) {
        house.clock.advance(1000);
        await settle(house.clock);
      }
      house.placement.exit(house.control.workers().find(({ phase }) => phase !== "failed")!.id, 139);
      await settle(house.clock, () => failed() === failures);
    }
    await settle(house.clock, () => house.world.stopped.length > 0);
    assert.deepEqual(house.world.stopped[0], { session: "s", reason: "failed" });
    assert.equal(house.control.session("s")!.state, "failed");
    const waits = startsMs.slice(1).map((atMs, i) => atMs - startsMs[i]!);
    assert.ok(waits[0]! < 1000 && waits[1]! >= 1000 && waits[2]! >= 2000 && waits[3]! >= 5000, String(waits));
  }));

test("the demo's source is started for the first viewer and stopped a minute after the last", () =>
  withHouse(
    {
      warmMin: 0,
      sourcesOf: ({ name, origin }) =>
        origin !== "demo"
          ? []
          : [
              {
                id: `demo-source-${name}`,
                role: "demo-source",
                channel: name,
                onDemand: true,
                specHash: "1",
                env: async () => ({ CONTINUITY_PUBLISH_URL: "rtmp://x" }),
              },
            ],
    },
    async (house, events) => {
      const asked = recordPlacement(house);
      await settle(house.clock);
      assert.equal(asked.length, 0);
      house.world.audience = [
        { channel: "demo", lastAskedMs: house.clock.monotonicMs() },
        { channel: "other", lastAskedMs: 0 },
      ];
      house.origin.set([]);
      house.clock.advance(50);
      await settle(house.clock, () => asked.length === 1);
      assert.deepEqual(
        [asked[0]!.role, asked[0]!.id, asked[0]!.env],
        ["demo-source", "demo-source-demo", { CONTINUITY_PUBLISH_URL: "rtmp://x" }],
      );
      for (let seconds = 0; seconds < 59; seconds += 1) {
        house.clock.advance(1000);
        await settle(house.clock);
      }
      assert.equal(house.control.workers().length, 1);
      for (let seconds = 0; seconds < 3; seconds += 1) {
        house.clock.advance(1000);
        await settle(house.clock);
      }
      assert.deepEqual(house.control.workers(), []);
      assert.deepEqual(types(events), ["source.started", "source.stopped"]);
    },
  ));

test("placement that refuses: the others go on, and it is asked again", () =>
  withHouse({ warmMin: 1 }, async (house) => {
    const ensure = house.placement.ensure;
    let refusals = 0;
    house.placement.ensure = () => {
      refusals += 1;
      return Promise.reject(new PlatformError("placement.no_capacity", "full"));
    };
    await house.channels.put({ channel: { ...channelDefaults, name: "news", origin: "auto" }, keys: [] });
    house.gateway.set([gatewaySession("s")]);
    await settle(house.clock, () => refusals > 0 && house.world.opened.length > 0);
    assert.deepEqual(house.world.opened, ["s"], "the origin that lacks the session is told all the same");
    house.placement.ensure = ensure;
    house.clock.advance(1000);
    await settle(house.clock, () => house.control.workers().length > 0);
  }));
