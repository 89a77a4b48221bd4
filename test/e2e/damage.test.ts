// Streams that are not as they should be, through the whole chain: what viewers get must decode without a word.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import {
  AAC,
  eventually,
  H264,
  type Installation,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";
import { download } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");
const PACKET_BYTES = 188;
const SECONDS = 8;

type Counters = { units: number; damagedUnits: number; droppedUnits: number; continuityErrors: number };

/** Some seconds of transport stream. */
async function transportStream(size: string, extra: string[] = []): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-damage-"));
  const file = join(folder, "out.mpegts");
  try {
    const inputs = [...TEST_VIDEO(size).slice(1), ...TEST_AUDIO.slice(1)];
    const args = ["-v", "error", ...inputs, ...H264(), ...AAC, "-t", String(SECONDS), ...extra, "-f", "mpegts", file];
    const { status, stderr } = spawnSync("ffmpeg", args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Sends pieces one after the other, each evenly over the seconds it lasts. @returns the answer's status */
async function send(installation: Installation, channel: string, pieces: readonly Buffer[]): Promise<number> {
  const url = `${installation.url}/ingest/${channel}.mpegts?key=${installation.publishKey}`;
  const put = request(url, { method: "PUT" });
  const status = new Promise<number>((resolve, reject) => {
    put.on("response", (response) => resolve(response.resume().statusCode ?? 0));
    put.on("error", reject);
  });
  const startMs = performance.now();
  for (const [i, piece] of pieces.entries())
    for (let sent = 0; sent < piece.length; ) {
      const seconds = (performance.now() - startMs) / 1000 - i * SECONDS;
      const due = Math.min(piece.length, Math.ceil(((seconds + 0.1) / SECONDS) * piece.length));
      if (due > sent) put.write(piece.subarray(sent, due));
      sent = Math.max(sent, due);
      await new Promise((resolve) => setTimeout(resolve, 20)); // the pace of a live source
    }
  put.end();
  return status;
}

/** What a strict decoder of others says to all of a rendition, and what it holds. */
async function judged(
  installation: Installation,
  channel: string,
  name: string,
): Promise<{ words: string; frames: number; sizes: Set<string> }> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-damage-"));
  const file = join(folder, "out.mp4");
  try {
    await download(`${installation.url}/live/${channel}/${name}.m3u8`, file);
    const strict = ["-v", "warning", "-xerror", "-err_detect", "explode", "-i", file, "-f", "null", "-"];
    const words = spawnSync("ffmpeg", strict, { encoding: "utf8" }).stderr;
    const shown = [
      "-v",
      "error",
      "-select_streams",
      "v",
      "-show_entries",
      "frame=width,height",
      "-of",
      "csv=p=0",
      file,
    ];
    const lines = spawnSync("ffprobe", shown, { encoding: "utf8" })
      .stdout.split("\n")
      .filter((line) => line !== "");
    return { words, frames: lines.length, sizes: new Set(lines.map((line) => line.replace(/,+$/, ""))) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ended(installation: Installation, channel: string) {
  return (await sessionIn(installation, channel, "ended")) as unknown as {
    counters: Counters;
    renditions: { name: string; gaps: number }[];
  };
}

test("2 % of the packets are lost: counted, and no playlist shows it", { skip }, async () => {
  const whole = await transportStream("640x360");
  const random = seededRandom(2);
  const kept: Buffer[] = [];
  for (let at = 0; at < whole.length; at += PACKET_BYTES)
    if (at < 100 * PACKET_BYTES || random.next() >= 0.02) kept.push(whole.subarray(at, at + PACKET_BYTES));
  await withInstallation({}, async (installation) => {
    assert.equal(await send(installation, "lossy", [Buffer.concat(kept)]), 200);
    const { counters, renditions } = await ended(installation, "lossy");
    assert.ok(counters.continuityErrors > 20 && counters.damagedUnits > 20, JSON.stringify(counters));
    assert.ok(renditions.length >= 2 && renditions.every(({ gaps }) => gaps === 0), JSON.stringify(renditions));
    const { words, frames, sizes } = await judged(installation, "lossy", "v360");
    assert.equal(words, "");
    assert.deepEqual([...sizes], ["640,360"]);
    assert.ok(Math.abs(frames - SECONDS * 30) <= 15, `${frames} frames`);
  });
});

test("another size and another clock in mid-stream: the output goes on in the size it began with", {
  skip,
}, async () => {
  const pieces = [await transportStream("640x360"), await transportStream("320x240", ["-output_ts_offset", "5000"])];
  await withInstallation({}, async (installation) => {
    assert.equal(await send(installation, "changing", pieces), 200);
    const { renditions } = await ended(installation, "changing");
    assert.ok(
      renditions.every(({ gaps }) => gaps === 0),
      JSON.stringify(renditions),
    );
    const { words, frames, sizes } = await judged(installation, "changing", "v360");
    assert.equal(words, "");
    assert.deepEqual([...sizes], ["640,360"]);
    assert.ok(Math.abs(frames - 2 * SECONDS * 30) <= 20, `${frames} frames`);
    const text = await (await fetch(`${installation.url}/live/changing/v360.m3u8`)).text();
    assert.equal(text.match(/^#EXT-X-DISCONTINUITY$/gm)?.length, 2, "the session's first, and the jump's");
    await eventually("nothing runs", async () => {
      const { items } = await installation.get<{ items: { session: string | null }[] }>("/api/v1/workers");
      return items.every(({ session }) => session === null);
    });
  });
});
