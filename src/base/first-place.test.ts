import { strict as assert } from "node:assert";
import { test } from "node:test";
import { firstPlace } from "./first-place.ts";

test("the first place from which on it holds, at every length and border", () => {
  for (let length = 0; length < 20; length += 1)
    for (let from = 0; from <= length; from += 1) {
      const asked: number[] = [];
      const holds = (place: number) => {
        asked.push(place);
        return place >= from;
      };
      assert.equal(firstPlace(length, holds), from);
      assert.ok(asked.every((place) => place >= 0 && place < length) && asked.length <= 5);
    }
});
