// What the supervisor and the processes it starts say to each other, over Node's IPC channel. The installation's secrets
// travel here, never on a command line, which every user of the host can read. (A workload gets its own token in its
// environment, as it does in a pod: that only its user can read, and it opens one worker's place or one channel.)
import type { Config } from "../config.ts";

/** A process of ours. `front` holds origin, control, API and console: one process, so that one machine pays for one. */
export type ProcessName = "gateway" | "front";

/** Where the other roles answer, null while not known; and the process ids of this installation, by name. */
export type Peers = Readonly<{
  gatewayUrl: string | null;
  controlUrl: string | null;
  originUrls: readonly string[];
  rtmpPort: number | null;
  /** null without a certificate. */
  rtmpsPort: number | null;
  httpsPort: number | null;
  processes: Readonly<Record<string, number>>;
}>;

export type Secrets = Readonly<{ adminToken: string; publishKey: string; clusterSecret: Uint8Array }>;

/** Where a process answers HTTP, and HTTPS when it is reached from outside and there is a certificate; port 0 takes a
 *  free one. */
export type Listen = Readonly<{
  host: string;
  port: number;
  https: Readonly<{ port: number; certificate: string; key: string }> | null;
}>;

/** Null: not of this process, or without a certificate. */
export type Ports = Readonly<{ rtmpPort: number | null; rtmpsPort: number | null; httpsPort: number | null }>;

export type ToProcess =
  | Readonly<{ kind: "start"; config: Config; secrets: Secrets; listen: Listen }>
  | Readonly<{ kind: "peers"; peers: Peers }>
  | Readonly<{ kind: "stop" }>;

/** How often a process says that it is alive. */
export const ALIVE_EVERY_MS = 1000;

export type FromProcess =
  /** Its event loop turns. */
  | Readonly<{ kind: "alive" }>
  /** It answers at `url`, and at the ports that it has. */
  | Readonly<{ kind: "listening"; url: string } & Ports>
  /** It cannot start, and another try would fail the same way (port in use, say). */
  | Readonly<{ kind: "fatal"; code: string; message: string }>;
