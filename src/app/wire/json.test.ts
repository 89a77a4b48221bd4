import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { decodeWire, encodeWire } from "./json.ts";

test("what goes over the wire comes out equal, bigints and bytes included", () => {
  const leaf = fc.oneof(fc.bigInt(), fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.uint8Array());
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie("tree")),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie("tree")),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => assert.deepEqual(decodeWire(encodeWire(value)), structuredClone(value))),
    { seed: 7 },
  );
});
