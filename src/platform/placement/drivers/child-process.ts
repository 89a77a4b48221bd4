// Media functions as child processes of this one. The parent must outlive them (it is the supervisor, which does nothing
// else): a child whose parent is gone sees its channel close and leaves, so kill -9 of everything leaves nothing behind.
import type { ChildProcess } from "node:child_process";
import { hostname } from "node:os";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Placement, Running, Workload } from "../placement.ts";

/** A child that ignores SIGTERM this long is killed. Draining an ended session is done before removal is asked for. */
const TERM_GRACE_MS = 3000;

type Child = {
  workload: Workload;
  process: ChildProcess;
  phase: "starting" | "ready" | "failed";
  sinceMs: number;
  removed: boolean;
};

/** @param start makes the process, with an IPC channel; it is `ready` once the child sends "ready" on it */
export function childProcessPlacement(deps: {
  clock: Clock;
  log: Log;
  start: (workload: Workload) => ChildProcess;
}): Placement & { close(): Promise<void> } {
  const { clock, log } = deps;
  const children = new Map<string, Child>();
  const leaving = new Set<ChildProcess>();
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) listener();
  };

  function launch(workload: Workload): void {
    const process = deps.start(workload);
    const child: Child = { workload, process, phase: "starting", sinceMs: clock.monotonicMs(), removed: false };
    children.set(workload.id, child);
    process.on("message", (message) => {
      if (message !== "ready") return;
      child.phase = "ready";
      changed();
    });
    process.on("error", (error) => log.error("workload cannot be started", { workload: workload.id, error }));
    process.on("exit", (code, signal) => {
      leaving.delete(process);
      if (!child.removed) log.info("workload ended", { workload: workload.id, pid: process.pid, code, signal });
      if (code === 0 || child.removed) {
        if (children.get(workload.id) === child) children.delete(workload.id);
      } else {
        child.phase = "failed";
        child.sinceMs = clock.monotonicMs();
      }
      changed();
    });
    changed();
  }

  function stop(child: Child): void {
    child.removed = true;
    if (!isAlive(child.process)) return;
    leaving.add(child.process);
    child.process.kill("SIGTERM");
    const timer = clock.setTimer(TERM_GRACE_MS, () => child.process.kill("SIGKILL"));
    child.process.once("exit", () => timer.cancel());
  }

  return {
    async ensure(workload) {
      const old = children.get(workload.id);
      if (old && old.workload.specHash === workload.specHash && old.phase !== "failed") return;
      if (old) stop(old);
      launch(workload);
    },
    async remove(id) {
      const child = children.get(id);
      if (!child) return;
      stop(child);
      children.delete(id);
      changed();
    },
    list: async () =>
      [...children].map(
        ([id, { workload, process, phase, sinceMs }]): Running => ({
          id,
          role: workload.role,
          specHash: workload.specHash,
          phase,
          sinceMs,
          pid: process.pid ?? null,
          node: hostname(),
        }),
      ),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Stop all, and wait until they are gone. */
    async close() {
      const all = [...children.values()].map((child) => child.process).concat([...leaving]);
      const gone = all.filter(isAlive).map((process) => new Promise((resolve) => process.once("exit", resolve)));
      for (const child of children.values()) stop(child);
      children.clear();
      await Promise.all(gone);
    },
  };
}

function isAlive(process: ChildProcess): boolean {
  return process.pid !== undefined && process.exitCode === null && process.signalCode === null;
}
