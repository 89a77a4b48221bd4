// The workers that are connected, as they describe themselves. Control learns here what each one does; what should be,
// the plan says. A record outlives its line for a while, so that a worker whose line broke is not taken for a new one.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError, toProblem } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import {
  type FromControl,
  HEARTBEAT_MS,
  type Hello,
  MESSAGE_BYTES_MAX,
  type Packaging,
  type Progress,
  parseFromWorker,
  SILENT_MS,
  WORKERS_PATH,
} from "./worker-protocol.ts";

/** Connections at once; each belongs to a workload of ours, so only a defect comes near it. */
const CONNECTIONS_MAX = 4096;

/** One worker, connected now or lately. */
export type WorkerRecord = Readonly<{
  id: string;
  hello: Hello;
  progress: Progress | null;
  /** Of packagers. */
  packaging: Packaging | null;
  connected: boolean;
  /** Monotonic ms when anything was last heard of it. */
  heardMs: number;
}>;

export interface Workers {
  /** An HTTP upgrade of `/internal/workers/ID`. @returns false when the path is not ours: the socket was not touched */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  list(): WorkerRecord[];
  /** @returns false when it is not connected */
  send(id: string, message: FromControl): boolean;
  /** It is gone for good: hang up and forget it. */
  forget(id: string): void;
  /** After a hello, a change of phase or session, a loss; not for each report of progress. */
  onChange(listener: () => void): () => void;
  close(): void;
}

type Entry = { -readonly [K in keyof WorkerRecord]: WorkerRecord[K] } & { socket: WebSocket };

export function createWorkers(deps: { clock: Clock; log: Log; keys: Keys }): Workers {
  const { clock, log, keys } = deps;
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false });
  const entries = new Map<string, Entry>();
  const listeners = new Set<() => void>();
  let closed = false;
  const changed = () => {
    for (const listener of listeners) listener();
  };

  /** @throws PlatformError api.unauthorized, api.forbidden, api.bad_request */
  async function admit(id: string, authorization: string | undefined): Promise<void> {
    const token = bearer(authorization);
    if (token === null) throw new PlatformError("api.unauthorized", "A worker's token is needed here.");
    const scope = await keys.verify(token);
    if (scope.kind !== "worker" || scope.worker !== id)
      throw new PlatformError("api.forbidden", `This token does not speak for worker ${id}.`);
    if (server.clients.size >= CONNECTIONS_MAX)
      throw new PlatformError("placement.no_capacity", `${CONNECTIONS_MAX} workers are connected already.`);
  }

  function serve(id: string, socket: WebSocket): void {
    let silent: Timer | null = null;
    let beat: Timer;
    const heard = () => {
      silent?.cancel();
      silent = clock.setTimer(SILENT_MS, () => socket.terminate());
      const entry = entries.get(id);
      if (entry?.socket === socket) entry.heardMs = clock.monotonicMs();
    };
    const heartbeat = () => {
      if (socket.readyState === WebSocket.OPEN) socket.ping();
      beat = clock.setTimer(HEARTBEAT_MS, heartbeat);
    };
    heard();
    heartbeat();
    socket.on("ping", heard);
    socket.on("pong", heard);
    socket.on("message", (data, binary) => {
      heard();
      try {
        if (binary) throw new PlatformError("api.bad_request", "Messages are text.");
        take(id, socket, data.toString());
      } catch (error) {
        log.warn("worker sent what it may not", { worker: id, error });
        socket.close(1008, describe(error).slice(0, 100)); // the close frame holds 123 bytes
      }
    });
    socket.on("error", (error) => log.warn("worker's line failed", { worker: id, reason: error.message }));
    socket.on("close", () => {
      silent?.cancel();
      beat.cancel();
      const entry = entries.get(id);
      if (entry?.socket !== socket) return;
      entry.connected = false;
      changed();
    });
  }

  function take(id: string, socket: WebSocket, text: string): void {
    const message = parseFromWorker(text);
    const known = entries.get(id);
    if (message.kind === "hello") {
      if (message.worker !== id) throw new PlatformError("api.forbidden", `This line is worker ${id}'s.`);
      if (known !== undefined && known.socket !== socket) known.socket.terminate(); // the line it gave up on
      const base = { id, hello: message, connected: true, heardMs: clock.monotonicMs(), socket };
      entries.set(id, { ...base, progress: known?.progress ?? null, packaging: known?.packaging ?? null });
      changed();
      return;
    }
    if (known?.socket !== socket) throw new PlatformError("api.bad_request", "The first message is hello.");
    if (message.kind === "packaging") {
      const isNews = phases(known.packaging) !== phases(message);
      known.packaging = message;
      if (isNews) changed();
      return;
    }
    const before = known.progress;
    known.progress = message;
    if (before?.phase !== message.phase || before.session !== message.session) changed();
  }

  return {
    handleUpgrade(request, socket, head) {
      const path = (request.url ?? "").split("?", 1)[0]!;
      if (!path.startsWith(WORKERS_PATH)) return false;
      const id = path.slice(WORKERS_PATH.length);
      const onError = () => socket.destroy();
      socket.on("error", onError);
      admit(id, request.headers.authorization).then(
        () => {
          socket.off("error", onError);
          if (closed) return void socket.destroy();
          server.handleUpgrade(request, socket, head, (line) => serve(id, line));
        },
        (error) => {
          log.warn("worker turned away", { worker: id.slice(0, 128), error });
          refuse(socket, error);
        },
      );
      return true;
    },
    list: () => [...entries.values()].map(({ socket: _, ...record }) => record),
    send(id, message) {
      const entry = entries.get(id);
      if (!entry?.connected || entry.socket.readyState !== WebSocket.OPEN) return false;
      entry.socket.send(JSON.stringify(message));
      return true;
    },
    forget(id) {
      const entry = entries.get(id);
      entries.delete(id);
      entry?.socket.close(1000);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

const phases = (packaging: Packaging | null): string =>
  packaging?.sessions.map(({ session, phase }) => `${session} ${phase}`).join() ?? "";

function refuse(socket: Duplex, error: unknown): void {
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
