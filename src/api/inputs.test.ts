// A channel's own ports by the API: how they are doing, and that no two channels get the same.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { asSchema, wrongFields } from "#base/schema.ts";
import type { InputState } from "#modules/ingest/types.ts";
import * as schemas from "./schemas.ts";
import { start } from "./testing/start.ts";

let here: Awaited<ReturnType<typeof start>>;
before(async () => (here = await start()));
after(() => here.close());

const STATE: InputState = {
  channel: "studio",
  kind: "udp",
  host: "127.0.0.1",
  port: 5000,
  state: "connected",
  error: null,
  remote: "192.0.2.7:1234",
  bytes: 1316,
  datagrams: {
    received: 1,
    encapsulation: "rtp",
    lost: 0,
    reordered: 0,
    stale: 0,
    ignored: 0,
    malformed: 0,
    overflowed: 0,
    dropped: null,
    receiveBufferBytes: 100_000,
  },
};

test("a channel shows how its inputs are doing; who comes by them needs no key", async () => {
  const { ask, house } = here;
  const inputs = [{ kind: "udp", port: 5000 }];
  assert.equal((await ask("/api/v1/channels", { method: "POST", body: { name: "studio", inputs } })).status, 201);
  const error = { code: "network.address_in_use", message: "port 7 is taken" };
  house.world.inputs = [STATE, { ...STATE, channel: "other", state: "failed", error, datagrams: null }];
  const { json } = await ask("/api/v1/channels/studio");
  const { channel: _, ...shown } = STATE;
  assert.deepEqual([json.inputs, json.inputStates], [inputs, [shown]]);
  const all = await ask("/api/v1/channels");
  assert.deepEqual(wrongFields(asSchema(schemas.itemsOf(schemas.channel)), all.json), []);
  house.gateway.set(null);
  assert.deepEqual((await ask("/api/v1/channels/studio")).json.inputStates, [shown], "as it was heard last");
  const way = { protocol: "mpegts-udp", rtmpPath: null, key: null, remote: "192.0.2.7:1234" } as const;
  assert.equal(house.channels.authorize({ ...way, byInput: true, channel: "studio" }).name, "studio");
  assert.throws(() => house.channels.authorize({ ...way, byInput: false, channel: "studio" }), {
    code: "publish.key_refused",
  });
  assert.throws(() => house.channels.authorize({ ...way, byInput: true, channel: "gone" }), {
    code: "publish.channel_unknown",
  });
});

test("a port is one channel's; another group on it may be another's", async () => {
  const { ask } = here;
  const put = (name: string, ...inputs: object[]) =>
    ask(`/api/v1/channels/${name}`, { method: "PUT", body: { inputs } });
  const group = (last: number) => ({ kind: "udp", port: 6000, group: `239.1.1.${last}` });
  assert.equal((await put("first", { kind: "tcp", port: 6000 }, group(1))).status, 201);
  const rival = await put("second", { kind: "tcp", port: 6000 });
  assert.deepEqual([rival.status, rival.json.code], [409, "api.conflict"]);
  assert.match(rival.json.detail, /tcp port 6000 is an input of channel first/);
  assert.equal((await put("second", group(2))).status, 201);
  assert.equal((await put("first", group(1))).status, 200);
  assert.equal((await put("second", group(1))).status, 409);
});
