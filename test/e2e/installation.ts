// A whole installation for one test: `continuity up` as a user runs it, on free ports, in a folder of its own, ended by
// process id. Media comes from programs nobody here wrote.
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const entry = join(import.meta.dirname, "../../bin/continuity.js");

export type Installation = Readonly<{
  url: string;
  rtmpPort: number;
  publishKey: string;
  adminToken: string;
  data: string;
  /** The supervisor. */
  process: ChildProcess;
  /** What it wrote to standard error so far: its JSON log lines. */
  log(): string;
  get<T = any>(path: string): Promise<T>;
  rtmpUrl(channel: string): string;
  stop(): Promise<void>;
}>;

export type SessionItem = {
  id: string;
  channel: string;
  state: string;
  msnBase: number;
  workers: { id: string; phase: string; pid: number | null }[];
  renditions: { name: string; partAgeMs: number | null; parts: number; segments: number; gaps: number }[];
};

/** @param options extra arguments and environment of `up`; the folder is kept between two calls when `data` is given */
export async function install(
  options: { args?: string[]; env?: Record<string, string>; data?: string } = {},
): Promise<Installation> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), "continuity-e2e-")));
  const ports = ["--port", "0", "--rtmp-port", "0"];
  const child = spawn(process.execPath, [entry, "up", "--json", "--data", data, ...ports, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-4_000_000)));
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const line = await Promise.race([
    new Promise<string>((resolve) => createInterface({ input: child.stdout! }).once("line", resolve)),
    exited.then((code) => Promise.reject(new Error(`up ended with ${code}:\n${log}`))),
  ]);
  const { url, rtmpPort, publishKey, adminToken } = JSON.parse(line);
  return {
    url,
    rtmpPort,
    publishKey,
    adminToken,
    data,
    process: child,
    log: () => log,
    async get(path) {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${adminToken}` } });
      assert.ok(response.ok, `${path} answered ${response.status}: ${await response.clone().text()}`);
      return (await response.json()) as any;
    },
    rtmpUrl: (channel) => `rtmp://127.0.0.1:${rtmpPort}/live/${channel}?key=${publishKey}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await exited;
      if (options.data === undefined) await rm(data, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }); // caches of a killed child close late
    },
  };
}

/** Runs `up` for the length of `body`. */
export async function withInstallation(
  options: Parameters<typeof install>[0],
  body: (installation: Installation) => Promise<void>,
): Promise<void> {
  const installation = await install(options);
  try {
    await body(installation);
  } catch (error) {
    console.error(installation.log().split("\n").slice(-60).join("\n"));
    throw error;
  } finally {
    await installation.stop();
  }
}

export type Source = Readonly<{
  process: ChildProcess;
  stderr(): string;
  /** Ends as Ctrl-C does: the protocol's clean end. */
  end(): Promise<number | null>;
  /** Ends with no goodbye. */
  kill(): Promise<void>;
  done: Promise<number | null>;
}>;

/** Debian's ffmpeg, with its own words kept for the failure message. */
export function ffmpeg(args: string[]): Source {
  const child = spawn("ffmpeg", ["-hide_banner", "-nostats", "-loglevel", "warning", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-100_000)));
  child.stdout!.resume();
  const done = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return {
    process: child,
    stderr: () => stderr,
    done,
    async end() {
      child.kill("SIGINT");
      return await done;
    },
    async kill() {
      child.kill("SIGKILL");
      await done;
    },
  };
}

export const TEST_VIDEO = (size = "640x360", rate = "30") => [
  "-re",
  "-f",
  "lavfi",
  "-i",
  `testsrc2=size=${size}:rate=${rate}`,
];
export const TEST_AUDIO = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];
export const H264 = (gop = 30) => [
  "-c:v",
  "libx264",
  "-preset",
  "ultrafast",
  "-tune",
  "zerolatency",
  "-g",
  String(gop),
  "-pix_fmt",
  "yuv420p",
];
export const AAC = ["-c:a", "aac", "-b:a", "96k"];

/** An everyday encoder on RTMP: test picture and tone, until it is ended. */
export const publishPicture = (installation: Installation, channel: string): Source =>
  ffmpeg([...TEST_VIDEO(), ...TEST_AUDIO, ...H264(), ...AAC, "-f", "flv", installation.rtmpUrl(channel)]);

export const hasProgram = (name: string): boolean => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
export const unlessInstalled = (name: string): string | false => (hasProgram(name) ? false : `skipped: no ${name}`);

/** Asks until `holds` gives something. Polls the system under test; the deadline is a failure, not a wait.
 *  @returns the first value that is not null, undefined or false */
export async function eventually<T>(
  what: string,
  holds: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 15_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown = null;
  for (;;) {
    try {
      const value = await holds();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The session of a channel once it is in that state. */
export function sessionIn(
  installation: Installation,
  channel: string,
  state: string,
  timeoutMs = 15_000,
): Promise<SessionItem> {
  return eventually(
    `${channel} is ${state}`,
    async () => {
      const { items } = await installation.get<{ items: SessionItem[] }>("/api/v1/sessions");
      return items.find((item) => item.channel === channel && item.state === state);
    },
    timeoutMs,
  );
}
