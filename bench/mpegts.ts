// How fast a transport stream becomes units: CPU seconds for each Gbit, in the pieces a TCP socket and a UDP socket hand
// over. The stream is a real one, at 20 Mbit/s with B-frames and sound.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import type { Figure } from "./report.ts";
import { median } from "./statistics.ts";

const SECONDS = 6;
const ROUNDS = 7;
const PIECES = { "TCP, 64 KiB": 64 * 1024, "UDP, 1316 bytes": 1316 } as const;
/** 1 Gbit/s on a core. */
const GOAL_SECONDS = 1;

export async function mpegts(folder: string): Promise<Figure[]> {
  const file = join(folder, "fast.mpegts");
  const noisy = `testsrc2=size=1280x720:rate=50:duration=${SECONDS},noise=alls=40:allf=t`;
  const video = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -b:v 20M -minrate 20M -maxrate 20M -bufsize 4M";
  const options = `-f lavfi -i ${noisy} -f lavfi -i sine=duration=${SECONDS} ${video} -c:a aac -f mpegts ${file}`;
  execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-y", ...options.split(" ")]);
  const bytes = readFileSync(file);
  return Object.entries(PIECES).map(([name, pieceBytes]) => {
    run(bytes, pieceBytes); // compiled by then
    const times = Array.from({ length: ROUNDS }, () => run(bytes, pieceBytes));
    const seconds = median(times.map(({ cpuSeconds }) => cpuSeconds)) / ((bytes.length * 8) / 1e9);
    const note = `${(1 / seconds).toFixed(2)} Gbit/s, ${times[0]!.units} units of ${(bytes.length / 2 ** 20).toFixed(1)} MiB`;
    return {
      name: `transport stream to units, ${name}`,
      ours: seconds,
      unit: "CPU-s per Gbit",
      peer: null,
      goal: GOAL_SECONDS,
      note,
    };
  });
}

function run(bytes: Buffer, pieceBytes: number): { cpuSeconds: number; units: number } {
  let units = 0;
  const before = process.cpuUsage();
  const demuxer = mpegtsDemuxer((event) => {
    if (event.kind === "unit") units += 1;
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) demuxer.push(bytes.subarray(at, at + pieceBytes));
  demuxer.end();
  const { user, system } = process.cpuUsage(before);
  return { cpuSeconds: (user + system) / 1e6, units };
}

if (import.meta.main) {
  const { mkdtemp, rm } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  const { table } = await import("./report.ts");
  const folder = await mkdtemp(join(tmpdir(), "continuity-bench-"));
  try {
    console.log(table(await mpegts(folder)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
