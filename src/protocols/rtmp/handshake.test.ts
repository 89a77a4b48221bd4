import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { ByteQueue } from "./byte-queue.ts";
import { answersDigest, clientHandshake, findDigest, serverHandshake, sign } from "./handshake.ts";
import { pieces, RawPeer, simpleC0C1 } from "./testing/raw-peer.ts";

const PLAYER = Buffer.from("Genuine Adobe Flash Player 001");
const SERVER = Buffer.from("Genuine Adobe Flash Media Server 001");

/** As Flash Player sends it, with its digest in the given layout. */
function digestC0C1(layout: number, seed: number): Buffer {
  const c1 = Buffer.from(seededRandom(seed).bytes(1536));
  c1.writeUInt32BE(0x80000702, 4);
  sign(c1, layout, PLAYER);
  return Buffer.concat([Buffer.of(3), c1]);
}

test("simple: S2 echoes C1, S1 says version 0", () => {
  const c0c1 = simpleC0C1();
  const { greeting } = new RawPeer({ c0c1 });
  assert.equal(greeting.length, 1 + 1536 + 1536);
  assert.equal(greeting[0], 3);
  assert.equal(greeting.readUInt32BE(5), 0);
  assert.deepEqual(greeting.subarray(1537), c0c1.subarray(1));
});

for (const layout of [8, 772])
  test(`digest, layout ${layout}: S1 is signed in the same layout and S2 answers the client's digest`, () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const c0c1 = digestC0C1(layout, seed);
      const { greeting, kinds } = new RawPeer({ c0c1 });
      const [s1, s2] = [greeting.subarray(1, 1537), greeting.subarray(1537)];
      const own = findDigest(c0c1.subarray(1), PLAYER)!;
      assert.equal(own.layout, layout);
      assert.equal(findDigest(s1, SERVER)?.layout, layout);
      assert.ok(answersDigest(s2, "server", own.digest));
      assert.deepEqual(kinds, []);
    }
  });

test("the digest is HMAC-SHA256 of the 1504 other bytes, at the place that four bytes give", () => {
  const c1 = digestC0C1(8, 3).subarray(1);
  const place = 12 + ((c1[8]! + c1[9]! + c1[10]! + c1[11]!) % 728);
  const others = Buffer.concat([c1.subarray(0, place), c1.subarray(place + 32)]);
  assert.deepEqual(createHmac("sha256", PLAYER).update(others).digest(), c1.subarray(place, place + 32));
});

test("a version but no valid digest is answered as simple", () => {
  const c0c1 = simpleC0C1();
  c0c1.writeUInt32BE(0x09007c02, 5);
  assert.deepEqual(new RawPeer({ c0c1 }).greeting.subarray(1537), c0c1.subarray(1));
});

const refused: [string, number, RegExp][] = [
  ["RTMPE", 6, /RTMPE .*use RTMPS/],
  ["an older version", 2, /version 2/],
  ["TLS", 0x16, /TLS/],
  ["HTTP", "G".charCodeAt(0), /HTTP/],
];
for (const [title, version, pattern] of refused)
  test(`refused by its first byte: ${title}`, () => {
    const peer = new RawPeer({ c0c1: Buffer.of(version) });
    const [event] = peer.events;
    assert.equal(peer.events.length, 1);
    assert.ok(event?.kind === "failed" && event.error.code === "rtmp.malformed");
    assert.match(event.error.message, pattern);
    assert.equal(peer.greeting.length, 0);
  });

for (const digest of [false, true])
  test(`client and server agree, ${digest ? "with" : "without"} digest, at any packet boundary`, () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const ends = [clientHandshake(seededRandom(seed), digest), serverHandshake(seededRandom(seed + 100))] as const;
      const queues = [new ByteQueue(), new ByteQueue()] as const;
      const done = [false, false];
      /** Deliver to that end in pieces; what it answers is delivered to the other. */
      const deliver = (to: 0 | 1, bytes: Uint8Array): void => {
        for (const piece of pieces(bytes, seed, 700)) {
          queues[to].push(piece);
          for (;;) {
            const step = done[to] ? { reply: [] as never, done: false } : ends[to].step(queues[to]);
            done[to] ||= step.done;
            if (step.reply.length > 0) deliver(to === 0 ? 1 : 0, step.reply);
            else break;
          }
          queues[to].settle();
        }
      };
      deliver(1, ends[0].opening);
      assert.deepEqual(done, [true, true]);
      assert.deepEqual([queues[0].length, queues[1].length], [0, 0]);
    }
  });

test("a client with digest answers the server's digest in C2", () => {
  const client = clientHandshake(seededRandom(1), true);
  const peer = new RawPeer({ c0c1: client.opening });
  const queue = new ByteQueue();
  queue.push(peer.greeting);
  const { reply } = client.step(queue);
  assert.ok(answersDigest(Buffer.from(reply), "player", findDigest(peer.greeting.subarray(1, 1537), SERVER)!.digest));
});
