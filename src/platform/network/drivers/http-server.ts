// One HTTP listener: limits that a public port needs, and handlers asked in order until one takes the request.
// Bodies have no time limit: an encoder's PUT lasts as long as its stream. What a quiet body means, the handler knows. But
// once it has answered, nobody waits for the rest: node:http would, for ever.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { PlatformError, toProblem } from "#base/errors.ts";
import { type Log, silentLog } from "#base/log.ts";
import { answerChallenge, answerProblem, type HttpHandler } from "../http.ts";
import type { Certificate } from "../network.ts";
import { type CertificateWatch, watchCertificate } from "./certificate.ts";
import { asHttp1 } from "./http2-as-http1.ts";
import { listenError } from "./listen-error.ts";

const HEADER_BYTES_MAX = 16_384;
const HEADERS_TIMEOUT_MS = 10_000;
/** How often node:http looks for late headers; its own 30 s would let a slow sender hold a connection that long. */
const LATE_CHECK_INTERVAL_MS = 5_000;
/** Longer than a player's pause between two requests, shorter than what proxies keep open. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** A sender that was answered may go on sending for so long, so that it comes to reading the answer; then it is cut off. */
const LINGER_MS = 3_000;
const SHOWN_PATH_LENGTH_MAX = 200;
/** A player has a blocking request per playlist and some parts at once on its one connection. */
const STREAMS_MAX = 128;
/** What an encoder may have under way: with the protocol's 64 KiB a PUT over 50 ms of network stops at 10 Mbit/s. */
const STREAM_WINDOW_BYTES = 1 << 20;
const CONNECTION_WINDOW_BYTES = 4 << 20;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A peer that vanished is noticed by the kernel, which asks it after so long. */
const KEEP_ALIVE_PROBE_MS = 15_000;

/** @returns false when the path is not this handler's: the socket was not touched */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

export type HttpOptions = Readonly<{
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** HTTP/2, or HTTP/1.1 for those that want it, over TLS. */
  tls?: Certificate;
  handlers: readonly HttpHandler[];
  onUpgrade?: UpgradeHandler;
  /** Asked when a sender waits for "100 Continue" before its body: true answers 401 with a challenge instead. Senders that
   *  know a password show it only when they are asked like that (RFC 9110, 10.1.1 and 11.6.1). */
  challenges?: (request: IncomingMessage) => boolean;
  connectionsMax?: number;
  /** A handler threw what is no PlatformError. Without this it stops the process, as any programmer's mistake does. */
  onDefect?: (error: unknown) => void;
  /** For what happens long after: a renewed certificate that cannot be used. */
  log?: Log;
}>;

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** "http://127.0.0.1:8080", without a slash at its end; the loopback address when all addresses are listened on. */
  readonly url: string;
  /** Stop listening and cut what is open, upgraded connections included. */
  close(): Promise<void>;
}

const LIMITS = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  connectionsCheckingInterval: LATE_CHECK_INTERVAL_MS,
};

function plainServer(): { server: Server; stop(): void } {
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX, noDelay: true, ...LIMITS });
  return { server, stop: () => server.closeAllConnections() };
}

function secureServer(tls: Certificate, log: Log): { server: Http2SecureServer; stop(): void } {
  const sessions = new Set<ServerHttp2Session>();
  const open = new Set<Socket>();
  const watch: CertificateWatch = watchCertificate(
    tls,
    (pair) => {
      server.setSecureContext(pair);
      log.info("network.certificate_renewed", { certificate: tls.certificate });
    },
    (error) => log.error("network.certificate_refused", { error }),
  );
  const { cert, key } = watch;
  const server: Http2SecureServer = createSecureServer({
    cert,
    key,
    allowHTTP1: true,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    settings: {
      maxConcurrentStreams: STREAMS_MAX,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxHeaderListSize: HEADER_BYTES_MAX,
    },
  });
  Object.assign(server, LIMITS);
  server.on("connection", (socket: Socket) => {
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.on("session", (session) => {
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.setTimeout(KEEP_ALIVE_TIMEOUT_MS, () => session.close()); // requests that are held are still answered
    session.on("error", () => session.destroy()); // of the connection; each stream has told its own
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  const stop = () => {
    watch.stop();
    for (const session of sessions) session.destroy();
    for (const socket of open) socket.destroy();
  };
  return { server, stop };
}

/** @throws PlatformError network.address_in_use; config.invalid when the address cannot be listened on at all, or the
 *  certificate cannot be used */
export async function listenHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, tls, handlers, onUpgrade, connectionsMax, log = silentLog } = options;
  const { server, stop } = tls ? secureServer(tls, log) : plainServer();
  if (connectionsMax !== undefined) server.maxConnections = connectionsMax;
  const answering = new WeakMap<Duplex, ServerResponse>();
  const upgraded = new Set<Duplex>();

  /** @returns what `take` returned; a throw counts as taken */
  const guarded = (take: () => boolean, answer: (error: unknown) => void): boolean => {
    try {
      return take();
    } catch (error) {
      answer(error);
      if (!(error instanceof PlatformError)) {
        if (!options.onDefect) throw error;
        options.onDefect(error);
      }
      return true;
    }
  };

  const on = server.on.bind(server) as Server["on"]; // both kinds tell the same events
  on("request", (...asked) => {
    const [request, response] = asHttp1(...asked);
    answering.set(request.socket, response);
    response.on("finish", () => lingerOver(request));
    const taken = guarded(
      () => handlers.some((handler) => handler(request, response)),
      (error) => answerProblem(response, error, { connection: "close" }),
    );
    // The connection is closed, so that nobody has to read the rest of an endless body.
    if (!taken) answerProblem(response, notFound(request), { connection: "close" });
  });

  on("checkContinue", (request, response) => {
    if (options.challenges?.(request)) answerChallenge(response);
    else {
      response.writeContinue();
      server.emit("request", request, response);
    }
  });

  if (onUpgrade)
    on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy()); // a reset; whoever takes the socket sees its "close"
      upgraded.add(socket);
      socket.on("close", () => upgraded.delete(socket));
      const taken = guarded(
        () => onUpgrade(request, socket, head),
        (error) => socket.end(rawProblem(error)),
      );
      if (!taken) socket.end(rawProblem(notFound(request)));
    });

  on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const response = answering.get(socket);
    const midAnswer = response?.headersSent === true && !response.writableFinished;
    if (!socket.writable || midAnswer || error.code === "ECONNRESET") socket.destroy();
    else {
      socket.write(rawProblem(malformed(error), error.code === "HPE_HEADER_OVERFLOW" ? 431 : undefined));
      (socket as Socket).destroySoon();
    }
  });

  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      stop();
      reject(listenError({ host, port }, error));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners("error"); // one that comes later must not pass unseen
      const real = (server.address() as { port: number }).port;
      resolve({
        host,
        port: real,
        url: `${tls ? "https" : "http"}://${reachable(host)}:${real}`,
        close: () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            stop();
            for (const socket of upgraded) socket.destroy();
          }),
      });
    });
  });
}

function lingerOver(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const late = setTimeout(() => request.destroy(), LINGER_MS);
  late.unref();
  const cancel = () => clearTimeout(late);
  request.on("end", cancel).on("close", cancel);
}

function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

function notFound(request: IncomingMessage): PlatformError {
  const path = (request.url ?? "").split("?", 1)[0]!; // never the query: it may hold a key
  return new PlatformError("api.not_found", `Nothing is served at ${path.slice(0, SHOWN_PATH_LENGTH_MAX)}.`);
}

function malformed(cause: NodeJS.ErrnoException): PlatformError {
  const what: Record<string, string> = {
    HPE_HEADER_OVERFLOW: `The request's headers are longer than ${HEADER_BYTES_MAX} bytes.`,
    ERR_HTTP_REQUEST_TIMEOUT: `The request's headers did not arrive within ${HEADERS_TIMEOUT_MS} ms.`,
  };
  const detail = what[cause.code ?? ""] ?? "This is not an HTTP request that can be understood.";
  return new PlatformError("api.bad_request", detail, { cause });
}

/** A whole answer, for when there is no ServerResponse. */
function rawProblem(error: unknown, status?: number): string {
  const problem = toProblem(error);
  const body = JSON.stringify(status === undefined ? problem : { ...problem, status });
  return [
    `HTTP/1.1 ${status ?? problem.status} ${problem.title}`,
    "connection: close",
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}
