// Peers, where they are installed: nginx with its RTMP module, and bare ffmpeg.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { eventually } from "../test/e2e/installation.ts";

const MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

export type Nginx = { rtmpPort: number; firstSegment(name: string): Promise<void>; stop(): Promise<void> };

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** RTMP in, 2 s HLS out, in a folder of its own; null where it is not installed. */
export async function startNginx(parent: string): Promise<Nginx | null> {
  if (!existsSync(MODULE) || spawnSync("nginx", ["-v"]).status !== 0) return null;
  const folder = join(parent, "nginx");
  const hls = join(folder, "hls");
  await mkdir(hls, { recursive: true });
  const rtmpPort = await freePort();
  const config = `load_module ${MODULE};
user ${process.getuid?.() === 0 ? "root" : "nobody"};
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 256; }
rtmp { server { listen 127.0.0.1:${rtmpPort}; application live { live on; hls on; hls_path ${hls}; hls_fragment 2s; hls_playlist_length 20s; } } }
`;
  await writeFile(join(folder, "nginx.conf"), config);
  const child = spawn("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder], { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await eventually("nginx listens", () => existsSync(join(folder, "pid")));
  return {
    rtmpPort,
    async firstSegment(name) {
      await eventually("a playlist with a segment", async () => {
        const files = await readdir(hls);
        return (
          files.includes(`${name}.m3u8`) && (await readFile(join(hls, `${name}.m3u8`), "utf8")).includes("#EXTINF")
        );
      });
    },
    async stop() {
      child.kill("SIGQUIT");
      await gone;
    },
  };
}

/** CPU-seconds that bare ffmpeg needs for the same ladder with the same encoder settings, per second of media, in real time. */
export async function bareFfmpegCpu(
  file: string,
  rungs: readonly { width: number; height: number; crf: number; maxBitrate: number; preset: string }[],
  seconds: number,
): Promise<number> {
  const scale = rungs.map(
    (r, i) =>
      `[s${i}]scale=${r.width}:${r.height}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=yuv420p[v${i}]`,
  );
  const graph = [`[0:v]split=${rungs.length}${rungs.map((_, i) => `[s${i}]`).join("")}`, ...scale].join(";");
  const outputs = rungs.flatMap((r, i) => [
    "-map", `[v${i}]`, "-c:v", "libx264", "-threads", "1", "-preset", r.preset, "-tune", "zerolatency", "-crf", String(r.crf),
    "-maxrate", String(r.maxBitrate), "-bufsize", String(r.maxBitrate / 2), "-g", "60", "-sc_threshold", "0",
    "-x264-params", "cpu-independent=1:vbv-init=0.5", "-f", "mp4", "-movflags", "frag_keyframe+empty_moov", "-y", "/dev/null",
  ]); // biome-ignore format: an ffmpeg command line
  const audio = [
    "-map",
    "0:a",
    "-c:a",
    "aac",
    "-b:a",
    "128k",
    "-f",
    "mp4",
    "-movflags",
    "frag_keyframe+empty_moov",
    "-y",
    "/dev/null",
  ];
  const args = [
    "-v",
    "error",
    "-benchmark",
    "-re",
    "-threads",
    "1",
    "-i",
    file,
    "-t",
    String(seconds),
    "-filter_complex",
    graph,
    ...outputs,
    ...audio,
  ];
  const { status, stderr } = spawnSync("ffmpeg", ["-loglevel", "info", ...args.slice(2)], { encoding: "utf8" });
  const bench = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr);
  if (status !== 0 || !bench) throw new Error(`bare ffmpeg failed: ${stderr.slice(-500)}`);
  return (Number(bench[1]) + Number(bench[2])) / seconds;
}
