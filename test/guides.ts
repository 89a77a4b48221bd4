// npm run guides: runs the shell blocks of docs/guides/*.md as a reader would, word by word, in order.
// ```sh            must succeed
// ```sh background is started and kept running until the guide ends (its output must show an address first)
// ```sh no-run     shows a form with blanks to fill in
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const root = join(import.meta.dirname, "..");
const BLOCK = /^```sh *(background|no-run)?\n([\s\S]*?)^```$/gm;
const BLOCK_TIMEOUT_MS = 120_000;

function shell(script: string, cwd: string, data: string): ChildProcess {
  return spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    detached: true, // a group of its own, so that what a block started ends with it
    env: { ...process.env, CONTINUITY_DATA: data, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function finished(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), BLOCK_TIMEOUT_MS);
  return new Promise((resolve) =>
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    }),
  );
}

async function listening(child: ChildProcess): Promise<void> {
  let output = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout!.setEncoding("utf8").on("data", (text) => {
      output += text;
      if (/https?:\/\//.test(output)) resolve();
    });
    child.stderr!.setEncoding("utf8").on("data", (text) => (output += text));
    child.once("exit", (code) => reject(new Error(`ended with ${code}:\n${output}`)));
  });
}

let failed = 0;
let passed = 0;
for (const guide of globSync("docs/guides/*.md", { cwd: root }).sort()) {
  const blocks = [...readFileSync(join(root, guide), "utf8").matchAll(BLOCK)].filter(([, kind]) => kind !== "no-run");
  if (blocks.length === 0) continue;
  const data = await mkdtemp(join(tmpdir(), "continuity-guide-"));
  const background: ChildProcess[] = [];
  try {
    for (const [, kind, script] of blocks) {
      const child = shell(script!, root, data);
      if (kind === "background") {
        background.push(child);
        await listening(child);
      } else {
        const { code, output } = await finished(child);
        if (code !== 0) throw new Error(`exit ${code} of:\n${script}\n${output}`);
      }
      passed += 1;
    }
    console.log(`${basename(guide)}: ${blocks.length} blocks ran`);
  } catch (error) {
    failed += 1;
    console.error(`${basename(guide)}: ${(error as Error).message}`);
  } finally {
    for (const child of background) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.kill(-child.pid!, "SIGTERM");
      await gone;
    }
    await rm(data, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }); // what npm left behind is still closing
    await rm(join(root, "clip.mp4"), { force: true });
  }
}
console.log(`guides: ${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
