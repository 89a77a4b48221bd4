import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { simClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import { parseRtp, type RtpPacket, sequenceSpan } from "./packet.ts";
import { Reorder } from "./reorder.ts";
import { rtpPacket } from "./testing/packet.ts";

test("a packet with contributors, an extension and padding; the payload is what is left", () => {
  const payload = Buffer.alloc(188, 0x47);
  const plain = parseRtp(rtpPacket({ sequence: 65_535, timestamp: 0xfedcba98, ssrc: 0x89abcdef, payload }))!;
  assert.deepEqual(
    [plain.payloadType, plain.marker, plain.sequence, plain.timestamp, plain.ssrc, plain.payload],
    [33, false, 65_535, 0xfedcba98, 0x89abcdef, payload],
  );
  const full = { sequence: 1, payload, contributors: 15, extensionWords: 3, padding: 8, marker: true, payloadType: 96 };
  const parsed = parseRtp(rtpPacket(full))!;
  assert.deepEqual([parsed.payloadType, parsed.marker, parsed.payload], [96, true, payload]);
});

test("what lies about its lengths, or is no RTP, is null", () => {
  const good = rtpPacket({ sequence: 1, payload: Buffer.alloc(20), contributors: 2, extensionWords: 1, padding: 4 });
  for (let length = 0; length < 12 + 8 + 8; length += 1) assert.equal(parseRtp(good.subarray(0, length)), null);
  assert.equal(parseRtp(Buffer.alloc(188, 0x47)), null, "a transport packet is of version 1");
  const padded = Buffer.from(good);
  padded[padded.length - 1] = 0;
  assert.equal(parseRtp(padded), null, "padding counts itself");
  padded[padded.length - 1] = 255;
  assert.equal(parseRtp(padded), null);
});

test("any bytes are a packet that lies within them, or null", () => {
  const random = seededRandom(5);
  for (let i = 0; i < 200_000; i += 1) {
    const bytes = Buffer.from(random.bytes(random.int(0, 80)));
    if (bytes.length > 0 && random.next() < 0.9) bytes[0] = 0x80 | (bytes[0]! & 0x3f);
    const packet = parseRtp(bytes);
    if (packet === null) continue;
    assert.ok(packet.payload.length <= bytes.length - 12);
    assert.equal(packet.payload.buffer, bytes.buffer);
    assert.ok(packet.payload.byteOffset + packet.payload.length <= bytes.byteOffset + bytes.length);
  }
});

test("spans of numbers that wrap", () => {
  assert.deepEqual(
    [sequenceSpan(65_535, 0), sequenceSpan(0, 65_535), sequenceSpan(10, 10), sequenceSpan(0, 32_767)],
    [1, -1, 0, 32_767],
  );
});

function reorder() {
  const clock = simClock();
  const out: (number | string)[] = [];
  const subject = new Reorder(clock, {
    packet: ({ sequence }) => out.push(sequence),
    lost: (count) => out.push(`lost ${count}`),
  });
  const push = (...sequences: number[]) => {
    for (const sequence of sequences) subject.push({ sequence: sequence & 0xffff } as RtpPacket);
  };
  return { clock, out, subject, push };
}

test("in order, over the wrap, nothing is held", () => {
  const { out, push, subject } = reorder();
  push(65_534, 65_535, 0, 1);
  assert.deepEqual(out, [65_534, 65_535, 0, 1]);
  assert.deepEqual(subject.counters, { lost: 0, stale: 0, reordered: 0 });
});

test("swapped and repeated ones come out once, in order", () => {
  const { out, push, subject } = reorder();
  push(10, 12, 12, 11, 11, 15, 14, 13, 10);
  assert.deepEqual(out, [10, 11, 12, 13, 14, 15]);
  assert.deepEqual(subject.counters, { lost: 0, stale: 3, reordered: 2 });
});

test("a lost one is given up after a moment, or when too many wait; what comes too late is stale", () => {
  const { out, push, clock, subject } = reorder();
  push(1, 3);
  clock.advance(39);
  push(4);
  assert.deepEqual(out, [1]);
  clock.advance(1);
  push(5, 2);
  assert.deepEqual(out, [1, "lost 1", 3, 4, 5]);
  push(...Array.from({ length: 65 }, (_, i) => 8 + i));
  assert.equal(out.length, 5 + 1 + 65);
  assert.deepEqual(out.slice(5, 7), ["lost 2", 8]);
  assert.deepEqual(subject.counters, { lost: 3, stale: 1, reordered: 0 });
});

test("one stray number changes nothing; two in a row are a new count", () => {
  const { out, push, subject } = reorder();
  push(100, 101, 40_000, 102, 50_000, 103, 20_000, 20_001, 20_002);
  assert.deepEqual(out, [100, 101, 102, 103, "lost 0", 20_001, 20_002]);
  assert.equal(subject.counters.lost, 0);
});

test("a flush hands on what is held", () => {
  const { out, push, subject } = reorder();
  push(1, 4, 3);
  subject.flush();
  assert.deepEqual(out, [1, "lost 1", 3, 4]);
});

test("property: whatever the order, numbers go up, each once, and those that are missing were told", () => {
  const arrivals = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_535 }), arrivals, (start, offsets) => {
      const { out, push, clock, subject } = reorder();
      push(start);
      offsets.forEach((offset, i) => {
        clock.advance(5);
        push(start + 1 + i + offset);
      });
      subject.flush();
      let next = start;
      let lost = 0;
      for (const item of out) {
        const missing = typeof item === "string" ? Number(item.slice(5)) : 0;
        lost += missing;
        next = (next + missing) & 0xffff;
        if (typeof item === "number") {
          assert.equal(item, next);
          next = (next + 1) & 0xffff;
        }
      }
      assert.equal(subject.counters.lost, lost);
    }),
    { seed: 3, numRuns: 500 },
  );
});
