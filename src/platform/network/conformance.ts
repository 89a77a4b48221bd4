// What every network driver must do. Each driver's test calls this with a way to make one.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { PlatformError } from "#base/errors.ts";
import type { Listener, Network, TcpConnection } from "./network.ts";

export type NetworkUnderTest = Readonly<{
  network: Network;
  /** Called between turns of the event loop: a driver on a simulated clock moves it here. */
  pump(): void;
}>;

const HOST = "127.0.0.1";
const coded = (code: string) => (error: unknown) => error instanceof PlatformError && error.code === code;

/** What a connection received and how it closed. */
function watch(connection: TcpConnection) {
  const seen = { bytes: Buffer.alloc(0), closed: null as { error: Error | null } | null, closes: 0, drains: 0 };
  connection.onData((bytes) => (seen.bytes = Buffer.concat([seen.bytes, bytes])));
  connection.onDrain(() => (seen.drains += 1));
  connection.onClose((error) => {
    seen.closed = { error };
    seen.closes += 1;
  });
  return seen;
}

export function networkConformance(name: string, create: () => NetworkUnderTest): void {
  type Pair = { client: TcpConnection; server: TcpConnection; until: (holds: () => boolean) => Promise<void> };

  const until = (pump: () => void) => async (holds: () => boolean) => {
    while (!holds()) {
      pump();
      await turn(); // no time limit of its own: the test's limit says that it never came true
    }
  };

  const listening = (
    title: string,
    body: (subject: NetworkUnderTest, listener: Listener, accepted: TcpConnection[]) => Promise<void>,
  ) =>
    test(`${name}: ${title}`, { timeout: 10_000 }, async () => {
      const subject = create();
      const accepted: TcpConnection[] = [];
      const listener = await subject.network.listenTcp({ host: HOST, port: 0 }, (connection) =>
        accepted.push(connection),
      );
      try {
        await body(subject, listener, accepted);
      } finally {
        await listener.close();
      }
    });

  const connected = (title: string, body: (pair: Pair) => Promise<void>) =>
    listening(title, async ({ network, pump }, { port }, accepted) => {
      const client = await network.connectTcp({ host: HOST, port, timeoutMs: 5000 });
      const wait = until(pump);
      await wait(() => accepted.length === 1);
      await body({ client, server: accepted[0]!, until: wait });
      client.destroy();
    });

  connected("bytes arrive in order, both ways", async ({ client, server, until }) => {
    const [atClient, atServer] = [watch(client), watch(server)];
    for (let i = 0; i < 100; i += 1) client.write(Buffer.from(`line ${i}\n`));
    server.write(Buffer.from("hello"));
    const sent = Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join("");
    await until(() => atServer.bytes.length === sent.length && atClient.bytes.length === 5);
    assert.equal(atServer.bytes.toString(), sent);
    assert.equal(atClient.bytes.toString(), "hello");
    assert.match(server.remote, /^127\.0\.0\.1:\d+$/);
  });

  connected("what was written before anybody listened is not lost", async ({ client, server, until }) => {
    client.write(Buffer.from("early"));
    for (let i = 0; i < 20; i += 1) await until(alternately());
    const seen = watch(server);
    await until(() => seen.bytes.length === 5);
    assert.equal(seen.bytes.toString(), "early");
  });

  connected("a paused connection delivers nothing; its writer learns, and is told of the drain", async (pair) => {
    const { client, server, until } = pair;
    const [atClient, atServer] = [watch(client), watch(server)];
    server.pause();
    const block = Buffer.alloc(1 << 20, 7);
    let written = 0;
    while (client.write(block) || client.queuedBytes < block.length) {
      written += block.length;
      assert.ok(written < 1 << 28, "write never said that the peer is slow");
      await until(alternately());
    }
    written += block.length;
    for (let i = 0; i < 20; i += 1) await until(alternately());
    assert.equal(atServer.bytes.length, 0);
    assert.ok(client.queuedBytes > 0);
    server.resume();
    await until(() => atServer.bytes.length === written && atClient.drains > 0);
    assert.equal(client.queuedBytes, 0);
  });

  connected(
    "end delivers what is queued, then both sides close without an error",
    async ({ client, server, until }) => {
      const [atClient, atServer] = [watch(client), watch(server)];
      client.write(Buffer.alloc(100_000, 1));
      client.end();
      await until(() => atServer.closed !== null && atClient.closed !== null);
      assert.equal(atServer.bytes.length, 100_000);
      assert.deepEqual([atServer.closed, atClient.closed], [{ error: null }, { error: null }]);
      assert.equal(client.write(Buffer.of(1)), false);
    },
  );

  connected("destroy closes both sides, once", async ({ client, server, until }) => {
    const [atClient, atServer] = [watch(client), watch(server)];
    server.destroy();
    server.destroy();
    await until(() => atServer.closed !== null && atClient.closed !== null);
    assert.deepEqual([atServer.closes, atClient.closes], [1, 1]);
    let late = false;
    client.onClose(() => (late = true));
    await until(() => late);
  });

  listening(
    "closing the listener cuts what is open and frees the port",
    async ({ network, pump }, listener, accepted) => {
      const client = await network.connectTcp({ host: HOST, port: listener.port, timeoutMs: 5000 });
      const seen = watch(client);
      await until(pump)(() => accepted.length === 1);
      await listener.close();
      await until(pump)(() => seen.closed !== null);
      const again = await network.listenTcp({ host: HOST, port: listener.port }, () => {});
      assert.equal(again.port, listener.port);
      await again.close();
      await assert.rejects(
        network.connectTcp({ host: HOST, port: listener.port, timeoutMs: 5000 }),
        coded("network.unreachable"),
      );
    },
  );

  listening("a port in use is refused by name", async ({ network }, { port }) => {
    await assert.rejects(
      network.listenTcp({ host: HOST, port }, () => {}),
      (error) => coded("network.address_in_use")(error) && (error as Error).message.includes(String(port)),
    );
  });
}

/** A condition that is false once, then true: one turn of the event loop. */
function alternately(): () => boolean {
  let asked = 0;
  return () => asked++ > 0;
}
