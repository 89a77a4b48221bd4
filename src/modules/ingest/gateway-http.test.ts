// The gateway over real sockets: MPEG-TS by PUT, and ffmpeg through both doors where it is installed.
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { channelDefaults } from "#media/channel.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { createGateway } from "./gateway.ts";
import type { IngestLimits } from "./limits.ts";
import type { Gateway, GatewaySession } from "./types.ts";

const KEY = "right-key";
const recorded = (name: string) => readFileSync(join(import.meta.dirname, "../../../test/fixtures/recorded", name));

type House = { gateway: Gateway; url: string; token: () => Promise<string> };

async function withGateway(limits: Partial<IngestLimits>, body: (house: House) => Promise<void>): Promise<void> {
  const clock = systemClock();
  const keys = jwtKeys(new Uint8Array(32).fill(7), clock);
  const gateway = await createGateway({
    clock,
    random: systemRandom(),
    log: silentLog,
    network: nodeNetwork(),
    listen: { host: "127.0.0.1", rtmpPort: 0, rtmps: null },
    authority: {
      authorize: async ({ channel, key }) => {
        if (key !== KEY) throw new PlatformError("publish.key_refused", "wrong key");
        return { ...channelDefaults, name: channel ?? "mapped", origin: "auto", endGraceSeconds: 0 };
      },
      openSession: async () => ({ msnBase: 0, discontinuityBase: 0 }),
    },
    journals: memoryJournals(),
    keys,
    limits,
  });
  const server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [gateway.http] });
  try {
    const token = () => keys.mint({ kind: "internal", role: "origin" }, 60);
    await body({ gateway, url: server.url, token });
  } finally {
    await gateway.close();
    await server.close();
  }
}

type Answer = { status: number; body: Record<string, unknown> };

/** @param send writes the body, in its own time */
function put(
  url: string,
  send: (write: (bytes: Uint8Array) => void) => Promise<void>,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: options.method ?? "PUT", headers: options.headers ?? {} }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
    });
    sent.on("error", reject);
    void send((bytes) => sent.write(bytes)).then(() => sent.end());
  });
}

const whole = (bytes: Uint8Array) => async (write: (bytes: Uint8Array) => void) => write(bytes);

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  for (let i = 0; i < 400; i += 1) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await sleep(25);
  }
  throw new Error(`${what}: it never came`);
}

const session = (gateway: Gateway, channel: string): GatewaySession | undefined =>
  gateway.sessions().findLast((candidate) => candidate.channel === channel);

test("PUT of a transport stream: units in the log, a summary at its end", async () => {
  await withGateway({}, async ({ gateway, url, token }) => {
    for (const [name, codec] of [
      ["h264-bframes.mpegts", "h264"],
      ["hevc.mpegts", "hevc"],
      ["h264-interlaced.mpegts", "h264"],
    ] as const) {
      const channel = name.split(".")[0]!;
      const answer = await put(`${url}/ingest/${channel}.mpegts?key=${KEY}`, whole(recorded(name)));
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const found = session(gateway, channel)!;
      assert.equal(answer.body.session, found.id);
      assert.equal(answer.body.units, found.counters.units);
      assert.ok(found.counters.units > 20 && found.counters.damagedUnits === 0, `${found.counters.units} units`);
      const video = found.tracks.find((track) => track.kind === "video")!;
      assert.equal(video.codec, codec);
      await until("the end", () => session(gateway, channel)!.state === "ended");
      const log = await fetch(`${url}/internal/log/${found.id}`, {
        headers: { authorization: `Bearer ${await token()}` },
      });
      assert.equal(log.status, 200);
      assert.ok((await log.arrayBuffer()).byteLength > recorded(name).length / 2);
    }
  });
});

test("the key may stand in the query, as a bearer token, or as a password; POST is as good", async () => {
  await withGateway({}, async ({ url }) => {
    const basic = Buffer.from(`anybody:${KEY}`).toString("base64");
    for (const [i, authorization] of [`Bearer ${KEY}`, `Basic ${basic}`].entries()) {
      const options = { method: i === 0 ? "POST" : "PUT", headers: { authorization } };
      const answer = await put(`${url}/ingest/c${i}.mpegts`, whole(recorded("audio-only.mpegts")), options);
      assert.equal(answer.status, 200);
    }
    const wrong = await put(`${url}/ingest/c.mpegts`, whole(new Uint8Array(10)), {
      headers: { authorization: "Basic !" },
    });
    assert.deepEqual([wrong.status, wrong.body.code], [403, "publish.key_refused"]);
  });
});

test("refusals come before the body is read, and as problem JSON", async () => {
  await withGateway({}, async ({ gateway, url }) => {
    let written = 0;
    const endless = async (write: (bytes: Uint8Array) => void) => {
      for (let i = 0; i < 20; i += 1) {
        write(new Uint8Array(1000));
        written += 1000;
        await sleep(10);
      }
    };
    const wrong = await put(`${url}/ingest/cam.mpegts?key=wrong`, endless);
    assert.deepEqual([wrong.status, wrong.body.code], [403, "publish.key_refused"]);
    assert.ok(written < 20_000, `${written} bytes were taken`);
    const method = await fetch(`${url}/ingest/cam.mpegts?key=${KEY}`);
    assert.equal(method.status, 400);
    assert.equal((await fetch(`${url}/ingest/other`)).status, 404);
    assert.deepEqual(gateway.sessions(), []);
  });
});

test("garbage: refused within a megabyte, or at its end; a live neighbour notices nothing", async () => {
  await withGateway({}, async ({ gateway, url }) => {
    const good = recorded("h264-bframes.mpegts");
    let stop = false;
    const neighbour = put(`${url}/ingest/good.mpegts?key=${KEY}`, async (write) => {
      write(good);
      while (!stop) await sleep(20);
    });
    await until("the neighbour", () => session(gateway, "good")?.state === "live");
    const noise = systemRandom().bytes(2_000_000);
    for (const [channel, bytes] of [
      ["large", noise],
      ["small", noise.subarray(0, 5000)],
      ["none", noise.subarray(0, 0)],
      ["packet", new Uint8Array(188).fill(0x47)],
    ] as const) {
      const answer = await put(`${url}/ingest/${channel}.mpegts?key=${KEY}`, whole(bytes));
      assert.deepEqual([answer.status, answer.body.code], [400, "ingest.garbage"], channel);
      assert.equal(session(gateway, channel)!.endReason, "refused");
      assert.equal(gateway.refusals().at(-1)!.channel, channel);
    }
    assert.equal(session(gateway, "good")!.counters.damagedUnits, 0);
    stop = true;
    assert.equal((await neighbour).status, 200);
  });
});

test("a busy channel, a flood, a sender that goes quiet", async () => {
  await withGateway({ quietMs: 400, bitsPerSecondMax: 8_000_000, burstSeconds: 0.5 }, async ({ gateway, url }) => {
    const bytes = recorded("h264-bframes.mpegts");
    const quiet = put(`${url}/ingest/cam.mpegts?key=${KEY}`, async (write) => {
      write(bytes);
      await until("its session's end", () => session(gateway, "cam")?.state === "interrupted");
    });
    await until("live", () => session(gateway, "cam")?.state === "live");
    const busy = await put(`${url}/ingest/cam.mpegts?key=${KEY}`, whole(bytes));
    assert.deepEqual([busy.status, busy.body.code], [409, "publish.channel_busy"]);
    const gone = await quiet;
    assert.deepEqual([gone.status, gone.body.code], [408, "ingest.no_data"]);
    const flood = await put(`${url}/ingest/flood.mpegts?key=${KEY}`, async (write) => {
      for (let i = 0; i < 40; i += 1) {
        write(bytes);
        await sleep(10);
      }
    });
    assert.deepEqual([flood.status, flood.body.code], [429, "ingest.too_fast"]);
  });
});

test("stop answers a sender in mid-stream", async () => {
  await withGateway({}, async ({ gateway, url }) => {
    let stopped = false;
    const sender = put(`${url}/ingest/cam.mpegts?key=${KEY}`, async (write) => {
      write(recorded("h264-bframes.mpegts"));
      while (!stopped) await sleep(20);
    });
    const found = await until("live", () => session(gateway, "cam")?.state === "live" && session(gateway, "cam"));
    await gateway.stop(found.id, "stopped");
    assert.equal((await sender).status, 200);
    stopped = true;
    assert.equal(session(gateway, "cam")!.endReason, "stopped");
  });
});

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const skip = hasFfmpeg ? false : "skipped: no ffmpeg";

/** Two seconds of test pictures and a tone, in real time. */
function ffmpeg(...output: string[]): Promise<number | null> {
  return encode(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30", "-c:a", "aac"], output);
}

function encode(codecs: readonly string[], output: readonly string[]): Promise<number | null> {
  const video = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001"];
  const audio = ["-f", "lavfi", "-i", "sine=sample_rate=44100"];
  const child = spawn("ffmpeg", ["-loglevel", "quiet", ...video, ...audio, "-t", "2", ...codecs, ...output], {
    stdio: "ignore",
  });
  return new Promise((resolve) => child.on("close", resolve));
}

test("ffmpeg publishes over RTMP and by HTTP: every picture is in the log", { skip }, async () => {
  await withGateway({}, async ({ gateway, url }) => {
    const rtmp = `rtmp://127.0.0.1:${gateway.rtmpPort}/live/rtmp?key=${KEY}`;
    const put = `${url}/ingest/http.mpegts?key=${KEY}`;
    const codes = await Promise.all([ffmpeg("-f", "flv", rtmp), ffmpeg("-f", "mpegts", "-method", "PUT", put)]);
    assert.deepEqual(codes, [0, 0]);
    for (const channel of ["rtmp", "http"]) {
      const found = session(gateway, channel)!;
      assert.deepEqual(found.rate, { num: 30_000, den: 1001 }, channel);
      assert.ok(
        found.counters.droppedUnits <= 5,
        `${channel}: audio from before the first picture is all that is lost`,
      );
      assert.equal(found.counters.damagedUnits, 0, channel);
      assert.ok(found.counters.units >= 60 + 80, `${channel}: ${found.counters.units} units`);
      assert.equal(found.counters.holes, 0, channel);
    }
    const refused = await ffmpeg("-f", "flv", `rtmp://127.0.0.1:${gateway.rtmpPort}/live/rtmp?key=wrong`);
    assert.notEqual(refused, 0);
    assert.equal(gateway.refusals().at(-1)!.code, "publish.key_refused");
  });
});

test("codecs that cannot be taken: refused by name, whatever the transport", { skip }, async () => {
  await withGateway({}, async ({ gateway, url }) => {
    await Promise.all([
      encode(["-c:v", "mpeg2video", "-an"], ["-f", "mpegts", "-method", "PUT", `${url}/ingest/ts.mpegts?key=${KEY}`]),
      encode(["-c:v", "flv", "-an"], ["-f", "flv", `rtmp://127.0.0.1:${gateway.rtmpPort}/live/flv?key=${KEY}`]),
    ]);
    const refusals = gateway.refusals().map(({ code, channel }) => `${channel} ${code}`);
    assert.deepEqual(refusals.sort(), ["flv ingest.unsupported_codec", "ts ingest.unsupported_codec"]);
    assert.match(gateway.refusals().find(({ channel }) => channel === "ts")!.message, /MPEG/i);
  });
});
