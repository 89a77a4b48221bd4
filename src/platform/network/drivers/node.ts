// TCP, TLS and UDP by node:net, node:tls and node:dgram.
// A socket of node:net begins to read on its own and keeps up to 64 KiB that nobody asked for. Here nothing is read
// before a listener is there, so a connection that waits for its verdict costs the kernel's buffer and no more.
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, connect as tlsConnect } from "node:tls";
import { PlatformError } from "#base/errors.ts";
import { type Log, silentLog } from "#base/log.ts";
import type { Listener, Network, TcpConnection } from "../network.ts";
import { watchCertificate } from "./certificate.ts";
import { listenError } from "./listen-error.ts";
import { openUdp } from "./node-udp.ts";

/** Quiet connections are probed by the kernel after this, so that a peer that vanished is noticed at all. */
const KEEP_ALIVE_DELAY_MS = 15_000;
/** Who has not finished its handshake by then is cut off. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
const SOCKET = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS };

type Address = Readonly<{ host: string; port: number }>;

/** @param log for what happens long after a call returned: a renewed certificate that cannot be used */
export function nodeNetwork(log: Log = silentLog): Network {
  return {
    listenTcp(address, onConnection) {
      const server = createServer({ pauseOnConnect: true, ...SOCKET }, (socket) => onConnection(connection(socket)));
      return listen(server, address);
    },

    async listenTls({ host, port, tls }, onConnection) {
      const watch = watchCertificate(
        tls,
        (pair) => {
          server.setSecureContext(pair);
          log.info("network.certificate_renewed", { certificate: tls.certificate, port });
        },
        (error) => log.error("network.certificate_refused", { error }),
      );
      const { cert, key } = watch;
      const options = { cert, key, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, pauseOnConnect: true, ...SOCKET };
      const server = createTlsServer(options, (socket) => onConnection(connection(socket)));
      try {
        const listener = await listen(server, { host, port });
        return {
          ...listener,
          close() {
            watch.stop();
            return listener.close();
          },
        };
      } catch (error) {
        watch.stop();
        throw error;
      }
    },

    connectTcp: ({ host, port, timeoutMs }) =>
      connected(connect({ host, port, ...SOCKET }), "connect", { host, port, timeoutMs }),

    connectTls({ host, port, timeoutMs, authority }) {
      const trust = authority === undefined ? {} : { ca: authority };
      const socket = tlsConnect({ host, port, servername: isName(host) ? host : "", ...trust });
      socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
      return connected(socket, "secureConnect", { host, port, timeoutMs });
    },

    openUdp,
  };
}

/** Only a name can be asked for in a handshake (RFC 6066, 3). */
const isName = (host: string) => !/^[\d.]+$|:/.test(host);

function listen(server: Server, { host, port }: Address): Promise<Listener> {
  const open = new Set<Socket>(); // under TLS those too that are still shaking hands
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
    });
  return new Promise<Listener>((resolve, reject) => {
    server.once("error", (error) => reject(listenError({ host, port }, error)));
    server.listen({ host, port }, () => {
      server.removeAllListeners("error"); // one that comes later (no file descriptors left) must not pass unseen
      const real = (server.address() as { port: number }).port;
      resolve({ host, port: real, close });
    });
  });
}

function connected(
  socket: Socket,
  event: "connect" | "secureConnect",
  { host, port, timeoutMs }: Address & { timeoutMs: number },
): Promise<TcpConnection> {
  return new Promise((resolve, reject) => {
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
    socket.once(event, () => {
      socket.setTimeout(0);
      socket.removeListener("timeout", late);
      socket.removeListener("error", failed);
      resolve(connection(socket));
    });
  });
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
