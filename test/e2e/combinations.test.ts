// Every input in every mode, judged by the strict checker: the table is the list of what must work. All publishers send one
// file as it is, so that the encoders of others cost nothing here.
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeCertificate } from "#platform/network/testing/certificate.ts";
import { checked, freePort, withConfig } from "./configured.ts";
import { eventually, ffmpeg, hasProgram, type Installation, unlessInstalled } from "./installation.ts";

const skip = unlessInstalled("ffmpeg");
const HOST = "127.0.0.1";
/** `npm run soak:table` takes more. */
const RELOADS = Number(process.env.RELOADS ?? 9);
/** Workers of one batch: each loads FFmpeg and encodes. */
const WORKERS_AT_ONCE = 4;
const PACKAGED_AT_ONCE = 7;

const MODES = {
  encoded: { ladder: [{ height: 90 }] },
  copied: { ladder: "passthrough" },
  "top copied": { ladder: [{ copy: true }, { height: 90 }] },
} as const;

type Sender = { stop(): Promise<unknown> };
type Started = { installation: Installation; channel: string; port: number; folder: string };
type Way = Readonly<{
  /** Of the channel. */
  inputs?: (port: number) => object[];
  start: (started: Started) => Promise<Sender> | Sender;
  skip?: string | false;
}>;

const scratch = mkdtempSync(join(tmpdir(), "continuity-table-"));
const MEDIA = join(scratch, "media.mp4");
const FRAGMENTED = { video: join(scratch, "video.mp4"), sound: join(scratch, "sound.mp4") };
const LENGTH_SECONDS = Math.max(40, RELOADS);
after(() => rmSync(scratch, { recursive: true }));

before(() => {
  if (skip) return;
  // biome-ignore format: an ffmpeg command line
  make(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", String(LENGTH_SECONDS),
    "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-b:v", "400k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", MEDIA]);
  make(["-i", MEDIA, "-map", "0:v", "-c", "copy", "-movflags", "cmaf+frag_keyframe", FRAGMENTED.video]);
  make(["-i", MEDIA, "-map", "0:a", "-c", "copy", "-movflags", "cmaf", "-frag_duration", "500000", FRAGMENTED.sound]);
});

function make(args: string[]): void {
  const { status, stderr } = spawnSync("ffmpeg", ["-v", "error", ...args], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

/** The file for ever, in real time, as it is. */
function send(...to: string[]): Sender {
  const source = ffmpeg(["-re", "-stream_loop", "-1", "-i", MEDIA, "-c", "copy", ...to]);
  return { stop: () => source.kill() };
}

const ts = (...to: string[]) => send("-f", "mpegts", "-muxdelay", "0", ...to);
const keyed = ({ installation: { publishKey } }: Started) => `key=${publishKey}`;

const WAYS: Readonly<Record<string, Way>> = {
  RTMP: { start: ({ installation, channel }) => send("-f", "flv", installation.rtmpUrl(channel)) },
  RTMPS: {
    start: async (started) =>
      send(
        "-f",
        "flv",
        `rtmps://${HOST}:${await tlsPort(started, "rtmpsPort")}/live/${started.channel}?${keyed(started)}`,
      ),
  },
  "MPEG-TS by HTTP PUT": {
    start: (started) =>
      ts("-method", "PUT", `${started.installation.url}/ingest/${started.channel}.mpegts?${keyed(started)}`),
  },
  "MPEG-TS by HTTPS PUT": {
    start: async (started) =>
      ts(
        "-method",
        "PUT",
        `https://${HOST}:${await tlsPort(started, "httpsPort")}/ingest/${started.channel}.mpegts?${keyed(started)}`,
      ),
  },
  "MPEG-TS over TCP": {
    inputs: (port) => [{ kind: "tcp", port }],
    start: ({ port }) => ts(`tcp://${HOST}:${port}`),
  },
  "MPEG-TS over UDP": {
    inputs: (port) => [{ kind: "udp", port }],
    start: ({ port }) => ts(`udp://${HOST}:${port}?pkt_size=1316`),
  },
  "MPEG-TS by multicast": {
    inputs: (port) => [{ kind: "udp", port, group: "239.255.42.7", interface: HOST }],
    start: ({ port }) => ts(`udp://239.255.42.7:${port}?pkt_size=1316&localaddr=${HOST}`),
  },
  "MPEG-TS in RTP": {
    inputs: (port) => [{ kind: "udp", port }],
    start: ({ port }) => send("-f", "rtp_mpegts", "-muxdelay", "0", `rtp://${HOST}:${port}`),
  },
  "pull of RTMP": {
    inputs: (port) => [{ kind: "pull", onDemand: true, url: `rtmp://${HOST}:${port}/app/name` }],
    start: ({ port }) => send("-f", "flv", "-listen", "1", `rtmp://${HOST}:${port}/app/name`),
  },
  "pull of MPEG-TS": {
    inputs: (port) => [{ kind: "pull", onDemand: true, url: `http://${HOST}:${port}/live.ts` }],
    start: ({ port }) => ts("-listen", "1", `http://${HOST}:${port}/live.ts`),
  },
  "pull of HLS": {
    inputs: (port) => [{ kind: "pull", onDemand: true, url: `http://${HOST}:${port}/live.m3u8` }],
    start: serveHls,
  },
  "pull of RTSP": {
    inputs: (port) => [{ kind: "pull", onDemand: true, url: `rtsp://${HOST}:${port}/cam` }],
    start: serveRtsp,
    skip: hasProgram("rtsp-server-perl") ? false : "skipped: no rtsp-server-perl",
  },
  "CMAF by PUT": {
    start: (started) => {
      const { installation, channel } = started;
      const { host } = new URL(installation.url);
      const to = `http://x:${installation.publishKey}@${host}/ingest/${channel}/out.mpd`;
      return send(
        "-f",
        "dash",
        "-seg_duration",
        "2",
        "-use_template",
        "1",
        "-use_timeline",
        "0",
        "-window_size",
        "5",
        "-method",
        "PUT",
        to,
      );
    },
  },
  "CMAF by POST": { start: post },
};

async function tlsPort({ installation }: Started, name: "rtmpsPort" | "httpsPort"): Promise<number> {
  return (await installation.get<Record<string, number>>("/api/v1/status"))[name]!;
}

async function serveHls({ port, folder, channel }: Started): Promise<Sender> {
  const own = join(folder, channel);
  await mkdir(own);
  const source = send(
    "-f",
    "hls",
    "-hls_time",
    "2",
    "-hls_list_size",
    "5",
    "-hls_flags",
    "delete_segments",
    join(own, "live.m3u8"),
  );
  const server = createServer((asked, response) => {
    readFile(join(own, (asked.url ?? "/").slice(1))).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
  return {
    async stop() {
      await source.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serveRtsp({ port }: Started): Promise<Sender> {
  const [sourcePort, rtpPort] = [await freePort(), 20_000 + (port % 20_000)];
  const ports = [
    "--clientport",
    String(port),
    "--serverport",
    String(sourcePort),
    "--rtp_start_port",
    String(rtpPort & ~1),
  ];
  const server: ChildProcess = spawn("rtsp-server-perl", ports, { stdio: "ignore" });
  const gone = new Promise((resolve) => server.once("exit", resolve));
  await eventually("the RTSP server listens", async () => {
    return new Promise<boolean>((resolve) => {
      const socket = connect(sourcePort, HOST, () => resolve(socket.destroy() !== undefined));
      socket.on("error", () => resolve(false));
    });
  });
  const source = send("-f", "rtsp", `rtsp://${HOST}:${sourcePort}/cam`);
  return {
    async stop() {
      await source.stop();
      server.kill("SIGKILL");
      await gone;
    },
  };
}

/** Both tracks in requests that last as long as the stream, in real time. */
function post({ installation, channel }: Started): Sender {
  const { hostname, port } = new URL(installation.url);
  const headers = { authorization: `Bearer ${installation.publishKey}`, "content-type": "video/mp4" };
  const stops = Object.entries({
    "Streams(video.cmfv)": FRAGMENTED.video,
    "Streams(sound.cmfa)": FRAGMENTED.sound,
  }).map(([name, file]) => {
    const body = readFileSync(file);
    const pieces = LENGTH_SECONDS * 10;
    const sending = request({ hostname, port, path: `/ingest/${channel}/${name}`, method: "POST", headers });
    sending.on("response", (response) => response.resume()).on("error", () => {}); // it is cut off at the end
    let at = 0;
    const timer = setInterval(() => {
      sending.write(body.subarray((at * body.length) / pieces, ((at + 1) * body.length) / pieces));
      at += 1;
      if (at === pieces) clearInterval(timer);
    }, 100);
    return () => {
      clearInterval(timer);
      sending.destroy();
    };
  });
  return { stop: async () => stops.forEach((stop) => void stop()) };
}

test("every input in every mode", { skip }, async (t) => {
  const { certificate, key } = makeCertificate(scratch);
  const rows = await Promise.all(
    Object.entries(WAYS).flatMap(([input, way], i) =>
      Object.entries(MODES).map(async ([mode, settings], j) => {
        const [channel, port] = [`c${i}-${j}`, await freePort()];
        return {
          input,
          mode,
          way,
          channel,
          port,
          entry: { name: channel, ...settings, inputs: way.inputs?.(port) ?? [] },
        };
      }),
    ),
  );
  const more = { tls: { certificate, key }, httpsPort: 0, rtmpsPort: 0 };
  await withConfig(
    rows.map(({ entry }) => entry),
    async (installation, folder) => {
      for (const mode of Object.keys(MODES))
        await t.test(mode, { concurrency: mode === "copied" ? PACKAGED_AT_ONCE : WORKERS_AT_ONCE }, async (batch) => {
          const run = ({ input, way, channel, port }: (typeof rows)[number]) =>
            batch.test(`${input} / ${mode}`, { skip: way.skip ?? false }, async () => {
              const sender = await way.start({ installation, channel, port, folder });
              try {
                await checked(installation, channel, RELOADS);
              } finally {
                await sender.stop();
              }
            });
          await Promise.all(rows.filter((row) => row.mode === mode).map(run));
        });
    },
    more,
  );
});
