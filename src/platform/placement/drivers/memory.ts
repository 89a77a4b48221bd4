// Placement for simulations and tests: workloads are entries of a map, and faults are asked for by name.
import type { Clock } from "#base/clock.ts";
import type { Placement, Running, Workload } from "../placement.ts";

export interface MemoryPlacement extends Placement {
  /** The workload's process died (code 0: it finished). */
  exit(id: string, code: number): void;
  /** It became ready by itself; `ensure` makes it so at once unless `startsReady` is false. */
  ready(id: string): void;
}

export function memoryPlacement(clock: Clock, options: { startsReady?: boolean } = {}): MemoryPlacement {
  const held = new Map<string, { workload: Workload; phase: Running["phase"]; sinceMs: number; pid: number }>();
  const listeners = new Set<() => void>();
  let pid = 1000;
  const changed = () => {
    for (const listener of listeners) listener();
  };
  return {
    async ensure(workload) {
      const old = held.get(workload.id);
      if (old && old.workload.specHash === workload.specHash && old.phase !== "failed") return;
      const phase = options.startsReady === false ? "starting" : "ready";
      held.set(workload.id, { workload, phase, sinceMs: clock.monotonicMs(), pid: ++pid });
      changed();
    },
    async remove(id) {
      if (held.delete(id)) changed();
    },
    list: async () =>
      [...held].map(([id, { workload, phase, sinceMs, pid }]) => ({
        id,
        role: workload.role,
        specHash: workload.specHash,
        phase,
        sinceMs,
        pid,
        node: "memory",
      })),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exit(id, code) {
      const entry = held.get(id);
      if (!entry) return;
      if (code === 0) held.delete(id);
      else held.set(id, { ...entry, phase: "failed", sinceMs: clock.monotonicMs() });
      changed();
    },
    ready(id) {
      const entry = held.get(id);
      if (entry) held.set(id, { ...entry, phase: "ready" });
      changed();
    },
  };
}
