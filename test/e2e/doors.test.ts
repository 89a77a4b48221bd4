// Every door that media comes in by and goes out by, with programs nobody here wrote on the other side.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { request } from "node:http";
import { test } from "node:test";
import { decodesSilently } from "./decoders.ts";
import {
  AAC,
  eventually,
  ffmpeg,
  H264,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";
import { whileSending } from "./odd.ts";
import { hasNoX265, hasSegments, renditionUrls } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");

/** ffmpeg 5's HLS reader takes up the init segment again after each reload and complains about that itself, once or more. */
const READER_NOISE = /^.*Found duplicated MOOV Atom. Skipped it\n(?: +Last message repeated \d+ times\n)?/gm;

/** Reads `seconds` of a playlist with Debian's ffmpeg, strictly. @returns what it said; nothing when all was well */
async function play(url: string, seconds: number): Promise<string> {
  await eventually(`segments at ${url}`, async () => hasSegments(url));
  // biome-ignore format: an ffmpeg command line
  const player = ffmpeg(["-xerror", "-err_detect", "explode", "-live_start_index", "-3", "-i", url, "-t", String(seconds), "-f", "null", "-"]);
  const code = await player.done;
  assert.equal(code, 0, player.stderr());
  return player.stderr().replaceAll(READER_NOISE, "");
}

function probe(url: string): {
  streams: { codec_name: string; codec_type: string; width?: number; height?: number }[];
} {
  const { status, stdout, stderr } = spawnSync("ffprobe", ["-v", "error", "-of", "json", "-show_streams", url], {
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

/** Publishes while `body` runs, then ends it cleanly. */
const whilePublishing = (args: string[], body: () => Promise<void>) => whileSending(ffmpeg(args), body, "end");

test("RTMP: H.264 and AAC in, a ladder out that ffmpeg and GStreamer decode without a word; clean end, ENDLIST", {
  skip,
}, async () => {
  await withInstallation({}, async (installation) => {
    const args = [
      ...TEST_VIDEO("1280x720"),
      ...TEST_AUDIO,
      ...H264(),
      ...AAC,
      "-f",
      "flv",
      installation.rtmpUrl("cam"),
    ];
    await whilePublishing(args, async () => {
      await sessionIn(installation, "cam", "live");
      await eventually("one worker makes it", async () => {
        const { workers } = await sessionIn(installation, "cam", "live");
        return workers.length === 1 && workers[0]!.phase === "running";
      });
      const urls = await eventually("four playlists", async () => {
        const found = await renditionUrls(installation, "cam");
        return found.length === 4 && found;
      });
      for (const url of urls) assert.equal(await play(url, 2), "", url);
      const { streams } = probe(`${installation.url}/live/cam/index.m3u8`);
      const heights = streams
        .filter((s) => s.codec_type === "video")
        .map((s) => s.height)
        .sort();
      assert.deepEqual([...new Set(heights)], [360, 480, 720]);
      for (const url of urls) await decodesSilently(url);
    });
    await eventually("the session ends after its grace", async () => {
      const { items } = await installation.get("/api/v1/sessions");
      return items.every((s: { state: string }) => s.state === "ended");
    });
    const [first] = await renditionUrls(installation, "cam");
    await eventually("ENDLIST", async () => (await (await fetch(first!)).text()).includes("#EXT-X-ENDLIST"));
    await eventually("no worker runs", async () => {
      const { items } = await installation.get("/api/v1/workers");
      return items.every((w: { session: string | null }) => w.session === null);
    });
  });
});

test("MPEG-TS by chunked PUT", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    const to = `${installation.url}/ingest/ts.mpegts?key=${installation.publishKey}`;
    const args = [...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "mpegts", "-method", "PUT", to];
    await whilePublishing(args, async () => {
      await sessionIn(installation, "ts", "live");
      assert.equal(await play(`${installation.url}/live/ts/index.m3u8`, 3), "");
    });
  });
});

test("HEVC in MPEG-TS; B-frames; 29.97", { skip: skip || hasNoX265() }, async () => {
  await withInstallation({}, async (installation) => {
    const to = `${installation.url}/ingest/hevc.mpegts?key=${installation.publishKey}`;
    const hevc = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=30:bframes=2"];
    const args = [
      ...TEST_VIDEO("640x360", "30000/1001"),
      ...TEST_AUDIO,
      ...hevc,
      ...AAC,
      "-f",
      "mpegts",
      "-method",
      "PUT",
      to,
    ];
    await whilePublishing(args, async () => {
      await sessionIn(installation, "hevc", "live");
      const [url] = await eventually("playlists", async () => {
        const found = await renditionUrls(installation, "hevc");
        return found.length > 0 && found;
      });
      const master = await (await fetch(`${installation.url}/live/hevc/index.m3u8`)).text();
      assert.match(master, /FRAME-RATE=29\.970/);
      assert.equal(await play(url!, 2), "");
    });
  });
});

test("audio only, and video only", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    await whilePublishing([...TEST_AUDIO, ...AAC, "-f", "flv", installation.rtmpUrl("radio")], async () => {
      await sessionIn(installation, "radio", "live");
      assert.equal(await play(`${installation.url}/live/radio/index.m3u8`, 3), "");
    });
    await whilePublishing([...TEST_VIDEO(), ...H264(), "-f", "flv", installation.rtmpUrl("silent")], async () => {
      await sessionIn(installation, "silent", "live");
      assert.equal(await play(`${installation.url}/live/silent/index.m3u8`, 3), "");
      assert.doesNotMatch(await (await fetch(`${installation.url}/live/silent/index.m3u8`)).text(), /mp4a/);
    });
  });
});

test("refusals: wrong key, unknown channel, busy channel, unsupported codec; each in the protocol's words and with a code", {
  skip,
}, async () => {
  await withInstallation({ env: { CONTINUITY_AUTO_CREATE: "false" }, args: [] }, async (installation) => {
    const source = ffmpeg([...TEST_VIDEO(), ...H264(), "-f", "flv", installation.rtmpUrl("nobody")]);
    assert.notEqual(await source.done, 0);
    await eventually("a refusal is recorded", async () => {
      const { items } = await installation.get("/api/v1/refusals");
      return items.some((r: { code: string }) => r.code === "publish.channel_unknown");
    });
    assert.match(installation.log(), /publish\.channel_unknown/);
  });
  await withInstallation({}, async (installation) => {
    const wrongKey = `rtmp://127.0.0.1:${installation.rtmpPort}/live/cam?key=not-the-key`;
    const refused = ffmpeg([...TEST_VIDEO(), ...H264(), "-f", "flv", wrongKey]);
    assert.notEqual(await refused.done, 0);
    assert.match(installation.log(), /publish\.key_refused/);
    assert.ok(!installation.log().includes("not-the-key"), "a key reached the log");
    assert.ok(!installation.log().includes(installation.publishKey), "the publish key reached the log");

    const answer = await put(`${installation.url}/ingest/cam.mpegts?key=wrong`, Buffer.alloc(188, 0x47));
    assert.equal(answer.status, 403);
    assert.equal(JSON.parse(answer.body).code, "publish.key_refused");

    const first = ffmpeg([...TEST_VIDEO(), ...H264(), "-f", "flv", installation.rtmpUrl("cam")]);
    await sessionIn(installation, "cam", "live");
    const second = ffmpeg([...TEST_VIDEO(), ...H264(), "-f", "flv", installation.rtmpUrl("cam")]);
    assert.notEqual(await second.done, 0);
    assert.match(installation.log(), /publish\.channel_busy/);
    await first.end();

    const mpeg2 = [...TEST_VIDEO(), "-c:v", "mpeg2video", "-f", "mpegts", "-method", "PUT"];
    const unsupported = ffmpeg([...mpeg2, `${installation.url}/ingest/old.mpegts?key=${installation.publishKey}`]);
    await eventually("unsupported codec", () => installation.log().includes("ingest.unsupported_codec"));
    await unsupported.kill();
  });
});

function put(url: string, body: Buffer): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "PUT" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode!, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

test("garbage on every door leaves a live neighbour untouched", { skip }, async () => {
  await withInstallation({}, async (installation) => {
    await whilePublishing(
      [...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "flv", installation.rtmpUrl("good")],
      async () => {
        await sessionIn(installation, "good", "live");
        const garbage = createReadStream("/dev/urandom", { end: 2_000_000 });
        const chunks: Buffer[] = [];
        for await (const chunk of garbage) chunks.push(chunk as Buffer);
        const noise = Buffer.concat(chunks);
        const answer = await put(`${installation.url}/ingest/bad.mpegts?key=${installation.publishKey}`, noise);
        assert.equal(answer.status, 400);
        assert.equal(JSON.parse(answer.body).code, "ingest.garbage");
        const { connect } = await import("node:net");
        await new Promise<void>((resolve) => {
          const socket = connect(installation.rtmpPort, "127.0.0.1", () => socket.write(noise));
          socket.on("error", () => {});
          socket.on("close", () => resolve());
        });
        for (const path of [
          "/live/../../etc/passwd",
          "/live/%2e%2e/%2e%2e/etc/passwd",
          "/live/good/..%2f..%2fx.m4s",
          "/watch/../../x",
          "//live//good",
          "/live/good/%00",
        ])
          assert.ok([400, 404].includes((await fetch(installation.url + path)).status), path);
        const huge = await fetch(installation.url, { headers: { "x-huge": "a".repeat(100_000) } }).then(
          (r) => r.status,
          () => 431,
        );
        assert.ok([400, 431].includes(huge));
        assert.equal(await play(`${installation.url}/live/good/index.m3u8`, 3), "");
        await sessionIn(installation, "good", "live");
      },
    );
  });
});
