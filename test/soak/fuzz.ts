// npm run soak:fuzz [-- --minutes 30] [--only mpegts,amf0] [--jobs 2] [--seed 1] [--keep DIR] [--json]
// npm run soak:fuzz -- --replay FILE      reads one kept input again
// Every reader of strangers' bytes, for so many minutes each, in child processes whose memory is bounded. Found are
// exceptions other than the reader's own errors, deaths, inputs that take a second or never end, and memory that stays.
// Each input that did it is kept, with its seed and number in the name.
import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { systemRandom } from "#base/random.ts";
import { inputOf } from "./input.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";
import type { Report } from "./worker.ts";

const HANG_MS = 20_000;
const HEAP_MB = 256;
const MS_PER_MINUTE = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    only: { type: "string" },
    jobs: { type: "string", default: "1" },
    seed: { type: "string" },
    keep: { type: "string", default: "fuzz-findings" },
    replay: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

type Finding = { target: string; what: string; file: string };
type Result = { target: string; seed: number; iterations: number; megabytes: number; findings: Finding[] };

if (values.replay !== undefined) replay(values.replay);
else await runAll();

/** The kept bytes, cut into pieces as they were then. */
function replay(file: string): void {
  const [, name, seed, iteration] = /^(.+)-(\d+)-(\d+)\.bin$/.exec(basename(file)) ?? [];
  const target = targets.find((candidate) => candidate.name === name);
  if (!target) throw new Error(`${file}: not named READER-SEED-NUMBER.bin by one of our readers`);
  const { random } = inputOf(target, target.seeds(), Number(seed), Number(iteration));
  const started = performance.now();
  target.run(readFileSync(file), random);
  console.log(`${target.name}: read in ${(performance.now() - started).toFixed(1)} ms`);
}

async function runAll(): Promise<void> {
  const minutes = Number(values.minutes);
  const names = values.only?.split(",") ?? targets.map(({ name }) => name);
  const unknown = names.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0 || !(minutes > 0)) {
    console.error(`fuzz: no reader ${unknown.join(", ")}; there are ${targets.map(({ name }) => name).join(", ")}`);
    process.exit(2);
  }
  const seed = values.seed === undefined ? systemRandom().int(1, 2 ** 31) : Number(values.seed);
  const waiting = targets.filter(({ name }) => names.includes(name));
  const results: Result[] = [];
  const worker = async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) {
      const result = await runOne(target, seed, minutes * MS_PER_MINUTE);
      results.push(result);
      if (!values.json) console.log(line(result));
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
  const findings = results.flatMap((result) => result.findings);
  if (values.json) console.log(JSON.stringify({ seed, minutes, results }, null, 2));
  else console.log(`seed ${seed}: ${findings.length} findings in ${results.length} readers, ${minutes} min each`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

function line({ target, seed, iterations, megabytes, findings }: Result): string {
  const head = `${target.padEnd(18)} seed ${seed}  ${String(iterations).padStart(10)} inputs ${megabytes.toFixed(0).padStart(7)} MB`;
  return [
    `${head}  ${findings.length} findings`,
    ...findings.map(({ what, file }) => `  ${what}\n  kept: ${file}`),
  ].join("\n");
}

/** A child that dies is followed by another, with another seed, until the time is over. */
async function runOne(target: Target, firstSeed: number, totalMs: number): Promise<Result> {
  const result: Result = { target: target.name, seed: firstSeed, iterations: 0, megabytes: 0, findings: [] };
  const until = performance.now() + totalMs;
  for (let seed = firstSeed; performance.now() < until && result.findings.length < 20; seed += 1)
    await runChild(target, seed, until - performance.now(), result);
  return result;
}

async function runChild(target: Target, seed: number, ms: number, result: Result): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
  const progress = join(folder, "iteration");
  writeFileSync(progress, "");
  const iterationNow = () => {
    const bytes = readFileSync(progress);
    return bytes.length < 8 ? -1 : bytes.readDoubleBE();
  };
  const keep = (what: string, iteration: number) => {
    mkdirSync(values.keep, { recursive: true });
    const file = join(values.keep, `${target.name}-${seed}-${iteration}.bin`);
    writeFileSync(file, inputOf(target, target.seeds(), seed, iteration).input);
    result.findings.push({ target: target.name, what, file });
  };
  const script = join(import.meta.dirname, "worker.ts");
  const child = fork(script, [target.name, String(seed), progress, String(Math.ceil(ms))], {
    execArgv: [`--max-old-space-size=${HEAP_MB}`, "--expose-gc", "--disable-warning=ExperimentalWarning"],
  });
  let done = false;
  child.on("message", (report: Report) => {
    if (report.kind === "thrown") keep(report.text, report.iteration);
    else if (report.kind === "slow") keep(`took ${report.cpuMs.toFixed(0)} ms of CPU`, report.iteration);
    else if (report.kind === "memory")
      keep(`holds ${report.bytes} bytes, ${report.baseBytes} at first; not this input alone`, report.iteration);
    else {
      done = true;
      result.iterations += report.iterations;
      result.megabytes += report.bytes / 2 ** 20;
    }
  });
  let last = -1;
  let lastMs = performance.now();
  const watch = setInterval(() => {
    const now = iterationNow();
    if (now !== last) [last, lastMs] = [now, performance.now()];
    else if (performance.now() - lastMs > HANG_MS) child.kill("SIGKILL");
  }, 1000);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("exit", (exitCode, exitSignal) => resolve([exitCode, exitSignal])),
  );
  clearInterval(watch);
  if (!done && iterationNow() < 0) throw new Error(`${target.name}: its child cannot start (see above)`);
  if (!done)
    keep(signal === "SIGKILL" ? "never ends, or was killed for its memory" : `died: ${signal ?? code}`, iterationNow());
  rmSync(folder, { recursive: true });
}
