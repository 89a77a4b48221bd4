// Processes are killed at random moments; viewers must not notice more than a late part.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  type Installation,
  publishPicture,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";

const skip = unlessInstalled("ffmpeg");

type Listed = { msn: number; uri: string; gap: boolean };

/** The playlist's segments, and what must never be there while nobody's source failed. */
async function playlist(installation: Installation, path: string): Promise<{ segments: Listed[]; text: string }> {
  const text = await (await fetch(`${installation.url}${path}`)).text();
  let msn = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? Number.NaN);
  let gap = false;
  const segments: Listed[] = [];
  for (const line of text.split("\n")) {
    if (line === "#EXT-X-GAP") gap = true;
    if (line === "" || line.startsWith("#")) continue;
    segments.push({ msn: msn++, uri: line, gap });
    gap = false;
  }
  return { segments, text };
}

/** Parts listed after the last whole segment. */
const openParts = (text: string) => text.slice(text.lastIndexOf("#EXTINF")).match(/^#EXT-X-PART:/gm)?.length ?? 0;

async function body(installation: Installation, path: string): Promise<Buffer> {
  const response = await fetch(`${installation.url}${path}`);
  assert.equal(response.status, 200, path);
  return Buffer.from(await response.arrayBuffer());
}

/** Waits for one part after the other, as a player does, until told to stop. @returns ms between two of them */
async function followParts(url: string, signal: AbortSignal): Promise<number[]> {
  const intervals: number[] = [];
  let text = await (await fetch(url)).text();
  let atMs: number | null = null;
  while (!signal.aborted) {
    const msn = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)![1]) + (text.match(/^#EXTINF/gm)?.length ?? 0);
    const part = openParts(text);
    const response = await fetch(`${url}?_HLS_msn=${msn}&_HLS_part=${part}`);
    assert.equal(response.status, 200, `part ${part} of ${msn}: ${await response.clone().text()}`);
    text = await response.text();
    if (atMs !== null) intervals.push(performance.now() - atMs);
    atMs = performance.now();
  }
  return intervals;
}

/** A part comes each 334 ms, and a worker's death may delay one by a second on a machine that has nothing else to do. */
const PART_INTERVAL_MS_MAX = 334 + 2000;

/** Kills what makes a session's media three times, and looks at what viewers get. @param victim its pid */
async function killMakers(
  installation: Installation,
  victim: () => Promise<number | null | undefined>,
  rendition: string | null,
): Promise<void> {
  const source = publishPicture(installation, "cam");
  await sessionIn(installation, "cam", "live");
  const path = await eventually("the rendition", async () => {
    const text = await (await fetch(`${installation.url}/live/cam/index.m3u8`)).text();
    const uris = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const uri = uris.find((line) => rendition === null || line.startsWith(rendition));
    return uri === undefined ? null : new URL(uri, `${installation.url}/live/cam/`).pathname;
  });
  const watching = new AbortController();
  await eventually("a part", async () => (await playlist(installation, path)).text.includes("#EXT-X-PART:"));
  const intervals = followParts(installation.url + path, watching.signal);
  const bodies = new Map<string, string>();
  const remember = async () => {
    for (const { uri } of (await playlist(installation, path)).segments) {
      const bytes = (await body(installation, new URL(uri, installation.url + path).pathname)).toString("base64");
      assert.equal(bodies.get(uri) ?? bytes, bytes, `${uri} has two bodies`);
      bodies.set(uri, bytes);
    }
  };
  for (let kill = 0; kill < 3; kill += 1) {
    const before = (await playlist(installation, path)).segments.at(-1)?.msn ?? 0;
    const pid = await eventually("a running maker", victim);
    // Early, in the middle and late in a segment: so much of it must be made again.
    const phase = 1 + 2 * kill;
    await eventually(
      `part ${phase} of a segment`,
      async () => openParts((await playlist(installation, path)).text) === phase,
    );
    process.kill(pid, "SIGKILL");
    await eventually(
      "two more segments",
      async () => ((await playlist(installation, path)).segments.at(-1)?.msn ?? 0) >= before + 2,
      20_000,
    );
    await remember();
  }
  watching.abort();
  const slowest = (await intervals).sort((a, b) => b - a).slice(0, 3);
  console.log(`slowest parts after ${slowest.map(Math.round).join(", ")} ms, with three makers killed`);
  assert.ok(slowest[0]! < PART_INTERVAL_MS_MAX, `${slowest[0]} ms without a part`);
  const { segments, text } = await playlist(installation, path);
  assert.equal(segments.filter((s) => s.gap).length, 0);
  assert.equal(text.match(/#EXT-X-DISCONTINUITY$/gm)?.length ?? 0, 1, "only the session's own first one");
  await remember();
  await source.end();
}

test("kill -9 of the worker: replaced, no gap, no discontinuity, no URI with two bodies, the next part soon", {
  skip,
}, async () => {
  await withInstallation({}, (installation) =>
    killMakers(
      installation,
      async () => (await sessionIn(installation, "cam", "live")).workers.find((w) => w.phase === "running")?.pid,
      null,
    ),
  );
});

test("kill -9 of the packager: the same, for pictures that are copied beside encoded ones", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    const made = await fetch(`${installation.url}/api/v1/channels`, {
      method: "POST",
      headers: { authorization: `Bearer ${installation.adminToken}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "cam", ladder: [{ copy: true }, { height: 180 }] }),
    });
    assert.equal(made.status, 201, await made.text());
    const packager = async () => {
      type Worker = { role: string; phase: string; pid: number | null };
      const { items } = await installation.get<{ items: Worker[] }>("/api/v1/workers");
      return items.find(({ role, phase }) => role === "package" && phase === "running")?.pid;
    };
    await killMakers(installation, packager, "vcopy");
  });
});

test("kill -9 of the front: it comes back, the window with it, the numbers go on", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    const source = publishPicture(installation, "cam");
    await sessionIn(installation, "cam", "live");
    const path = "/live/cam/v360.m3u8";
    const before = await eventually("two segments", async () => {
      const now = await playlist(installation, path);
      return now.segments.length >= 2 && now;
    });
    const { processes } = await installation.get<{ processes: Record<string, number> }>("/api/v1/status");
    process.kill(processes.front!, "SIGKILL");
    const after = await eventually(
      "it goes on",
      async () => {
        const now = await playlist(installation, path);
        return (now.segments.at(-1)?.msn ?? 0) >= before.segments.at(-1)!.msn + 2 && now;
      },
      30_000,
    );
    const kept = new Map(after.segments.map((s) => [s.msn, s.uri]));
    for (const { msn, uri } of before.segments) assert.equal(kept.get(msn), uri, `number ${msn} names other media now`);
    await source.end();
  });
});

test("kill -9 of the gateway: the publisher returns into the same session, on the same port; what was listed stays", {
  skip,
}, async () => {
  await withInstallation({}, async (installation) => {
    const args = [...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "flv", installation.rtmpUrl("cam")];
    const first = ffmpeg(args);
    const session = await sessionIn(installation, "cam", "live");
    const path = "/live/cam/v360.m3u8";
    const before = await eventually("two segments", async () => {
      const now = await playlist(installation, path);
      return now.segments.length >= 2 && now;
    });
    const { processes } = await installation.get<{ processes: Record<string, number> }>("/api/v1/status");
    process.kill(processes.gateway!, "SIGKILL");
    await first.done; // its connection broke
    await sessionIn(installation, "cam", "interrupted");
    const second = ffmpeg(args);
    const back = await sessionIn(installation, "cam", "live");
    assert.deepEqual([back.id, back.msnBase], [session.id, session.msnBase]);
    const after = await eventually("it goes on", async () => {
      const now = await playlist(installation, path);
      const whole = now.segments.filter(({ msn, gap }) => msn > before.segments.at(-1)!.msn && !gap);
      return whole.length >= 2 && now;
    });
    const kept = new Map(after.segments.map((s) => [s.msn, s.uri]));
    for (const { msn, uri } of before.segments) assert.equal(kept.get(msn), uri, `number ${msn} names other media now`);
    assert.equal(
      after.text.match(/#EXT-X-DISCONTINUITY$/gm)?.length,
      1,
      "time went on: only the session's own first one",
    );
    for (const { uri, gap } of after.segments) if (!gap) await body(installation, `/live/cam/${uri}`);
    await second.end();
    await sessionIn(installation, "cam", "ended");
  });
});

test("a publisher that is cut off and returns goes on in the same session; the numbers never fall", {
  skip,
}, async () => {
  await withInstallation({}, async (installation) => {
    const args = [...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "flv", installation.rtmpUrl("cam")];
    const first = ffmpeg(args);
    const session = await sessionIn(installation, "cam", "live");
    const path = "/live/cam/v360.m3u8";
    await eventually("a segment", async () => (await playlist(installation, path)).segments.length >= 1);
    await first.kill();
    await sessionIn(installation, "cam", "interrupted");
    const before = (await playlist(installation, path)).segments.at(-1)!.msn;
    const second = ffmpeg(args);
    const back = await sessionIn(installation, "cam", "live");
    assert.equal(back.id, session.id);
    await eventually("it goes on", async () => (await playlist(installation, path)).segments.at(-1)!.msn >= before + 2);
    await second.end();
  });
});

test("the supervisor's death leaves no process behind", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    const source = ffmpeg([...TEST_VIDEO(), ...H264(), "-f", "flv", installation.rtmpUrl("cam")]);
    const session = await sessionIn(installation, "cam", "live");
    const { processes } = await installation.get<{ processes: Record<string, number> }>("/api/v1/status");
    const pids = [...Object.values(processes), ...session.workers.map((w) => w.pid!)];
    installation.process.kill("SIGKILL");
    for (const pid of pids) await eventually(`process ${pid} is gone`, () => !isAlive(pid));
    await source.kill();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
