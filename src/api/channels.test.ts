// Keys, revisions and kicks by the API, and what two operators at once may do to each other.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { asSchema, wrongFields } from "#base/schema.ts";
import { gatewaySession } from "#control/testing/house.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import * as schemas from "./schemas.ts";
import { type Json, start } from "./testing/start.ts";

let here: Awaited<ReturnType<typeof start>>;
before(async () => (here = await start()));
after(() => here.close());

const at = (name: string) => `/api/v1/channels/${name}`;
const fits = (schema: object, value: unknown) => assert.deepEqual(wrongFields(asSchema(schema), value), []);

async function channel(name: string, body: object = {}): Promise<Json> {
  const made = await here.ask("/api/v1/channels", { method: "POST", body: { name, ...body } });
  assert.equal(made.status, 201, made.text);
  return made.json;
}

const asks = (channel: string, key: string, remote = "203.0.113.7:5000"): PublishRequest => ({
  protocol: "rtmp",
  byInput: false,
  channel,
  rtmpPath: `live/${channel}`,
  key,
  remote,
});

const opens = (name: string, key: string) => {
  try {
    return here.house.channels.authorize(asks(name, key)).name === name;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "publish.key_refused");
    return false;
  }
};

test("a key is added, used, rotated with a grace, and revoked; its text is told once", async () => {
  const { ask, house } = here;
  const { keys } = await channel("keyed");
  const added = await ask(`${at("keyed")}/keys`, {
    method: "POST",
    body: { name: "van 2", expiresAt: "2099-01-01T00:00:00Z" },
  });
  assert.equal(added.status, 201);
  fits(schemas.channelKey, added.json);
  assert.ok(opens("keyed", added.json.key) && opens("keyed", keys[0].key));
  const taken = await ask(`${at("keyed")}/keys`, { method: "POST", body: { name: "van 2" } });
  assert.deepEqual([taken.status, taken.json.code], [409, "api.conflict"]);

  const list = (await ask(`${at("keyed")}/keys`)).json.items;
  assert.deepEqual(
    list.map((key: Json) => [key.name, key.key, key.expiresAt, key.lastUsedAt !== null]),
    [
      ["default", undefined, null, true],
      ["van 2", undefined, "2099-01-01T00:00:00Z", true],
    ],
  );

  const path = `${at("keyed")}/keys/van%202`;
  const rotate = (body?: object) => ask(`${path}/rotate`, { method: "POST", body: body ?? {} });
  const second = (await rotate({ graceSeconds: 60 })).json;
  fits(schemas.channelKey, second);
  assert.equal(second.expiresAt, added.json.expiresAt, "what was lent stays lent");
  assert.ok(opens("keyed", added.json.key) && opens("keyed", second.key), "both, within the grace");
  const third = (await rotate({ graceSeconds: 0, key: "a-key-of-ours", expiresAt: null })).json;
  assert.deepEqual([third.key, third.previousUntil, third.expiresAt], ["a-key-of-ours", null, null]);
  assert.deepEqual([opens("keyed", second.key), opens("keyed", added.json.key)], [false, false]);

  const gone = await ask(path, { method: "DELETE" });
  assert.deepEqual([gone.status, gone.json], [200, { kicked: [] }]);
  assert.equal(opens("keyed", "a-key-of-ours"), false);
  const again = await ask(path, { method: "DELETE" });
  assert.deepEqual([again.status, again.json.code], [404, "channel.key_unknown"]);
  assert.match(again.json.detail, /has no key van 2; it has: default/);
  assert.ok(!JSON.stringify(house.store.saved).includes("a-key-of-ours"), "only hashes are stored");
});

test("a grace and a date end when the clock says so", async () => {
  const { ask, house } = here;
  const { keys } = await channel("timed");
  const nowMs = Number(house.clock.utcNs() / 1_000_000n);
  const expiresAt = new Date(nowMs + 5000).toISOString();
  const short = (await ask(`${at("timed")}/keys`, { method: "POST", body: { name: "short", expiresAt } })).json.key;
  assert.ok(opens("timed", short));
  house.clock.advance(5000);
  assert.throws(() => house.channels.authorize(asks("timed", short)), {
    code: "publish.key_refused",
    message: /text of key short of channel timed expired at/,
  });
  assert.ok(opens("timed", keys[0].key));
});

test("who revokes a key disconnects those who are on with it, and nobody else", async () => {
  const { ask, house } = here;
  const made = await channel("shared", { keys: [{ name: "a" }, { name: "b" }] });
  const [a, b] = made.keys.map(({ key }: Json) => key);
  const authority = house.control.publishAuthority();
  await authority.authorize(asks("shared", a, "203.0.113.1:1"));
  const on = (remote: string) => gatewaySession("s-shared", { channel: "shared", remote });
  house.gateway.set([on("203.0.113.1:1")]);
  house.world.kicked.length = 0;
  assert.deepEqual((await ask(`${at("shared")}/keys/b`, { method: "DELETE" })).json, { kicked: [] });
  assert.equal(opens("shared", b), false);
  assert.deepEqual((await ask(`${at("shared")}/keys/a?kick=maybe`, { method: "DELETE" })).status, 400);
  assert.deepEqual((await ask(`${at("shared")}/keys/a`, { method: "DELETE" })).json, { kicked: ["s-shared"] });
  assert.deepEqual(house.world.kicked, ["s-shared"]);

  const spared = await channel("spared");
  await authority.authorize(asks("spared", spared.keys[0].key, "203.0.113.2:2"));
  house.gateway.set([gatewaySession("s-spared", { channel: "spared", remote: "203.0.113.2:2" })]);
  const left = await ask(`${at("spared")}/keys/default?kick=false`, { method: "DELETE" });
  assert.deepEqual([left.json, house.world.kicked], [{ kicked: [] }, ["s-shared"]]);

  await channel("unsure");
  house.gateway.set([gatewaySession("s-unsure", { channel: "unsure", remote: "203.0.113.3:3" })]);
  assert.deepEqual((await ask(`${at("unsure")}/keys/default`, { method: "DELETE" })).json, { kicked: ["s-unsure"] });
  house.gateway.set([]);
});

test("a session is kicked or stopped by its id; one that is over is unknown", async () => {
  const { ask, house } = here;
  house.gateway.set([gatewaySession("s-on"), gatewaySession("s-off", { state: "ended", endReason: "publisher" })]);
  house.world.kicked.length = 0;
  const kick = (id: string) => ask(`/api/v1/sessions/${id}/kick`, { method: "POST" });
  assert.deepEqual([(await kick("s-on")).status, house.world.kicked], [202, ["s-on"]]);
  for (const id of ["s-off", "s-none"]) assert.equal((await kick(id)).json.code, "log.unknown_session");
  house.gateway.set(null);
  assert.equal((await kick("s-on")).status, 503);
  house.gateway.set([]);
});

test("If-Match: who read an older state changes nothing", async () => {
  const { ask } = here;
  const made = await channel("two-hands");
  const read = await ask(at("two-hands"));
  assert.deepEqual([read.headers.etag, read.json.revision], [`"${made.revision}"`, made.revision]);
  const headers = { "if-match": String(read.headers.etag) };
  const first = await ask(at("two-hands"), { method: "PATCH", body: { windowSegments: 12 }, headers });
  assert.equal(first.status, 200);
  assert.notEqual(first.json.revision, made.revision);
  const late: [string, string, object?][] = [
    ["PATCH", at("two-hands"), { windowSegments: 20 }],
    ["PUT", at("two-hands"), {}],
    ["DELETE", at("two-hands")],
    ["POST", `${at("two-hands")}/keys`, { name: "x" }],
    ["POST", `${at("two-hands")}/keys/default/rotate`, {}],
    ["DELETE", `${at("two-hands")}/keys/default`],
    ["PUT", at("never-there"), {}],
  ];
  for (const [method, path, body] of late) {
    const refused = await ask(path, { method, body, headers });
    assert.deepEqual([refused.status, refused.json.code], [412, "channel.changed_meanwhile"], `${method} ${path}`);
  }
  assert.equal((await ask(at("two-hands"))).json.windowSegments, 12);
  const now = { "if-match": `"${first.json.revision}"` };
  assert.equal((await ask(at("two-hands"), { method: "DELETE", headers: now })).status, 204);
});

test("of two changes at once with one revision, one happens", async () => {
  const { ask } = here;
  const { revision } = await channel("race");
  const headers = { "if-match": `"${revision}"` };
  const both = await Promise.all(
    [12, 20].map((windowSegments) => ask(at("race"), { method: "PATCH", body: { windowSegments }, headers })),
  );
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
});

test("a revision tells settings and keys, and not that a key was used", async () => {
  const made = await channel("steady");
  assert.ok(opens("steady", made.keys[0].key));
  assert.equal((await here.ask(at("steady"))).json.revision, made.revision);
});

test("limits are changed one by one; what is wrong in them is named", async () => {
  const { ask } = here;
  const made = await channel("bounded", { limits: { height: 1080 } });
  assert.deepEqual(made.limits, { bitrateKbps: null, height: 1080, durationSeconds: null });
  const patched = await ask(at("bounded"), { method: "PATCH", body: { limits: { bitrateKbps: 6000 } } });
  assert.deepEqual(patched.json.limits, { bitrateKbps: 6000, height: 1080, durationSeconds: null });
  const wrong = await ask(at("bounded"), { method: "PATCH", body: { limits: { heigth: 5, bitrateKbps: 1 } } });
  assert.deepEqual(
    wrong.json.errors.map(({ field }: Json) => field),
    ["limits.heigth", "limits.bitrateKbps"],
  );
});

test("credentials of a pulled address are not shown, and stay when they come back hidden", async () => {
  const { ask, house } = here;
  const url = "rtsp://user:pass@cam.example.org/one?token=abc&x=y";
  const made = await channel("puller", { inputs: [{ kind: "pull", url }] });
  const hidden = "rtsp://***@cam.example.org/one?token=***&x=***";
  assert.equal(made.inputs[0].url, hidden);
  assert.ok(!(await ask("/api/v1/channels")).text.includes("pass"));
  const body = { inputs: [{ kind: "pull", url: hidden, onDemand: true }] };
  const patched = await ask(at("puller"), { method: "PATCH", body });
  assert.deepEqual(patched.json.inputs, [{ kind: "pull", url: hidden, onDemand: true }]);
  assert.deepEqual(house.channels.get("puller")!.channel.inputs, [{ kind: "pull", url, onDemand: true }]);
});
