import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { pullStream } from "./pull-stream.ts";

/** An address that keeps whoever opens it busy until they give up. */
function pulling(clock: ReturnType<typeof simClock>, stop: AbortController) {
  return pullStream("http://example.org/circle.m3u8", {
    clock,
    openRemoteInput: (_, signal) =>
      new Promise((_resolve, reject) => {
        const freed = () => reject(new PlatformError("av.failed", "look into the stream: Immediate exit requested"));
        signal.addEventListener("abort", freed, { once: true });
      }),
    putUrl: "http://127.0.0.1:9/ingest/a.mpegts",
    token: "",
    signal: stop.signal,
    onBegin: () => assert.fail("nothing begins"),
  });
}

test("an address that gives no stream in half a minute is given up, in words that say so", async () => {
  const clock = simClock();
  const outcome = assert.rejects(pulling(clock, new AbortController()), {
    code: "network.unreachable",
    message: "No stream was found within 30 s.",
  });
  clock.advance(30_000);
  await outcome;
});

test("a pull that is stopped while it opens is over at once", async () => {
  const stop = new AbortController();
  const outcome = assert.rejects(pulling(simClock(), stop), { code: "av.failed" });
  stop.abort();
  await outcome;
});
