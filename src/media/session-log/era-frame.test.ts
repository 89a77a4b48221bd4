import { strict as assert } from "node:assert";
import { test } from "node:test";
import { compareEraFrames, earliest } from "./era-frame.ts";

const at = (era: number, frame: number) => ({ era, frame });

test("eras come before frames, and the beginning before all", () => {
  assert.ok(compareEraFrames(at(0, 9), at(1, 2)) < 0);
  assert.ok(compareEraFrames(at(1, 9), at(1, 2)) > 0);
  assert.equal(compareEraFrames(at(1, 2), at(1, 2)), 0);
  assert.deepEqual(earliest([at(1, 2), at(0, 9), at(0, 10)]), at(0, 9));
  assert.equal(earliest([at(1, 2), null, at(0, 9)]), null);
  assert.equal(earliest([]), null);
});
