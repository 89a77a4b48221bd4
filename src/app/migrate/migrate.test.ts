import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { readConfig } from "../config.ts";
import { fromMediaMtx } from "./mediamtx.ts";
import { fromNginxRtmp } from "./nginx-rtmp.ts";
import { parseNginx, readNginx } from "./nginx-syntax.ts";
import { fitted, type Outcome, outcomeYaml } from "./outcome.ts";

const SECRET = "0123456789abcdef0123";

/** The result as our own reader takes it: what it would refuse is no migration. */
function taken(outcome: Outcome) {
  const folder = mkdtempSync(join(tmpdir(), "continuity-migrate-"));
  try {
    writeFileSync(join(folder, "continuity.yaml"), outcomeYaml(outcome, "test: x"));
    const { config } = readConfig({ options: {}, environment: {}, folder });
    return { config, channel: (name: string) => config.channels.find((entry) => entry.channel.name === name)! };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const NGINX = `
worker_processes auto;
events { worker_connections 1024; }
rtmp {
  include limits.conf;
  server {
    listen 1936;            # another port
    chunk_size 4096;
    application live {
      live on;
      hls on;
      hls_path /tmp/hls;
      hls_fragment 2s;
      hls_playlist_length 60s;
      on_publish http://127.0.0.1/auth;
      push rtmp://cdn.example/live;
      record off;
    }
    application ladder {
      live on;
      exec ffmpeg -i rtmp://localhost/ladder/$name -c:v libx264 -s 1280x720 -b:v 3000k -f flv rtmp://localhost/show/$name_hi
                  -c:v libx264 -s 640x360 -b:v 800k -f flv "rtmp://localhost/show/$name_low";
    }
    application show { live on; hls on; hls_fragment 4; }
    application relay {
      live on;
      pull rtmp://upstream.example/app/feed name=feed static;
    }
  }
}
http { server { listen 8080; } }
`;

test("nginx's applications become channels with their addresses, ladders, pulls and hook; what is lost is said", () => {
  const files = {
    find: (pattern: string) => (pattern === "limits.conf" ? ["limits.conf"] : []),
    read: (path: string) => (path === "nginx.conf" ? NGINX : "max_connections 500;\nno_such_directive on;\n"),
  };
  const outcome = fromNginxRtmp(readNginx("nginx.conf", files), {
    streams: ["live/news", "live/sport"],
    secret: SECRET,
  });
  const { config, channel } = taken(outcome);
  assert.equal(config.rtmpPort, 1936);
  assert.deepEqual(
    config.channels.map(({ channel: { name } }) => name),
    ["news", "sport", "ladder", "feed"],
  );
  const news = channel("news").channel;
  assert.deepEqual(
    [news.rtmpPath, news.ladder, news.segmentSeconds, news.windowSegments],
    ["live/news", "passthrough", 2, 30],
  );
  assert.deepEqual(channel("ladder").channel.ladder, [
    { height: 720, bitrateKbps: 3000 },
    { height: 360, bitrateKbps: 800 },
  ]);
  assert.equal(channel("ladder").channel.segmentSeconds, 4, "viewers saw the application that it fed");
  assert.deepEqual(channel("feed").channel.inputs, [{ kind: "pull", url: "rtmp://upstream.example/app/feed" }]);
  assert.deepEqual(
    [config.hooks.publish?.url, config.hooks.publish?.format, config.hooks.publish?.keys],
    ["http://127.0.0.1/auth", "nginx-rtmp", "theirs"],
  );
  const told = outcome.notes.map(({ where, what }) => `${where} ${what}`).join("\n");
  for (const lost of ["push rtmp", "max_connections", "no_such_directive", "limits.conf:1", "application show"])
    assert.ok(told.includes(lost), `${lost} is not told in\n${told}`);
});

const MEDIAMTX = `
logLevel: info
rtmpAddress: :1940
hlsSegmentDuration: 1s
hlsPartDuration: 200ms
hlsSegmentCount: 7
authMethod: http
authHTTPAddress: http://localhost/auth
pathDefaults:
  record: no
  recordPath: /tmp/x
paths:
  multicast:
    source: udp+mpegts://238.0.0.1:1234
  ten:
    source: udp://10.0.0.5:1235
    record: yes
  cam1:
    source: rtsp://user:pw@10.0.0.5:554/stream
    sourceOnDemand: yes
  Studio/Main:
    publishUser: encoder
    publishPass: a-good-long-key
    runOnReady: ffmpeg -i x
  weak:
    publishPass: abc
  whep:
    source: whep://host/x
  all_others:
`;

test("MediaMTX's paths become channels, their sources pulls, their passwords keys", () => {
  const outcome = fromMediaMtx(MEDIAMTX, "mediamtx.yml", SECRET);
  const { config, channel } = taken(outcome);
  assert.equal(config.rtmpPort, 1940);
  assert.deepEqual(
    config.channels.map((entry) => entry.channel.name),
    ["multicast", "ten", "cam1", "studio-main", "weak", "whep"],
  );
  assert.deepEqual(channel("multicast").channel.inputs, [{ kind: "udp", port: 1234, group: "238.0.0.1" }]);
  assert.deepEqual(channel("ten").channel.inputs, [{ kind: "udp", port: 1235, host: "10.0.0.5" }]);
  assert.deepEqual(channel("cam1").channel.inputs, [
    { kind: "pull", url: "rtsp://user:pw@10.0.0.5:554/stream", onDemand: true },
  ]);
  const studio = channel("studio-main");
  assert.deepEqual([studio.channel.rtmpPath, studio.keys.map(({ name }) => name)], ["Studio/Main", ["encoder"]]);
  assert.deepEqual(
    [studio.channel.segmentSeconds, studio.channel.partSeconds, studio.channel.windowSegments],
    [1, 0.2, 7],
  );
  assert.equal(config.hooks.publish?.url, "http://localhost/auth");
  const told = outcome.notes.map(({ what }) => what).join("\n");
  for (const lost of [
    "runOnReady",
    "weak: publishPass",
    "whep: source",
    "all_others",
    "ten: record",
    "authHTTPAddress",
  ])
    assert.ok(told.includes(lost), `${lost} is not told in\n${told}`);
  assert.ok(!told.includes("cam1: record"), "what is not recorded there is not lost here");
});

const MEDIAMTX_USERS = `
authMethod: internal
authHTTPAddress: http://localhost/left-over
srt: no
rtspTransports: [tcp]
authInternalUsers:
  - { user: any, pass: , permissions: [{ action: read }] }
  - user: studio
    pass: studio-pass
    permissions: [{ action: publish, path: news }, { action: read }]
  - { user: desk, pass: desk-pass-1, ips: [10.0.0.0/8], permissions: [{ action: publish, path: "~^sp" }] }
  - { user: all, pass: all-pass-1, permissions: [{ action: publish }] }
  - { user: hashed, pass: "sha256:j1tsRqDEw9xvq/D7/9tMx6Jh/jMhk3UfjwIB2f1zgMo=", permissions: [{ action: publish }] }
  - { user: short, pass: abc, permissions: [{ action: publish }] }
  - { user: any, permissions: [{ action: publish, path: open }] }
paths:
  news:
    runOnReady: ffmpeg -i rtsp://localhost:$RTSP_PORT/$MTX_PATH -c:v libx264 -s 854x480 -b:v 900k -f rtsp "rtsp://u:p@localhost/low"
  sport:
    source: srt://secret:word@host:9000
  open:
`;

test("MediaMTX's users become keys of the paths that they may publish to; commands become ladders", () => {
  const outcome = fromMediaMtx(MEDIAMTX_USERS, "m.yml", SECRET);
  const { config, channel } = taken(outcome);
  const keys = (name: string) => channel(name).keys.map((key) => key.name);
  assert.deepEqual([keys("news"), keys("sport"), keys("open")], [["studio", "all"], ["desk", "all"], ["all"]]);
  assert.deepEqual(channel("news").channel.ladder, [{ height: 480, bitrateKbps: 900 }]);
  assert.equal(config.hooks.publish, null, "the address is not asked there either");
  const told = outcomeYaml(outcome, "x").match(/^#.*$/gm)!.join("\n");
  for (const lost of [
    "Users[4]: only a hash",
    "Users[5]: its password",
    "Users[6]: anybody",
    "Users[2]: ips",
    "rtsp: RTSP",
  ])
    assert.ok(told.includes(lost), `${lost} is not told in\n${told}`);
  assert.ok(!told.includes("srt: SRT"), "that door is closed there");
  assert.ok(!told.includes("word@") && told.includes("srt://***@host"), "credentials are not shown");
});

test("nginx: one hook for all is told to those applications that asked nobody", () => {
  const text = "rtmp { server { application a { live on; } application b { on_publish http://h/x; } } }";
  const outcome = fromNginxRtmp(parseNginx(text, "n"), { streams: ["a/stream-a"], secret: SECRET });
  const { config, channel } = taken(outcome);
  assert.equal(config.hooks.publish?.url, "http://h/x");
  assert.deepEqual(channel("stream-a").keys, [], "the hook judges its keys as well");
  assert.ok(outcome.notes.some(({ what, why }) => what === "application a" && /asked nobody/.test(why)));
});

test("what neither server would take is refused with its place", () => {
  const refused = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "config.invalid", String(error));
      return error.message;
    }
    return assert.fail("it was taken");
  };
  assert.match(
    refused(() => parseNginx("rtmp {\n server {\n", "n.conf")),
    /n\.conf:2/,
  );
  assert.match(
    refused(() => parseNginx("a b", "n.conf")),
    /n\.conf:1/,
  );
  assert.match(
    refused(() => fromNginxRtmp(parseNginx("http { }", "n"), { streams: [], secret: SECRET })),
    /no rtmp block/,
  );
  assert.match(
    refused(() => fromMediaMtx("paths: [", "m.yml", SECRET)),
    /m\.yml is not YAML/,
  );
  for (const text of ["paths: *nowhere", "paths: { <<: 1 }"])
    assert.match(
      refused(() => fromMediaMtx(text, "m.yml", SECRET)),
      /m\.yml is not YAML/,
    );
  const loop = { find: () => ["a"], read: () => "include a;" };
  assert.match(
    refused(() => readNginx("a", loop)),
    /includes more/,
  );
});

test("fuzz: any nginx text is read or refused, and what is read is a configuration of ours", () => {
  const random = seededRandom(7);
  const pick = (below: number) => Math.floor(random.next() * below);
  for (let run = 0; run < 1500; run += 1) {
    let text = NGINX;
    for (let i = pick(6); i >= 0; i -= 1) {
      const at = pick(text.length);
      const piece = ["{", "}", ";", '"', "'", "\\", "#", "$", " ", "\n", "ä", String.fromCharCode(pick(128))][
        pick(12)
      ]!;
      text =
        pick(2) === 0
          ? text.slice(0, at) + piece + text.slice(at + pick(3))
          : text.slice(0, at) + text.slice(at + 1 + pick(30));
    }
    try {
      const files = { find: () => [], read: () => text };
      taken(fitted(fromNginxRtmp(readNginx("nginx.conf", files), { streams: [], secret: SECRET })));
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "config.invalid", String((error as Error).stack));
      assert.ok(!error.message.includes("continuity.yaml"), `${error.message}\nof\n${text}`);
    }
  }
});
