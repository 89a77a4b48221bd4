import { strict as assert } from "node:assert";
import { fork } from "node:child_process";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { simClock, systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { placementConformance } from "../conformance.ts";
import type { Placement } from "../placement.ts";
import { channelPlacement, servePlacement } from "./channel.ts";
import { childProcessPlacement } from "./child-process.ts";
import { memoryPlacement } from "./memory.ts";

const READY_CHILD =
  'process.send("ready"); process.on("disconnect", () => process.exit(0)); setInterval(() => {}, 1000);';

function children() {
  const placement = childProcessPlacement({
    clock: systemClock(),
    log: silentLog,
    start: () => fork("-e", [READY_CHILD], { execArgv: [], stdio: "ignore", serialization: "json" }),
  });
  const crash = async (id: string) => process.kill((await placement.list()).find((r) => r.id === id)!.pid!, "SIGKILL");
  return { placement, crash: (id: string) => void crash(id), close: () => placement.close() };
}

/** The same driver, asked through a channel whose two ends are in this process. */
function overChannel(inner: Placement): Placement {
  const [there, here] = [new EventEmitter(), new EventEmitter()];
  const end = (from: EventEmitter, to: EventEmitter) => ({
    send: (message: unknown) => queueMicrotask(() => to.emit("message", structuredClone(message))),
    onMessage: (listener: (message: unknown) => void) => void from.on("message", listener),
  });
  servePlacement(inner, end(there, here));
  return channelPlacement(end(here, there));
}

placementConformance("memory", () => {
  const placement = memoryPlacement(simClock());
  return { placement, crash: (id) => placement.exit(id, 137), close: async () => {} };
});

placementConformance("child process", children);

placementConformance("channel to child process", () => {
  const { placement, crash, close } = children();
  return { placement: overChannel(placement), crash, close };
});

test("child process: one that finishes with code 0 is no longer listed", async () => {
  const placement = childProcessPlacement({
    clock: systemClock(),
    log: silentLog,
    start: () => fork("-e", ["process.exit(0)"], { execArgv: [], stdio: "ignore" }),
  });
  const gone = new Promise<void>((resolve) =>
    placement.onChange(async () => (await placement.list()).length === 0 && resolve()),
  );
  await placement.ensure({ id: "a", role: "transcode", specHash: "1", env: {} });
  await gone;
  assert.deepEqual(await placement.list(), []);
});
