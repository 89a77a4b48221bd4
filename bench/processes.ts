// What a set of processes costs, from the kernel's own counters. Linux only.
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export type Cost = Readonly<{ cpuSeconds: number; rssBytes: number; pssBytes: number; processes: number }>;

/** A process and everything below it. Children that ended are in their parent's count (cutime, cstime). */
export function treeCost(root: number): Cost {
  const parents = parentsByPid();
  const inTree = (pid: number): boolean => pid === root || (parents.has(pid) && inTree(parents.get(pid)!));
  const costs = [...parents.keys()].filter(inTree).map(processCost);
  return {
    cpuSeconds: sum(costs.map((c) => c.cpuSeconds)),
    rssBytes: sum(costs.map((c) => c.rssBytes)),
    pssBytes: sum(costs.map((c) => c.pssBytes)),
    processes: costs.length,
  };
}

function parentsByPid(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFields(Number(name));
    if (fields) parents.set(Number(name), Number(fields[1]));
  }
  return parents;
}

/** Fields of /proc/PID/stat after the command name: [0] state, [1] ppid, [11] utime, [12] stime, [13] cutime, [14] cstime. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null; // it ended between two reads
  }
}

/** Of one process alone; all 0 when there is none. */
export function processCost(pid: number): Cost {
  const fields = statFields(pid);
  if (!fields) return { cpuSeconds: 0, rssBytes: 0, pssBytes: 0, processes: 0 };
  const ticks = sum([11, 12, 13, 14].map((i) => Number(fields[i])));
  return {
    cpuSeconds: ticks / TICKS_PER_SECOND,
    rssBytes: memory(pid, "Rss"),
    pssBytes: memory(pid, "Pss"),
    processes: 1,
  };
}

function memory(pid: number, field: "Rss" | "Pss"): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
