// The child of the fuzz runner: tries mutants of one reader until it is stopped. Before each it writes its number into a
// file, so that the parent knows the input that killed it or that never ends; the input itself follows from the number.
// usage: worker.ts TARGET SEED PROGRESS_FILE MILLISECONDS
import { openSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { inputOf } from "./input.ts";
import { targets } from "./targets.ts";

export type Report =
  | Readonly<{ kind: "thrown"; iteration: number; text: string }>
  | Readonly<{ kind: "slow"; iteration: number; cpuMs: number }>
  | Readonly<{ kind: "memory"; iteration: number; bytes: number; baseBytes: number }>
  | Readonly<{ kind: "done"; iterations: number; bytes: number }>;

const SLOW_CPU_MS = 1000;
const MEMORY_EVERY_MS = 5000;
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;

const [name, seedText, progressFile, millisecondsText] = process.argv.slice(2);
const target = targets.find((candidate) => candidate.name === name)!;
const seed = Number(seedText);
const until = performance.now() + Number(millisecondsText);
const progress = openSync(progressFile!, "w");
const number = Buffer.alloc(8);
const seeds = target.seeds();
const told = new Set<string>();
const report = (what: Report) => process.send!(what);

/** What is held still, after two collections: the memory of buffers is given back by another thread, in its own time. */
async function heldBytes(): Promise<number> {
  for (let i = 0; i < 2; i += 1) {
    globalThis.gc!();
    await setTimeout(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

let iteration = 0;
let bytes = 0;
let baseBytes = 0;
let nextMemoryMs = performance.now() + MEMORY_EVERY_MS;
for (; ; iteration += 1) {
  const nowMs = performance.now();
  if (nowMs >= until) break;
  if (nowMs >= nextMemoryMs) {
    const held = await heldBytes();
    if (baseBytes === 0) baseBytes = held;
    if (held > baseBytes + GROWTH_BYTES_MAX) {
      report({ kind: "memory", iteration, bytes: held, baseBytes });
      baseBytes = held; // tell it again only when it grows on
    }
    nextMemoryMs = nowMs + MEMORY_EVERY_MS;
  }
  number.writeDoubleBE(iteration);
  writeSync(progress, number, 0, 8, 0);
  const { input, random } = inputOf(target, seeds, seed, iteration);
  bytes += input.length;
  const before = process.cpuUsage();
  try {
    target.run(input, random);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const where = text.split("\n").slice(0, 3).join(" ").replaceAll(/\d+/g, "0");
    if (told.size < 100 && !told.has(where)) report({ kind: "thrown", iteration, text });
    told.add(where);
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  if (cpuMs > SLOW_CPU_MS) report({ kind: "slow", iteration, cpuMs });
}
report({ kind: "done", iterations: iteration, bytes });
process.disconnect();
