// What every placement driver must do. Each driver's test calls this with a way to make one and a way to kill a workload.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Placement, Running, Workload } from "./placement.ts";

export type PlacementUnderTest = {
  placement: Placement;
  /** Make the workload's process die with a code that is not 0. */
  crash(id: string): void;
  close(): Promise<void>;
};

const workload = (id: string, specHash = "1"): Workload => ({ id, role: "transcode", specHash, env: {} });

/** Resolves when list() satisfies the condition; driven by onChange, not by time. */
async function until(placement: Placement, holds: (running: Running[]) => boolean): Promise<Running[]> {
  for (;;) {
    let wake = () => {};
    const changed = new Promise<void>((resolve) => (wake = resolve));
    const stop = placement.onChange(wake);
    const running = await placement.list();
    if (holds(running)) {
      stop();
      return running;
    }
    await changed;
    stop();
  }
}

export function placementConformance(name: string, create: () => PlacementUnderTest): void {
  const using = (title: string, body: (subject: PlacementUnderTest) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const subject = create();
      try {
        await body(subject);
      } finally {
        await subject.close();
      }
    });

  using("ensure twice leaves one workload, which becomes ready", async ({ placement }) => {
    await placement.ensure(workload("a"));
    await placement.ensure(workload("a"));
    const running = await until(placement, (all) => all.every((r) => r.phase === "ready"));
    assert.deepEqual(
      running.map((r) => r.id),
      ["a"],
    );
  });

  using("another specHash replaces", async ({ placement }) => {
    await placement.ensure(workload("a"));
    const [before] = await until(placement, (all) => all[0]?.phase === "ready");
    await placement.ensure(workload("a", "2"));
    const [after] = await until(placement, (all) => all[0]?.specHash === "2" && all[0].phase === "ready");
    assert.notEqual(after!.pid, before!.pid);
  });

  using("a crash is listed as failed until it is ensured again", async ({ placement, crash }) => {
    await placement.ensure(workload("a"));
    await until(placement, (all) => all[0]?.phase === "ready");
    crash("a");
    await until(placement, (all) => all[0]?.phase === "failed");
    await placement.ensure(workload("a"));
    await until(placement, (all) => all[0]?.phase === "ready");
  });

  using("a crash of one leaves the other", async ({ placement, crash }) => {
    await placement.ensure(workload("a"));
    await placement.ensure(workload("b"));
    const before = await until(placement, (all) => all.length === 2 && all.every((r) => r.phase === "ready"));
    crash("a");
    const after = await until(placement, (all) => all.some((r) => r.phase === "failed"));
    const pid = (all: Running[]) => all.find((r) => r.id === "b")!.pid;
    assert.equal(pid(after), pid(before));
  });

  using("remove makes it absent; an unknown id succeeds", async ({ placement }) => {
    await placement.ensure(workload("a"));
    await placement.remove("a");
    await placement.remove("nobody");
    assert.deepEqual(await placement.list(), []);
  });
}
