// Our client against our server, over a network that splits, joins and delays by a seed.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type SimClock, simClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import { memoryNetwork } from "#platform/network/drivers/memory.ts";
import type { TcpConnection } from "#platform/network/network.ts";
import { parseRtmpUrl } from "./address.ts";
import { type RtmpClientEvent, RtmpClientSession } from "./client.ts";
import { findDigest } from "./handshake.ts";
import { type RtmpServerEvent, RtmpServerSession } from "./server.ts";

type World = {
  clock: SimClock;
  client: RtmpClientSession;
  clientSocket: TcpConnection;
  server: RtmpServerSession;
  clientEvents: RtmpClientEvent[];
  serverEvents: RtmpServerEvent[];
};

async function world(seed: number, url: string, on: (event: RtmpServerEvent, world: World) => void): Promise<World> {
  const clock = simClock();
  const network = memoryNetwork(clock, { random: seededRandom(seed), delayMsMax: 30, pieceBytesMax: 3000 });
  const [random, clientEvents, serverEvents] = [seededRandom(seed), [] as RtmpClientEvent[], [] as RtmpServerEvent[]];
  const result = { clock, clientEvents, serverEvents } as World;
  const { port } = await network.listenTcp({ host: "server", port: 0 }, (socket) => {
    const server = new RtmpServerSession({
      clock,
      random,
      send: (bytes) => socket.write(bytes),
      on: (event) => {
        serverEvents.push(event);
        on(event, result);
      },
    });
    result.server = server;
    socket.onData((bytes) => server.receive(bytes));
    socket.onClose(() => server.peerClosed());
  });
  const socket = await network.connectTcp({ host: "server", port, timeoutMs: 1000 });
  const digest = seed % 2 === 1;
  const client = new RtmpClientSession({
    clock,
    random,
    digest,
    address: parseRtmpUrl(url),
    send: (bytes) => socket.write(bytes),
    on: (event) => clientEvents.push(event),
  });
  socket.onData((bytes) => client.receive(bytes));
  return Object.assign(result, { client, clientSocket: socket });
}

test("media arrives whole, in order and with its times, for 40 seeds; the goodbye is a clean end", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { clock, client, clientSocket, clientEvents, serverEvents } = await world(
      seed,
      "rtmp://server/live/x?key=abc",
      (event, { server }) => {
        if (event.kind === "publish") clock.setTimer(50, () => server.acceptPublish(event.streamId));
      },
    );
    clock.advance(2000);
    assert.deepEqual(clientEvents, [{ kind: "ready" }], `seed ${seed}`);

    const random = seededRandom(seed + 1000);
    const startMs = seed % 3 === 0 ? 0xffffff00 : seed % 3 === 1 ? 0xfffff0 : 0; // around both wraps
    const sent = Array.from({ length: 60 }, (_, i) => ({
      type: random.int(0, 2) === 0 ? (8 as const) : (9 as const),
      timestampMs: (startMs + i * 17) >>> 0,
      body: Buffer.from(random.bytes(random.int(0, 10) === 0 ? 150_000 : random.int(0, 2000))),
    }));
    for (const { type, timestampMs, body } of sent) client.sendMedia(type, timestampMs, body);
    client.end();
    clientSocket.end();
    clock.advance(2000);

    const media = serverEvents.filter((event) => event.kind === "media");
    assert.deepEqual(
      media.map(({ type, timestampMs, body }) => ({ type, timestampMs, body })),
      sent,
    );
    const others = serverEvents.filter((event) => event.kind !== "media").map((event) => event.kind);
    assert.deepEqual(others, ["connect", "publish", "unpublish"]);
  }
});

test("a refusal reaches the client with its code and words", async () => {
  const { clock, clientEvents } = await world(5, "rtmp://server/live/x?key=wrong", (event, { server }) => {
    if (event.kind === "publish")
      server.refusePublish(event.streamId, { code: "NetStream.Publish.Denied", description: "The key is wrong." });
  });
  clock.advance(20_000);
  const refused = { kind: "refused", code: "NetStream.Publish.Denied", description: "The key is wrong." };
  assert.deepEqual(clientEvents, [refused]);
});

test("a session that the server ends is refused at the client; acknowledgements were counted", async () => {
  const seen = await world(6, "rtmp://server/live/x", (event, { server }) => {
    if (event.kind === "publish") server.acceptPublish(event.streamId);
  });
  seen.clock.advance(2000);
  for (let i = 0; i < 30; i += 1) seen.client.sendMedia(9, i, Buffer.alloc(100_000));
  assert.ok(seen.client.unacknowledgedBytes > 3_000_000);
  seen.clock.advance(2000);
  assert.ok(seen.client.unacknowledgedBytes < 2_500_000);
  seen.server.end();
  seen.clock.advance(2000);
  assert.deepEqual(
    seen.clientEvents.map((event) => event.kind),
    ["ready", "refused"],
  );
  seen.client.sendMedia(9, 0, Buffer.alloc(10)); // goes nowhere
});

test("a server that never answers is unreachable", () => {
  const clock = simClock();
  const events: RtmpClientEvent[] = [];
  const address = parseRtmpUrl("rtmp://server/live/x");
  const client = new RtmpClientSession({
    clock,
    random: seededRandom(1),
    address,
    send: () => {},
    on: (e) => events.push(e),
  });
  clock.advance(10_000);
  assert.ok(events[0]?.kind === "failed" && events[0].error.code === "network.unreachable");
  client.receive(Buffer.alloc(5000, 3));
  assert.equal(events.length, 1);
});

test("a client signs its greeting when told to", () => {
  for (const digest of [true, false]) {
    const sent: Buffer[] = [];
    new RtmpClientSession({
      clock: simClock(),
      random: seededRandom(1),
      digest,
      address: parseRtmpUrl("rtmp://server/live/x"),
      send: (bytes) => sent.push(Buffer.from(bytes)),
      on: () => {},
    });
    const c1 = sent[0]!.subarray(1);
    assert.equal(findDigest(c1, Buffer.from("Genuine Adobe Flash Player 001")) !== null, digest);
  }
});

test("addresses: application and name, ports, and what is wrong", () => {
  assert.deepEqual(parseRtmpUrl("rtmp://host:1936/a/b/x?key=1&n=2"), {
    host: "host",
    port: 1936,
    secure: false,
    app: "a/b",
    name: "x?key=1&n=2",
    tcUrl: "rtmp://host:1936/a/b",
  });
  assert.equal(parseRtmpUrl("rtmp://host/live/x").port, 1935);
  assert.equal(parseRtmpUrl("rtmps://[::1]/live/x").host, "::1");
  for (const wrong of ["host/live/x", "http://host/live/x", "rtmp://host/x", "rtmp:///live/x"])
    assert.throws(() => parseRtmpUrl(wrong), { code: "api.bad_request" }, wrong);
});
