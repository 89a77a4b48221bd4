// TCP by node:net.
// A socket of node:net begins to read on its own and keeps up to 64 KiB that nobody asked for. Here nothing is read
// before a listener is there, so a connection that waits for its verdict costs the kernel's buffer and no more.
import { connect, createServer, type Socket } from "node:net";
import { PlatformError } from "#base/errors.ts";
import type { Listener, Network, TcpConnection } from "../network.ts";
import { listenError } from "./listen-error.ts";

/** Quiet connections are probed by the kernel after this, so that a peer that vanished is noticed at all. */
const KEEP_ALIVE_DELAY_MS = 15_000;

export function nodeNetwork(): Network {
  return {
    listenTcp(address, onConnection) {
      const open = new Set<Socket>();
      const server = createServer(
        { pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
        (socket) => {
          open.add(socket);
          socket.on("close", () => open.delete(socket));
          onConnection(connection(socket));
        },
      );
      const close = () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          for (const socket of open) socket.destroy();
        });
      return new Promise<Listener>((resolve, reject) => {
        server.once("error", (error) => reject(listenError(address, error)));
        server.listen({ host: address.host, port: address.port }, () => {
          server.removeAllListeners("error"); // one that comes later (no file descriptors left) must not pass unseen
          const { port } = server.address() as { port: number };
          resolve({ host: address.host, port, close });
        });
      });
    },

    connectTcp({ host, port, timeoutMs }) {
      return new Promise<TcpConnection>((resolve, reject) => {
        const socket = connect({
          host,
          port,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
        });
        socket.pause();
        const unreachable = (why: string, options?: { cause: unknown }) =>
          reject(new PlatformError("network.unreachable", `Cannot connect to ${host}:${port}: ${why}.`, options));
        const failed = (cause: Error) => unreachable(cause.message || cause.name, { cause });
        const late = () => {
          unreachable(`no answer within ${timeoutMs} ms`);
          socket.destroy();
        };
        socket.once("error", failed);
        socket.setTimeout(timeoutMs, late);
        socket.once("connect", () => {
          socket.setTimeout(0);
          socket.removeListener("timeout", late);
          socket.removeListener("error", failed);
          resolve(connection(socket));
        });
      });
    },
  };
}

function connection(socket: Socket): TcpConnection {
  let listening = false;
  let paused = false;
  let failure: Error | null = null;
  socket.on("error", (error) => (failure = error)); // "close" follows and hands it over
  const flow = () => (listening && !paused ? socket.resume() : socket.pause());
  return {
    remote: `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`,
    get queuedBytes() {
      return socket.writableLength;
    },
    write: (bytes) => !socket.destroyed && !socket.writableEnded && socket.write(bytes),
    pause() {
      paused = true;
      flow();
    },
    resume() {
      paused = false;
      flow();
    },
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    onData(listener) {
      socket.on("data", listener);
      listening = true;
      flow();
    },
    onDrain: (listener) => void socket.on("drain", listener),
    onClose(listener) {
      if (socket.closed) queueMicrotask(() => listener(failure));
      else socket.once("close", () => listener(failure));
    },
  };
}
