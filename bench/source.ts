// What every measurement publishes: the same file, made once, sent in real time without encoding, so that the publisher
// costs next to nothing and each system under test sees the same bytes.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";

/** 720p30, an IDR each second, AAC; 60 s. */
export function sourceFile(folder: string): string {
  const file = join(folder, "720p30.mp4");
  if (existsSync(file)) return file;
  const { status, stderr } = spawnSync(
    "ffmpeg",
    // biome-ignore format: an ffmpeg command line
    ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
      "-t", "60", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "30", "-b:v", "4M", "-pix_fmt", "yuv420p",
      "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-y", file],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the source cannot be made: ${stderr}`);
  return file;
}

/** 720p30 at 2 Mbit/s with sound, an IDR each 2 s. Long enough that nobody has to begin it again: a seam is no encoder's. */
export function twoMegabitFile(folder: string, seconds: number): string {
  const [minute, file] = [join(folder, "2mbit-minute.mp4"), join(folder, `2mbit-${seconds}.mp4`)];
  if (existsSync(file)) return file;
  // biome-ignore format: ffmpeg command lines
  const steps = [
    ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
      "-t", "60", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "60", "-b:v", "1900k", "-maxrate", "1900k", "-bufsize", "1900k",
      "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-ac", "2", minute],
    ["-stream_loop", String(Math.ceil(seconds / 60)), "-i", minute, "-t", String(seconds), "-c", "copy", file],
  ];
  for (const args of steps) {
    const { status, stderr } = spawnSync("ffmpeg", ["-v", "error", "-y", ...args], { encoding: "utf8" });
    if (status !== 0) throw new Error(`the source cannot be made: ${stderr}`);
  }
  return file;
}

export type Publisher = { firstByteMs: Promise<number>; stop(): Promise<void> };

/** Publishes the file to an RTMP server through a relay that notes when the first byte passes (performance.now()). */
export async function publish(file: string, to: { host: string; port: number; path: string }): Promise<Publisher> {
  let saw = (_ms: number) => {};
  const firstByteMs = new Promise<number>((resolve) => (saw = resolve));
  const relay = createServer((inner) => {
    const outer = connect(to.port, to.host);
    inner.setNoDelay(true).once("data", () => saw(performance.now()));
    inner.pipe(outer.setNoDelay(true)).pipe(inner);
    inner.on("error", () => outer.destroy());
    outer.on("error", () => inner.destroy());
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port } = relay.address() as { port: number };
  const child = spawn(
    "ffmpeg",
    // biome-ignore format: an ffmpeg command line
    ["-v", "error", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "flv", `rtmp://127.0.0.1:${port}${to.path}`],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    firstByteMs,
    async stop() {
      child.kill("SIGINT");
      await gone;
      await new Promise<void>((resolve) => relay.close(() => resolve()));
    },
  };
}
