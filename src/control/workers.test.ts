import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { WebSocket } from "ws";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import type { Scope } from "#platform/keys/keys.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import { SESSIONS_MAX } from "./plan-packagers.ts";
import {
  type FromControl,
  type FromWorker,
  MESSAGE_BYTES_MAX,
  parseFromControl,
  parseFromWorker,
} from "./worker-protocol.ts";
import { createWorkers } from "./workers.ts";

const hello = (worker: string): FromWorker => ({ kind: "hello", worker, pid: 42, build: "b", cpuClass: "x86-64-v3" });
const progress: FromWorker = {
  kind: "progress",
  phase: "running",
  session: "s",
  frame: 10,
  speed: 1,
  encodedFrames: 3,
};
const packaging = {
  kind: "packaging",
  sessions: [
    { session: "s", phase: "running", frame: 10 },
    { session: "t", phase: "failed", frame: null, detail: "why" },
  ],
} as const;
const assign: FromControl = {
  kind: "assign",
  session: "s",
  channel: "c",
  gatewayUrl: "http://g",
  originUrls: ["http://o"],
  token: "t",
} as const;

async function withWorkers(
  body: (subject: {
    workers: ReturnType<typeof createWorkers>;
    open: (id: string, scope?: Scope | null) => Promise<WebSocket>;
    changed: () => Promise<void>;
    port: number;
  }) => Promise<void>,
): Promise<void> {
  const clock = systemClock();
  const keys = jwtKeys(new Uint8Array(32), clock);
  const workers = createWorkers({ clock, keys, log: silentLog });
  const server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [], onUpgrade: workers.handleUpgrade });
  const sockets: WebSocket[] = [];
  try {
    await body({
      workers,
      port: server.port,
      changed: () =>
        new Promise((resolve) => {
          const stop = workers.onChange(() => {
            stop();
            resolve();
          });
        }),
      async open(id, scope = { kind: "worker", worker: id }) {
        const headers = scope === null ? {} : { authorization: `Bearer ${await keys.mint(scope, 60)}` };
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/internal/workers/${id}`, { headers });
        sockets.push(socket);
        await once(socket, "open");
        return socket;
      },
    });
  } finally {
    for (const socket of sockets) socket.terminate();
    workers.close();
    await server.close();
  }
}

test("hello, progress, an assignment, a loss", () =>
  withWorkers(async ({ workers, open, changed }) => {
    const socket = await open("w1");
    let change = changed();
    socket.send(JSON.stringify(hello("w1")));
    await change;
    assert.deepEqual(
      workers.list().map(({ id, connected, progress }) => ({ id, connected, progress })),
      [{ id: "w1", connected: true, progress: null }],
    );
    change = changed();
    socket.send(JSON.stringify(progress));
    await change;
    assert.equal(workers.list()[0]!.progress?.session, "s");
    const received = once(socket, "message");
    assert.equal(workers.send("w1", assign), true);
    assert.deepEqual(parseFromControl(String((await received)[0])), assign);
    assert.equal(workers.send("nobody", assign), false);
    change = changed();
    socket.terminate();
    await change;
    assert.equal(workers.list()[0]!.connected, false);
    assert.equal(workers.send("w1", assign), false);
  }));

test("a worker that comes back on a new line is the same worker; its old line is cut", () =>
  withWorkers(async ({ workers, open, changed }) => {
    const first = await open("w1");
    let change = changed();
    first.send(JSON.stringify(hello("w1")));
    await change;
    change = changed();
    first.send(JSON.stringify(progress));
    await change;
    const cut = once(first, "close");
    const second = await open("w1");
    second.send(JSON.stringify(hello("w1")));
    await cut;
    const [record] = workers.list();
    assert.deepEqual([workers.list().length, record!.connected, record!.progress?.session], [1, true, "s"]);
  }));

test("a packager tells of all its sessions; only a change of one is news", () =>
  withWorkers(async ({ workers, open, changed }) => {
    const socket = await open("p1");
    let change = changed();
    socket.send(JSON.stringify({ ...hello("p1"), role: "package" }));
    await change;
    change = changed();
    socket.send(JSON.stringify(packaging));
    await change;
    assert.deepEqual(workers.list()[0]!.packaging, packaging);
    let news = 0;
    workers.onChange(() => (news += 1));
    const frames = packaging.sessions.map((entry) => ({ ...entry, frame: 11 }));
    socket.send(JSON.stringify({ ...packaging, sessions: frames }));
    const received = once(socket, "pong"); // what was sent before has been read
    socket.ping();
    await received;
    assert.deepEqual([workers.list()[0]!.packaging?.sessions[0]?.frame, news], [11, 0]);
    const received2 = once(socket, "message");
    assert.ok(workers.send("p1", { kind: "drop", session: "t" }));
    assert.deepEqual(parseFromControl(String((await received2)[0])), { kind: "drop", session: "t" });
  }));

test("the longest state of a packager fits into a message", () => {
  const longest = { session: "s".repeat(128), phase: "draining", frame: 161_100_000_000_000, detail: "d".repeat(200) };
  const text = JSON.stringify({ kind: "packaging", sessions: Array.from({ length: SESSIONS_MAX }, () => longest) });
  assert.ok(text.length < MESSAGE_BYTES_MAX, `${text.length} bytes`);
  assert.equal(parseFromWorker(text).kind, "packaging");
});

test("tokens of another worker, of another scope, none, garbage: refused before the upgrade", () =>
  withWorkers(async ({ workers, open, port }) => {
    await assert.rejects(open("w1", { kind: "worker", worker: "w2" }), /403/);
    await assert.rejects(open("w1", { kind: "session", session: "s", channel: "c" }), /403/);
    await assert.rejects(open("w1", { kind: "internal", role: "gateway" }), /403/);
    await assert.rejects(open("w1", null), /401/);
    const headers = { authorization: "Bearer a.b.c" };
    await assert.rejects(once(new WebSocket(`ws://127.0.0.1:${port}/internal/workers/w1`, { headers }), "open"), /401/);
    assert.deepEqual(workers.list(), []);
  }));

test("what a worker may not send closes its line, and only its own", () =>
  withWorkers(async ({ workers, open, changed }) => {
    const good = await open("good");
    const change = changed();
    good.send(JSON.stringify(hello("good")));
    await change;
    const wrong: [string | Buffer, number][] = [
      ["not json", 1008],
      [JSON.stringify(progress), 1008], // before hello
      [JSON.stringify(hello("good")), 1008], // another's name
      [JSON.stringify({ ...hello("bad"), extra: 1 }), 1008],
      [JSON.stringify({ kind: "assign" }), 1008],
      [Buffer.from(JSON.stringify(hello("bad"))), 1008], // binary
      ["x".repeat(MESSAGE_BYTES_MAX + 1), 1009],
    ];
    for (const [message, code] of wrong) {
      const bad = await open("bad");
      const closed = once(bad, "close");
      bad.send(message);
      assert.equal((await closed)[0], code, String(message).slice(0, 60));
    }
    assert.deepEqual(
      workers.list().map(({ id, connected }) => [id, connected]),
      [["good", true]],
    );
  }));

test("a peer that resets the connection in the middle of the upgrade harms nobody", () =>
  withWorkers(async ({ workers, open, port }) => {
    for (let i = 0; i < 5; i += 1) {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.write("GET /internal/workers/w1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
      socket.resetAndDestroy();
      await once(socket, "close");
    }
    assert.equal((await open("w2")).readyState, WebSocket.OPEN);
    assert.deepEqual(workers.list(), []);
  }));

test("other paths are not taken", () => {
  const workers = createWorkers({
    clock: systemClock(),
    keys: jwtKeys(new Uint8Array(32), systemClock()),
    log: silentLog,
  });
  assert.equal(workers.handleUpgrade({ url: "/socket", headers: {} } as never, {} as never, Buffer.alloc(0)), false);
  workers.close();
});

test("forgotten, its line is closed", () =>
  withWorkers(async ({ workers, open, changed }) => {
    const socket = await open("w1");
    const change = changed();
    socket.send(JSON.stringify(hello("w1")));
    await change;
    const closed = once(socket, "close");
    workers.forget("w1");
    await closed;
    assert.deepEqual(workers.list(), []);
  }));

test("fuzz: damaged messages are refused or mean what they say, and never anything else", () => {
  const random = seededRandom(5);
  const good = [
    ...[hello("w"), progress, packaging, assign],
    ...[{ kind: "release" }, { kind: "token", session: "s", token: "t" }, { kind: "drop", session: "s" }],
  ];
  for (let i = 0; i < 20_000; i += 1) {
    const text = JSON.stringify(good[random.int(0, good.length)]);
    const bytes = Buffer.from(text);
    for (let flips = random.int(1, 4); flips > 0; flips -= 1) bytes[random.int(0, bytes.length)] = random.int(0, 256);
    const damaged = bytes.subarray(0, random.int(0, 3) === 0 ? random.int(0, bytes.length) : bytes.length).toString();
    for (const parse of [parseFromWorker, parseFromControl]) {
      try {
        assert.ok(
          ["hello", "progress", "packaging", "assign", "release", "token", "drop"].includes(parse(damaged).kind),
        );
      } catch (error) {
        assert.equal((error as { code?: string }).code, "api.bad_request", String(error));
      }
    }
  }
});
