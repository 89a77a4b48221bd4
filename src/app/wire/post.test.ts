// What a customer's server may do to us: be down, slow, endless, wrong about its length, or somewhere else.
import { strict as assert } from "node:assert";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { simClock, systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { openOutbox } from "#modules/hooks/outbox.ts";
import { createPublishAsker } from "#modules/hooks/publish-hook.ts";
import { hookDefaults, STREAM_EVENTS } from "#modules/hooks/types.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { post } from "./post.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const SECRET = "a secret of the customer";

async function receiver(answer: Answer, port = 0) {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    answer(request, response, body);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: actual } = server.address() as AddressInfo;
  return {
    port: actual,
    url: `http://127.0.0.1:${actual}/hook?token=hidden`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const send = (url: string, timeoutMs = 5000) => post(url, "{}", { "content-type": "application/json" }, timeoutMs);

test("an answer is given as it is, a redirect too", async () => {
  let asked = 0;
  const server = await receiver((request, response, body) => {
    asked += 1;
    assert.deepEqual([request.method, request.headers["content-type"], body], ["POST", "application/json", "{}"]);
    if (asked === 1) response.writeHead(403).end("häh");
    else response.writeHead(307, { location: "/elsewhere" }).end();
  });
  assert.deepEqual(await send(server.url), { status: 403, body: "häh" });
  assert.deepEqual(await send(server.url), { status: 307, body: "" });
  assert.equal(asked, 2);
  await server.close();
});

test("no whole answer in time is none, and the error holds neither token nor body", async () => {
  const answers: [string, Answer][] = [
    ["it took more than 300 ms", () => {}],
    ["it took more than 300 ms", (_, response) => void response.writeHead(200).write("{")],
    ["", (_, response) => void response.writeHead(200, { "content-length": "100" }).end("short")],
    ["", (_, response) => void response.socket?.end("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n")],
    ["", (_, response) => void response.socket?.destroy()],
    ["too long", (_, response) => void response.writeHead(200).end(Buffer.alloc(70_000, "x"))],
  ];
  for (const [words, answer] of answers) {
    const server = await receiver(answer);
    await assert.rejects(send(server.url, 300), (error: Error & { code: string }) => {
      assert.equal(error.code, "network.unreachable");
      assert.ok(error.message.includes(words) && !error.message.includes("hidden"), error.message);
      return true;
    });
    await server.close();
  }
  const gone = await receiver(() => {});
  await gone.close();
  await assert.rejects(send(gone.url), /no answer: .*ECONNREFUSED/);
});

test("a real receiver that is down, then breaks, then takes: all arrive, in order", async () => {
  const received: string[] = [];
  let turn = 0;
  const taking: Answer = (_, response, body) => {
    turn += 1;
    if (turn === 1) response.writeHead(500).end();
    else if (turn === 2) {
      response.writeHead(200, { "content-length": "9" }).write("short");
      response.socket?.end();
    } else {
      received.push((JSON.parse(body) as { type: string }).type);
      response.writeHead(204).end();
    }
  };
  const down = await receiver(taking);
  await down.close();
  const clock = simClock(); // only the waits between attempts are made short
  const outbox = await openOutbox({
    clock,
    random: seededRandom(1),
    log: silentLog,
    hooks: [{ url: down.url, secret: SECRET, types: STREAM_EVENTS }],
    journals: memoryJournals(),
    post,
  });
  const session = { id: "s", channel: "news", tenant: "main", protocol: "rtmp", remote: "r", endReason: null };
  outbox.look([{ ...session, state: "live" }], true);
  outbox.look([], true);
  const until = async (holds: () => boolean) => {
    for (let i = 0; i < 1000 && !holds(); i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      clock.advance(200);
    }
    assert.ok(holds(), JSON.stringify(outbox.states()));
  };
  await until(() => /ECONNREFUSED/.test(outbox.states()[0]!.lastError ?? ""));
  const up = await receiver(taking, down.port);
  await until(() => outbox.states()[0]!.pending === 0);
  assert.deepEqual(received, ["stream.started", "stream.ended"]);
  assert.deepEqual([outbox.states()[0]!.delivered, outbox.states()[0]!.dead], [2, 0]);
  await outbox.close();
  await up.close();
});

test("a publisher waits for a slow hook as long as is configured, and meanwhile others are let in", async () => {
  const server = await receiver((_, response, body) => {
    if ((JSON.parse(body) as { channel: string }).channel === "quick") response.writeHead(204).end();
  });
  const hook = { ...hookDefaults, url: server.url, secret: SECRET, timeoutMs: 400 };
  const { ask } = createPublishAsker({ clock: systemClock(), log: silentLog, hook, post });
  const question = { tenant: "main", protocol: "srt", remote: "10.0.0.1:1", keyName: null, key: null, rtmpPath: null };
  const slow = assert.rejects(ask({ ...question, channel: "slow" }), { code: "publish.unavailable" });
  let isOver = false;
  void slow.then(() => {
    isOver = true;
  });
  assert.equal(await ask({ ...question, channel: "quick" }), null);
  assert.equal(isOver, false);
  await slow;
  await server.close();
});
