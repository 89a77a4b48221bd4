import { strict as assert } from "node:assert";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { type SimClock, simClock, systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { EntryReader, encodeEntry, encodeHeader, type LogRecord } from "#media/session-log/codec.ts";
import type { Entry } from "#media/session-log/entries.ts";
import { timeOf } from "#media/time/rate.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import type { Scope } from "#platform/keys/keys.ts";
import { logHttp } from "./http.ts";
import { SessionLog, type SessionLogOptions } from "./session-log.ts";
import { TestSource } from "./testing/source.ts";

const SESSION: Scope = { kind: "session", session: "s1", channel: "news" };
const JSON_BODY = { "content-type": "application/json" };

type Under = {
  log: SessionLog;
  source: TestSource;
  url: string;
  port: number;
  clock: SimClock;
  token: (scope?: Scope) => Promise<string>;
  get: (query: string, scope?: Scope) => Promise<IncomingMessage>;
};

/** A gateway's log of session "s1" on a real port, with time that moves only when told. */
function serving(title: string, body: (under: Under) => Promise<void>, options: Partial<SessionLogOptions> = {}): void {
  test(title, { timeout: 60_000 }, async () => {
    const log = new SessionLog({ session: "s1", bytesMax: 20_000_000, keepNs: 12_000_000_000n, ...options });
    const clock = simClock();
    const keys = jwtKeys(new Uint8Array(32).fill(1), clock);
    const logs = (session: string) => (session === "s1" ? log : undefined);
    const handler = logHttp({ logs, keys, log: silentLog, clock });
    const server = createServer((request, response) => {
      if (!handler(request, response)) response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${port}`;
    const token = (scope = SESSION) => keys.mint(scope, 60);
    const get = async (query: string, scope = SESSION) => {
      const headers = { authorization: `Bearer ${await token(scope)}` };
      return new Promise<IncomingMessage>((resolve, reject) =>
        httpRequest(`${url}/internal/log/s1${query}`, { headers, agent: false }, resolve).on("error", reject).end(),
      );
    };
    try {
      const source = new TestSource({ gopFrames: 30, payloadBytes: 3000 });
      for (const entry of source.opening()) log.append(entry);
      await body({ log, source, url, port, clock, token, get });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
}

/** Reads an answer record by record. */
class Reading {
  readonly bytes: Buffer[] = [];
  readonly records: LogRecord[] = [];
  readonly #reader = new EntryReader();
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(response: IncomingMessage) {
    this.#chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** @returns false at the end of the answer */
  async more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done) return false;
    this.bytes.push(value);
    this.records.push(...this.#reader.push(value));
    return true;
  }

  async until(holds: (records: readonly LogRecord[]) => boolean): Promise<void> {
    while (!holds(this.records)) assert.ok(await this.more(), "the answer ended early");
  }

  async toEnd(): Promise<Buffer> {
    while (await this.more());
    return Buffer.concat(this.bytes);
  }
}

const stepInto = (log: SessionLog, source: TestSource, frames: number) => {
  for (let i = 0; i < frames; i += 1) for (const entry of source.step()) log.append(entry);
};
const positions = (records: readonly LogRecord[]) =>
  records.map((record) => (record.kind === "entry" ? record.at.position : record.kind));
const bytesOf = (entries: readonly (readonly [number, Entry])[]) =>
  Buffer.concat([encodeHeader(), ...entries.flatMap(([position, entry]) => encodeEntry({ position, entry }))]);

serving("early and late readers get the same bytes, to the end", async ({ log, source, get }) => {
  const appended: Entry[] = log.decisions().map(({ entry }) => entry);
  const append = (entry: Entry) => {
    appended.push(entry);
    log.append(entry);
  };
  const early = new Reading(await get(""));
  for (let i = 0; i < 90; i += 1) source.step().forEach(append);
  const late = new Reading(await get(""));
  const joined = new Reading(await get(`?era=0&frame=${source.firstFrame + 70}`));
  for (let i = 0; i < 30; i += 1) source.step().forEach(append);
  append(source.end());
  const whole = bytesOf([...appended.entries()]);
  assert.ok((await early.toEnd()).equals(whole), "early");
  assert.ok((await late.toEnd()).equals(whole), "late");
  const bytes = await joined.toEnd();
  const firstUnit = joined.records.find((record) => record.kind === "entry" && record.at.entry.kind === "unit");
  assert.ok(firstUnit?.kind === "entry" && firstUnit.at.position > 4);
  const expected = [...appended.entries()].filter(([at]) => at < 4 || at >= firstUnit.at.position);
  assert.ok(bytes.equals(bytesOf(expected)), "joined at a frame");
  assert.equal(log.readers, 0);
});

serving("each entry is sent at once", async ({ log, source, get }) => {
  const reading = new Reading(await get(""));
  await reading.until((records) => records.length === 4);
  for (let i = 0; i < 20; i += 1) {
    for (const entry of source.step()) log.append(entry);
    await reading.until((records) => records.length === log.next); // hangs if anything waits for a timer: none runs
  }
});

serving("decisions alone, from a position", async ({ log, source, get }) => {
  const reading = new Reading(await get("?position=2&decisions=1"));
  stepInto(log, source, 30);
  const hole = log.append(source.resumeAt(source.frame + 5));
  const end = log.append(source.end());
  await reading.toEnd();
  assert.deepEqual(positions(reading.records), [2, 3, hole, end]);
});

serving("a quiet log sends a heartbeat each second, a busy one none", async ({ log, source, get, clock }) => {
  const reading = new Reading(await get("?decisions=1"));
  await reading.until((records) => records.length === 4);
  clock.advance(1000); // something was written since the last beat
  clock.advance(1000);
  await reading.until((records) => records.length === 5);
  log.append({ kind: "splice", frame: source.frame, discontinuity: false });
  await reading.until((records) => records.length === 6);
  clock.advance(3000);
  await reading.until((records) => records.at(-1)?.kind === "idle");
  assert.deepEqual(positions(reading.records).slice(0, 6), [0, 1, 2, 3, "idle", 4]);
});

serving(
  "a reader that stops reading is cut off and told why; another one and the publisher are not touched",
  async ({ log, source, get, clock }) => {
    const [slow, fast] = [new Reading(await get("")), new Reading(await get(""))];
    await Promise.all([slow, fast].map((reading) => reading.until((records) => records.length === 4)));
    while (log.readersCut === 0) {
      stepInto(log, source, 5);
      await fast.until((records) => records.length === log.next);
    }
    assert.ok(log.bytes <= 3_000_000);
    assert.ok(slow.records.length < log.next / 2);
    await slow.toEnd(); // it wakes up: what was on its way, then the reason
    const last = slow.records.at(-1)!;
    assert.ok(last.kind === "failure" && last.code === "log.reader_too_slow", last.kind);
    const read = positions(slow.records.slice(0, -1));
    assert.deepEqual(read, Array.from(read.keys()), "in order, without holes");
    assert.equal(log.readers, 1);
    clock.advance(10_000);
    log.append(source.end());
    await fast.toEnd();
    assert.equal(fast.records.filter((record) => record.kind === "entry").length, log.next);
  },
  { bytesMax: 3_000_000 },
);

/** Asks and then never reads: the kernel's buffers run full. */
async function deafReader({ port, token }: Under): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").pause();
  socket.on("error", () => {});
  const authorization = `authorization: Bearer ${await token()}`;
  socket.write(`GET /internal/log/s1 HTTP/1.1\r\nhost: gateway\r\n${authorization}\r\n\r\n`);
  return socket;
}

serving(
  "a reader that never reads again after it was cut off is disconnected",
  async (under) => {
    const { log, source, clock } = under;
    const socket = await deafReader(under);
    while (log.readers === 0) await new Promise(setImmediate);
    while (log.readersCut === 0) {
      stepInto(log, source, 20);
      await new Promise(setImmediate);
    }
    const closed = new Promise((resolve) => socket.once("close", resolve));
    clock.advance(5000);
    socket.resume();
    await closed;
    assert.equal(log.readers, 0);
  },
  { bytesMax: 500_000 },
);

serving("a reader that takes no byte for half a minute is disconnected", async (under) => {
  const { log, source, clock } = under;
  const socket = await deafReader(under);
  while (log.readers === 0) await new Promise(setImmediate);
  stepInto(log, source, 3000); // more than the buffers of both ends hold, less than the ring
  assert.equal(log.first, 0);
  for (let i = 0; i < 100; i += 1) await new Promise(setImmediate);
  clock.advance(29_000);
  assert.equal(log.readers, 1);
  clock.advance(3000);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await closed;
  assert.equal(log.readers, 0);
});

serving("a reader that leaves is released", async ({ log, get }) => {
  const response = await get("");
  assert.equal(log.readers, 1);
  response.destroy();
  while (log.readers > 0) await new Promise(setImmediate);
});

async function problem(response: Response): Promise<[number, string]> {
  const { status, code } = (await response.json()) as { status: number; code: string };
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return [status, code];
}

for (const [what, scope, status, code] of [
  ["another session's token", { kind: "session", session: "s2", channel: "news" }, 403, "api.forbidden"],
  ["a worker's token", { kind: "worker", worker: "w1" }, 403, "api.forbidden"],
] as const)
  serving(`refused: ${what}`, async ({ url, token }) => {
    const headers = { authorization: `Bearer ${await token(scope)}` };
    assert.deepEqual(await problem(await fetch(`${url}/internal/log/s1`, { headers })), [status, code]);
    const stored = { method: "POST", headers: { ...headers, ...JSON_BODY }, body: '{"throughNs":"1"}' };
    assert.deepEqual(await problem(await fetch(`${url}/internal/log/s1/stored`, stored)), [status, code]);
  });

serving("refused: no token, one that is not ours, before it is said whether the session exists", async ({ url }) => {
  for (const session of ["s1", "nobody"])
    for (const headers of [{}, { authorization: "Bearer a.b.c" }, { authorization: "Basic eDp5" }])
      assert.deepEqual(await problem(await fetch(`${url}/internal/log/${session}`, { headers })), [
        401,
        "api.unauthorized",
      ]);
});

serving("refused: unknown sessions, paths, methods and queries; other paths are not ours", async ({ url, token }) => {
  const headers = { authorization: `Bearer ${await token({ kind: "internal", role: "origin" })}` };
  const ask = async (path: string, method = "GET") => problem(await fetch(`${url}${path}`, { method, headers }));
  assert.deepEqual(await ask("/internal/log/nobody"), [404, "log.unknown_session"]);
  assert.deepEqual(await ask("/internal/log/"), [404, "api.not_found"]);
  assert.deepEqual(await ask("/internal/log/s1/other"), [404, "api.not_found"]);
  assert.deepEqual(await ask("/internal/log/s1", "DELETE"), [400, "api.bad_request"]);
  assert.deepEqual(await ask("/internal/log/s1/stored"), [400, "api.bad_request"]);
  assert.deepEqual(await ask("/internal/log/s1?position=99"), [410, "log.position_gone"]);
  assert.deepEqual(await ask("/internal/log/s1?era=7&frame=1"), [410, "log.position_gone"]);
  const wrong = ["position=-1", "position=x", "position=", "era=0", "frame=1", "era=0&frame=1&position=2", "what=1"];
  for (const query of [...wrong, "decisions=yes", "era=0&frame=1&decisions=1", "position=99999999999999999999"])
    assert.deepEqual(await ask(`/internal/log/s1?${query}`), [400, "api.bad_request"], query);
  for (const path of ["/", "//", "/internal/logs", "/live/a"])
    assert.equal((await fetch(url + path)).status, 204, path);
});

serving(
  "what is stored may be let go; anything else than an instant is refused",
  async ({ log, source, url, token }) => {
    stepInto(log, source, 900);
    const headers = { authorization: `Bearer ${await token()}`, ...JSON_BODY };
    const post = (body: string) => fetch(`${url}/internal/log/s1/stored`, { method: "POST", headers, body });
    const long = `{"throughNs":"1"${" ".repeat(2000)}}`;
    for (const body of ["", "null", "{}", '{"throughNs":5}', '{"throughNs":"-5"}', '{"throughNs":"1e9"}', "[1", long])
      assert.deepEqual(await problem(await post(body)), [400, "api.bad_request"], body);
    assert.equal(log.first, 0);
    const throughNs = timeOf(source.rate, source.frame).toString();
    assert.equal((await post(JSON.stringify({ throughNs }))).status, 204);
    assert.ok(log.first > 0);
  },
);

test("a hundred readers of one log keep up", { timeout: 60_000 }, async () => {
  const log = new SessionLog({ session: "s1", bytesMax: 20_000_000, keepNs: 12_000_000_000n });
  const clock = systemClock();
  const keys = jwtKeys(new Uint8Array(32).fill(1), clock);
  const server = createServer(logHttp({ logs: () => log, keys, log: silentLog, clock }) as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const headers = { authorization: `Bearer ${await keys.mint(SESSION, 60)}` };
  const source = new TestSource({ payloadBytes: 3000 });
  for (const entry of source.opening()) log.append(entry);
  const reading = Array.from({ length: 100 }, async () => {
    const response = await new Promise<IncomingMessage>((resolve) =>
      httpRequest({ port, path: "/internal/log/s1", headers, agent: false }, resolve).end(),
    );
    const own = new Reading(response);
    await own.toEnd();
    return own.records.length;
  });
  for (let i = 0; i < 100; i += 1) {
    stepInto(log, source, 1);
    await new Promise(setImmediate);
  }
  log.append(source.end());
  assert.deepEqual(new Set(await Promise.all(reading)), new Set([log.next]));
  await new Promise((resolve) => server.close(resolve));
});
