import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { seededRandom } from "#base/random.ts";
import { networkConformance } from "../conformance.ts";
import { memoryNetwork } from "./memory.ts";
import { nodeNetwork } from "./node.ts";

networkConformance("node", () => ({ network: nodeNetwork(), pump: () => {} }));

networkConformance("memory", () => {
  const clock = simClock();
  return { network: memoryNetwork(clock), pump: () => clock.advance(1) };
});

networkConformance("memory with faults", () => {
  const clock = simClock();
  const faults = { random: seededRandom(7), delayMsMax: 20, pieceBytesMax: 50_000 };
  return { network: memoryNetwork(clock, faults), pump: () => clock.advance(1) };
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
