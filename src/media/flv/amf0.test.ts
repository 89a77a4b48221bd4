import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { type Amf0Value, decodeAmf0, ecmaArray, encodeAmf0 } from "./amf0.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

test("values are written and read as the format says", () => {
  const cases: [Amf0Value, string][] = [
    [1, "00 3ff0000000000000"],
    [true, "01 01"],
    ["ab", "02 0002 6162"],
    [{ a: null }, "03 0001 61 05 0000 09"],
    [undefined, "06"],
    [[false], "0a 00000001 0100"],
    [new Date(0), "0b 0000000000000000 0000"],
    [ecmaArray({ a: 1 }), "08 00000001 0001 61 003ff0000000000000 0000 09"],
  ];
  for (const [value, bytes] of cases) {
    assert.equal(encodeAmf0([value]).toString("hex"), hex(bytes).toString("hex"));
    assert.deepEqual(decodeAmf0(hex(bytes)), [value]);
  }
});

test("a typed object, a long string, XML and a wrong array count are understood", () => {
  assert.deepEqual(decodeAmf0(hex("10 0001 58 0001 61 0100 0000 09")), [{ a: false }]);
  assert.deepEqual(decodeAmf0(hex("0c 00000001 61  0f 00000001 62")), ["a", "b"]);
  assert.deepEqual(decodeAmf0(hex("08 ffffffff 0001 61 05 0000 09")), [{ a: null }]);
  const long = "x".repeat(70_000);
  assert.deepEqual(decodeAmf0(encodeAmf0([long])), [long]);
});

test("an empty property name inside an object is a property", () => {
  assert.deepEqual(decodeAmf0(hex("03 0000 0101 0000 09")), [{ "": true }]);
});

test("a property called __proto__ changes no prototype", () => {
  const [value] = decodeAmf0(hex("03 0009 5f5f70726f746f5f5f 03 0001 78 0101 0000 09 0000 09"));
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.deepEqual(Object.keys(value as object), ["__proto__"]);
});

const codeOf = (bytes: Uint8Array): string => {
  try {
    decodeAmf0(bytes);
    return "none";
  } catch (error) {
    assert.ok(error instanceof PlatformError, String(error));
    return error.code;
  }
};

test("bad input is refused with a code", () => {
  assert.equal(codeOf(hex("00 3ff0")), "media.truncated");
  assert.equal(codeOf(hex("02 ffff 61")), "media.truncated");
  assert.equal(codeOf(hex("0a ffffffff 05")), "media.truncated");
  assert.equal(codeOf(hex("07 0000")), "media.malformed"); // a reference
  assert.equal(codeOf(hex("11 01")), "media.malformed"); // AMF3
  assert.equal(codeOf(Buffer.concat(Array.from({ length: 40 }, () => hex("0a 00000001")))), "media.malformed"); // deep
  assert.equal(codeOf(Buffer.alloc(20_000, 5)), "media.malformed"); // many
});

test("what is written reads back the same", () => {
  const leaf = fc.oneof(
    fc.constant(null),
    fc.constant(undefined),
    fc.boolean(),
    fc.double({ noNaN: true }),
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
  );
  const { value } = fc.letrec<{ value: Amf0Value }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      leaf,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 8 }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), (values) => {
      assert.deepEqual(decodeAmf0(encodeAmf0(values)), values);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("no bytes make the reader throw anything but its own errors", () => {
  const random = seededRandom(7);
  const valid = encodeAmf0(["connect", 1, { app: "live", tcUrl: "rtmp://h/live", n: [1, { a: new Date(5) }] }, null]);
  let refused = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const bytes = i % 2 === 0 ? Buffer.from(random.bytes(random.int(0, 60))) : Buffer.from(valid);
    if (i % 2 === 1)
      for (let k = random.int(1, 4); k > 0; k -= 1) bytes[random.int(0, bytes.length)] = random.int(0, 256);
    if (codeOf(bytes.subarray(0, random.int(0, bytes.length + 1))) !== "none") refused += 1;
  }
  assert.ok(refused > 1000, `only ${refused} refused: the fuzz does not reach the checks`);
});
