import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { simClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import { networkConformance } from "../conformance.ts";
import { makeCertificate } from "../testing/certificate.ts";
import { watchCertificate } from "./certificate.ts";
import { parse } from "./kernel-drops.ts";
import { memoryNetwork } from "./memory.ts";
import { nodeNetwork } from "./node.ts";

const folder = mkdtempSync(join(tmpdir(), "continuity-network-"));
after(() => rmSync(folder, { recursive: true }));
const tls = makeCertificate(folder);

networkConformance("node", () => ({ network: nodeNetwork(), pump: () => {}, tls }));

networkConformance("memory", () => {
  const clock = simClock();
  return { network: memoryNetwork(clock), pump: () => clock.advance(1), tls };
});

networkConformance("memory with faults", () => {
  const clock = simClock();
  const faults = { random: seededRandom(7), delayMsMax: 20, pieceBytesMax: 50_000, loss: 0.2, repeat: 0.2 };
  return { network: memoryNetwork(clock, faults), pump: () => clock.advance(1), tls };
});

test("memory: the same seed cuts at the same byte", async () => {
  const run = async (seed: number) => {
    const clock = simClock();
    const network = memoryNetwork(clock, { random: seededRandom(seed), cut: 0.05, pieceBytesMax: 10, delayMsMax: 5 });
    let received = 0;
    let error: Error | null = null;
    const { port } = await network.listenTcp({ host: "a", port: 0 }, (connection) => {
      connection.onData((bytes) => (received += bytes.length));
      connection.onClose((cause) => (error = cause));
    });
    const client = await network.connectTcp({ host: "a", port, timeoutMs: 1 });
    for (let i = 0; i < 1000 && error === null; i += 1) {
      client.write(Buffer.alloc(100));
      clock.advance(1);
    }
    assert.match(String(error), /ECONNRESET/);
    return received;
  };
  assert.equal(await run(1), await run(1));
  assert.notEqual(await run(1), await run(2));
});

test("node: a port that this host does not have is not in use but wrong", async () => {
  const elsewhere = { host: "192.0.2.1", port: 0 }; // RFC 5737: an address of nobody
  await assert.rejects(
    nodeNetwork().listenTcp(elsewhere, () => {}),
    { code: "config.invalid" },
  );
});

test("node: datagrams that find no room are counted", { skip: process.platform !== "linux" }, async () => {
  const address = { host: "127.0.0.1", port: 0, receiveBufferBytes: 10_000 };
  const socket = await nodeNetwork().openUdp(address, () => {});
  try {
    const flood = `const socket = require("dgram").createSocket("udp4"); let left = 200;
      for (let i = 0; i < 200; i += 1) socket.send(Buffer.alloc(1316), ${socket.port}, "127.0.0.1", () => --left || socket.close());`;
    assert.equal(spawnSync(process.execPath, ["-e", flood]).status, 0); // while it runs, nobody reads here
    const drops = await socket.drops();
    assert.ok(drops !== null && drops > 100 && drops < 200, `${drops} drops`);
  } finally {
    await socket.close();
  }
});

test("the kernel's table: port, inode and drops of each row; what is no row is left out", () => {
  const text = [
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
    " 2217: 0100007F:C35B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 67890 2 0000000000000000 42",
    "",
    "garbage",
  ].join("\n");
  assert.deepEqual(parse(text), [{ port: 50_011, inode: "67890", drops: 42 }]);
});

test("node: a group that is none, and an interface that is not ours, are wrong by name", async () => {
  const open = (group: string, local: string) =>
    nodeNetwork().openUdp(
      { host: "0.0.0.0", port: 0, receiveBufferBytes: 10_000, multicast: { group, interface: local } },
      () => {},
    );
  await assert.rejects(open("10.0.0.1", "127.0.0.1"), { code: "config.invalid" });
  await assert.rejects(open("239.255.77.1", "192.0.2.1"), { code: "config.invalid" });
});

test("node: TLS: files that are no pair are refused by name; a client that does not trust them is told", async () => {
  const other = makeCertificate(folder, "other");
  const mixed = { certificate: tls.certificate, key: other.key };
  const listening = (files: typeof mixed) =>
    nodeNetwork().listenTls({ host: "127.0.0.1", port: 0, tls: files }, () => {});
  await assert.rejects(listening(mixed), { code: "config.invalid", message: /own\.pem and .*other\.key/ });
  await assert.rejects(listening({ ...mixed, key: "/nowhere" }), { code: "config.invalid", message: /\/nowhere/ });
  const { port, close } = await listening(tls);
  await assert.rejects(nodeNetwork().connectTls({ host: "127.0.0.1", port, timeoutMs: 5000 }), {
    code: "network.unreachable",
  });
  await close();
});

test("a renewed certificate is taken, half a renewal is refused and changes nothing", { timeout: 10_000 }, async () => {
  const [first, second] = [makeCertificate(folder, "first"), makeCertificate(folder, "second")];
  const files = { certificate: join(folder, "live.pem"), key: join(folder, "live.key") };
  copyFileSync(first.certificate, files.certificate);
  copyFileSync(first.key, files.key);
  const seen: string[] = [];
  let told = () => {};
  const watch = watchCertificate(
    files,
    ({ cert }) => {
      seen.push(cert.toString());
      told();
    },
    (error) => {
      seen.push(error.code);
      told();
    },
    5,
  );
  const next = () => new Promise<void>((resolve) => (told = resolve));
  const half = next();
  copyFileSync(second.certificate, files.certificate);
  await half;
  const whole = next();
  copyFileSync(second.key, files.key);
  await whole;
  watch.stop();
  assert.deepEqual(seen, ["config.invalid", second.authority]);
});

test("node: who does not finish the handshake is cut with the listener", async () => {
  const network = nodeNetwork();
  const { port, close } = await network.listenTls({ host: "127.0.0.1", port: 0, tls }, () =>
    assert.fail("no handshake"),
  );
  const silent = await network.connectTcp({ host: "127.0.0.1", port, timeoutMs: 5000 });
  const closed = new Promise((resolve) => silent.onClose(resolve));
  silent.onData(() => {});
  silent.write(Buffer.from("GET / HTTP/1.1\r\n"));
  await closed; // no TLS: cut at once
  const waiting = await network.connectTcp({ host: "127.0.0.1", port, timeoutMs: 5000 });
  const cut = new Promise((resolve) => waiting.onClose(resolve));
  waiting.onData(() => {});
  await close();
  await cut;
});
