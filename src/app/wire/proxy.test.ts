// A role that answers before the body has ended, through the front door: the asker must get the answer, and not a reset.
import { strict as assert } from "node:assert";
import { request as httpRequest, type IncomingMessage, type RequestListener } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { PASSED_ON } from "#modules/ingest/http-remote.ts";
import { type HttpServer, listenHttp } from "#platform/network/drivers/http-server.ts";
import { proxyTo } from "./proxy.ts";

const listen = (handler: Parameters<typeof listenHttp>[0]["handlers"][number]) =>
  listenHttp({ host: "127.0.0.1", port: 0, handlers: [handler] });

type Under = { front: HttpServer; stopRole: () => Promise<void> };

/** @param role what stands behind the door */
function through(
  title: string,
  role: RequestListener,
  body: (under: Under) => Promise<void>,
  token = async () => "shown",
): void {
  test(title, { timeout: 30_000 }, async () => {
    const behind = await listen((request, response) => {
      role(request, response);
      return true;
    });
    const front = await listen(proxyTo({ matches: () => true, target: () => behind.url, token }));
    try {
      await body({ front, stopRole: () => behind.close() });
    } finally {
      await front.close();
      await behind.close();
    }
  });
}

type Answer = { status: number; text: string };

/** PUT a body piece by piece, as fast as it is taken, until answered. @param bytesMax of the body */
function put(url: string, bytesMax: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}/ingest/x.mpegts`, { method: "PUT" });
    const piece = Buffer.alloc(65_536, 1);
    let sent = 0;
    let isAnswered = false;
    const send = () => {
      while (!isAnswered && sent < bytesMax) {
        sent += piece.length;
        if (!request.write(piece)) return void request.once("drain", send);
      }
      request.end();
    };
    request.on("response", (response: IncomingMessage) => {
      isAnswered = true;
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode!, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    send();
  });
}

const refusing: RequestListener = (request, response) => {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes < 1_000_000 || response.headersSent) return;
    response.writeHead(400, { "content-type": "text/plain" });
    response.end("too much");
  });
};

through("a refusal in the middle of a body reaches a sender that is still sending", refusing, async ({ front }) => {
  for (let round = 0; round < 20; round += 1)
    assert.deepEqual(await put(front.url, 50_000_000), { status: 400, text: "too much" });
});

const counting: RequestListener = (request, response) => {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => (bytes += chunk.length));
  request.on("end", () => response.end(String(bytes)));
};

through("a whole body arrives whole, and its answer comes back", counting, async ({ front }) => {
  assert.deepEqual(await put(front.url, 65_536 * 40), { status: 200, text: String(65_536 * 40) });
});

const early: RequestListener = (request, response) => {
  response.writeHead(200);
  response.flushHeaders();
  request.on("data", (chunk: Buffer) => response.write(`${chunk.length}\n`));
  request.on("end", () => response.end("end"));
};

through("an answer that goes along with the body does not end it", early, async ({ front }) => {
  const request = httpRequest(front.url, { method: "POST" });
  request.flushHeaders();
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    request.on("response", resolve).on("error", reject),
  );
  const lines = response.setEncoding("utf8")[Symbol.asyncIterator]();
  for (const piece of ["a", "bb", "ccc"]) {
    request.write(piece);
    assert.equal((await lines.next()).value, `${piece.length}\n`);
  }
  request.end();
  assert.equal((await lines.next()).value, "end");
});

through("a role that goes away is a 502; one that is away stays one", counting, async ({ front, stopRole }) => {
  await stopRole();
  assert.equal((await put(front.url, 65_536)).status, 502);
});

const telling: RequestListener = ({ headers, socket }, response) =>
  response.end(JSON.stringify([headers[PASSED_ON.remote], headers[PASSED_ON.token], socket.remotePort]));

through("the role is told who asks, whatever the asker says of that", telling, async ({ front }) => {
  const headers = { [PASSED_ON.remote]: "192.0.2.7:1", [PASSED_ON.token]: "mine" };
  const [remote, token, port] = (await (await fetch(front.url, { headers })).json()) as [string, string, number];
  assert.match(remote, /^127\.0\.0\.1:\d+$/);
  assert.equal(token, "shown");
  assert.notEqual(Number(remote.split(":")[1]), port);
});

const arrived: string[] = [];
const remembering: RequestListener = (request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (piece) => (text += piece));
  request.on("end", () => {
    arrived.push(text);
    response.end();
  });
};

/** Sends all of it and closes, without a look at the answer, as some packagers do. */
async function sendAndClose(url: string, text: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => {}); // a reset: it is gone by then
  socket.write(`PUT /ingest/x/init.mp4 HTTP/1.1\r\nhost: x\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
  socket.end(() => socket.destroy());
  await closed;
}

through(
  "a body whose sender left behind its last byte arrives, also when the role's token takes a while",
  remembering,
  async ({ front }) => {
    const texts = Array.from({ length: 20 }, (_, i) => `${i} ${"x".repeat(5000)}`);
    for (const text of texts) await sendAndClose(front.url, text);
    while (arrived.length < texts.length) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(arrived.sort(), texts.sort());
  },
  () => new Promise((resolve) => setTimeout(() => resolve("shown"), 20)),
);
