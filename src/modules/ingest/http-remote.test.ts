import { strict as assert } from "node:assert";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { PASSED_ON, peerOf, remoteOf } from "./http-remote.ts";

const keys = jwtKeys(new Uint8Array(32).fill(7), systemClock());

function asked(headers: Record<string, string>, remoteAddress = "10.0.0.1"): IncomingMessage {
  const socket = Object.defineProperties(new Socket(), {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: 4711 },
  });
  return Object.assign(new IncomingMessage(socket), { headers });
}

const passedOn = (token: string) => asked({ [PASSED_ON.remote]: "192.0.2.7:5000", [PASSED_ON.token]: token });

test("the peer's address, of IPv4 on a socket of IPv6 as well", () => {
  assert.equal(peerOf(asked({})), "10.0.0.1:4711");
  assert.equal(peerOf(asked({}, "::ffff:10.0.0.2")), "10.0.0.2:4711");
  assert.equal(peerOf(asked({}, "2001:db8::1")), "2001:db8::1:4711");
});

test("whom the front door names, and nobody whom others name", async () => {
  const door = await keys.mint({ kind: "internal", role: "front" }, 60);
  assert.equal(await remoteOf(passedOn(door), keys), "192.0.2.7:5000");
  const worker = await keys.mint({ kind: "worker", worker: "w" }, 60);
  const stranger = await jwtKeys(new Uint8Array(32).fill(8), systemClock()).mint(
    { kind: "internal", role: "front" },
    60,
  );
  for (const token of [worker, stranger, "", "a.b.c"])
    assert.equal(await remoteOf(passedOn(token), keys), "10.0.0.1:4711", token);
  assert.equal(await remoteOf(asked({ [PASSED_ON.remote]: "192.0.2.7:5000" }), keys), "10.0.0.1:4711");
});
