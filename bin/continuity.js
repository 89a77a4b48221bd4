#!/usr/bin/env node
// Entry of the command line. Plain JavaScript, good on Node 20, because its one job is to find Node 24: the machine's
// own Node may be older, and then the one that `npm ci` put beside us is taken.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const main = fileURLToPath(new URL("../src/app/cli/main.ts", import.meta.url));
const localNode = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));

if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) {
  // Keeps the stripped TypeScript: starts faster, and the compiler (30 MB a process) stays out of memory. Beside the code it
  // serves every data folder; where that cannot be written, Node takes its own place for it.
  const cache = fileURLToPath(new URL("../node_modules/.cache/continuity", import.meta.url));
  if (module.enableCompileCache?.(cache).status === module.constants.compileCacheStatus.FAILED)
    module.enableCompileCache();
  await import(main);
} else if (existsSync(localNode)) {
  const child = spawn(localNode, process.argv.slice(1), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
} else {
  console.error(
    `continuity: needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.versions.node}. Run \`npm ci\` in the checkout (it brings one), then \`npm start\`.`,
  );
  process.exit(1);
}
