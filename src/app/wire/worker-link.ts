// A worker's line to control: one WebSocket. Losing it harms nothing (the session goes on; control finds the worker
// again), so it is simply opened anew until the worker leaves.
import { WebSocket } from "ws";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import {
  type FromControl,
  type FromWorker,
  HEARTBEAT_MS,
  type Hello,
  MESSAGE_BYTES_MAX,
  type Packaging,
  type Progress,
  parseFromControl,
  SILENT_MS,
  WORKERS_PATH,
} from "#control/worker-protocol.ts";

const RETRY_MS = 500;

export interface WorkerLink {
  /** Kept and sent again after each reconnect; control needs only the newest. */
  report(state: Progress | Packaging): void;
  close(): void;
}

export function openWorkerLink(deps: {
  controlUrl: string;
  token: string;
  hello: Hello;
  clock: Clock;
  log: Log;
  on: (message: FromControl) => void;
}): WorkerLink {
  const { clock, log } = deps;
  const url = new URL(WORKERS_PATH + deps.hello.worker, deps.controlUrl.replace(/^http/, "ws"));
  let socket: WebSocket | null = null;
  let state: Progress | Packaging | null = null;
  let closed = false;

  const send = (message: FromWorker) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };

  function connect(): void {
    if (closed) return;
    let silent: Timer | null = null;
    let beat: Timer | null = null;
    const headers = { authorization: `Bearer ${deps.token}` };
    const current = new WebSocket(url, { headers, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false });
    socket = current;
    const heard = () => {
      silent?.cancel();
      silent = clock.setTimer(SILENT_MS, () => current.terminate());
    };
    const heartbeat = () => {
      current.ping();
      beat = clock.setTimer(HEARTBEAT_MS, heartbeat);
    };
    heard();
    current.on("open", () => {
      send(deps.hello);
      if (state !== null) send(state);
      heartbeat();
    });
    current.on("ping", heard);
    current.on("pong", heard);
    current.on("message", (data) => {
      heard();
      deps.on(parseFromControl(data.toString()));
    });
    current.on("error", (error) => log.debug("line to control lost", { reason: error.message }));
    current.on("close", () => {
      silent?.cancel();
      beat?.cancel();
      if (!closed) clock.setTimer(RETRY_MS, connect);
    });
  }

  connect();
  return {
    report(next) {
      state = next;
      send(next);
    },
    close() {
      closed = true;
      socket?.close();
    },
  };
}
