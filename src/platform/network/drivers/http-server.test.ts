import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import {
  connect as connect2,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { PlatformError } from "#base/errors.ts";
import { answerJson, type HttpHandler } from "../http.ts";
import { makeCertificate } from "../testing/certificate.ts";
import { type HttpOptions, type HttpServer, listenHttp } from "./http-server.ts";

const hello: HttpHandler = (request, response) => {
  if (request.url !== "/hello") return false;
  answerJson(response, 200, { hello: "world" });
  return true;
};

function serving(title: string, options: Partial<HttpOptions>, body: (server: HttpServer) => Promise<void>): void {
  test(title, { timeout: 10_000 }, async () => {
    const server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [hello], ...options });
    try {
      await body(server);
    } finally {
      await server.close();
    }
  });
}

/** All bytes the server answers to these, until it closes the connection. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.setEncoding("utf8").on("data", (piece) => (answer += piece));
    socket.on("error", reject).on("close", () => resolve(answer));
  });
}

serving("a handler answers its path; another path is a problem that does not repeat the query", {}, async ({ url }) => {
  assert.deepEqual(await (await fetch(`${url}/hello`)).json(), { hello: "world" });
  const missing = await fetch(`${url}/nothing?key=secret`);
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get("content-type"), "application/problem+json");
  const problem = await missing.text();
  assert.match(problem, /"code":"api.not_found"/);
  assert.match(problem, /\/nothing/);
  assert.doesNotMatch(problem, /secret/);
});

serving("an endless body to a path that nobody serves ends the connection", {}, async ({ port }) => {
  const head = "PUT /nobody HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  const answer = await exchange(port, `${head}5\r\nhello\r\n`); // and the rest never comes
  assert.match(answer, /^HTTP\/1\.1 404 /);
});

serving("who was answered and does not finish its body is cut off", {}, async ({ port }) => {
  const startMs = performance.now();
  const answer = await exchange(port, "GET /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nand no more");
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.ok(performance.now() - startMs < 10_000);
});

serving("what is not HTTP is answered 400 and closed; long headers 431", {}, async ({ port }) => {
  assert.match(await exchange(port, "\x03garbage\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*"code":"api.bad_request"/);
  const long = `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`;
  assert.match(await exchange(port, long), /^HTTP\/1\.1 431 [\s\S]*16384 bytes/);
});

const failing: HttpHandler = (request) => {
  if (request.url === "/busy") throw new PlatformError("origin.busy", "Come back.");
  throw new TypeError("a defect");
};
const defects: unknown[] = [];
serving(
  "what a handler throws is answered; a defect goes to onDefect and not to the client",
  {
    handlers: [failing],
    onDefect: (error) => defects.push(error),
  },
  async ({ url }) => {
    assert.equal((await fetch(`${url}/busy`)).status, 503);
    assert.equal(defects.length, 0);
    const broken = await fetch(`${url}/other`);
    assert.equal(broken.status, 500);
    assert.doesNotMatch(await broken.text(), /a defect/);
    assert.match(String(defects[0]), /a defect/);
  },
);

serving(
  "an upgrade goes to its handler, or is answered 404; closing the server ends it",
  {
    onUpgrade(request, socket) {
      if (request.url !== "/socket") return false;
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nwelcome");
      return true;
    },
  },
  async (server) => {
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`;
    assert.match(await exchange(server.port, ask("/else")), /^HTTP\/1\.1 404 /);
    const socket = connect(server.port, "127.0.0.1", () => socket.write(ask("/socket")));
    await new Promise<void>((resolve) => socket.on("data", (bytes) => bytes.includes("welcome") && resolve()));
    const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    await server.close();
    await closed;
  },
);

serving("a port in use is refused by name", {}, async ({ port }) => {
  await assert.rejects(listenHttp({ host: "127.0.0.1", port, handlers: [] }), (error: PlatformError) => {
    assert.equal(error.code, "network.address_in_use");
    assert.match(error.message, new RegExp(`\\b${port}\\b`));
    return true;
  });
});

const folder = mkdtempSync(join(tmpdir(), "continuity-https-"));
after(() => rmSync(folder, { recursive: true }));
const tls = makeCertificate(folder);

/** One HTTP/2 request. @returns its answer's head and body */
function ask2(
  url: string,
  headers: OutgoingHttpHeaders,
  body = "",
): Promise<{ status: number; head: object; body: string }> {
  return new Promise((resolve, reject) => {
    const session = connect2(url, { ca: tls.authority });
    session.on("error", reject);
    const stream = session.request(headers);
    let text = "";
    let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    stream.setEncoding("utf8").on("data", (piece) => (text += piece));
    stream.on("response", (answered) => (head = answered));
    stream.on("error", reject).on("close", () => {
      session.close();
      resolve({ status: head[":status"] ?? 0, head, body: text });
    });
    if (body !== "") stream.end(body); // a GET has ended already
  });
}

const echo: HttpHandler = (request, response) => {
  if (request.url !== "/echo?x=1") return false;
  let body = "";
  request.setEncoding("utf8").on("data", (piece) => (body += piece));
  request.on("end", () => {
    request.socket.setKeepAlive(true).setNoDelay(true);
    response.setHeader("Connection", "close");
    response.writeHead(201, { "content-type": "application/json", connection: "close" });
    const { method, headers, httpVersion, complete } = request;
    response.end(
      JSON.stringify({ body, method, headers, httpVersion, complete, remote: request.socket.remoteAddress }),
    );
  });
  return true;
};

serving("HTTP/2: a handler sees what it sees of HTTP/1.1", { tls, handlers: [echo] }, async ({ url, port }) => {
  assert.equal(url, `https://127.0.0.1:${port}`);
  const asked = { ":method": "PUT", ":path": "/echo?x=1", "x-own": "1" };
  const answer = await ask2(url, asked, "hello");
  assert.equal(answer.status, 201, answer.body);
  assert.deepEqual(JSON.parse(answer.body), {
    body: "hello",
    method: "PUT",
    headers: { "x-own": "1", host: `127.0.0.1:${port}` },
    httpVersion: "2.0",
    complete: true,
    remote: "127.0.0.1",
  });
  const missing = await ask2(url, { ":path": "/nothing?key=secret" });
  assert.equal(missing.status, 404);
  assert.match(missing.body, /"code":"api.not_found"/);
});

serving(
  "HTTPS: HTTP/1.1 is spoken with those that do not know better; upgrades as well",
  {
    tls,
    onUpgrade(_, socket) {
      socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nwelcome");
      return true;
    },
  },
  async ({ port }) => {
    const say = (text: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ port, host: "127.0.0.1", ca: tls.authority }, () => socket.write(text));
        let answer = "";
        socket.setEncoding("utf8").on("data", (piece) => (answer += piece));
        socket.on("error", reject).on("close", () => resolve(answer));
      });
    assert.match(await say("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"), /^HTTP\/1\.1 200 /);
    const upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    assert.match(await say(upgrade), /101 [\s\S]*welcome$/);
    assert.match(await say("\x03garbage\r\n\r\n"), /^HTTP\/1\.1 400 /);
  },
);

serving("HTTP/2: who was answered and does not finish its body is cut off", { tls }, async ({ url }) => {
  const session = connect2(url, { ca: tls.authority });
  const stream = session.request({ ":method": "PUT", ":path": "/nobody" });
  stream.write("and no more");
  stream.resume();
  const status = await new Promise((resolve) => stream.on("response", (head) => resolve(head[":status"])));
  assert.equal(status, 404);
  await new Promise<void>((resolve) => stream.on("error", () => {}).on("close", () => resolve()));
  session.destroy();
});

serving("closing the server ends HTTP/2 connections", { tls, handlers: [() => true] }, async (server) => {
  const session = connect2(server.url, { ca: tls.authority });
  session.on("error", () => {});
  const stream = session.request({ ":path": "/held" });
  stream.on("error", () => {});
  await new Promise<void>((resolve) => session.on("remoteSettings", () => resolve()));
  const closed = new Promise<void>((resolve) => session.on("close", () => resolve()));
  await server.close();
  await closed;
});

test("HTTP/2: a handler learns that the asker left", { timeout: 10_000 }, async () => {
  const left = Promise.withResolvers<boolean[]>();
  const held: HttpHandler = (_, response) => {
    const before = response.destroyed;
    response.on("close", () => left.resolve([before, response.destroyed]));
    return true;
  };
  const server = await listenHttp({ host: "127.0.0.1", port: 0, handlers: [held], tls });
  try {
    const session = connect2(server.url, { ca: tls.authority });
    const stream = session.request({ ":path": "/held" });
    stream.on("error", () => {});
    stream.on("ready", () => setTimeout(() => stream.close(8), 20)); // CANCEL, as a player that changes its mind
    assert.deepEqual(await left.promise, [false, true]);
    session.destroy();
  } finally {
    await server.close();
  }
});
