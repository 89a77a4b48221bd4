import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Input } from "#media/channel.ts";
import { portRival, samePort } from "./input-ports.ts";

const udp = (change: object = {}) => ({ kind: "udp" as const, port: 5000, ...change });
const tcp = (change: object = {}) => ({ kind: "tcp" as const, port: 5000, ...change });

test("what can be had at once, and what cannot; it does not matter who came first", () => {
  const together = [
    [udp(), tcp()],
    [udp(), udp({ port: 5001 })],
    [udp({ host: "10.0.0.1" }), udp({ host: "10.0.0.2" })],
    [udp({ group: "239.1.1.1" }), udp({ group: "239.1.1.2" })],
    [udp({ group: "232.1.1.1", source: "10.0.0.1" }), udp({ group: "232.1.1.1", source: "10.0.0.2" })],
    [udp({ host: "10.0.0.1" }), udp({ group: "239.1.1.1" })],
  ] as const;
  const rivals = [
    [udp(), udp()],
    [tcp({ host: "0.0.0.0" }), tcp({ host: "10.0.0.1" })],
    [udp({ host: "10.0.0.1" }), udp({ host: "10.0.0.1" })],
    [udp({ group: "239.1.1.1" }), udp({ group: "239.1.1.1" })],
    [udp({ group: "232.1.1.1" }), udp({ group: "232.1.1.1", source: "10.0.0.2" })],
    [udp({ host: "0.0.0.0" }), udp({ group: "239.1.1.1" })],
  ] as const;
  for (const [a, b] of together) assert.ok(!samePort(a, b) && !samePort(b, a), JSON.stringify([a, b]));
  for (const [a, b] of rivals) assert.ok(samePort(a, b) && samePort(b, a), JSON.stringify([a, b]));
});

test("a rival is named; pulls have no port; a channel is no rival of what it was before", () => {
  const channel = (name: string, ...inputs: Input[]) => ({ name, inputs });
  const others = [channel("a", { kind: "pull", url: "rtsp://camera/1" }), channel("b", tcp()), channel("c", udp())];
  assert.deepEqual(portRival(channel("d", tcp({ port: 1 }), udp()), others), { input: udp(), owner: "c" });
  assert.deepEqual(portRival(channel("d", udp({ port: 7 }), udp({ port: 7 })), others)?.owner, "d");
  assert.equal(portRival(channel("c", udp()), others), null);
});
