import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { ByteQueue } from "./byte-queue.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { RTMP_LIMITS, type RtmpLimits, type RtmpMessage } from "./message.ts";
import { pieces } from "./testing/raw-peer.ts";

function reading(limits: Partial<RtmpLimits> = {}) {
  const queue = new ByteQueue();
  const reader = new ChunkReader(queue, { ...RTMP_LIMITS, ...limits });
  const read = (bytes: Uint8Array): RtmpMessage[] => {
    const messages: RtmpMessage[] = [];
    queue.push(bytes);
    for (let message = reader.next(); message !== null; message = reader.next()) messages.push(message);
    queue.settle();
    return messages;
  };
  return { reader, read };
}

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const times = (messages: RtmpMessage[]) => messages.map((message) => message.timestampMs);
const malformed = (pattern: RegExp) => (error: unknown) =>
  error instanceof PlatformError && error.code === "rtmp.malformed" && pattern.test(error.message);

const messageArbitrary = fc.record({
  chunkStreamId: fc.integer({ min: 2, max: 7 }),
  type: fc.constantFrom(8, 9, 18, 20),
  streamId: fc.constantFrom(0, 1, 2),
  stepMs: fc.oneof(fc.constantFrom(0, 20, 40), fc.integer({ min: -50, max: 0xffffff + 5 }), fc.constant(0x80000000)),
  bytes: fc.oneof(fc.constantFrom(0, 1, 127, 128, 129, 256), fc.nat(1000)),
});

test("what is written is read, whatever the chunk sizes, clocks and packet boundaries", () => {
  const property = fc.property(
    fc.array(messageArbitrary, { maxLength: 30 }),
    fc.integer({ min: 1, max: 500 }),
    fc.nat(0xffffffff),
    fc.integer(),
    (steps, chunkBytes, startMs, seed) => {
      const writer = new ChunkWriter();
      writer.chunkBytes = chunkBytes;
      const { reader, read } = reading();
      reader.setChunkBytes(chunkBytes);
      let nowMs = startMs;
      const sent = steps.map(({ chunkStreamId, type, streamId, stepMs, bytes }, i): [number, RtmpMessage] => {
        nowMs = (nowMs + stepMs) >>> 0;
        return [chunkStreamId, { type, streamId, timestampMs: nowMs, body: Buffer.alloc(bytes, i + 1) }];
      });
      const wire = Buffer.concat(sent.map(([id, message]) => writer.write(id, message)));
      const got = [...pieces(wire, seed, 300)].flatMap(read);
      assert.deepEqual(
        got,
        sent.map(([, message]) => message),
      );
    },
  );
  fc.assert(property, { numRuns: 300, seed: 1 });
});

test("the writer uses each header format, and format 3 only where all receivers agree", () => {
  const writer = new ChunkWriter();
  const formats = [
    [0, 10],
    [0, 10], // the same again, but right after format 0: format 2, not 3
    [20, 10],
    [40, 10],
    [60, 11],
    [50, 11], // back in time
    [50, 11], // no step, but right after format 0
  ].map(([timestampMs, bytes]) => {
    const message = { type: 8, streamId: 1, timestampMs: timestampMs!, body: Buffer.alloc(bytes!) };
    return writer.write(4, message)[0]! >> 6;
  });
  assert.deepEqual(formats, [0, 2, 2, 3, 1, 0, 2]);
});

test("the four header formats, as other programs write them", () => {
  const { read } = reading();
  const got = read(
    hex(`04 0003e8 000002 08 01000000 aabb
         44 000014 000001 09 cc
         84 000028 dd
         c4 ee`),
  );
  assert.deepEqual(got, [
    { type: 8, streamId: 1, timestampMs: 1000, body: hex("aabb") },
    { type: 9, streamId: 1, timestampMs: 1020, body: hex("cc") },
    { type: 9, streamId: 1, timestampMs: 1060, body: hex("dd") },
    { type: 9, streamId: 1, timestampMs: 1100, body: hex("ee") },
  ]);
});

test("format 3 after format 0 repeats its timestamp as the step", () => {
  const { read } = reading();
  assert.deepEqual(times(read(hex("04 000014 000001 08 01000000 aa c4 bb"))), [20, 40]);
});

test("chunk stream ids of one, two and three bytes", () => {
  const { read } = reading();
  const rest = "000001 000001 08 01000000 aa";
  const got = read(hex(`3f ${rest} 00ff ${rest} 01ffff ${rest} c0ff bb`)); // 63, 319, 65599, and 319 again
  assert.deepEqual(times(got), [1, 1, 1, 2]);
});

test("timestamps beyond 24 bits, in every chunk of a message, and across the wrap at 32 bits", () => {
  const writer = new ChunkWriter();
  const { read } = reading();
  const at = [0xfffffe, 0xffffff, 0x1000000, 0xfffffff0, 4, 24];
  const wire = at.map((timestampMs) => writer.write(6, { type: 9, streamId: 1, timestampMs, body: Buffer.alloc(300) }));
  assert.deepEqual(times(read(Buffer.concat(wire))), at);
});

test("an extended timestamp in format 3 chunks may be there or be missing", () => {
  const header = "06 ffffff 000100 09 01000000 01000000";
  const body = Buffer.alloc(256, 0x55);
  const with3 = Buffer.concat([hex(header), body.subarray(0, 128), hex("c6 01000000"), body.subarray(128)]);
  const without3 = Buffer.concat([hex(header), body.subarray(0, 128), hex("c6"), body.subarray(128)]);
  for (const wire of [with3, without3]) {
    const { read } = reading();
    assert.deepEqual(read(wire), [{ type: 9, streamId: 1, timestampMs: 0x1000000, body }]);
  }
});

test("messages of two chunk streams interleave; an aborted one never comes", () => {
  const { reader, read } = reading();
  reader.setChunkBytes(2);
  assert.deepEqual(read(hex("04 000001 000003 08 01000000 aaaa 06 000001 000003 09 01000000 bbbb")), []);
  reader.abort(4);
  reader.abort(9); // unknown: nothing happens
  const got = read(hex("c6 bb 44 000001 000001 08 cc"));
  assert.deepEqual(
    got.map((message) => message.body.toString("hex")),
    ["bbbbbb", "cc"],
  );
});

const refused: [string, string, RegExp][] = [
  ["format 2 on a new chunk stream", "84 000001", /begins with format 2/],
  ["format 3 on a new chunk stream", "c4", /begins with format 3/],
  ["a message inside another", `04 000001 0000ff 08 01000000${"aa".repeat(128)}04 000001 000001 08 01000000`, /inside/],
  ["a message beyond the limit", "04 000001 010001 08 01000000", /65537 bytes/],
];
for (const [title, wire, pattern] of refused)
  test(`refused: ${title}`, () => {
    const { read } = reading();
    assert.throws(() => read(hex(wire)), malformed(pattern));
  });

test("refused: chunk sizes of nothing and beyond 31 bits", () => {
  const { reader } = reading();
  assert.throws(() => reader.setChunkBytes(0), malformed(/chunk size/));
  assert.throws(() => reader.setChunkBytes(0x80000000), malformed(/chunk size/));
});

test("memory is bounded: the number of chunk streams, and the bytes of unfinished messages", () => {
  const many = reading({ chunkStreamsMax: 3 });
  const header = (id: number, bytes: string) =>
    hex(`${id.toString(16).padStart(2, "0")} 000001 ${bytes} 08 01000000 aa`);
  for (const id of [3, 4, 5]) many.read(header(id, "000001"));
  assert.throws(() => many.read(header(6, "000001")), malformed(/more than 3 chunk streams/));

  const large = reading({ unfinishedBytesMax: 0x20000 });
  large.reader.messageBytesMax = 0x10000;
  const begun = (id: number) => Buffer.concat([header(id, "010000"), Buffer.alloc(127)]);
  large.read(begun(3));
  large.read(begun(4));
  assert.throws(() => large.read(begun(5)), malformed(/unfinished/));
});

test("what was finished or aborted no longer counts as unfinished", () => {
  const { reader, read } = reading({ unfinishedBytesMax: 300 });
  const message = { type: 9, streamId: 1, timestampMs: 0, body: Buffer.alloc(200) };
  const whole = new ChunkWriter().write(6, message);
  const firstChunk = whole.subarray(0, 12 + 128);
  for (let i = 0; i < 5; i += 1) {
    assert.equal(read(whole).length, 1);
    read(firstChunk);
    reader.abort(6);
  }
});

test("small arrivals cost no more memory than their bytes", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 10_000; i += 1) {
    queue.push(Buffer.of(i & 0xff));
    queue.settle();
  }
  assert.equal(queue.length, 10_000);
  const got = queue.take(10_000);
  assert.ok(got.every((byte, i) => byte === (i & 0xff)));
  assert.equal(queue.length, 0);
});
