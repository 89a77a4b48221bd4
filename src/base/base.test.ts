// The small things everything stands on.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { BoundedQueue } from "./bounded-queue.ts";
import { after, simClock, systemClock } from "./clock.ts";
import { describe, isErrorCode, PlatformError, toProblem } from "./errors.ts";
import { jsonLog, redact } from "./log.ts";
import { randomId, seededRandom, systemRandom } from "./random.ts";

test("no secret reaches a log line: by name, in addresses, in headers, in errors and their causes, at any depth", () => {
  const secret = "S3cret-of-the_studio.1";
  const lines: string[] = [];
  const log = jsonLog("info", { role: "test" }, (line) => void lines.push(line)).child({
    token: secret,
    channel: "cam",
  });
  const cause = new Error(`GET /ingest/cam.mpegts?key=${secret}&x=1`);
  log.info("all of them", {
    url: `rtmp://host/live/cam?key=${secret}`,
    header: `Bearer ${secret}`,
    keys: [{ name: "studio", key: secret }],
    deep: { a: { b: [{ password: secret, passphrase: secret, Authorization: secret }] } },
    error: new PlatformError("publish.key_refused", `srt://host?streamid=x&passphrase=${secret}`, { cause }),
    bytes: Buffer.from(secret),
  });
  assert.equal(lines.length, 1);
  assert.ok(!lines[0]!.includes(secret), lines[0]);
  const { time, ...line } = JSON.parse(lines[0]!);
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.deepEqual([line.level, line.event, line.role, line.channel], ["info", "all of them", "test", "cam"]);
  assert.equal(line.url, "rtmp://host/live/cam?key=[hidden]");
  assert.deepEqual(line.keys, [{ name: "studio", key: "[hidden]" }]);
  assert.equal(line.error.code, "publish.key_refused");
  assert.equal(line.error.cause, "GET /ingest/cam.mpegts?key=[hidden]&x=1");
  assert.equal(line.bytes, `${secret.length} bytes`);
});

test("redaction leaves the rest as it is, and ends on what has no end", () => {
  const ring: Record<string, unknown> = { name: "ring", monkey: "key", positions: 3n };
  ring.self = ring;
  const text = JSON.stringify(redact(ring));
  assert.match(text, /"monkey":"key","positions":"3"/);
  assert.match(text, /\[deep\]/);
  assert.equal(redact("keys=2 monkeys, /live/cam?msn=1"), "keys=2 monkeys, /live/cam?msn=1");
});

test("a level that is off costs no line", () => {
  const lines: string[] = [];
  const log = jsonLog("warn", {}, (line) => void lines.push(line));
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).event),
    ["c", "d"],
  );
});

test("errors: one line with causes, each said once; problems tell the code and nothing of a defect", () => {
  const low = new Error("connect ECONNREFUSED 127.0.0.1:1");
  const error = new PlatformError("network.unreachable", "The gateway does not answer.", { cause: low });
  assert.equal(describe(error), "network.unreachable: The gateway does not answer. (connect ECONNREFUSED 127.0.0.1:1)");
  const telling = new PlatformError("config.invalid", `It cannot be used: ${low.message}.`, { cause: low });
  assert.equal(describe(telling), "config.invalid: It cannot be used: connect ECONNREFUSED 127.0.0.1:1.");
  assert.equal(describe("plain"), "plain");
  const { status, code, detail, title } = toProblem(error);
  assert.deepEqual([status, code, detail, title], [error.http, "network.unreachable", error.message, "unreachable"]);
  assert.doesNotMatch(JSON.stringify(toProblem(new Error("password of the database"))), /password/);
  assert.ok(isErrorCode("api.conflict") && !isErrorCode("toString"));
});

test("a bounded queue: in order, never above its weight but for one item alone", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.option(fc.integer({ min: 0, max: 60 }))),
      (most, steps) => {
        const queue = new BoundedQueue<number>(most, (item) => item);
        const model: number[] = [];
        for (const step of steps) {
          if (step === null) assert.equal(queue.shift(), model.shift());
          else {
            const total = model.reduce((sum, item) => sum + item, 0);
            const fits = model.length === 0 || total + step <= most;
            assert.equal(queue.push(step), fits);
            if (fits) model.push(step);
          }
          assert.deepEqual([queue.length, queue.weight], [model.length, model.reduce((sum, item) => sum + item, 0)]);
        }
        queue.clear();
        assert.deepEqual([queue.length, queue.weight, queue.shift()], [0, 0, undefined]);
      },
    ),
  );
});

test("a simulated clock fires in the order of instants, also what is armed meanwhile; cancelled is cancelled", async () => {
  const clock = simClock(1_000n);
  const fired: [string, number][] = [];
  const note = (name: string) => () => void fired.push([name, clock.monotonicMs()]);
  clock.setTimer(20, note("b"));
  clock.setTimer(20, note("c"));
  const gone = clock.setTimer(15, note("never"));
  clock.setTimer(10, () => {
    note("a")();
    clock.setTimer(5, note("armed meanwhile"));
    gone.cancel();
  });
  const waited = after(clock, 30);
  clock.advance(25);
  assert.deepEqual(fired, [
    ["a", 10],
    ["armed meanwhile", 15],
    ["b", 20],
    ["c", 20],
  ]);
  clock.stepUtc(-1000);
  assert.equal(clock.utcNs(), 1_000n + 25_000_000n - 1_000_000_000n);
  assert.equal(clock.monotonicMs(), 25, "a step of UTC moves no span");
  clock.advance(5);
  await waited;
});

test("the host's clock tells UTC within some milliseconds", () => {
  const clock = systemClock();
  const before = Date.now();
  const ms = Number(clock.utcNs() / 1_000_000n);
  assert.ok(ms >= before - 5 && ms <= Date.now() + 5, `${ms - before} ms off`);
});

test("seeded chance replays and keeps to its range; ids differ", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 200 }, () => random.int(-3, 4));
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.deepEqual(
    [...new Set(draw(7))].sort((a, b) => a - b),
    [-3, -2, -1, 0, 1, 2, 3],
  );
  const ids = Array.from({ length: 1000 }, () => randomId(systemRandom()));
  assert.equal(new Set(ids).size, 1000);
  assert.ok(ids.every((id) => /^[2-9a-hjkmnp-z]{12}$/.test(id)));
});
