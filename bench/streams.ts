// npm run bench:streams [-- --streams 50] [--minutes 5] [--json]
// Many publishers in passthrough at once: is any part late, what does a stream cost, does memory grow, and where does the
// CPU go. The age of a part is what a viewer sees: the clock when its playlist shows it, against the date of its last frame.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { eventually, hasProgram, type Installation, install } from "../test/e2e/installation.ts";
import { processCost } from "./processes.ts";
import { readProfiles } from "./profile.ts";
import { type Figure, table } from "./report.ts";
import { twoMegabitFile } from "./source.ts";
import { percentile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "50" },
    minutes: { type: "string", default: "5" },
    "profile-seconds": { type: "string", default: "30" },
    json: { type: "boolean", default: false },
  },
});
const STREAMS = Number(values.streams);
/** Publishers start so far apart: an installation is not met by all of its encoders in one instant. */
const STAGGER_MS = 100;
const SETTLE_MS = 15_000;
/** Streams watched at one time, and for how long: watching costs CPU, and all of them get their turn. */
const WATCHED = 5;
const WATCH_MS = 6000;
const MB = 1024 * 1024;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const channelOf = (i: number) => `stream${String(i).padStart(2, "0")}`;

if (!hasProgram("ffmpeg")) {
  console.error("bench:streams needs ffmpeg as publisher: apt-get install ffmpeg");
  process.exit(2);
}

async function withStreams<T>(
  folder: string,
  environment: Record<string, string>,
  body: (installation: Installation) => Promise<T>,
): Promise<T> {
  const config = join(folder, "continuity.yaml");
  const channels = Array.from(
    { length: STREAMS },
    (_, i) => `  - { name: ${channelOf(i)}, ladder: passthrough, gopSeconds: 2 }`,
  );
  await writeFile(config, `warm: { min: 0 }\ndemo: false\nchannels:\n${channels.join("\n")}\n`);
  const file = twoMegabitFile(folder, Math.ceil(Number(values.minutes) * 60) + 150);
  const installation = await install({ args: ["--config", config], env: environment });
  const publishers = [];
  try {
    for (let i = 0; i < STREAMS; i += 1) {
      const offset = String((i % 20) * 2); // on a key frame: ffmpeg sends what lies before in one burst
      publishers.push(
        // biome-ignore format: an ffmpeg command line
        spawn("ffmpeg", ["-v", "error", "-ss", offset, "-re", "-i", file, "-c", "copy", "-f", "flv", installation.rtmpUrl(channelOf(i))],
          { stdio: ["ignore", "ignore", "inherit"] }),
      );
      await pause(STAGGER_MS);
    }
    await eventually(
      "all are live",
      async () => {
        const { items } = await installation.get<{ items: { state: string }[] }>("/api/v1/sessions");
        return items.filter((item) => item.state === "live").length === STREAMS;
      },
      60_000,
    );
    await pause(SETTLE_MS);
    return await body(installation);
  } finally {
    for (const publisher of publishers) publisher.kill("SIGKILL");
    await installation.stop();
  }
}

type Processes = Record<string, number>;

/** Process ids by role, packagers too. */
async function processesOf(installation: Installation): Promise<Processes> {
  const { processes } = await installation.get<{ processes: Processes }>("/api/v1/status");
  const { items } = await installation.get<{ items: { role: string; pid: number | null }[] }>("/api/v1/workers");
  const packagers = items.filter(({ role, pid }) => role === "package" && pid !== null);
  return { ...processes, ...Object.fromEntries(packagers.map(({ pid }, i) => [`packager ${i + 1}`, pid!])) };
}

/** All of them together, MB. */
const rssOf = (processes: Processes): number =>
  Object.values(processes).reduce((sum, pid) => sum + processCost(pid).rssBytes / MB, 0);

/** Ages of parts as a viewer of that channel meets them, ms. */
async function watch(installation: Installation, channel: string, untilMs: number): Promise<number[]> {
  const url = `${installation.url}/live/${channel}/vcopy.m3u8`;
  const ages: number[] = [];
  let query = "";
  while (performance.now() < untilMs) {
    const text = await (await fetch(url + query)).text();
    const nowMs = Date.now();
    const edge = edgeOf(text);
    if (edge === null) throw new Error(`no part in\n${text}`);
    if (query !== "") ages.push(nowMs - edge.endMs);
    query = `?_HLS_msn=${edge.msn}&_HLS_part=${edge.parts}`;
  }
  return ages;
}

/** The newest part of a playlist: its place, and the date at which its last frame ends (Unix ms). */
function edgeOf(text: string): { msn: number; parts: number; endMs: number } | null {
  let msn = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? 0);
  let [dateMs, partsMs, parts] = [0, 0, 0];
  let newest: { msn: number; parts: number; endMs: number } | null = null;
  for (const line of text.split("\n")) {
    if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) {
      dateMs = Date.parse(line.slice(25));
      [partsMs, parts] = [0, 0];
    } else if (line.startsWith("#EXT-X-PART:")) {
      partsMs += Number(/DURATION=([\d.]+)/.exec(line)![1]) * 1000;
      parts += 1;
      newest = { msn, parts, endMs: dateMs + partsMs };
    } else if (line !== "" && !line.startsWith("#")) msn += 1;
  }
  return newest;
}

/** In turn, a few at a time, all streams. */
async function watchAll(installation: Installation, untilMs: number): Promise<number[]> {
  const ages: number[] = [];
  for (let turn = 0; performance.now() < untilMs; turn += 1) {
    const endMs = Math.min(untilMs, performance.now() + WATCH_MS);
    const watched = Array.from({ length: WATCHED }, (_, i) => channelOf((turn * WATCHED + i) % STREAMS));
    for (const of of await Promise.all(watched.map((channel) => watch(installation, channel, endMs)))) ages.push(...of);
  }
  return ages;
}

type Measured = { figures: Figure[]; where: string };

async function measure(installation: Installation, minutes: number): Promise<Measured> {
  const before = await processesOf(installation);
  const costs = new Map(Object.entries(before).map(([name, pid]) => [name, processCost(pid)]));
  const startMs = performance.now();
  const ages = await watchAll(installation, startMs + minutes * 30_000);
  const halfway = rssOf(before);
  ages.push(...(await watchAll(installation, startMs + minutes * 60_000)));
  const seconds = (performance.now() - startMs) / 1000;
  const after = await processesOf(installation);
  if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error("a process was replaced during the run");
  const { items } = await installation.get<{ items: { state: string; counters: Record<string, number> }[] }>(
    "/api/v1/sessions",
  );
  const live = items.filter(({ state }) => state === "live");
  const rows = Object.entries(after).map(([name, pid]) => {
    const [from, to] = [costs.get(name)!, processCost(pid)];
    return {
      name,
      cpu: (to.cpuSeconds - from.cpuSeconds) / seconds / STREAMS,
      rss: [from.rssBytes / MB, to.rssBytes / MB],
    };
  });
  const where = rows
    .map(
      ({ name, cpu, rss }) =>
        `${name.padEnd(12)} ${cpu.toFixed(5)} CPU-s per stream-s   RSS ${rss[0]!.toFixed(0)} -> ${rss[1]!.toFixed(0)} MB`,
    )
    .join("\n");
  const total = rows.reduce((sum, { cpu }) => sum + cpu, 0);
  const growth = rssOf(after) - halfway;
  const lateParts = ages.filter((ms) => ms > 334).length;
  const none = { peer: null } as const;
  return {
    where,
    figures: [
      {
        ...none,
        name: "streams live at the end",
        ours: live.length,
        unit: "",
        goal: null,
        note: `of ${STREAMS}; holes ${live.reduce((sum, { counters }) => sum + counters.holes!, 0)}`,
      },
      {
        ...none,
        name: "part age, median",
        ours: percentile(ages, 0.5),
        unit: "ms",
        goal: null,
        note: `${ages.length} parts of all streams, as a viewer sees them`,
      },
      {
        ...none,
        name: "part age, p99",
        ours: percentile(ages, 0.99),
        unit: "ms",
        goal: 150,
        note: `highest ${Math.max(...ages).toFixed(0)}`,
      },
      { ...none, name: "parts a part too late", ours: lateParts, unit: "", goal: 0, note: "older than 334 ms" },
      {
        ...none,
        name: "CPU per stream-second",
        ours: total,
        unit: "CPU-s",
        goal: 0.02,
        note: "all processes, the watching included",
      },
      {
        ...none,
        name: "RSS growth, second half",
        ours: growth,
        unit: "MB",
        goal: null,
        note: `of ${minutes} min; before that the windows fill: 60 s listed, as long again fetchable`,
      },
    ],
  };
}

/** The same load once more with V8's profiler on: it costs a little, so no figure is taken from it. */
async function profile(folder: string, seconds: number): Promise<string> {
  const options = `--cpu-prof --cpu-prof-dir=${folder}/profiles`;
  await withStreams(folder, { NODE_OPTIONS: options }, () => pause(seconds * 1000));
  const lines: string[] = [];
  for (const [file, { byOwner, byFunction }] of readProfiles(`${folder}/profiles`)) {
    const total = byOwner.reduce((sum, { seconds: of }) => sum + of, 0);
    if (total < seconds / 100) continue;
    const share = ({ owner, seconds: of }: { owner: string; seconds: number }) =>
      `  ${((of / total) * 100).toFixed(1).padStart(5)} %  ${owner}`;
    lines.push(
      `${file}: ${total.toFixed(1)} s of CPU`,
      ...byOwner.slice(0, 14).map(share),
      "  functions:",
      ...byFunction.map(share),
      "",
    );
  }
  return lines.join("\n");
}

const folder = await mkdtemp(join(tmpdir(), "continuity-streams-"));
try {
  const { figures, where } = await withStreams(folder, {}, (installation) =>
    measure(installation, Number(values.minutes)),
  );
  const profileSeconds = Number(values["profile-seconds"]);
  const profiled = profileSeconds > 0 ? await profile(folder, profileSeconds) : "";
  const machine = `${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}`;
  if (values.json)
    console.log(JSON.stringify({ machine, figures, where: where.split("\n"), profile: profiled.split("\n") }, null, 2));
  else console.log(`${machine}\n\n${table(figures)}\n\n${where}\n\n${profiled}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
