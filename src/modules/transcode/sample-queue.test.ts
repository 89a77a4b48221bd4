import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SampleQueue } from "./sample-queue.ts";

const ramp = (from: number, count: number) => Float32Array.from({ length: count }, (_, i) => from + i);

test("what lies before the first sample is dropped, gaps are silence, overlaps are taken once", () => {
  const queue = new SampleQueue(1, 100);
  queue.continueAt(95);
  queue.push([ramp(95, 4)]);
  assert.equal(queue.available, 0);
  queue.push([ramp(99, 4)]);
  assert.equal(queue.available, 3);
  queue.continueAt(105);
  queue.push([ramp(105, 2)]);
  queue.continueAt(106);
  queue.push([ramp(106, 3)]);
  assert.deepEqual([...queue.take(4)[0]!], [100, 101, 102, 0]);
  assert.deepEqual([...queue.take(5)[0]!], [0, 105, 106, 107, 108]);
  assert.equal(queue.available, 0);
  queue.pushSilenceTo(112);
  assert.equal(queue.end, 112);
  assert.deepEqual([...queue.take(3)[0]!], [0, 0, 0]);
});

test("channels stay together whatever the pieces", () => {
  const queue = new SampleQueue(2, 0);
  for (let at = 0; at < 3000; at += 7) queue.push([ramp(at, 7), ramp(at + 0.5, 7)]);
  for (let at = 0; at < 2048; at += 1024) {
    const [left, right] = queue.take(1024);
    assert.deepEqual([...left!], [...ramp(at, 1024)]);
    assert.deepEqual([...right!], [...ramp(at + 0.5, 1024)]);
  }
});
