import { strict as assert } from "node:assert";
import { createServer, type RequestListener, type Server } from "node:http";
import { test } from "node:test";
import { type Clock, simClock, systemClock, type Timer } from "#base/clock.ts";
import type { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { encodeHeader } from "#media/session-log/codec.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import { timeOf } from "#media/time/rate.ts";
import { logHttp } from "#modules/ingest/log/http.ts";
import { SessionLog } from "#modules/ingest/log/session-log.ts";
import { TestSource } from "#modules/ingest/log/testing/source.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { type LogClient, logClient } from "./log-client.ts";

const KEYS = jwtKeys(new Uint8Array(32).fill(1), systemClock());
const token = () => KEYS.mint({ kind: "session", session: "s1", channel: "news" }, 60);
/** As the client has it. */
const SILENT_MS = 3000;
const TIMEOUT_MS = 60_000;
const never = () => new AbortController().signal;

/** A gateway that can be killed and started again on the same port. */
class Gateway {
  logs = new Map<string, SessionLog>();
  connections = 0;
  #server: Server | null = null;
  #port = 0;

  async start(handler?: RequestListener): Promise<void> {
    const serve = logHttp({ logs: (id) => this.logs.get(id), keys: KEYS, log: silentLog, clock: systemClock() });
    const server = createServer(handler ?? ((request, response) => void serve(request, response)));
    server.on("connection", () => (this.connections += 1));
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as { port: number }).port;
    this.#server = server;
  }

  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
}

type Under = { gateway: Gateway; log: SessionLog; source: TestSource; client: LogClient };

function using(title: string, body: (under: Under) => Promise<void>): void {
  test(title, { timeout: TIMEOUT_MS }, async () => {
    const gateway = new Gateway();
    await gateway.start();
    const log = new SessionLog({ session: "s1", bytesMax: 20_000_000, keepNs: 12_000_000_000n });
    gateway.logs.set("s1", log);
    const source = new TestSource({ gopFrames: 30 });
    for (const entry of source.opening()) log.append(entry);
    const common = { clock: systemClock(), log: silentLog, random: seededRandom(1) };
    const client = logClient({ ...common, gatewayUrl: () => gateway.url, token });
    try {
      await body({ gateway, log, source, client });
    } finally {
      await gateway.kill();
    }
  });
}

function stepInto(log: SessionLog, source: TestSource, frames: number): void {
  for (let i = 0; i < frames; i += 1) for (const entry of source.step()) log.append(entry);
}

/** Everything the log still holds, as its own reader sees it. */
async function whole(log: SessionLog): Promise<Positioned[]> {
  return Array.fromAsync(log.openReader("first"));
}

const plain = ({ position, entry }: Positioned): Positioned<Entry> => ({
  position,
  entry: entry.kind === "unit" ? { ...entry, payload: new Uint8Array(entry.payload) } : entry,
});

using("a worker reads the same entries from another process", async ({ log, source, client }) => {
  stepInto(log, source, 60);
  const reading = Array.fromAsync(client.logSource("s1").entries(null, never()));
  stepInto(log, source, 60);
  log.append(source.end());
  assert.deepEqual((await reading).map(plain), (await whole(log)).map(plain));
});

using("a worker that joins at a frame gets all decisions, then what the frame is made from", async (under) => {
  const { log, source, client } = under;
  stepInto(log, source, 100);
  const frame = source.firstFrame + 75;
  const expected = log.openReader({ era: 0, frame });
  log.append(source.end());
  const read = await Array.fromAsync(client.logSource("s1").entries({ era: 0, frame }, never()));
  assert.deepEqual(read.map(plain), (await Array.fromAsync(expected)).map(plain));
  assert.ok(read.length < log.next);
});

using("connections that are cut at any moment are not noticed: no entry twice, none missing", async (under) => {
  const { gateway, log, source, client } = under;
  const random = seededRandom(5);
  const seen: Positioned[] = [];
  const decisions = Array.fromAsync(client.decisions("s1", 0, never()));
  let cuts = 0;
  for await (const at of client.logSource("s1").entries(null, never())) {
    seen.push(plain(at));
    if (!log.ended && at.position >= log.next - 5) {
      if (cuts === 8) log.append(source.end());
      else stepInto(log, source, random.int(1, 40));
      if (cuts < 8 && random.next() < 0.5) {
        cuts += 1;
        await gateway.kill();
        await gateway.start();
      }
    }
  }
  assert.equal(cuts, 8);
  assert.ok(gateway.connections > 8);
  assert.deepEqual(seen, (await whole(log)).map(plain));
  assert.deepEqual(await decisions, log.decisions());
});

using("decisions go on after a restart of the gateway, from the restored log", async (under) => {
  const { gateway, log, source, client } = under;
  const seen: number[] = [];
  for await (const { position } of client.decisions("s1", 2, never())) {
    seen.push(position);
    if (position !== 3) continue;
    await gateway.kill();
    const restored = new SessionLog({
      session: "s1",
      bytesMax: 1_000_000,
      keepNs: 0n,
      restored: { decisions: log.decisions(), next: 1000 },
    });
    gateway.logs.set("s1", restored);
    restored.append(source.resumeAt(source.frame + 10));
    restored.append(source.end());
    await gateway.start();
  }
  assert.deepEqual(seen, [2, 3, 1000, 1001]);
});

using("decisions asked for from beyond the end: none, and no waiting", async ({ log, source, client }) => {
  log.append(source.end());
  assert.deepEqual(await Array.fromAsync(client.decisions("s1", log.next, never())), []);
});

using("a slow worker is cut off with the gateway's code", async ({ gateway, source, client }) => {
  const log = new SessionLog({ session: "s1", bytesMax: 400_000, keepNs: 0n });
  gateway.logs.set("s1", log);
  for (const entry of source.opening()) log.append(entry);
  const reading = client.logSource("s1").entries(null, never())[Symbol.asyncIterator]();
  await reading.next();
  while (log.readersCut === 0) {
    stepInto(log, source, 50);
    await new Promise(setImmediate);
  }
  const toEnd = async () => {
    while (!(await reading.next()).done);
  };
  await assert.rejects(toEnd(), { code: "log.reader_too_slow" });
});

using("a position that is gone ends it with the code", async ({ log, source, client }) => {
  stepInto(log, source, 900);
  log.storedThrough(timeOf(source.rate, source.frame));
  assert.ok(log.first > 0);
  const reading = Array.fromAsync(client.logSource("s1").entries({ era: 0, frame: source.firstFrame }, never()));
  await assert.rejects(reading, { code: "log.position_gone" });
});

using(
  "an abort ends it quietly, while reading, while waiting and before it began",
  async ({ gateway, log, client }) => {
    const aborted = AbortSignal.abort();
    assert.deepEqual(await Array.fromAsync(client.logSource("s1").entries(null, aborted)), []);
    const controller = new AbortController();
    for await (const { position } of client.decisions("s1", 0, controller.signal))
      if (position === 3) controller.abort();
    while (log.readers > 0) await new Promise(setImmediate);
    await gateway.kill();
    const waiting = new AbortController();
    const reading = Array.fromAsync(client.decisions("s1", 0, waiting.signal));
    waiting.abort();
    assert.deepEqual(await reading, []);
  },
);

using("leaving the loop closes the connection", async ({ log, source, client }) => {
  stepInto(log, source, 10);
  for await (const _ of client.logSource("s1").entries(null, never())) break;
  while (log.readers > 0) await new Promise(setImmediate);
});

using("a token of another session ends it", async ({ gateway }) => {
  const other = () => KEYS.mint({ kind: "session", session: "s2", channel: "news" }, 60);
  const common = { clock: systemClock(), log: silentLog, random: seededRandom(1) };
  const client = logClient({ ...common, gatewayUrl: () => gateway.url, token: other });
  await assert.rejects(Array.fromAsync(client.logSource("s1").entries(null, never())), { code: "api.forbidden" });
  await assert.rejects(Array.fromAsync(client.decisions("s1", 0, never())), { code: "api.forbidden" });
});

using(
  "what is stored reaches the log; the newest of many reports is the last",
  async ({ gateway, log, source, client }) => {
    stepInto(log, source, 1500);
    const before = gateway.connections;
    for (let frame = source.firstFrame; frame <= source.frame; frame += 10)
      client.storedThrough("s1", timeOf(source.rate, frame));
    const expected = new SessionLog({ session: "s1", bytesMax: 20_000_000, keepNs: 12_000_000_000n });
    for (const { entry } of Array.from({ length: log.next }, (_, at) => log.at(at))) expected.append(entry);
    expected.storedThrough(timeOf(source.rate, source.frame));
    while (log.first < expected.first) await new Promise(setImmediate);
    assert.ok(gateway.connections - before <= 2, "reports travel together");
  },
);

/** Time for a client against a real socket: it stands still while bytes are on their way, however slow the machine is,
 *  and moves by exactly what the client waits for. */
class PacedClock implements Clock {
  readonly #clock = simClock();
  readonly #delaysMs = new Map<object, number>();
  utcNs = () => this.#clock.utcNs();
  monotonicMs = () => this.#clock.monotonicMs();
  hostInstant = () => this.#clock.hostInstant();

  setTimer(delayMs: number, fire: () => void): Timer {
    const key = {};
    this.#delaysMs.set(key, delayMs);
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#delaysMs.delete(key);
      fire();
    });
    const cancel = () => {
      this.#delaysMs.delete(key);
      timer.cancel();
    };
    return { cancel };
  }

  /** @param hears how often the gateway was asked and will not answer; undefined: it always answers something
   *  @returns what came of it, and how much time passed */
  async run<T>(promise: Promise<T>, hears?: () => number): Promise<{ result: T | PlatformError; tookMs: number }> {
    const startMs = this.monotonicMs();
    let unanswered = 0;
    let settled = false;
    const result = promise.catch((error: PlatformError) => error).finally(() => (settled = true));
    while (!settled) {
      await new Promise(setImmediate);
      const pauseMs = this.#delaysMs.values().find((delayMs) => delayMs < SILENT_MS);
      if (pauseMs !== undefined) this.#clock.advance(pauseMs);
      else if (hears !== undefined && hears() > unanswered) {
        unanswered = hears();
        this.#clock.advance(SILENT_MS);
      }
    }
    return { result: await result, tookMs: this.monotonicMs() - startMs };
  }
}

function simulated(
  title: string,
  handler: RequestListener | null,
  body: (client: LogClient, clock: PacedClock) => Promise<void>,
): void {
  test(title, { timeout: TIMEOUT_MS }, async () => {
    const gateway = new Gateway();
    await gateway.start(handler ?? undefined);
    if (handler === null) await gateway.kill();
    const clock = new PacedClock();
    const common = { clock, log: silentLog, random: seededRandom(1) };
    try {
      await body(logClient({ ...common, gatewayUrl: () => gateway.url, token }), clock);
    } finally {
      await gateway.kill();
    }
  });
}

const worker = (client: LogClient) => Array.fromAsync(client.logSource("s1").entries(null, never()));

function assertCode(result: unknown, code: string): void {
  assert.equal((result as PlatformError).code, code, String(result));
}

simulated("no gateway: a worker gives up after ten seconds", null, async (client, clock) => {
  const { result, tookMs } = await clock.run(worker(client));
  assertCode(result, "network.unreachable");
  assert.ok(tookMs >= 10_000 && tookMs < 20_000, `${tookMs} ms`);
});

let asked = 0;
const mute: RequestListener = (_, response) => {
  asked += 1;
  response.writeHead(200).write(encodeHeader());
};

simulated("a gateway that goes silent is noticed after three seconds and asked again", mute, async (client, clock) => {
  asked = 0;
  const { result, tookMs } = await clock.run(worker(client), () => asked);
  assertCode(result, "network.unreachable");
  assert.match(String((result as PlatformError).cause), /nothing heard for 3000 ms/);
  assert.ok(asked >= 2 && tookMs >= 3000, `asked ${asked} times in ${tookMs} ms`);
});

for (const [what, answer, code] of [
  ["not a session log", "hello, this is a web page", "media.malformed"],
  ["a session log of another version", "CTYSLOG\u0009", "media.unsupported"],
] as const)
  simulated(
    `refused: ${what}`,
    (_, response) => void response.end(answer),
    async (client, clock) => {
      const { result } = await clock.run(worker(client));
      assertCode(result, code);
    },
  );

simulated(
  "another server's error page counts as unreachable",
  (_, response) => void response.writeHead(502).end("<html>".repeat(100_000)),
  async (client, clock) => {
    const { result, tookMs } = await clock.run(worker(client));
    assertCode(result, "network.unreachable");
    assert.ok(tookMs >= 10_000);
  },
);

let unknownFor = 0;
const knowsNone = logHttp({ logs: () => undefined, keys: KEYS, log: silentLog, clock: systemClock() });
const unknown: RequestListener = (request, response) => {
  unknownFor += 1;
  knowsNone(request, response);
};

simulated(
  "an unknown session: a worker is told at once, an origin after some seconds",
  unknown,
  async (client, clock) => {
    const told = await clock.run(worker(client));
    assertCode(told.result, "log.unknown_session");
    assert.equal(unknownFor, 1);
    const { result, tookMs } = await clock.run(Array.fromAsync(client.decisions("s1", 0, never())));
    assertCode(result, "log.unknown_session");
    assert.ok(tookMs >= 5000 && tookMs < 9000, `${tookMs} ms`);
    const later = await clock.run(Array.fromAsync(client.decisions("s1", 7, never())));
    assertCode(later.result, "log.unknown_session");
    assert.ok(later.tookMs < 1000);
  },
);

const torn: RequestListener = (request, response) => {
  asked += 1;
  response.writeHead(200, { "content-length": 100 }).write(encodeHeader(), () => request.socket.end());
};

simulated("a torn answer is a cut connection, not the end of the log", torn, async (client, clock) => {
  asked = 0;
  const { result } = await clock.run(worker(client));
  assertCode(result, "network.unreachable");
  assert.ok(asked > 1);
});
