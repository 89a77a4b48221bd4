import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { EntryReader, encodeEntry, encodeFailure, encodeHeader, encodeIdle, type LogRecord } from "./codec.ts";
import { decodeDecision, encodeDecision } from "./decision-json.ts";
import type { Decision, Positioned, Unit } from "./entries.ts";
import { anyDecision, anyEntry } from "./testing/arbitrary.ts";

const unit: Unit = {
  kind: "unit",
  track: 1,
  index: 54_000_000_123,
  timeNs: 1_800_000_000_000_000_000n,
  decodeNs: 1_799_999_999_900_000_000n,
  randomAccess: true,
  damaged: false,
  arrivedNs: 1_800_000_000_040_000_000n,
  payload: Buffer.alloc(1000, 7),
};
const hole: Decision = { kind: "hole", from: 10, to: 20 };

/** Payloads as plain bytes: a view of what was received and an own array count as equal. */
function plain(records: readonly LogRecord[]): unknown[] {
  return records.map((record) => {
    if (record.kind !== "entry" || record.at.entry.kind !== "unit") return record;
    const payload = new Uint8Array(record.at.entry.payload);
    return { kind: "entry", at: { position: record.at.position, entry: { ...record.at.entry, payload } } };
  });
}

const entryOf = (at: Positioned): LogRecord => ({ kind: "entry", at });

function bytesOf(entries: readonly Positioned[]): Buffer {
  return Buffer.concat([encodeHeader(), ...entries.flatMap(encodeEntry)]);
}

test("entries come back equal, however the bytes are cut", () => {
  const property = fc.property(
    fc.array(anyEntry, { maxLength: 12 }),
    fc.infiniteStream(fc.nat(200)),
    (entries, cuts) => {
      const bytes = bytesOf(entries);
      const reader = new EntryReader();
      const records: LogRecord[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = cuts.next().value as number;
        records.push(...reader.push(bytes.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(plain(records), plain(entries.map(entryOf)));
      assert.ok(reader.atBorder);
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
});

test("a payload is sent and received without a copy", () => {
  const pieces = encodeEntry({ position: 0, entry: unit });
  assert.equal(pieces.at(-1)!.buffer, unit.payload.buffer);
  const bytes = bytesOf([{ position: 0, entry: unit }]);
  const [record] = new EntryReader().push(bytes);
  assert.ok(record?.kind === "entry" && record.at.entry.kind === "unit");
  assert.equal(record.at.entry.payload.buffer, bytes.buffer);
});

test("the reader knows whether bytes of a record are still to come", () => {
  const bytes = bytesOf([{ position: 3, entry: hole }]);
  const reader = new EntryReader();
  assert.equal(reader.atBorder, false);
  for (const [at, byte] of bytes.entries()) {
    reader.push(Buffer.from([byte]));
    const border = at + 1 === encodeHeader().length || at + 1 === bytes.length;
    assert.equal(reader.atBorder, border, `after ${at + 1} bytes`);
  }
});

test("idle and failure records", () => {
  const failure = new PlatformError("log.reader_too_slow", "Behind by 12 s.");
  const defect = new TypeError("secret detail");
  const bytes = Buffer.concat([encodeHeader(), encodeIdle(), encodeFailure(failure), encodeFailure(defect)]);
  assert.deepEqual(new EntryReader().push(bytes), [
    { kind: "idle" },
    { kind: "failure", code: "log.reader_too_slow", message: "Behind by 12 s." },
    { kind: "failure", code: "internal", message: "See the log." },
  ]);
});

test("a failure with a code that is not in the table is internal", () => {
  const bytes = Buffer.concat([encodeHeader(), encodeFailure(new PlatformError("log.unknown_session", "x"))]);
  const at = bytes.indexOf("log.unknown_session");
  for (const code of ["log.unknown_sessiox", "toString___________".slice(0, 19)]) {
    bytes.write(code, at, "latin1");
    assert.deepEqual(new EntryReader().push(bytes), [{ kind: "failure", code: "internal", message: "x" }]);
  }
});

test("another version is refused by name, other bytes as garbage", () => {
  const other = encodeHeader();
  other.writeUInt8(other.at(-1)! + 1, other.length - 1);
  assert.throws(() => new EntryReader().push(other), { code: "media.unsupported" });
  assert.throws(() => new EntryReader().push(Buffer.from("HTTP/1.1 200 OK")), { code: "media.malformed" });
});

for (const [what, record] of [
  ["an empty record", [0, 0, 0, 0]],
  ["a record larger than any unit", [255, 255, 255, 255, 1]],
  ["an unknown kind", [0, 0, 0, 1, 9]],
  ["a unit cut short", [0, 0, 0, 3, 1, 0, 0]],
  ["a decision cut short", [0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 0]],
  ["an idle record with something in it", [0, 0, 0, 2, 3, 0]],
  ["a failure without a code", [0, 0, 0, 1, 4]],
  ["a failure with a code beyond its end", [0, 0, 0, 2, 4, 9]],
] as const)
  test(`refused: ${what}`, () => {
    const bytes = Buffer.concat([encodeHeader(), Buffer.from(record)]);
    assert.throws(() => new EntryReader().push(bytes), { code: "media.malformed" });
  });

test("refused: a position or index that a number cannot hold", () => {
  const bytes = bytesOf([{ position: 1, entry: unit }]);
  for (const at of [16, 24]) {
    const wrong = Buffer.from(bytes);
    wrong.writeBigUInt64BE(2n ** 60n, at);
    assert.throws(() => new EntryReader().push(wrong), { code: "media.malformed" }, `field at ${at}`);
  }
});

test("a decision with any field missing, added or of another type is refused", () => {
  const spoil = [undefined, "x", -1.5, { a: 1 }, null] as const;
  const property = fc.property(anyDecision, fc.nat(), fc.constantFrom(...spoil), (decision, pick, value) => {
    const fields = Object.keys(decision);
    const field = fields[pick % fields.length]!;
    const wrong = { ...decision, [field]: value } as unknown as Decision;
    const was = (decision as unknown as Record<string, unknown>)[field];
    if (typeof was === "string" && typeof value === "string") return;
    if (was === value || (field === "crf" && value === -1.5) || (field === "previousEnd" && value === null)) return;
    assert.throws(() => decodeDecision(encodeDecision(wrong)), { code: "media.malformed" }, field);
  });
  fc.assert(property, { seed: 2, numRuns: 500 });
  assert.throws(() => decodeDecision(Buffer.from('{"kind":"hole","from":1,"to":2,"more":3}')), {
    code: "media.malformed",
  });
  assert.throws(() => decodeDecision(Buffer.from('{"kind":"toString"}')), { code: "media.malformed" });
  for (const text of ["null", "[]", "1", "{}", "{", ""])
    assert.throws(() => decodeDecision(Buffer.from(text)), { code: "media.malformed" }, text);
});

// Whatever arrives, the reader either gives well-formed records or throws one of its two codes, and never holds more
// than it was told to expect. Replay one: SEED=17 node --test codec.test.ts
test("fuzz: flipped, cut and inserted bytes end in a code or in records of the right shape", () => {
  const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 3000 }, (_, i) => i);
  const entries: Positioned[] = [
    { position: 0, entry: hole },
    { position: 1, entry: unit },
    { position: 2, entry: { kind: "anchor", sourceTicks: 90_000n, timescale: 90_000, timeNs: 5n } },
    { position: 3, entry: { ...unit, payload: Buffer.alloc(40) } },
    { position: 4, entry: { kind: "end", frame: 9, reason: "lost" } },
  ];
  const good = Buffer.concat([bytesOf(entries), encodeIdle(), encodeFailure(new Error("x"))]);
  let refused = 0;
  for (const seed of seeds) {
    const random = seededRandom(seed);
    let bytes = Buffer.from(good);
    for (let n = random.int(1, 4); n > 0; n -= 1) {
      const at = random.int(0, bytes.length);
      const action = random.int(0, 3);
      if (action === 0) bytes.writeUInt8(bytes[at]! ^ (1 << random.int(0, 8)), at);
      else if (action === 1) bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(3), bytes.subarray(at)]);
      else
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + random.int(1, 40)))]);
      if (bytes.length === 0) break;
    }
    const reader = new EntryReader();
    try {
      for (let at = 0; at < bytes.length; at += 100)
        for (const record of reader.push(bytes.subarray(at, at + 100)))
          if (record.kind === "entry") {
            assert.ok(Number.isSafeInteger(record.at.position), `seed ${seed}`);
            assert.equal(typeof record.at.entry.kind, "string");
          }
    } catch (error) {
      const { code } = error as PlatformError;
      assert.ok(code === "media.malformed" || code === "media.unsupported", `seed ${seed}: ${error}`);
      refused += 1;
    }
  }
  if (seeds.length > 1) assert.ok(refused > seeds.length / 2, "the fuzz reaches the checks");
});
