// npm run bench [-- --only latency,cost,waiters,mpegts] [--minutes 10] [--seconds 30] [--waiters 10000] [--json]
// Figures are ratios to a peer of the same run where a peer is installed; run it on a quiet machine.
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hasProgram } from "../test/e2e/installation.ts";
import { cost } from "./cost.ts";
import { latency } from "./latency.ts";
import { mpegts } from "./mpegts.ts";
import { type Figure, table } from "./report.ts";
import { waiters } from "./waiters.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "latency,cost,waiters,mpegts" },
    seconds: { type: "string", default: "30" },
    minutes: { type: "string", default: "1" },
    waiters: { type: "string", default: "10000" },
    json: { type: "boolean", default: false },
  },
});
if (!hasProgram("ffmpeg")) {
  console.error(
    "bench: needs ffmpeg as publisher and as peer: apt-get install ffmpeg (and nginx libnginx-mod-rtmp for the other peer)",
  );
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), "continuity-bench-"));
const parts: Record<string, () => Promise<Figure[]>> = {
  latency: () => latency(folder),
  cost: () => cost(folder, Number(values.seconds), Number(values.minutes)),
  waiters: () => waiters(folder, Number(values.waiters)),
  mpegts: () => mpegts(folder),
};
const figures: Figure[] = [];
try {
  for (const name of values.only.split(",")) {
    if (!parts[name]) throw new Error(`no bench ${name}: there are ${Object.keys(parts).join(", ")}`);
    console.error(`bench: ${name} ...`);
    figures.push(...(await parts[name]()));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const machine = `${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}`;
console.log(values.json ? JSON.stringify({ machine, figures }, null, 2) : `${machine}\n\n${table(figures)}`);
