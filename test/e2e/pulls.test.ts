// Streams that we fetch, from servers nobody here wrote, and CMAF that other encoders push.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { checked, freePort, inFolder, withConfig } from "./configured.ts";
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
} from "./installation.ts";

const skip = unlessInstalled("ffmpeg");
const SMALL = [...TEST_VIDEO("320x180", "25"), ...TEST_AUDIO, ...H264(25), ...AAC];

type Pulled = { state: string; url: string | null; detail: string | null };

async function pullOf(installation: Installation, channel: string): Promise<Pulled> {
  const { inputStates } = await installation.get<{ inputStates: Pulled[] }>(`/api/v1/channels/${channel}`);
  return inputStates[0]!;
}

/** Files of a folder, as a plain web server gives them. */
async function servingFolder(folder: string, body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((asked, response) => {
    readFile(join(folder, (asked.url ?? "/").split("?")[0]!)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test("pulls: a transport stream over HTTP with a password, and RTMP; a pull that is killed comes back into its session", {
  skip,
}, async () => {
  const [tsPort, rtmpPort] = [await freePort(), await freePort()];
  const channels = [
    { name: "ts", inputs: [{ kind: "pull", url: `http://user:secret-word@127.0.0.1:${tsPort}/live.ts` }] },
    { name: "rtmp", inputs: [{ kind: "pull", url: `rtmp://127.0.0.1:${rtmpPort}/app/name` }] },
  ];
  const serve = () =>
    ffmpeg([...SMALL, "-muxdelay", "0", "-f", "mpegts", "-listen", "1", `http://127.0.0.1:${tsPort}/live.ts`]);
  let server = serve();
  const rtmp = ffmpeg([...SMALL, "-f", "flv", "-listen", "1", `rtmp://127.0.0.1:${rtmpPort}/app/name`]);
  try {
    await withConfig(channels, async (installation) => {
      const session = await sessionIn(installation, "ts", "live", 40_000);
      await sessionIn(installation, "rtmp", "live", 40_000);
      await Promise.all([checked(installation, "ts"), checked(installation, "rtmp")]);
      const state = await pullOf(installation, "ts");
      assert.equal(state.state, "connected");
      assert.match(state.detail!, /h264 320x180, aac/);
      assert.ok(!installation.log().includes("secret-word") && !JSON.stringify(state).includes("secret-word"));

      const { items } = await installation.get<{ items: { id: string; role: string; pid: number }[] }>(
        "/api/v1/workers",
      );
      const pull = items.find(({ id, role }) => role === "pull" && id.startsWith("pull-ts."))!;
      process.kill(pull.pid, "SIGKILL");
      await server.done; // its only client is gone, and it was told to serve one
      server = serve();
      await eventually(
        "the publisher returned",
        async () => {
          const sessions = (
            await installation.get<{ items: { id: string; counters: { returns: number } }[] }>("/api/v1/sessions")
          ).items;
          return sessions.find(({ id }) => id === session.id)!.counters.returns >= 1;
        },
        30_000,
      );
      await sessionIn(installation, "ts", "live");
    });
  } finally {
    await Promise.all([server.kill(), rtmp.kill()]);
  }
});

test("an HLS pull on demand: nothing runs until somebody watches; its bursts come out as parts", { skip }, async () => {
  await inFolder(async (hls) => {
    // biome-ignore format: an ffmpeg command line
    const source = ffmpeg([...SMALL, "-f", "hls", "-hls_time", "2", "-hls_list_size", "5", "-hls_flags", "delete_segments", join(hls, "live.m3u8")]);
    try {
      await eventually("their playlist", async () => (await readdir(hls)).includes("live.m3u8"));
      await servingFolder(hls, async (url) => {
        const input = { kind: "pull", url: `${url}/live.m3u8`, onDemand: true };
        await withConfig([{ name: "hls", inputs: [input] }], async (installation) => {
          const workers = async () =>
            (await installation.get<{ items: { role: string }[] }>("/api/v1/workers")).items.map(({ role }) => role);
          await eventually("control has looked", async () => (await workers()).includes("transcode"));
          assert.ok(!(await workers()).includes("pull"));
          await eventually("the gateway knows it", async () => (await pullOf(installation, "hls"))?.state === "idle");
          await checked(installation, "hls", 20);
          assert.ok((await workers()).includes("pull"));
        });
      });
    } finally {
      await source.kill();
    }
  });
});

/** A playlist that never ends. */
function sendForEver(response: ServerResponse, head: string, line: string): void {
  response.writeHead(200, { "content-type": "application/vnd.apple.mpegurl" });
  response.write(head);
  const lines = line.repeat(20_000);
  const send = () => {
    while (response.write(lines));
  };
  response.on("drain", send);
  send();
}

test("a pull that gets nothing, garbage or what never ends says so and tries again", { skip }, async () => {
  const dead = await freePort();
  const server = createServer((asked, response) => {
    if (asked.url === "/garbage") response.end(Buffer.alloc(500_000, "no media at all "));
    else if (asked.url === "/endless.m3u8")
      sendForEver(response, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n", "#EXTINF:2,\n1.ts\n");
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const channels = [
    ["dead", `http://127.0.0.1:${dead}/x`],
    ["garbage", `http://127.0.0.1:${port}/garbage`],
    ["missing", `http://127.0.0.1:${port}/missing?token=hidden-word`],
    ["endless", `http://127.0.0.1:${port}/endless.m3u8`],
  ].map(([name, url]) => ({ name, inputs: [{ kind: "pull", url }] }));
  try {
    await withConfig(channels, async (installation) => {
      for (const { name } of channels) {
        const state = await eventually(
          `${name} waits`,
          async () => {
            const pull = await pullOf(installation, name!);
            return pull.state === "waiting" && pull;
          },
          40_000,
        );
        assert.match(state.detail!, name === "endless" ? /MB of memory/ : /next try is in/);
      }
      assert.ok(!installation.log().includes("hidden-word"));
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("CMAF from ffmpeg: a ladder with sound by PUT; the last manifest ends the session; a wrong key does not begin one", {
  skip,
}, async () => {
  await withConfig([{ name: "dash", endGraceSeconds: 0 }], async (installation) => {
    const { host } = new URL(installation.url);
    const push = (key: string) =>
      // biome-ignore format: an ffmpeg command line
      ffmpeg([...TEST_VIDEO("320x180", "25"), ...TEST_AUDIO, "-map", "0:v", "-map", "0:v", "-map", "1:a", ...H264(50), "-s:v:1", "160x90", ...AAC,
        "-f", "dash", "-seg_duration", "2", "-use_template", "1", "-use_timeline", "0", "-window_size", "5", "-method", "PUT",
        `http://x:${key}@${host}/ingest/dash/out.mpd`]);
    const wrong = push("not-the-key");
    const refused = await eventually("a refusal", async () => {
      const { items } = await installation.get<{ items: { code: string; channel: string }[] }>("/api/v1/refusals");
      return items.find(({ channel }) => channel === "dash");
    });
    assert.equal(refused.code, "publish.key_refused");
    await wrong.kill();
    const source = push(installation.publishKey);
    const session = await sessionIn(installation, "dash", "live", 30_000);
    await checked(installation, "dash", 15);
    const detail = await installation.get<{ protocol: string; tracks: { kind: string; height?: number }[] }>(
      `/api/v1/sessions/${session.id}`,
    );
    assert.equal(detail.protocol, "cmaf");
    assert.deepEqual(
      detail.tracks.map(({ kind, height }) => [kind, height ?? 0]),
      [
        ["video", 180],
        ["video", 90],
        ["audio", 0],
      ],
    );
    assert.ok((await source.end()) !== null);
    await sessionIn(installation, "dash", "ended", 20_000);
  });
});

test("CMAF by folders and out of order, as a packager's uploader does it; missing init, garbage and doubles", {
  skip,
}, async () => {
  await withConfig([{ name: "shaka" }], async (installation, folder) => {
    // biome-ignore format: an ffmpeg command line
    const made = spawnSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "14",
      ...H264(50), ...AAC, "-f", "dash", "-seg_duration", "2", "-use_template", "1", "-use_timeline", "0", "-init_seg_name", "init-$RepresentationID$.mp4",
      "-media_seg_name", "$RepresentationID$-$Number$.m4s", join(folder, "out.mpd")], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const names = ["video_180", "audio_eng"];
    const put = async (path: string, body: Buffer, key = installation.publishKey) => {
      const response = await fetch(`${installation.url}/ingest/shaka/${path}`, {
        method: "PUT",
        body: new Uint8Array(body),
        headers: { authorization: `Bearer ${key}` },
      });
      return { status: response.status, text: await response.text() };
    };
    const segment = (track: number, number: number) => readFile(join(folder, `${track}-${number}.m4s`));
    const early = await put("video_180/1.m4s", await segment(0, 1));
    assert.equal(early.status, 412, early.text);
    for (const track of [0, 1])
      assert.equal(
        (await put(`${names[track]}/init.mp4`, await readFile(join(folder, `init-${track}.mp4`)))).status,
        200,
      );
    assert.equal((await put("video_180/9.m4s", Buffer.from("garbage that is no box at all"))).status, 400);
    const other = await put("video_180/1.m4s", await segment(0, 1), "another-key-123");
    assert.equal(other.status, 409, other.text);
    const startMs = performance.now();
    let checking: Promise<void> = Promise.resolve();
    for (let number = 1; number <= 6; number += 1) {
      const order = number % 2 === 0 ? [1, 0] : [0, 1];
      for (const track of order) {
        const body = await segment(track, number);
        assert.equal((await put(`${names[track]}/${number}.m4s`, body)).status, 200);
        if (number === 3) assert.equal((await put(`${names[track]}/${number}.m4s`, body)).status, 200); // again
      }
      if (number === 2) checking = checked(installation, "shaka", 10);
      const dueMs = number * 2000 - (performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs))); // an encoder takes its time
    }
    await checking;
    const { items } = await installation.get<{
      items: { channel: string; counters: { holes: number; droppedUnits: number } }[];
    }>("/api/v1/sessions");
    const { counters } = items.find(({ channel }) => channel === "shaka")!;
    assert.equal(counters.holes, 0);
    assert.ok(counters.droppedUnits <= 2, "sound from before the first picture");
  });
});
