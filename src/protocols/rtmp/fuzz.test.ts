// What a stranger may send: noise, and a good publication that was cut, flipped, doubled or shuffled. The server never
// throws, says `failed` at most once and last, and holds no more than its limits. Replay: the seed is in the message.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { type Random, seededRandom } from "#base/random.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { RtmpClientSession } from "./client.ts";
import { numberMessage, RTMP_LIMITS, TYPE } from "./message.ts";
import { type RtmpServerEvent, RtmpServerSession } from "./server.ts";
import { pieces } from "./testing/raw-peer.ts";

/** All that a client sends in a good publication of some messages. */
function transcript(digest: boolean): Buffer {
  const [clock, sent] = [simClock(), [] as Buffer[]];
  let toServer: Buffer[] = [];
  const server = new RtmpServerSession({
    clock,
    random: seededRandom(1),
    send: (bytes) => toClient.push(Buffer.from(bytes)),
    on: (event) => event.kind === "publish" && server.acceptPublish(event.streamId),
  });
  let toClient: Buffer[] = [];
  const client = new RtmpClientSession({
    clock,
    random: seededRandom(2),
    digest,
    address: { app: "live", tcUrl: "rtmp://h/live", name: "x?key=abc" },
    send: (bytes) => {
      toServer.push(Buffer.from(bytes));
      sent.push(Buffer.from(bytes));
    },
    on: (event) => {
      assert.equal(event.kind, "ready");
      for (let i = 0; i < 12; i += 1)
        client.sendMedia(i % 3 === 0 ? 8 : 9, 0xfffffa + i, Buffer.alloc(i === 5 ? 70_000 : i * 10, i));
    },
  });
  while (toServer.length + toClient.length > 0) {
    const [there, back] = [toServer, toClient];
    [toServer, toClient] = [[], []];
    for (const bytes of there) server.receive(bytes);
    for (const bytes of back) client.receive(bytes);
  }
  client.end();
  return Buffer.concat(sent);
}

const GOOD = [transcript(false), transcript(true)];

/** Feed it and check what must always hold. @returns the events */
function feed(bytes: Uint8Array, seed: number): RtmpServerEvent[] {
  const clock = simClock();
  const events: RtmpServerEvent[] = [];
  let sentBytes = 0;
  const server = new RtmpServerSession({
    clock,
    random: seededRandom(seed),
    send: (out) => (sentBytes += out.byteLength),
    on: (event) => {
      events.push(event);
      if (event.kind === "publish") server.acceptPublish(event.streamId);
      if (event.kind === "play") server.refusePlay(event.streamId, { code: "NetStream.Play.Failed", description: "" });
    },
  });
  for (const piece of pieces(bytes, seed, 2000)) server.receive(piece);
  server.peerClosed();
  clock.advance(60_000);
  const failed = events.filter((event) => event.kind === "failed");
  assert.ok(failed.length <= 1, `seed ${seed}`);
  if (failed[0]) {
    assert.equal(events.at(-1), failed[0], `seed ${seed}`);
    assert.equal(failed[0].error.code, "rtmp.malformed", `seed ${seed}`);
  }
  const media = events.reduce((sum, event) => sum + (event.kind === "media" ? event.body.length : 0), 0);
  assert.ok(media <= bytes.length, `seed ${seed}: more media than bytes`);
  assert.ok(sentBytes <= 4096 + 3 * bytes.length, `seed ${seed}: ${sentBytes} bytes answered`);
  return events;
}

test("the good publication is good", () => {
  for (const good of GOOD) {
    const kinds = feed(good, 1).map((event) => event.kind);
    assert.deepEqual(kinds, ["connect", "publish", ...Array(12).fill("media"), "unpublish"]);
  }
});

/** The least number of failures shows that the harm reaches what it should. */
const harm: [string, number, (good: Buffer, random: Random) => Buffer][] = [
  ["cut short", 0, (good, random) => good.subarray(0, random.int(0, good.length))],
  [
    "bits flipped after the handshake",
    100,
    (good, random) => {
      const bad = Buffer.from(good);
      for (let i = random.int(1, 8); i > 0; i -= 1) bad[random.int(3073, 4200)]! ^= 1 << random.int(0, 8);
      return bad;
    },
  ],
  [
    "bits flipped in the handshake",
    1,
    (good, random) => {
      const bad = Buffer.from(good);
      for (let i = random.int(1, 8); i > 0; i -= 1) bad[random.int(0, 3073)]! ^= 1 << random.int(0, 8);
      return bad;
    },
  ],
  [
    "a stretch missing, doubled or replaced by noise",
    100,
    (good, random) => {
      const from = random.int(3073, 4200); // most headers are there
      const to = Math.min(good.length, from + random.int(1, 400));
      const middles = [Buffer.alloc(0), Buffer.concat([good.subarray(from, to), good.subarray(from, to)])];
      const middle = middles[random.int(0, 3)] ?? Buffer.from(random.bytes(to - from));
      return Buffer.concat([good.subarray(0, from), middle, good.subarray(to)]);
    },
  ],
  ["noise after the handshake", 390, (good, random) => Buffer.concat([good.subarray(0, 3073), random.bytes(3000)])],
  ["noise from the start", 390, (_, random) => Buffer.from(random.bytes(5000))],
];
for (const [title, failuresMin, spoil] of harm)
  test(`fuzz: ${title}`, () => {
    let failures = 0;
    for (let seed = 1; seed <= 400; seed += 1) {
      const bad = spoil(GOOD[seed % 2]!, seededRandom(seed));
      if (feed(bad, seed).at(-1)?.kind === "failed") failures += 1;
    }
    assert.ok(failures >= failuresMin, `only ${failures} of 400 failed: the harm does nothing`);
  });

test("a peer that declares much and sends little makes us hold little", () => {
  const events: RtmpServerEvent[] = [];
  const server = new RtmpServerSession({
    clock: simClock(),
    random: seededRandom(1),
    send: () => {},
    on: (event) => {
      events.push(event);
      if (event.kind === "publish") server.acceptPublish(event.streamId);
    },
  });
  // Up to the first media message of the good publication: handshake, connect, publish.
  const good = GOOD[0]!;
  for (let at = 0; at < good.length && events.at(-1)?.kind !== "publish"; at += 1)
    server.receive(good.subarray(at, at + 1));
  server.receive(new ChunkWriter().write(2, numberMessage(TYPE.setChunkSize, 1)));
  const before = process.memoryUsage().arrayBuffers;
  for (let id = 10; id < 60; id += 1) {
    const head = Buffer.alloc(12 + 1);
    head.writeUInt8(id, 0);
    head.writeUIntBE(7 << 20, 4, 3);
    head.writeUInt8(9, 7);
    head.writeUInt32LE(1, 8);
    server.receive(head);
  }
  const event = events.at(-1);
  assert.ok(event?.kind === "failed" && /unfinished/.test(event.error.message));
  assert.ok(process.memoryUsage().arrayBuffers - before <= RTMP_LIMITS.unfinishedBytesMax + (1 << 20));
});
