// What every network driver must do. Each driver's test calls this with a way to make one.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { PlatformError } from "#base/errors.ts";
import type { Certificate, Listener, Network, TcpConnection, UdpPeer, UdpSocket } from "./network.ts";

export type NetworkUnderTest = Readonly<{
  network: Network;
  /** Called between turns of the event loop: a driver on a simulated clock moves it here. */
  pump(): void;
  /** Of "localhost" and 127.0.0.1, and what a client trusts it by. */
  tls: Certificate & Readonly<{ authority: string }>;
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

  test(`${name}: TLS: bytes both ways, end, and a port that is only reached by its kind`, {
    timeout: 10_000,
  }, async () => {
    const { network, pump, tls } = create();
    const wait = until(pump);
    const accepted: TcpConnection[] = [];
    const address = { host: HOST, port: 0, tls };
    const listener = await network.listenTls(address, (connection) => accepted.push(connection));
    try {
      const { authority } = tls;
      const client = await network.connectTls({ host: HOST, port: listener.port, timeoutMs: 5000, authority });
      await wait(() => accepted.length === 1);
      const [atClient, atServer] = [watch(client), watch(accepted[0]!)];
      client.write(Buffer.alloc(100_000, 5));
      accepted[0]!.write(Buffer.from("hello"));
      await wait(() => atServer.bytes.length === 100_000 && atClient.bytes.length === 5);
      assert.match(accepted[0]!.remote, /^127\.0\.0\.1:\d+$/);
      client.end();
      await wait(() => atServer.closed !== null && atClient.closed !== null);
      assert.deepEqual([atServer.closed, atClient.closed], [{ error: null }, { error: null }]);
      await assert.rejects(
        network.listenTls({ host: HOST, port: listener.port, tls }, () => {}),
        coded("network.address_in_use"),
      );
    } finally {
      await listener.close();
    }
  });

  /** A socket and what it received. */
  const receiving = async ({ network }: NetworkUnderTest, change: object = {}) => {
    const received: { bytes: Buffer; from: UdpPeer }[] = [];
    const address = { host: HOST, port: 0, receiveBufferBytes: 100_000, ...change };
    const socket = await network.openUdp(address, (bytes, from) => received.push({ bytes, from }));
    return { socket, received };
  };
  /** Sends until something of it is there: the line may lose datagrams. */
  const sendUntil = async (subject: NetworkUnderTest, send: () => void, holds: () => boolean) => {
    while (!holds()) {
      send();
      for (let i = 0; i < 10 && !holds(); i += 1) await until(subject.pump)(alternately());
    }
  };
  const udp = (title: string, body: (subject: NetworkUnderTest, opened: UdpSocket[]) => Promise<void>) =>
    test(`${name}: UDP: ${title}`, { timeout: 10_000 }, async () => {
      const opened: UdpSocket[] = [];
      try {
        await body(create(), opened);
      } finally {
        for (const socket of opened) await socket.close();
      }
    });

  udp("datagrams keep their borders and say where they come from", async (subject, opened) => {
    const a = await receiving(subject);
    const b = await receiving(subject);
    opened.push(a.socket, b.socket);
    assert.ok(b.socket.receiveBufferBytes > 0);
    for (const size of [1, 1316, 1472]) {
      const sent = Buffer.alloc(size, size % 251);
      const arrived = () => b.received.find(({ bytes }) => bytes.length === size);
      await sendUntil(
        subject,
        () => a.socket.send(sent, { host: HOST, port: b.socket.port }),
        () => arrived() !== undefined,
      );
      assert.deepEqual(arrived(), { bytes: sent, from: { host: HOST, port: a.socket.port } });
    }
    assert.equal(a.received.length, 0);
    const drops = await b.socket.drops();
    assert.ok(drops === null || drops === 0, `${drops} drops`);
  });

  udp("a port in use is refused; a closed one is free again and gets nothing", async (subject, opened) => {
    const a = await receiving(subject);
    const { port } = a.socket;
    await assert.rejects(receiving(subject, { port }), (error) => {
      assert.ok(coded("network.address_in_use")(error) && (error as Error).message.includes(String(port)));
      return true;
    });
    await a.socket.close();
    const again = await receiving(subject, { port });
    const from = await receiving(subject);
    opened.push(again.socket, from.socket);
    await sendUntil(
      subject,
      () => from.socket.send(Buffer.of(1), { host: HOST, port }),
      () => again.received.length > 0,
    );
    assert.equal(a.received.length, 0);
  });

  udp("a group reaches all that joined it, and of the port no other group", async (subject, opened) => {
    const [group, other] = ["239.255.77.1", "239.255.77.2"];
    const joined = (own: string, port: number, source?: string) =>
      receiving(subject, {
        host: own,
        port,
        multicast: { group: own, interface: HOST, ...(source === undefined ? {} : { source }) },
      });
    const first = await joined(group, 0);
    const { port } = first.socket;
    const second = await joined(group, port);
    const elsewhere = await joined(other, port);
    const picky = await joined(group, port, "127.0.0.2"); // a sender that is nobody here
    const from = await receiving(subject);
    opened.push(first.socket, second.socket, elsewhere.socket, picky.socket, from.socket);
    await sendUntil(
      subject,
      () => from.socket.send(Buffer.of(7), { host: group, port }),
      () => first.received.length > 0 && second.received.length > 0,
    );
    assert.deepEqual([elsewhere.received.length, picky.received.length], [0, 0]);
  });
}

/** A condition that is false once, then true: one turn of the event loop. */
function alternately(): () => boolean {
  let asked = 0;
  return () => asked++ > 0;
}
