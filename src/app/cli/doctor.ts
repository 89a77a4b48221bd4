// `doctor`: what this machine lacks, each with what to do about it. It changes nothing.
import { spawnSync } from "node:child_process";
import { access, constants, stat, statfs } from "node:fs/promises";
import { freemem } from "node:os";
import { dirname, resolve } from "node:path";
import { describe } from "#base/errors.ts";
import { readPair } from "#platform/network/drivers/certificate.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import type { Certificate, UdpAddress } from "#platform/network/network.ts";
import { type Config, readConfig } from "../config.ts";
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
    ...(alive ? [{ check: "running", ok: true, detail: `pid ${running.pid} at ${running.url}` }] : await doors()),
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

type Door = Readonly<{
  what: string;
  kind: "tcp" | "udp";
  host: string;
  port: number;
  help: string;
  multicast?: UdpAddress["multicast"];
}>;

/** The ports that `up` would take here, as the configuration has them; or what is wrong with it. */
async function doors(): Promise<Finding[]> {
  let config: Config;
  try {
    config = readConfig({ options: {}, environment: process.env, folder: process.cwd() }).config;
  } catch (error) {
    return [{ check: "config", ok: false, detail: describe(error).replaceAll("\n", "; ") }];
  }
  const checks = doorsOf(config).filter(({ port }) => port !== 0);
  const certificate = config.tls === null ? [] : [certificateUsable(config.tls)];
  return [...certificate, ...(await Promise.all(checks.map(portFree)))];
}

function doorsOf({ host, port, rtmpPort, tls, channels, roles }: Config): Door[] {
  const door = (what: string, own: number, help: string): Door => ({ what, kind: "tcp", host, port: own, help });
  const gateway = roles.includes("gateway");
  return [
    door("HTTP", port, "choose another with --port"),
    ...(gateway ? [door("RTMP", rtmpPort, "choose another with --rtmp-port")] : []),
    ...(tls ? [door("HTTPS", tls.httpsPort, "set httpsPort")] : []),
    ...(tls && gateway ? [door("RTMPS", tls.rtmpsPort, "set rtmpsPort")] : []),
    ...channels.flatMap(({ channel }) =>
      channel.inputs.flatMap((input) => {
        if (input.kind === "pull" || !gateway) return [];
        const what = `channel ${channel.name}`;
        const own = { what, kind: input.kind, port: input.port, help: "change its inputs" };
        if (input.kind === "tcp" || input.group === undefined) return [{ ...own, host: input.host ?? host }];
        const { group, source, interface: local } = input;
        const multicast = { group, ...(source ? { source } : {}), ...(local ? { interface: local } : {}) };
        return [{ ...own, host: group, multicast }];
      }),
    ),
  ];
}

function certificateUsable(files: Certificate): Finding {
  try {
    readPair(files);
    return { check: "certificate", ok: true, detail: files.certificate };
  } catch (error) {
    return { check: "certificate", ok: false, detail: (error as Error).message };
  }
}

async function portFree({ what, kind, host, port, help, multicast }: Door): Promise<Finding> {
  const check = `${kind === "udp" ? "udp" : "port"} ${port}`;
  const network = nodeNetwork();
  try {
    const held =
      kind === "tcp"
        ? await network.listenTcp({ host, port }, (connection) => connection.destroy())
        : await network.openUdp(
            { host, port, receiveBufferBytes: 65_536, ...(multicast ? { multicast } : {}) },
            () => {},
          );
    await held.close();
    return { check, ok: true, detail: `free for ${what}` };
  } catch (error) {
    return { check, ok: false, detail: `${what}: ${(error as Error).message} (${help})` };
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's
  }
}
