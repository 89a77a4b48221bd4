// `doctor`: what this machine lacks, each with what to do about it. It changes nothing.
import { spawnSync } from "node:child_process";
import { access, constants, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { freemem } from "node:os";
import { dirname, resolve } from "node:path";
import { type ClientOptions, dataFolder, readRunFile } from "./client.ts";

type Finding = { check: string; ok: boolean; detail: string };

const FREE_DISK_BYTES_MIN = 2 * 1024 ** 3;
/** One worker with three rungs takes 350 MB, the roles about 200. */
const FREE_MEMORY_BYTES_MIN = 768 * 1024 ** 2;

export async function doctor(options: ClientOptions): Promise<void> {
  const folder = resolve(dataFolder(options));
  const running = await readRunFile(folder);
  const alive = running !== null && isAlive(running.pid);
  const findings: Finding[] = [
    node(),
    ffmpegAddon(),
    await writable(folder),
    await disk(folder),
    memory(),
    clock(),
    ...(alive
      ? [{ check: "running", ok: true, detail: `pid ${running.pid} at ${running.url}` }]
      : [await portFree(8080, "HTTP", "--port"), await portFree(1935, "RTMP", "--rtmp-port")]),
  ];
  if (options.json) console.log(JSON.stringify({ ok: findings.every((f) => f.ok), findings }, null, 2));
  else
    for (const { check, ok, detail } of findings) console.log(`${ok ? "ok  " : "FAIL"}  ${check.padEnd(12)} ${detail}`);
  if (!findings.every((finding) => finding.ok)) process.exitCode = 1;
}

function node(): Finding {
  const ok = Number(process.versions.node.split(".")[0]) >= 24;
  return {
    check: "node",
    ok,
    detail: ok ? process.versions.node : `${process.versions.node}: run \`npm ci\`, it brings 24`,
  };
}

/** Loads the addon in a child: where it crashes, doctor lives and says so. */
function ffmpegAddon(): Finding {
  const code = 'import { nodeAv } from "#platform/av/drivers/node-av.ts"; console.log(nodeAv().build); process.exit(0)';
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    timeout: 20_000,
    cwd: import.meta.dirname,
  });
  const detail =
    status === 0
      ? stdout.trim()
      : `does not load (${signal ?? reasonIn(stderr)}): run \`npm ci\`; it needs glibc 2.28 or newer`;
  return { check: "ffmpeg", ok: status === 0, detail };
}

/** The error itself, of what Node prints when a script fails: neither the code before nor the trace behind. */
function reasonIn(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? "no reason given";
}

/** The folder, or while there is none what it would be made in. */
async function existing(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => null);
  const above = dirname(folder);
  return found !== null || above === folder ? folder : existing(above);
}

async function writable(folder: string): Promise<Finding> {
  const place = await existing(folder);
  try {
    await access(place, constants.W_OK);
    if (!(await stat(place)).isDirectory()) throw new Error("it is not a folder");
    const detail = place === folder ? folder : `${folder} will be made at the first start`;
    return { check: "data", ok: true, detail };
  } catch (error) {
    const detail = `${folder} cannot be used: ${(error as Error).message}; choose another with --data`;
    return { check: "data", ok: false, detail };
  }
}

async function disk(folder: string): Promise<Finding> {
  const found = await statfs(await existing(folder)).catch(() => null);
  if (found === null) return { check: "disk", ok: false, detail: `${folder} cannot be examined` };
  const free = found.bavail * found.bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  const ok = free >= FREE_DISK_BYTES_MIN;
  return { check: "disk", ok, detail: ok ? detail : `${detail}: below 2 GiB the journal may fill it` };
}

function memory(): Finding {
  const ok = freemem() >= FREE_MEMORY_BYTES_MIN;
  const detail = `${Math.round(freemem() / 1024 ** 2)} MiB free`;
  return { check: "memory", ok, detail: ok ? detail : `${detail}: one stream with three rungs needs about 768` };
}

/** Media time follows the host's clock: far off, PROGRAM-DATE-TIME would be wrong for everybody. */
function clock(): Finding {
  const year = new Date().getUTCFullYear();
  const ok = year >= 2026 && year < 2100;
  return {
    check: "clock",
    ok,
    detail: ok ? new Date().toISOString() : `${new Date().toISOString()}: set the host's clock`,
  };
}

function portFree(port: number, what: string, option: string): Promise<Finding> {
  return new Promise((resolve) => {
    const server = createServer();
    const check = `port ${port}`;
    server.once("error", (error) =>
      resolve({ check, ok: false, detail: `${what}: ${error.message}; choose another with ${option}` }),
    );
    server.listen(port, "127.0.0.1", () =>
      server.close(() => resolve({ check, ok: true, detail: `free for ${what}` })),
    );
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's
  }
}
