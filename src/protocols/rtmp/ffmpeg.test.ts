// A program that is not ours publishes into the session: Debian's ffmpeg by its own RTMP, with keys and applications in
// the places where encoders put them. It also checks our digest: ffmpeg refuses to play from a server that signs wrong.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { against, missing, published } from "./testing/program.ts";

const skip = missing("ffmpeg", "-version");

const run = (path: string, input: readonly string[], output: (url: string) => readonly string[]) =>
  against(path, (url) => ["ffmpeg", "-nostdin", "-v", "error", ...input, ...output(url)]);

const SOURCE = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"];
const ENCODE = ["-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-f", "flv"];

test("ffmpeg publishes H.264 and AAC, with its key in the query, and says goodbye", {
  skip,
  timeout: 60_000,
}, async () => {
  const result = await run("live/x?key=abc", SOURCE, (url) => [...ENCODE, url]);
  assert.deepEqual([result.status, result.errors], [0, ""]);
  const { app, name, query } = published(result);
  assert.deepEqual([app, name, query.key], ["live", "x", "abc"]);
  const media = result.events.filter((event) => event.kind === "media");
  const [video, audio] = [9, 8].map((type) => media.filter((event) => event.type === type));
  assert.equal(video!.filter((event) => event.body[0]! === 0x17 && event.body[1] === 0).length, 1); // AVC header
  assert.equal(video!.filter((event) => event.body[1] === 1).length, 50);
  assert.equal(audio!.filter((event) => event.body[1] === 0).length, 1); // AudioSpecificConfig
  assert.ok(audio!.length >= 86 && audio!.length <= 90, `${audio!.length} audio messages`);
  assert.ok(media.some((event) => event.type === 18 && event.body.includes("onMetaData")));
  assert.deepEqual(
    video!.map((event) => event.timestampMs).filter((timestampMs, i, all) => i > 0 && timestampMs < all[i - 1]!),
    [],
  );
  assert.equal(result.events.at(-1)?.kind, "unpublish");
});

test("ffmpeg publishes to an application of several parts", { skip, timeout: 60_000 }, async () => {
  const result = await run("broadcast/studio/camera", SOURCE, (url) => [...ENCODE, url]);
  assert.equal(result.status, 0);
  const { app, name } = published(result);
  assert.deepEqual([app, name], ["broadcast/studio", "camera"]);
});

test("ffmpeg publishes timestamps beyond 24 bits", { skip, timeout: 60_000 }, async () => {
  const offset = ["-output_ts_offset", "16776.5"]; // 0xffffff ms are reached in the first second
  const result = await run("live/x", SOURCE, (url) => [...ENCODE.slice(0, -2), ...offset, "-f", "flv", url]);
  assert.deepEqual([result.status, result.errors], [0, ""]);
  const times = result.events.flatMap((event) =>
    event.kind === "media" && event.type === 9 ? [event.timestampMs] : [],
  );
  assert.ok(
    times.some((ms) => ms < 0xffffff) && times.some((ms) => ms > 0xffffff + 500),
    `${times[0]} to ${times.at(-1)}`,
  );
  const frames = times.slice(1); // the codec header comes first, at 0
  assert.ok(frames.every((ms, i) => i === 0 || (ms >= frames[i - 1]! && ms - frames[i - 1]! <= 80)));
  assert.equal(result.events.at(-1)?.kind, "unpublish");
});

test("ffmpeg accepts our digest and asks to play, and is refused", { skip, timeout: 60_000 }, async () => {
  const result = await run("live/x?token=1", [], (url) => ["-i", url, "-f", "null", "-"]);
  const asked = result.events.find((event) => event.kind === "play");
  assert.ok(asked?.kind === "play", result.errors);
  assert.deepEqual([asked.app, asked.name, asked.query.token], ["live", "x", "1"]);
  assert.notEqual(result.status, 0);
});

test("FFmpeg 8 publishes HEVC in enhanced form", { skip, timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "rtmp-"));
  try {
    const file = join(folder, "hevc.mp4");
    const encode = ["-t", "1", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", file];
    const made = spawnSync("ffmpeg", ["-nostdin", "-v", "error", ...SOURCE.slice(0, 4), ...encode]);
    assert.equal(made.status, 0, made.stderr.toString());
    const remux = join(import.meta.dirname, "testing", "remux.ts");
    const result = await against("live/x", (url) => [process.execPath, remux, file, url]);
    assert.equal(result.status, 0, result.errors);
    const video = result.events.filter((event) => event.kind === "media").filter((event) => event.type === 9);
    // The high bit says that a FourCC follows; the low four are the packet type. Source: Enhanced RTMP 1, table 4
    assert.ok(video.every((event) => event.body[0]! >= 0x80 && event.body.toString("latin1", 1, 5) === "hvc1"));
    assert.equal(video.filter((event) => (event.body[0]! & 0x0f) === 0).length, 1); // SequenceStart
    assert.equal(video.filter((event) => [1, 3].includes(event.body[0]! & 0x0f)).length, 25); // CodedFrames, CodedFramesX
    assert.equal(result.events.at(-1)?.kind, "unpublish");
  } finally {
    await rm(folder, { recursive: true });
  }
});
