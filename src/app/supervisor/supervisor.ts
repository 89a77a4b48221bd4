// The process that does nothing but keep others alive. It parses no byte that comes from outside, so nothing outside can
// bring it down; it is the parent of everything, so when it goes, everything goes.
import { type ChildProcess, fork } from "node:child_process";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, type Clock } from "#base/clock.ts";
import { type ErrorCode, isErrorCode, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { servePlacement } from "#platform/placement/drivers/channel.ts";
import { childProcessPlacement } from "#platform/placement/drivers/child-process.ts";
import type { Workload } from "#platform/placement/placement.ts";
import type { Config } from "../config.ts";
import {
  ALIVE_EVERY_MS,
  type FromProcess,
  type Listen,
  type Peers,
  type Ports,
  type ProcessName,
  type Secrets,
  type ToProcess,
} from "./messages.ts";

/** Waits before the 1st, 2nd, ... restart in a row; a process that lived for RESTART_CALM_MS starts the row again. */
const RESTART_WAITS_MS = [0, 200, 1000, 3000];
const RESTART_CALM_MS = 30_000;
/** After this long a process that was told to stop is killed. */
const STOP_GRACE_MS = 8000;
/** A process that says nothing while we looked so often hangs or was stopped, and is killed. Looks are counted and not
 *  time: while the whole machine sleeps, nobody looks. */
const SILENT_LOOKS_MAX = 15;

const WORKLOAD_ENTRIES: Record<Workload["role"], string> = {
  transcode: "../roles/worker.ts",
  package: "../roles/packager.ts",
  "demo-source": "../roles/demo-source.ts",
  pull: "../roles/pull.ts",
};
const PROCESS_ENTRIES: Record<ProcessName, string> = { gateway: "../roles/gateway.ts", front: "../roles/front.ts" };

export type Addresses = Readonly<{ url: string | null }> & Ports;

export interface Supervisor {
  /** Where the installation answers. */
  readonly addresses: Addresses;
  /** Everything ends: first those that serve, then what they used. */
  stop(): Promise<void>;
}

type Kept = {
  name: ProcessName;
  listen: Listen;
  /** 0: a free one is taken, and kept from then on. */
  rtmpPort: number;
  rtmpsPort: number;
  child: ChildProcess | null;
  url: string | null;
  sinceMs: number;
  restarts: number;
  silentLooks: number;
};

/** Starts what the roles need and resolves when all of it listens.
 *  @throws PlatformError when a process says it can never start (port in use, ...) */
export async function startSupervisor(deps: {
  config: Config;
  secrets: Secrets;
  clock: Clock;
  log: Log;
}): Promise<Supervisor> {
  const { config, secrets, clock, log } = deps;
  const environment = childEnvironment(config.data);
  let stopping = false;

  const placement = childProcessPlacement({
    clock,
    log,
    start: ({ role, env }) =>
      start(
        WORKLOAD_ENTRIES[role],
        { ...environment, ...env, UV_THREADPOOL_SIZE: "16" },
        role === "package" ? MANY_STREAMS : [],
      ),
  });
  const kept = processesOf(config);

  function peers(): Peers {
    const url = (name: ProcessName) => kept.find((entry) => entry.name === name)?.url ?? null;
    const front = url("front");
    const origins = config.originUrls.length > 0 ? config.originUrls : front === null ? [] : [front];
    return {
      gatewayUrl: config.gatewayUrl ?? url("gateway"),
      controlUrl: config.controlUrl ?? (config.roles.includes("control") ? front : null),
      originUrls: origins,
      ...ports(),
      processes: pids(),
    };
  }

  function ports(): Ports {
    const gateway = kept.find((entry) => entry.name === "gateway");
    const https = kept.find((entry) => entry.listen.https !== null)?.listen.https;
    return {
      rtmpPort: gateway?.rtmpPort || null,
      rtmpsPort: gateway?.rtmpsPort || null,
      httpsPort: https?.port || null,
    };
  }

  function pids(): Record<string, number> {
    const own = kept.flatMap(({ name, child }) => (child?.pid === undefined ? [] : [[name, child.pid] as const]));
    return { supervisor: process.pid, ...Object.fromEntries(own) };
  }

  function tellPeers(): void {
    const message: ToProcess = { kind: "peers", peers: peers() };
    for (const { child } of kept) if (child?.connected) child.send(message);
  }

  /** Resolves when it listens; rejects when it says it never will, or dies before. Later deaths are handled here. */
  function launch(entry: Kept): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = start(PROCESS_ENTRIES[entry.name], environment, MANY_STREAMS);
      entry.child = child;
      entry.sinceMs = clock.monotonicMs();
      entry.silentLooks = 0;
      const stopServing = servePlacement(placement, {
        send: (message) => child.connected && child.send(message as object),
        onMessage: (listener) => void child.on("message", listener),
      });
      child.on("message", (message: FromProcess) => {
        entry.silentLooks = 0;
        if (message.kind === "listening") {
          entry.url = message.url;
          const https = entry.listen.https && { ...entry.listen.https, port: message.httpsPort! };
          entry.listen = { ...entry.listen, https, port: Number(new URL(message.url).port) }; // a restart keeps the address
          entry.rtmpPort = message.rtmpPort ?? entry.rtmpPort;
          entry.rtmpsPort = message.rtmpsPort ?? entry.rtmpsPort;
          tellPeers();
          resolve();
        } else if (message.kind === "fatal") {
          const code: ErrorCode = isErrorCode(message.code) ? message.code : "config.invalid";
          reject(new PlatformError(code, message.message));
        }
      });
      child.on("exit", (code, signal) => {
        stopServing();
        entry.child = null;
        reject(
          new PlatformError("config.invalid", `The ${entry.name} process ended before it was ready; see the log.`),
        );
        if (!stopping) void restart(entry, code, signal);
      });
      child.send({ kind: "peers", peers: peers() } satisfies ToProcess);
      const tls = config.tls && { ...config.tls, rtmpsPort: entry.rtmpsPort };
      const ownConfig = { ...config, tls, rtmpPort: entry.rtmpPort };
      child.send({ kind: "start", config: ownConfig, secrets, listen: entry.listen } satisfies ToProcess);
    });
  }

  async function restart(entry: Kept, code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    if (entry.url === null) return; // its first start failed: the caller was told
    const livedMs = clock.monotonicMs() - entry.sinceMs;
    entry.restarts = livedMs > RESTART_CALM_MS ? 0 : entry.restarts + 1;
    const waitMs = RESTART_WAITS_MS[Math.min(entry.restarts, RESTART_WAITS_MS.length - 1)]!;
    log.error("process died, starting it again", { process: entry.name, code, signal, livedMs, waitMs });
    if (waitMs > 0) await after(clock, waitMs);
    if (!stopping) await launch(entry).catch((error) => log.error("restart failed", { process: entry.name, error }));
  }

  function look(): void {
    for (const entry of kept) {
      if (entry.child === null) continue;
      entry.silentLooks += 1;
      if (entry.silentLooks !== SILENT_LOOKS_MAX) continue;
      log.error("process says nothing, killing it", { process: entry.name, pid: entry.child.pid });
      entry.child.kill("SIGKILL");
    }
    looking = clock.setTimer(ALIVE_EVERY_MS, look);
  }
  let looking = clock.setTimer(ALIVE_EVERY_MS, look);

  async function stop(): Promise<void> {
    stopping = true;
    looking.cancel();
    const gone = kept.map(({ child }) => (child === null ? null : end(child, clock)));
    await Promise.all(gone);
    await placement.close();
  }

  try {
    await Promise.all(kept.map(launch));
  } catch (error) {
    await stop();
    throw error;
  }
  const find = (name: ProcessName) => kept.find((entry) => entry.name === name);
  return {
    get addresses() {
      return { url: find("front")?.url ?? find("gateway")?.url ?? null, ...ports() };
    },
    stop,
  };
}

function processesOf(config: Config): Kept[] {
  const { roles, tls } = config;
  const entry = (name: ProcessName, listen: Listen): Kept => ({
    name,
    listen,
    rtmpPort: config.rtmpPort,
    rtmpsPort: tls?.rtmpsPort ?? 0,
    child: null,
    url: null,
    sinceMs: 0,
    restarts: 0,
    silentLooks: 0,
  });
  const inside = { host: "127.0.0.1", port: 0, https: null }; // the front passes on to it
  const https = tls && { port: tls.httpsPort, certificate: tls.certificate, key: tls.key };
  const outside = { host: config.host, port: config.port, https };
  const front = roles.includes("origin") || roles.includes("control");
  return [
    ...(roles.includes("gateway") ? [entry("gateway", front ? inside : outside)] : []),
    ...(front ? [entry("front", outside)] : []),
  ];
}

/** For processes that media of many streams passes through. Their objects are few and their bytes many, and V8 counts the
 *  bytes that came since its last full collection against what the objects may grow by: 25 MB of objects were collected
 *  twice a second. Four times the objects is room enough that it happens once in 64 MB of bytes. At 20 streams of
 *  2 Mbit/s that is 8 full collections in 40 s instead of 75, and the front's CPU is 40 % less, the gateway's 25 %. */
const MANY_STREAMS = ["--heap-growing-percent=300"];

function start(entry: string, env: NodeJS.ProcessEnv, flags: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(entry, import.meta.url)), [], {
    env,
    execArgv: ["--disable-warning=ExperimentalWarning", ...flags],
    serialization: "advanced", // secrets are bytes
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

/** glibc gives each thread an arena of its own, and a worker's sixteen threads scatter pictures over all of them: after a
 *  minute of 720p30 to three rungs the processes hold 696 MB, with two arenas 520 MB, at the same CPU. */
const ALLOCATOR = { MALLOC_ARENA_MAX: "2" };

/** What children see of the environment: nothing of ours, so that no secret leaks into a worker; and where the stripped
 *  TypeScript is kept. */
function childEnvironment(data: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("CONTINUITY_"));
  const own = module.getCompileCacheDir(); // ends with a folder of this Node's version
  return {
    ...ALLOCATOR,
    ...Object.fromEntries(kept),
    NODE_COMPILE_CACHE: own === undefined ? join(data, "cache", "node") : dirname(own),
  };
}

async function end(child: ChildProcess, clock: Clock): Promise<void> {
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  if (child.connected) child.send({ kind: "stop" } satisfies ToProcess);
  const timer = clock.setTimer(STOP_GRACE_MS, () => child.kill("SIGKILL"));
  await gone;
  timer.cancel();
}
