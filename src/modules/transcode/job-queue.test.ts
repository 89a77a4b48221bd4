import { strict as assert } from "node:assert";
import { test } from "node:test";
import { JobQueue } from "./job-queue.ts";

/** A job that ends when told. */
function job() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { run: () => promise, resolve, reject };
}

test("jobs run in order, and push waits while too many are ahead", async () => {
  const queue = new JobQueue(2);
  const done: number[] = [];
  const jobs = [job(), job(), job(), job()];
  let queued = 0;
  const pushes = jobs.map(async ({ run }, i) => {
    await queue.push(async () => {
      await run();
      done.push(i);
    });
    queued += 1;
  });
  await new Promise(setImmediate);
  assert.equal(queued, 3, "one runs, two wait");
  jobs[1]!.resolve();
  jobs[0]!.resolve();
  await new Promise(setImmediate);
  assert.equal(queued, 4);
  jobs[2]!.resolve();
  jobs[3]!.resolve();
  await Promise.all(pushes);
  await queue.idle();
  assert.deepEqual(done, [0, 1, 2, 3]);
});

test("the first error drops what waits and is told to everybody after", async () => {
  const queue = new JobQueue(1);
  const failing = job();
  let dropped = 0;
  await queue.push(failing.run);
  await queue.push(
    async () => assert.fail("it is dropped"),
    () => void (dropped += 1),
  );
  const late = queue.push(
    async () => assert.fail("it is dropped"),
    () => void (dropped += 1),
  );
  failing.reject(new Error("encoder"));
  await assert.rejects(late, /encoder/);
  await assert.rejects(queue.idle(), /encoder/);
  await assert.rejects(
    queue.push(async () => {}),
    /encoder/,
  );
  assert.equal(dropped, 2);
  await queue.abandon(new Error("later"));
});
