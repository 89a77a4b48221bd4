// CPU and memory while one 720p30 stream is transcoded, and while nothing streams.
import { planLadder } from "#media/ladder/plan.ts";
import { isEncodedVideo, type VideoRendition } from "#media/ladder/rendition.ts";
import type { VideoTrack } from "#media/session-log/entries.ts";
import { rate } from "#media/time/rate.ts";
import { eventually, install, sessionIn } from "../test/e2e/installation.ts";
import { bareFfmpegCpu } from "./peers.ts";
import { treeCost } from "./processes.ts";
import type { Figure } from "./report.ts";
import { publish, sourceFile } from "./source.ts";

const MB = 1024 * 1024;
const SETTLE_MS = 5000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The rungs that the platform plans for the source, with their encoder settings. */
function rungsOf(width: number, height: number): VideoRendition[] {
  const source: VideoTrack = {
    track: 0,
    kind: "video",
    codec: "h264",
    config: new Uint8Array(),
    width,
    height,
    pixelAspect: { num: 1, den: 1 },
    declaredRate: null,
    interlaced: false,
    bitDepth: 8,
    range: "SDR",
    rotation: 0,
  };
  return planLadder([source], "auto", rate(30)).filter(isEncodedVideo);
}

export async function cost(folder: string, seconds: number, minutes: number): Promise<Figure[]> {
  const file = sourceFile(folder);
  const installation = await install();
  const root = installation.process.pid!;
  try {
    await eventually("a warm worker", async () =>
      (await installation.get<{ items: { phase: string }[] }>("/api/v1/workers")).items.some((w) => w.phase === "warm"),
    );
    await pause(SETTLE_MS);
    const idle = await measure(root, 20);
    const path = `/live/cost?key=${installation.publishKey}`;
    const publisher = await publish(file, { host: "127.0.0.1", port: installation.rtmpPort, path });
    await sessionIn(installation, "cost", "live");
    await pause(SETTLE_MS);
    const busy = await measure(root, seconds);
    const memory = await memoryOver(root, minutes);
    await publisher.stop();
    const bare = await bareFfmpegCpu(file, rungsOf(1280, 720), seconds);
    return [
      {
        name: "CPU, 720p30 to 720/480/360",
        ours: busy.cpuPerSecond,
        unit: "CPU-s per media-s",
        peer: { name: "bare ffmpeg, same settings", value: bare },
        goal: bare * 1.05,
        note: `all processes, over ${seconds} s`,
      },
      {
        name: "memory after the run",
        ours: memory.last / MB,
        unit: "MB (PSS)",
        peer: null,
        goal: null,
        note: `${minutes} min; at its start ${(memory.first / MB).toFixed(0)}, highest ${(memory.highest / MB).toFixed(0)}`,
      },
      {
        name: "idle CPU, with one warm worker",
        ours: idle.cpuPerSecond * 100,
        unit: "% of a core",
        peer: null,
        goal: 1,
        note: "20 s",
      },
      {
        name: "idle memory, with one warm worker",
        ours: idle.rss / MB,
        unit: "MB (RSS)",
        peer: null,
        goal: 300,
        note: `each process counts the 45 MB of the Node binary again, so PSS says more: ${(idle.pss / MB).toFixed(0)} MB in ${idle.processes} processes`,
      },
    ];
  } finally {
    await installation.stop();
  }
}

async function measure(root: number, seconds: number) {
  const [before, startMs] = [treeCost(root), performance.now()];
  await pause(seconds * 1000);
  const after = treeCost(root);
  const span = (performance.now() - startMs) / 1000;
  return {
    cpuPerSecond: (after.cpuSeconds - before.cpuSeconds) / span,
    rss: after.rssBytes,
    pss: after.pssBytes,
    processes: after.processes,
  };
}

async function memoryOver(root: number, minutes: number): Promise<{ first: number; last: number; highest: number }> {
  const samples: number[] = [];
  for (let i = 0; i <= minutes * 12; i += 1) {
    samples.push(treeCost(root).pssBytes);
    if (i < minutes * 12) await pause(5000);
  }
  return { first: samples[0]!, last: samples.at(-1)!, highest: Math.max(...samples) };
}
