// Transport streams over every transport: ports of channels' own over TCP, UDP, RTP and multicast, and TLS; sent by ffmpeg,
// GStreamer, curl and a sender that is shaped like multicat, and by those that mean no good.
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { makeCertificate } from "#platform/network/testing/certificate.ts";
import { rtpPacket } from "#protocols/rtp/testing/packet.ts";
import {
  AAC,
  entry,
  eventually,
  ffmpeg,
  H264,
  type Installation,
  type SessionItem,
  type Source,
  sessionIn,
  TEST_AUDIO,
  TEST_VIDEO,
  unlessInstalled,
  withInstallation,
} from "./installation.ts";
import { hasSegments } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");
const HOST = "127.0.0.1";
const GROUP = "239.255.42.1";
const PICTURE = [...TEST_VIDEO("320x180", "25"), ...TEST_AUDIO, ...H264(25), ...AAC];
const LADDER = [{ height: 180 }];

const folder = mkdtempSync(join(tmpdir(), "continuity-transports-"));
after(() => rmSync(folder, { recursive: true }));

/** Free for both kinds when it was asked. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function boundSocket(port = 0): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(port, HOST);
  await once(socket, "listening");
  return socket;
}

/** Says that, and is cut off for it. */
async function cut(port: number, words: Uint8Array): Promise<void> {
  const socket = connect(port, HOST, () => socket.write(words));
  socket.on("error", () => {}).resume(); // a reset is one way
  await new Promise<void>((resolve) => socket.on("close", () => resolve()));
}

type Input = { kind: "udp" | "tcp"; port: number; group?: string; interface?: string };

/** One channel per input, named in the configuration file. */
function configured(inputs: Record<string, Input>, more: object = {}): { args: string[] } {
  const channels = Object.entries(inputs).map(([name, input]) => ({ name, ladder: LADDER, inputs: [input] }));
  const file = join(mkdtempSync(join(folder, "config-")), "continuity.yaml");
  writeFileSync(file, JSON.stringify({ demo: false, channels, ...more })); // JSON is YAML
  return { args: ["--config", file] };
}

type InputState = {
  state: string;
  remote: string | null;
  bytes: number;
  error: { code: string } | null;
  datagrams: { lost: number; ignored: number; malformed: number; encapsulation: string } | null;
};

async function inputState(installation: Installation, channel: string): Promise<InputState> {
  const { inputStates } = await installation.get<{ inputStates: InputState[] }>(`/api/v1/channels/${channel}`);
  assert.equal(inputStates.length, 1);
  return inputStates[0]!;
}

type Shown = SessionItem & { protocol: string; counters: Record<string, number> };

/** The channel streams by that transport, nothing was lost on the way, and there is something to play. */
async function streams(installation: Installation, channel: string, protocol: string): Promise<Shown> {
  await sessionIn(installation, channel, "live", 30_000);
  const master = `${installation.url}/live/${channel}/index.m3u8`;
  await eventually(`segments of ${channel}`, () => hasSegments(master), 30_000);
  const session = (await sessionIn(installation, channel, "live")) as Shown;
  const { continuityErrors, damagedUnits } = session.counters;
  assert.deepEqual([session.protocol, continuityErrors, damagedUnits], [protocol, 0, 0], channel);
  return session;
}

/** Runs while `body` does. What the senders said is shown when it fails. */
async function whileSending(sources: readonly Source[], body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    for (const source of sources) console.error(source.stderr());
    throw error;
  } finally {
    for (const source of sources) await source.kill();
  }
}

test("ffmpeg: TCP, UDP, RTP, multicast", { skip }, async () => {
  const [tcp, udp, rtp, group] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const options = configured({
    tcp: { kind: "tcp", port: tcp },
    udp: { kind: "udp", port: udp },
    rtp: { kind: "udp", port: rtp },
    group: { kind: "udp", port: group, group: GROUP, interface: HOST },
  });
  await withInstallation(options, async (installation) => {
    for (const channel of ["tcp", "udp", "rtp", "group"])
      await eventually(
        `${channel} listens`,
        async () => (await inputState(installation, channel)).state === "listening",
      );
    const sources = [
      ffmpeg([...PICTURE, "-f", "mpegts", `tcp://${HOST}:${tcp}`]),
      ffmpeg([...PICTURE, "-f", "mpegts", `udp://${HOST}:${udp}?pkt_size=1316`]),
      ffmpeg([...PICTURE, "-f", "rtp_mpegts", `rtp://${HOST}:${rtp}`]),
      ffmpeg([...PICTURE, "-f", "mpegts", `udp://${GROUP}:${group}?pkt_size=1316&localaddr=${HOST}`]),
    ];
    await whileSending(sources, async () => {
      await streams(installation, "tcp", "mpegts-tcp");
      for (const channel of ["udp", "rtp", "group"]) {
        await streams(installation, channel, "mpegts-udp");
        const { state, datagrams } = await inputState(installation, channel);
        const encapsulation = channel === "rtp" ? "rtp" : "none";
        assert.deepEqual([state, datagrams?.encapsulation, datagrams?.lost], ["connected", encapsulation, 0]);
      }
      const { id } = await sessionIn(installation, "group", "live");
      const { processes } = await installation.get<{ processes: { gateway: number } }>("/api/v1/status");
      process.kill(processes.gateway, "SIGKILL"); // the next one opens the ports, and its senders never stopped
      await eventually("the session goes on", async () => {
        const { state, remote } = await inputState(installation, "group");
        const { items } = await installation.get<{ items: Shown[] }>("/api/v1/sessions");
        const session = items.find((item) => item.id === id);
        return state === "connected" && remote !== null && session?.state === "live" && session.counters.returns! > 0;
      });
    });
  });
});

/** As ffmpeg's `Source`, for a program that has no clean end. */
function program(name: string, args: string[]): Source {
  const child: ChildProcess = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-100_000)));
  child.stdout!.resume();
  const done = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const kill = async () => {
    child.kill("SIGKILL");
    await done;
  };
  return { process: child, stderr: () => stderr, done, kill, end: () => kill().then(() => done) };
}

test("GStreamer: udpsink, bare and in RTP", { skip: skip || unlessInstalled("gst-launch-1.0") }, async () => {
  const [bare, rtp] = [await freePort(), await freePort()];
  const options = configured({ bare: { kind: "udp", port: bare }, rtp: { kind: "udp", port: rtp } });
  await withInstallation(options, async (installation) => {
    const file = join(folder, "gstreamer.mpegts");
    await writeFile(file, await recorded(20));
    const pipeline = (sink: string) =>
      program("gst-launch-1.0", [
        ..."-q filesrc".split(" "),
        `location=${file}`,
        ..."! tsparse set-timestamps=true alignment=7 !".split(" "),
        ...sink.split(" "),
      ]);
    const sources = [
      pipeline(`udpsink host=${HOST} port=${bare}`),
      pipeline(`rtpmp2tpay ! udpsink host=${HOST} port=${rtp}`),
    ];
    await whileSending(sources, async () => {
      for (const channel of ["bare", "rtp"]) await streams(installation, channel, "mpegts-udp");
      assert.equal((await inputState(installation, "rtp")).datagrams?.encapsulation, "rtp");
    });
  });
});

/** A recording of `seconds`, made once. */
async function recorded(seconds: number): Promise<Buffer> {
  const file = join(folder, `recorded-${seconds}.mpegts`);
  if (existsSync(file)) return readFile(file);
  const lavfi = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"];
  const muxed = ["-muxrate", "1M", "-f", "mpegts", file];
  const made = ffmpeg([...lavfi, "-t", String(seconds), ...H264(25), "-b:v", "500k", ...AAC, ...muxed]);
  assert.equal(await made.done, 0, made.stderr());
  return readFile(file);
}

/** Seven packets at a time, each at its instant, as multicat sends a recording. */
function paced(stream: Buffer, seconds: number, send: (payload: Buffer, index: number) => void): Promise<void> {
  const bytes = 7 * 188;
  const count = Math.floor(stream.length / bytes);
  const startMs = performance.now();
  let sent = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(count, Math.floor(((performance.now() - startMs) / 1000 / seconds) * count));
      for (; sent < due; sent += 1) send(stream.subarray(sent * bytes, (sent + 1) * bytes), sent);
      if (sent < count) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });
}

test("a sender shaped like multicat, over a network that swaps, doubles and loses", { skip }, async () => {
  const port = await freePort();
  const seconds = 8;
  const stream = await recorded(seconds);
  await withInstallation(configured({ cat: { kind: "udp", port } }), async (installation) => {
    await eventually("it listens", async () => (await inputState(installation, "cat")).state === "listening");
    const socket = await boundSocket();
    try {
      let late: Buffer | null = null;
      let lost = 0;
      const sending = paced(stream, seconds, (payload, i) => {
        const packet = rtpPacket({ sequence: 65_000 + i, timestamp: i * 700, ssrc: 0xcafe, payload });
        if (i % 50 === 20) late = packet;
        else if (i > 300 && i < 700 && i % 100 === 60) lost += 1;
        else {
          socket.send(packet, port, HOST);
          if (i % 50 === 30) socket.send(packet, port, HOST);
          if (late) socket.send(late, port, HOST);
          late = null;
        }
      });
      await sessionIn(installation, "cat", "live");
      await sending;
      const state = await eventually("all of it has come", async () => {
        const now = await inputState(installation, "cat");
        return now.bytes > 0.97 * stream.length && now;
      });
      const { counters } = (await sessionIn(installation, "cat", "live")) as Shown;
      const numbers = state.datagrams as unknown as Record<string, number>;
      assert.ok(lost > 2, `${lost} lost`);
      assert.equal(numbers.lost, lost);
      assert.ok(numbers.reordered! >= 5 && numbers.stale! >= 5, JSON.stringify(numbers));
      assert.ok(counters.continuityErrors! > 0 && counters.units! > 0.8 * seconds * 25, JSON.stringify(counters));
    } finally {
      socket.close();
    }
  });
});

test("a port in use, noise, two senders, a killed sender, a session that is stopped", { skip }, async () => {
  await withInstallation({ env: { CONTINUITY_DEMO: "false" } }, async (installation) => {
    const rival = (await boundSocket()).unref();
    const { port } = rival.address();
    const tcpPort = await freePort();
    const call = async (method: string, path: string, body?: object) => {
      const authorization = `Bearer ${installation.adminToken}`;
      const content = body ? { body: JSON.stringify(body) } : {};
      const headers = { authorization, ...(body ? { "content-type": "application/json" } : {}) };
      const answer = await fetch(`${installation.url}/api/v1/${path}`, { method, headers, ...content });
      return { status: answer.status, text: await answer.text() };
    };
    const make = (name: string, input: object) =>
      call("POST", "channels", { name, ladder: LADDER, lossGraceSeconds: 60, inputs: [input] });
    assert.equal((await make("u", { kind: "udp", port })).status, 201);
    assert.equal((await make("t", { kind: "tcp", port: tcpPort })).status, 201);
    const failed = await eventually("the port is in use", async () => {
      const now = await inputState(installation, "u");
      return now.state === "failed" && now;
    });
    assert.equal(failed.error?.code, "network.address_in_use");
    assert.match(installation.log(), /ingest\.input_failed/);
    rival.close();
    await eventually("it is free", async () => (await inputState(installation, "u")).state === "listening");

    const noise = seededRandom(4);
    const stranger = (await boundSocket()).unref();
    for (let i = 0; i < 500; i += 1) stranger.send(noise.bytes(noise.int(1, 1400)), port, HOST);
    await cut(tcpPort, noise.bytes(200_000));
    await eventually("noise is noise", async () => (await inputState(installation, "u")).datagrams!.malformed > 400);
    assert.equal((await installation.get("/api/v1/sessions")).items.length, 0);

    const to = `udp://${HOST}:${port}?pkt_size=1316`;
    const sources = [
      ffmpeg([...PICTURE, "-f", "mpegts", to]),
      ffmpeg([...PICTURE, "-f", "mpegts", `tcp://${HOST}:${tcpPort}`]),
    ];
    await whileSending(sources, async () => {
      const { id } = await streams(installation, "u", "mpegts-udp");
      await streams(installation, "t", "mpegts-tcp");
      const second = ffmpeg([...PICTURE, "-f", "mpegts", to]);
      const refused = ffmpeg([...PICTURE, "-f", "mpegts", `tcp://${HOST}:${tcpPort}`]);
      sources.push(second, refused);
      assert.notEqual(await refused.done, 0);
      await eventually(
        "the second is ignored",
        async () => (await inputState(installation, "u")).datagrams!.ignored > 50,
      );
      for (let i = 0; i < 500; i += 1) stranger.send(noise.bytes(noise.int(1, 1400)), port, HOST);
      await streams(installation, "u", "mpegts-udp");
      await streams(installation, "t", "mpegts-tcp");
      await sources[0]!.kill();
      await eventually("the second is heard", async () => {
        const session = (await sessionIn(installation, "u", "live")) as Shown;
        return session.counters.returns! >= 1 && session.id === id;
      });
      assert.equal((await call("POST", `sessions/${id}/stop`)).status < 300, true);
      await sessionIn(installation, "u", "ended");
      await eventually(
        "its sender is not heard",
        async () => (await inputState(installation, "u")).state === "stopped",
      );
      await second.kill();
      await eventually("it fell silent", async () => (await inputState(installation, "u")).state === "listening");
      assert.equal((await call("DELETE", "channels/u")).status, 204);
      await eventually("its port is free", async () => {
        const again = await boundSocket(port);
        again.close();
        return true;
      });
    });
    stranger.close();
    assert.match(installation.log(), /ingest\.second_sender_ignored/);
    assert.match(installation.log(), /publish\.channel_busy/);
  });
});

const curl = (...args: string[]) => spawnSync("curl", ["-sk", "--max-time", "20", ...args], { encoding: "utf8" });

test("TLS: RTMPS, HTTPS PUT by ffmpeg and curl, playback and events over HTTP/2", {
  skip: skip || unlessInstalled("openssl") || unlessInstalled("curl"),
}, async () => {
  const { certificate, key } = makeCertificate(folder);
  const options = configured({}, { tls: { certificate, key }, httpsPort: 0, rtmpsPort: 0 });
  await withInstallation(options, async (installation) => {
    const { publishKey, adminToken } = installation;
    const { httpsPort, rtmpsPort } = await installation.get<{ httpsPort: number; rtmpsPort: number }>("/api/v1/status");
    const https = `https://${HOST}:${httpsPort}`;
    const file = join(folder, "upload.mpegts");
    await writeFile(file, await recorded(8));
    const sources = [
      ffmpeg([...PICTURE, "-f", "flv", `rtmps://${HOST}:${rtmpsPort}/live/rtmps?key=${publishKey}`]),
      ffmpeg([...PICTURE, "-f", "mpegts", "-method", "PUT", `${https}/ingest/put.mpegts?key=${publishKey}`]),
    ];
    const upload = spawn("curl", [
      "--max-time",
      "60",
      "-sk",
      "-T",
      "-",
      "-w",
      "%{http_version}",
      `${https}/ingest/curl.mpegts?key=${publishKey}`,
    ]);
    let answer = "";
    upload.stdout.setEncoding("utf8").on("data", (text: string) => (answer += text));
    upload.stdin.on("error", () => {}); // its exit tells more
    const gone = once(upload, "exit");
    const uploaded = paced(await recorded(8), 8, (payload) => void upload.stdin.write(payload)).then(() =>
      upload.stdin.end(),
    );
    await whileSending(sources, async () => {
      await streams(installation, "rtmps", "rtmps");
      await streams(installation, "put", "mpegts");
      await sessionIn(installation, "curl", "live");
      await uploaded;
      await gone;
      assert.match(answer, /"session":.*\}2$/, "curl speaks HTTP/2");
      const master = curl("-w", "%{http_version}", `${https}/live/rtmps/index.m3u8`);
      assert.match(master.stdout, /^#EXTM3U[\s\S]*\n2$/);
      const [playlist] = master.stdout.match(/^v\d+\.m3u8/m)!;
      const media = curl(`${https}/live/rtmps/${playlist}`).stdout;
      const next = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(media)![1]) + media.match(/^#EXTINF/gm)!.length;
      const blocked = curl(`${https}/live/rtmps/${playlist}?_HLS_msn=${next}`);
      assert.ok(blocked.stdout.match(/^#EXTINF/gm)!.length > media.match(/^#EXTINF/gm)!.length, blocked.stdout);
      const events = curl("--max-time", "2", "-H", `authorization: Bearer ${adminToken}`, `${https}/api/v1/events`);
      assert.ok(events.stdout.includes("event: state\ndata: {"), events.stdout.slice(0, 500));
      const refused = curl("-T", file, `${https}/ingest/put.mpegts?key=wrong-key`);
      assert.match(refused.stdout, /publish\.key_refused/);
      assert.match(curl("--http1.1", `${https}/healthz`).stdout, /ok/);
      const ours = ["publish", file, "--to", `rtmps://${HOST}:${rtmpsPort}/live/ours?key=${publishKey}`];
      const untrusting = spawnSync(process.execPath, [entry, ...ours], { encoding: "utf8" });
      assert.equal(untrusting.status, 3, untrusting.stderr); // not reached
      assert.match(untrusting.stderr, /Cannot connect to .*: self-signed certificate/);
      const trust = { ...process.env, NODE_EXTRA_CA_CERTS: certificate };
      const publishing = spawn(process.execPath, [entry, ...ours], { env: trust, stdio: "ignore" });
      const published = once(publishing, "exit");
      await streams(installation, "ours", "rtmps");
      assert.deepEqual(await published, [0, null]);
      await cut(rtmpsPort, Buffer.alloc(1537, 3)); // RTMP without TLS
      await streams(installation, "rtmps", "rtmps");
    });
  });
});
