// `up`: takes the data folder, starts the supervisor, says how to publish and where to watch, and stays until told to go.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { jsonLog } from "#base/log.ts";
import { type Config, readConfig } from "../config.ts";
import { ROLES } from "../config-schema.ts";
import type { Options } from "../config-sources.ts";
import { openDataFolder } from "../data-folder.ts";
import { writeFileDurably } from "../durable-file.ts";
import type { Secrets } from "../supervisor/messages.ts";
import { type Addresses, startSupervisor } from "../supervisor/supervisor.ts";
import { RUN_FILE, type RunFile } from "./client.ts";

export async function up(options: Options & { json?: boolean }): Promise<void> {
  const { json = false, ...own } = options;
  const { config, secrets: given } = readConfig({ options: own, environment: process.env, folder: process.cwd() });
  const folder = await openDataFolder(config.data, given);
  const clock = systemClock();
  const log = jsonLog(config.logLevel, { role: "supervisor", pid: process.pid });
  const told = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, resolve);
  });
  const runFile = join(config.data, RUN_FILE);
  try {
    const supervisor = await startSupervisor({ config, secrets: folder.secrets, clock, log });
    const { url, ...ports } = supervisor.addresses;
    const run: RunFile = { url: url ?? "", ...ports, pid: process.pid, startedAt: new Date().toISOString() };
    await writeFileDurably(runFile, `${JSON.stringify(run)}\n`);
    const { adminToken, publishKey } = folder.secrets;
    console.log(
      json ? JSON.stringify({ ...run, adminToken, publishKey }) : welcome(supervisor.addresses, folder.secrets, config),
    );
    const holding = setInterval(() => {}, 1 << 30);
    const signal = await told;
    clearInterval(holding);
    log.info("stopping", { signal });
    await supervisor.stop();
  } finally {
    await rm(runFile, { force: true });
    await folder.release();
  }
}

/** What these roles answer, and nothing else. */
function welcome({ url, rtmpPort, rtmpsPort, httpsPort }: Addresses, { publishKey }: Secrets, config: Config): string {
  if (config.roles.length < ROLES.length)
    return [
      `Continuity is up: ${config.roles.join(", ")}.`,
      `  Address       ${url}`,
      ...(rtmpPort === null ? [] : [`  RTMP          port ${rtmpPort}`]),
      ...(rtmpsPort === null ? [] : [`  RTMPS         port ${rtmpsPort}`]),
      ...(httpsPort === null ? [] : [`  HTTPS         port ${httpsPort}`]),
      ...(config.roles.includes("control") ? [`  Console       ${url}/`] : []),
    ].join("\n");
  const rtmp = `rtmp://${new URL(url!).hostname}:${rtmpPort}/live/CHANNEL?key=${publishKey}`;
  return [
    "Continuity is up.",
    `  Console       ${url}/`,
    ...(config.demo ? [`  See it live   ${url}/watch/demo`] : []),
    `  Publish RTMP  ${rtmp}`,
    ...(httpsPort === null ? [] : [`  With TLS      HTTPS port ${httpsPort}, RTMPS port ${rtmpsPort}`]),
    `  Publish TS    PUT ${url}/ingest/CHANNEL.mpegts?key=${publishKey}`,
    `  Watch         ${url}/watch/CHANNEL   or   ${url}/live/CHANNEL/index.m3u8`,
    "",
    `  ffmpeg -re -i FILE -c:v libx264 -c:a aac -f flv "${rtmp}"`,
    "",
    `CHANNEL is any name you like. The admin token is in ${join(config.data, "keys", "admin-token")}. Ctrl-C stops everything.`,
  ].join("\n");
}
