// How every long-lived process of ours begins and ends: it gets its orders over IPC, says where it listens, learns where
// the others are, and leaves when told or when its supervisor is gone.
import module from "node:module";
import { type Clock, systemClock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import { jsonLog, type Log } from "#base/log.ts";
import { type Random, systemRandom } from "#base/random.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import type { Keys } from "#platform/keys/keys.ts";
import type { MessageChannelEnd } from "#platform/placement/drivers/channel.ts";
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
} from "../supervisor/messages.ts";
import { keptToken } from "../wire/kept-token.ts";

export type RoleContext = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  config: Config;
  secrets: Secrets;
  /** Where this process answers HTTP. */
  listen: Listen;
  keys: Keys;
  /** Newest addresses of the other roles. */
  peers: () => Peers;
  /** A token that proves to another role that this is one. */
  internalToken: () => Promise<string>;
  supervisor: MessageChannelEnd;
}>;

export type StartedRole = Ports & Readonly<{ url: string; close: () => Promise<void> }>;

const INTERNAL_TOKEN_SECONDS = 600;

export function runRole(name: ProcessName, start: (context: RoleContext) => Promise<StartedRole>): void {
  let peers: Peers = {
    gatewayUrl: null,
    controlUrl: null,
    originUrls: [],
    rtmpPort: null,
    rtmpsPort: null,
    httpsPort: null,
    processes: {},
  };
  let started: Promise<StartedRole> | null = null;
  const say = (message: FromProcess) => void process.send?.(message);
  const leave = async () => {
    try {
      await (await started)?.close();
    } finally {
      process.exit(0);
    }
  };

  process.on("message", (message: ToProcess) => {
    if (message.kind === "peers") peers = message.peers;
    else if (message.kind === "stop") void leave();
    else if (message.kind === "start" && started === null) {
      const { config, secrets, listen } = message;
      const clock = systemClock();
      const log = jsonLog(config.logLevel, { role: name, pid: process.pid });
      const keys = jwtKeys(new Uint8Array(secrets.clusterSecret), clock);
      const context: RoleContext = {
        clock,
        log,
        config,
        secrets,
        listen,
        keys,
        random: systemRandom(),
        peers: () => peers,
        internalToken: keptToken(clock, INTERNAL_TOKEN_SECONDS, (seconds) =>
          keys.mint({ kind: "internal", role: name }, seconds),
        ),
        supervisor: {
          send: (outgoing) => void process.send?.(outgoing),
          onMessage: (listener) => void process.on("message", listener),
        },
      };
      const beat = () => {
        say({ kind: "alive" });
        clock.setTimer(ALIVE_EVERY_MS, beat);
      };
      beat();
      started = start(context);
      started.then(
        ({ url, rtmpPort, rtmpsPort, httpsPort }) => {
          say({ kind: "listening", url, rtmpPort, rtmpsPort, httpsPort });
          module.flushCompileCache(); // else only at the end, and the next start would strip types again
        },
        (error) => {
          log.error("cannot start", { error });
          const [code, message] =
            error instanceof PlatformError ? [error.code, error.message] : ["internal", describe(error)];
          process.send?.({ kind: "fatal", code, message } satisfies FromProcess, () => process.exit(1));
        },
      );
    }
  });
  process.on("disconnect", () => process.exit(0)); // the supervisor is gone: nothing may outlive it
  process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the supervisor decides the order
  process.on("SIGTERM", () => void leave());
}
