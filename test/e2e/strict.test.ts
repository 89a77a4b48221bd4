// The strict checker on what really comes out: real camera footage with speech, transcoded, over 200 reloads of every
// playlist, through the end of the stream.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runChecker } from "../checker/checker.ts";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  hasProgram,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";

/** Pedestrians, 768x576, from Debian's opencv-doc. */
const FOOTAGE = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
const RELOADS = 200;
/** Encoders, origin and checker share two cores here: what a player at PART-HOLD-BACK would not notice is no finding. */
const TOLERANCE_MS = 600;

/** Footage at 25 frames per second, interlacing its rhythm with 44.1 kHz speech and B-frames: an everyday source. */
function cameraWithSpeech(folder: string): string {
  const speech = join(folder, "speech.wav");
  const text = "This is a camera that looks at people in a mall. ".repeat(8);
  assert.equal(spawnSync("espeak-ng", ["-w", speech, text]).status, 0, "espeak-ng");
  const file = join(folder, "camera.mp4");
  // biome-ignore format: an ffmpeg command line
  const made = spawnSync("ffmpeg", ["-v", "error", "-r", "25", "-i", FOOTAGE, "-stream_loop", "-1", "-i", speech, "-shortest", "-t", "30",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "44100", "-b:a", "96k", "-y", file], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  return file;
}

const missing = !existsSync(FOOTAGE)
  ? "skipped: no opencv-doc"
  : !hasProgram("espeak-ng")
    ? "skipped: no espeak-ng"
    : unlessInstalled("ffmpeg");

test("camera footage with speech: the strict checker finds nothing in 200 reloads of all renditions", {
  skip: missing,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "continuity-footage-"));
  try {
    const file = cameraWithSpeech(folder);
    await withInstallation({}, async (installation) => {
      const source = ffmpeg([
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        file,
        "-c",
        "copy",
        "-f",
        "flv",
        "-flvflags",
        "no_duration_filesize", // else it complains at the end that a stream cannot be sought
        installation.rtmpUrl("mall"),
      ]);
      await sessionIn(installation, "mall", "live");
      const url = `${installation.url}/live/mall/index.m3u8`;
      await eventually("a playlist", async () => (await fetch(url)).ok);
      const report = await runChecker({ url, reloads: RELOADS, toleranceMs: TOLERANCE_MS });
      assert.deepEqual(report.findings, []);
      assert.ok(report.playlists >= 3 && report.reloads >= RELOADS * report.playlists, JSON.stringify(report));
      await source.end();
      assert.equal(source.stderr(), "");
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("the end of a stream: checked through ENDLIST, then the next session under the same URL", {
  skip: unlessInstalled("ffmpeg"),
}, async () => {
  await withInstallation({}, async (installation) => {
    const args = [...TEST_VIDEO("640x360", "30000/1001"), ...TEST_AUDIO, ...H264(), ...AAC];
    const first = ffmpeg([...args, "-t", "14", "-f", "flv", installation.rtmpUrl("cam")]);
    const url = `${installation.url}/live/cam/index.m3u8`;
    const session = await sessionIn(installation, "cam", "live");
    await eventually("a playlist", async () => (await fetch(url)).ok);
    const ending = await runChecker({ url, untilEnd: true, toleranceMs: TOLERANCE_MS });
    assert.deepEqual(ending.findings, []);
    assert.equal(await first.done, 0, first.stderr());
    await sessionIn(installation, "cam", "ended");

    const second = ffmpeg([...args, "-f", "flv", installation.rtmpUrl("cam")]);
    const next = await sessionIn(installation, "cam", "live");
    assert.ok(next.msnBase > session.msnBase);
    await eventually("the new session is listed", async () => {
      const text = await (await fetch(`${installation.url}/live/cam/v360.m3u8`)).text();
      return text.includes(next.id) && text.includes("#EXT-X-DISCONTINUITY\n");
    });
    const report = await runChecker({ url, reloads: 30, toleranceMs: TOLERANCE_MS });
    assert.deepEqual(report.findings, []);
    await second.end();
  });
});
