// Sources that are not plain progressive H.264: what is special about them, looked for in what viewers get.
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  type Installation,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";
import { download, hasNoX265, hasSegments, renditionUrls } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");
const entry = join(import.meta.dirname, "../../bin/continuity.js");

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-sources-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Some seconds of the channel's first rendition, as a file. */
async function recorded(installation: Installation, channel: string, folder: string): Promise<string> {
  await sessionIn(installation, channel, "live");
  const [url] = await eventually("playlists", async () => {
    const found = await renditionUrls(installation, channel);
    return found.length > 0 && (await hasSegments(found[0]!)) && found;
  });
  const file = join(folder, "out.mp4");
  await download(url!, file);
  return file;
}

/** ffmpeg's words; it must succeed. */
function words(args: string[]): string {
  const { status, stderr } = spawnSync("ffmpeg", ["-hide_banner", "-nostats", ...args], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stderr;
}

test("HEVC by enhanced RTMP", { skip: hasNoX265() }, async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "hevc.mp4");
    const hevc = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=30:bframes=2"];
    const inputs = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine"];
    words(["-v", "error", ...inputs, "-t", "20", ...hevc, "-tag:v", "hvc1", ...AAC, "-y", file]);
    await withInstallation({}, async (installation) => {
      const { data } = installation;
      const args = [entry, "publish", file, "--channel", "hevc", "--data", data, "--json"];
      const publisher = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const exit = once(publisher, "exit");
      let said = "";
      publisher.stdout.setEncoding("utf8").on("data", (text) => (said += text));
      try {
        const out = await recorded(installation, "hevc", folder);
        assert.equal(words(["-v", "warning", "-xerror", "-err_detect", "explode", "-i", out, "-f", "null", "-"]), "");
        const { items } = await installation.get("/api/v1/sessions");
        assert.deepEqual([items[0].protocol, items[0].tracks[0].codec], ["rtmp", "hevc"]);
        assert.match(said, /"codec":"hevc".*"converted":false/, "the file went out as it is");
      } finally {
        publisher.kill("SIGINT");
        await exit;
      }
      assert.equal(publisher.exitCode, 0, "a clean end");
    });
  });
});

test("interlaced 29.97 with narrow pixels: progressive, and of the same shape", { skip }, async () => {
  await inFolder(async (folder) => {
    const filter = "interlace=scan=tff,setsar=10/11";
    const interlaced = ["-vf", filter, ...H264(15), "-flags", "+ildct+ilme", "-x264opts", "tff=1"];
    const fields = (file: string) => {
      const text = words(["-v", "info", "-i", file, "-t", "2", "-vf", "idet", "-an", "-f", "null", "-"]);
      const [, tff, progressive] = /Multi frame detection: TFF: *(\d+) BFF: *\d+ Progressive: *(\d+)/.exec(text)!;
      return { tff: Number(tff), progressive: Number(progressive) };
    };
    const picture = TEST_VIDEO("720x480", "60000/1001").slice(1); // not in real time
    const before = join(folder, "before.mpegts");
    words(["-v", "error", ...picture, ...interlaced, "-t", "3", "-f", "mpegts", "-y", before]);
    const source = fields(before);
    assert.ok(source.tff > 50, `the source is interlaced: ${JSON.stringify(source)}`);
    await withInstallation({}, async (installation) => {
      const to = `${installation.url}/ingest/sd.mpegts?key=${installation.publishKey}`;
      const live = [...TEST_VIDEO("720x480", "60000/1001"), ...TEST_AUDIO, ...interlaced, ...AAC];
      const publisher = ffmpeg([...live, "-f", "mpegts", "-method", "PUT", to]);
      try {
        const out = await recorded(installation, "sd", folder);
        const found = fields(out);
        assert.ok(found.tff < 5 && found.progressive > 20, JSON.stringify(found));
        const master = await (await fetch(`${installation.url}/live/sd/index.m3u8`)).text();
        assert.match(master, /RESOLUTION=720x480,FRAME-RATE=29\.970/);
        const { stdout } = spawnSync("ffprobe", ["-v", "error", "-of", "json", "-show_streams", out], {
          encoding: "utf8",
        });
        const [stream] = JSON.parse(stdout).streams;
        assert.deepEqual([stream.sample_aspect_ratio, stream.r_frame_rate], ["10:11", "30000/1001"]);
        const { items } = await installation.get("/api/v1/sessions");
        assert.equal(items[0].tracks.find((track: { kind: string }) => track.kind === "video").interlaced, true);
      } finally {
        await publisher.end();
      }
    });
  });
});

const SLICE_TYPES = [1, 5];

/** The same stream with a caption message (ATSC A/53 part 4, cc_data) before each picture, counting up. */
function captioned(annexB: Buffer): Buffer {
  const parts: Buffer[] = [];
  let pictures = 0;
  let from = 0;
  for (let at = annexB.indexOf("\0\0\x01", 0, "latin1"); at >= 0; at = annexB.indexOf("\0\0\x01", at + 3, "latin1")) {
    if (!SLICE_TYPES.includes(annexB[at + 3]! & 0x1f) || (annexB[at + 4]! & 0x80) === 0) continue; // not a picture's first slice
    parts.push(annexB.subarray(from, at), caption(pictures));
    pictures += 1;
    from = at;
  }
  return Buffer.concat([...parts, annexB.subarray(from)]);
}

function caption(number: number): Buffer {
  const pair = [0x20 + (number % 64), 0x20 + (Math.floor(number / 64) % 64)];
  const data = [0xb5, 0x00, 0x31, ...Buffer.from("GA94"), 0x03, 0xc1, 0xff, 0xfc, ...pair, 0xff];
  return Buffer.from([0, 0, 1, 6, 4, data.length, ...data, 0x80]);
}

/** The numbers of all captions in it, in order. */
function captionsIn(bytes: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = bytes.indexOf("GA94"); at >= 0; at = bytes.indexOf("GA94", at + 4))
    numbers.push(bytes[at + 8]! - 0x20 + (bytes[at + 9]! - 0x20) * 64);
  return numbers;
}

test("captions: each pair once, in order, with its picture; and no playlist denies them", { skip }, async () => {
  await inFolder(async (folder) => {
    const [plain, file] = [join(folder, "plain.h264"), join(folder, "captions.h264")];
    words(["-v", "error", ...TEST_VIDEO().slice(1), ...H264(), "-bsf:v", "h264_mp4toannexb", "-t", "20", "-y", plain]);
    await writeFile(file, captioned(await readFile(plain)));
    await withInstallation({}, async (installation) => {
      const to = `${installation.url}/ingest/news.mpegts?key=${installation.publishKey}`;
      const args = ["-re", "-r", "30", "-i", file, "-c", "copy", "-f", "mpegts", "-method", "PUT", to];
      const publisher = ffmpeg(args);
      try {
        const out = await recorded(installation, "news", folder);
        const numbers = captionsIn(await readFile(out));
        assert.ok(numbers.length > 20, `${numbers.length} captions`);
        assert.deepEqual(
          numbers,
          numbers.map((_, i) => numbers[0]! + i),
        );
        // biome-ignore format: an ffprobe command line
        const probed = spawnSync("ffprobe", ["-v", "error", "-select_streams", "v", "-show_frames", "-show_entries", "side_data=side_data_type", "-of", "csv=p=0", out], { encoding: "utf8" });
        assert.equal(probed.stdout.match(/Closed Captions/g)?.length, numbers.length, "another decoder sees them too");
        const master = await (await fetch(`${installation.url}/live/news/index.m3u8`)).text();
        assert.doesNotMatch(master, /CLOSED-CAPTIONS=NONE/);
      } finally {
        await publisher.end();
      }
    });
  });
});
