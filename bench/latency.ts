// First byte to first playable part, and how old the newest frame is when its part is there.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Installation } from "../test/e2e/installation.ts";
import { eventually, install } from "../test/e2e/installation.ts";
import { startNginx } from "./peers.ts";
import type { Figure } from "./report.ts";
import { publish, sourceFile } from "./source.ts";
import { median, percentile } from "./statistics.ts";

const RUNS = 3;
const AGED_PARTS = 60;

export async function latency(folder: string): Promise<Figure[]> {
  const file = sourceFile(folder);
  const config = join(folder, "latency.yaml");
  const copied = Array.from({ length: RUNS }, (_, run) => ({
    name: `copied${run}`,
    ladder: "passthrough",
    gopSeconds: 1,
  }));
  await writeFile(config, JSON.stringify({ demo: false, channels: copied }));
  const installation = await install({ args: ["--config", config] });
  try {
    const firsts: number[] = [];
    for (let run = 0; run < RUNS; run += 1)
      firsts.push((await firstPlayable(installation, file, `first${run}`)).fromByteMs);
    const copies: First[] = [];
    for (let run = 0; run < RUNS; run += 1) copies.push(await firstPlayable(installation, file, `copied${run}`));
    const ages = await partAges(installation, file, "ages");
    const nginx = await nginxFirstSegment(folder, file);
    return [
      {
        name: "first byte to first playable part",
        ours: median(firsts),
        unit: "ms",
        peer: nginx === null ? null : { name: "nginx-rtmp, 2 s segments, passthrough", value: nginx },
        goal: 700,
        note: `3-rung transcode from a warm worker; runs ${firsts.map(Math.round).join(", ")}; 334 ms of it are the part itself`,
      },
      {
        name: "first key frame to first playable part, passthrough",
        ours: median(copies.map(({ fromKeyFrameMs }) => fromKeyFrameMs)),
        unit: "ms",
        peer: nginx === null ? null : { name: "nginx-rtmp from the first byte, 2 s segments", value: nginx },
        goal: 400,
        note: `from the first byte ${copies.map(({ fromByteMs }) => Math.round(fromByteMs)).join(", ")}; 334 ms of it are the part, 33 ms the wait for the next picture`,
      },
      {
        name: "part age, median",
        ours: median(ages),
        unit: "ms",
        peer: null,
        goal: 120,
        note: `${ages.length} parts of the top rung, from the newest frame's arrival at the gateway to the part at the origin`,
      },
      {
        name: "part age, p99",
        ours: percentile(ages, 0.99),
        unit: "ms",
        peer: null,
        goal: null,
        note: "the worst are the first parts of segments: IDR and encoder start",
      },
    ];
  } finally {
    await installation.stop();
  }
}

const warm = (installation: Installation) =>
  eventually("a warm worker and a packager", async () => {
    const { items } = await installation.get<{ items: { role: string; phase: string }[] }>("/api/v1/workers");
    return ["transcode", "package"].every((role) =>
      items.some((worker) => worker.role === role && worker.phase !== "starting"),
    );
  });

type First = Readonly<{ fromByteMs: number; fromKeyFrameMs: number }>;

/** @returns since the connection's first byte, and since the first key frame came (the session's anchor) */
async function firstPlayable(installation: Installation, file: string, channel: string): Promise<First> {
  await warm(installation);
  const path = `/live/${channel}?key=${installation.publishKey}`;
  const publisher = await publish(file, { host: "127.0.0.1", port: installation.rtmpPort, path });
  const startMs = await publisher.firstByteMs;
  const base = `${installation.url}/live/${channel}/`;
  const playlist = await eventually("a playlist with a part", async () => {
    const master = await fetch(`${base}index.m3u8`);
    if (!master.ok) return null;
    const uri = (await master.text()).split("\n").find((line) => line !== "" && !line.startsWith("#"));
    const text = uri === undefined ? "" : await (await fetch(new URL(uri, base))).text();
    return text.includes("#EXT-X-PART:") && text;
  });
  const uris = [/#EXT-X-MAP:URI="([^"]+)"/, /#EXT-X-PART:[^\n]*URI="([^"]+)"/].map(
    (pattern) => pattern.exec(playlist)![1]!,
  );
  await Promise.all(uris.map(async (uri) => (await fetch(new URL(uri, base))).arrayBuffer()));
  const [fromByteMs, nowMs] = [performance.now() - startMs, Date.now()];
  const anchor = await eventually("its anchor", async () => {
    type Item = { channel: string; anchor: { time: string } | null };
    const { items } = await installation.get<{ items: Item[] }>("/api/v1/sessions");
    return items.find((session) => session.channel === channel)?.anchor;
  });
  const fromKeyFrameMs = nowMs - Date.parse(anchor.time);
  await publisher.stop();
  await eventually("it ended", async () => {
    const { items } = await installation.get<{ items: { channel: string; state: string }[] }>("/api/v1/sessions");
    return items.every((session) => session.state === "ended");
  });
  return { fromByteMs, fromKeyFrameMs };
}

/** Waits for each part of the top rung, then asks how old its newest frame was when the part was there: arrival at the
 *  gateway travels with the media, so this is the time through log, decoder, filter, encoder, packaging and origin. */
async function partAges(installation: Installation, file: string, channel: string): Promise<number[]> {
  await warm(installation);
  const path = `/live/${channel}?key=${installation.publishKey}`;
  const publisher = await publish(file, { host: "127.0.0.1", port: installation.rtmpPort, path });
  const url = `${installation.url}/live/${channel}/v720.m3u8`;
  const ages: number[] = [];
  try {
    let text = await eventually("the playlist", async () => {
      const response = await fetch(url);
      return response.ok && (await response.text());
    });
    while (ages.length < AGED_PARTS) {
      const hint = /#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(text)?.[1];
      if (hint === undefined) throw new Error(`no hint in\n${text}`);
      await (await fetch(new URL(hint, url))).arrayBuffer();
      const { items } = await installation.get<{
        items: { channel: string; renditions: { name: string; partAgeMs: number }[] }[];
      }>("/api/v1/sessions");
      const session = items.find((item) => item.channel === channel)!;
      ages.push(session.renditions.find(({ name }) => name === "v720")!.partAgeMs);
      text = await (await fetch(url)).text();
    }
  } finally {
    await publisher.stop();
  }
  return ages.slice(6); // the first second holds the catching up after the start
}

async function nginxFirstSegment(folder: string, file: string): Promise<number | null> {
  const nginx = await startNginx(folder);
  if (nginx === null) return null;
  const publisher = await publish(file, { host: "127.0.0.1", port: nginx.rtmpPort, path: "/live/cam" });
  try {
    const startMs = await publisher.firstByteMs;
    await nginx.firstSegment("cam");
    return performance.now() - startMs;
  } finally {
    await publisher.stop();
    await nginx.stop();
  }
}
