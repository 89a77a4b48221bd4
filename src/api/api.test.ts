import { strict as assert } from "node:assert";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { asSchema, wrongFields } from "#base/schema.ts";
import { hashKey } from "#control/channel-keys.ts";
import { gatewaySession, originSession, PUBLISH_KEY, settle } from "#control/testing/house.ts";
import * as schemas from "./schemas.ts";
import { start, TOKEN } from "./testing/start.ts";

let here: Awaited<ReturnType<typeof start>>;
before(async () => (here = await start()));
after(() => here.close());

const fits = (schema: object, value: unknown) => assert.deepEqual(wrongFields(asSchema(schema), value), []);

describe("channels", () => {
  test("made with a key that is shown once; then read, changed, removed", async () => {
    const { ask, house } = here;
    const made = await ask("/api/v1/channels", { method: "POST", body: { name: "news", partSeconds: 0.2 } });
    assert.equal(made.status, 201);
    assert.equal(made.headers.location, "/api/v1/channels/news");
    fits(schemas.channel, made.json);
    const [{ name, key }] = made.json.keys;
    assert.equal(name, "default");
    assert.match(key, /^[\w-]{32}$/);
    assert.equal(house.store.saved.find((entry) => entry.channel.name === "news")!.keys[0]!.sha256, hashKey(key));
    const request = { protocol: "rtmp", byInput: false, channel: "news", rtmpPath: null, key, remote: "r" } as const;
    assert.equal(house.channels.authorize(request).partSeconds, 0.2);

    const read = await ask("/api/v1/channels/news");
    fits(schemas.channel, read.json);
    assert.deepEqual(read.json.keys.map(Object.keys), [
      Object.keys(made.json.keys[0]).filter((field) => field !== "key"),
    ]);
    assert.equal(Date.parse(read.json.keys[0].createdAt), Number(house.clock.utcNs() / 1_000_000n));
    assert.ok(!(await ask("/api/v1/channels")).text.includes(key));

    const patched = await ask("/api/v1/channels/news", {
      method: "PATCH",
      body: { keys: [{ name: "default" }, { name: "van" }] },
    });
    assert.equal(patched.json.partSeconds, 0.2);
    const shown = patched.json.keys.map((entry: { name: string; key?: string }) => [entry.name, typeof entry.key]);
    assert.deepEqual(shown, [
      ["default", "undefined"],
      ["van", "string"],
    ]);
    assert.equal(house.channels.authorize(request).name, "news", "the kept key still opens it");

    const put = await ask("/api/v1/channels/news", { method: "PUT", body: { name: "news", windowSegments: 12 } });
    assert.deepEqual([put.status, put.json.partSeconds, put.json.windowSegments], [200, 0.334, 12]);
    assert.equal(put.json.keys.length, 2);

    const gone = await ask("/api/v1/channels/news", { method: "DELETE" });
    assert.deepEqual([gone.status, gone.text], [204, ""]);
    assert.equal((await ask("/api/v1/channels/news")).json.code, "channel.unknown");
    assert.equal((await ask("/api/v1/channels/news", { method: "DELETE" })).status, 404);
  });

  test("PUT makes what is not there", async () => {
    const made = await here.ask("/api/v1/channels/put-made", {
      method: "PUT",
      body: { keys: [{ name: "k", key: "given-key" }] },
    });
    const [{ name, key }, ...more] = made.json.keys;
    assert.deepEqual([made.status, name, key, more], [201, "k", "given-key", []]);
  });

  test("those of the file and the demo are read-only; a name is taken once; a running channel stays", async () => {
    const { ask, house } = here;
    for (const name of ["fixed", "demo"])
      for (const method of ["PUT", "PATCH", "DELETE"]) {
        const body = method === "DELETE" ? undefined : {};
        const refused = await ask(`/api/v1/channels/${name}`, { method, body });
        assert.deepEqual([refused.status, refused.json.code], [409, "channel.read_only"], `${method} ${name}`);
      }
    assert.equal(
      (await ask("/api/v1/channels", { method: "POST", body: { name: "fixed" } })).json.code,
      "api.conflict",
    );
    await ask("/api/v1/channels", { method: "POST", body: { name: "busy" } });
    house.gateway.set([gatewaySession("s1", { channel: "busy" })]);
    const refused = await ask("/api/v1/channels/busy", { method: "DELETE" });
    assert.equal(refused.json.code, "api.conflict");
    assert.match(refused.json.detail, /Session s1 of channel busy is running/);
    house.gateway.set([]);
    assert.equal((await ask("/api/v1/channels/busy", { method: "DELETE" })).status, 204);
  });

  test("each wrong field is named, in one answer", async () => {
    const body = { name: "A", partSecond: 1, segmentSeconds: 99, keys: [{ name: "x", key: "a b" }] };
    const { status, json, headers } = await here.ask("/api/v1/channels", { method: "POST", body });
    assert.equal(status, 400);
    assert.match(String(headers["content-type"]), /^application\/problem\+json/);
    fits(schemas.problem, json);
    assert.equal(json.code, "api.bad_request");
    assert.deepEqual(
      json.errors.map((e: { field: string }) => e.field),
      ["name", "partSecond", "segmentSeconds", "keys[0].key"],
    );
    assert.match(json.detail, /partSecond is not known; did you mean partSeconds\?/);
  });

  test("values that do not go together, another name in body and path, one key name twice", async () => {
    const refused = async (path: string, method: string, body: object) => (await here.ask(path, { method, body })).json;
    const parts = await refused("/api/v1/channels", "POST", { name: "p", segmentSeconds: 1, partSeconds: 2 });
    assert.match(parts.detail, /partSeconds must not exceed segmentSeconds/);
    assert.match((await refused("/api/v1/channels/a", "PUT", { name: "b" })).detail, /name must be a/);
    assert.match(
      (await refused("/api/v1/channels", "POST", { name: "k", keys: [{ name: "x" }, { name: "x" }] })).detail,
      /one name twice/,
    );
  });

  test("a store that cannot write: refused, and nothing has changed", async () => {
    const { house, ask } = here;
    const { PlatformError } = await import("#base/errors.ts");
    const save = house.store.save;
    house.store.save = () => Promise.reject(new PlatformError("journal.failed", "disk full"));
    const refused = await ask("/api/v1/channels", { method: "POST", body: { name: "unsaved" } });
    house.store.save = save;
    assert.deepEqual([refused.status, refused.json.code], [503, "journal.failed"]);
    assert.equal((await ask("/api/v1/channels/unsaved")).status, 404);
  });
});

describe("state", () => {
  test("sessions, workers, refusals and status fit their schemas", async () => {
    const { ask, house } = here;
    house.gateway.set([
      gatewaySession("s1"),
      gatewaySession("s2", { state: "ended", endReason: "lost", openedNs: 1n }),
    ]);
    house.origin.set([originSession("s1"), originSession("s2")]);
    house.world.refusals = [
      {
        atNs: 1_800_000_037_000_000_000n,
        code: "publish.key_refused",
        message: "m",
        protocol: "rtmp",
        channel: null,
        remote: "r",
      },
    ];
    await settle(house.clock, () => house.control.workers().some(({ session }) => session === null));
    const sessions = await ask("/api/v1/sessions");
    fits(schemas.itemsOf(schemas.session), sessions.json);
    const [live, ending] = sessions.json.items;
    assert.deepEqual([live.state, ending.state, live.renditions[0].partAgeMs], ["live", "ending", 81.5]);
    assert.deepEqual(live.anchor, { time: "2027-01-15T08:00:01.500Z", taiNs: "1800000038500000000" });
    fits(schemas.session, (await ask("/api/v1/sessions/s1")).json);
    assert.equal((await ask("/api/v1/sessions/none")).json.code, "api.not_found");
    const workers = await ask("/api/v1/workers");
    fits(schemas.itemsOf(schemas.worker), workers.json);
    assert.equal(workers.json.items[0].role, "transcode");
    const refusals = await ask("/api/v1/refusals");
    fits(schemas.itemsOf(schemas.refusal), refusals.json);
    assert.equal(refusals.json.items[0].at, "2027-01-15T08:00:00.000Z");
    const status = await ask("/api/v1/status");
    fits(schemas.status, status.json);
    assert.deepEqual(
      [status.json.rtmpPort, status.json.version, status.json.sessions],
      [1935, "1.2.3", { live: 1, ending: 1 }],
    );
  });

  test("stop reaches the gateway, and only for a session it has", async () => {
    const { ask, house } = here;
    house.gateway.set([gatewaySession("s1")]);
    assert.equal((await ask("/api/v1/sessions/s1/stop", { method: "POST" })).status, 202);
    assert.deepEqual(house.world.stopped, [{ session: "s1", reason: "stopped" }]);
    assert.equal((await ask("/api/v1/sessions/s9/stop", { method: "POST" })).json.code, "log.unknown_session");
    house.gateway.set(null);
    assert.equal((await ask("/api/v1/sessions/s1/stop", { method: "POST" })).json.code, "publish.unavailable");
    house.gateway.set([]);
  });

  test("health answers anybody; ready only while gateway and origins are heard", async () => {
    const { ask, house } = here;
    const foreign = { token: null, headers: { host: "whatever.invalid" } };
    assert.equal((await ask("/healthz", foreign)).status, 200);
    assert.equal((await ask("/readyz", foreign)).status, 200);
    house.gateway.set(null);
    assert.deepEqual([(await ask("/readyz", foreign)).status, (await ask("/healthz", foreign)).status], [503, 200]);
    house.gateway.set([]);
  });

  test("metrics, from the same states", async () => {
    const { ask, house } = here;
    house.gateway.set([gatewaySession("s1")]);
    house.origin.set([originSession("s1")]);
    await settle(house.clock);
    const { text, headers } = await ask("/metrics");
    assert.match(String(headers["content-type"]), /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^continuity_sessions\{state="live"\} 1$/m);
    assert.match(text, /^continuity_ingest_bytes_total\{channel="news",session="s1"\} 5000$/m);
    assert.match(text, /^continuity_part_age_seconds\{channel="news",session="s1",rendition="v720"\} 0\.0815$/m);
    assert.match(text, /^continuity_origin_waiters\{channel="news",session="s1"\} 2$/m);
    assert.match(text, /^continuity_ready 1$/m);
    house.gateway.set([]);
  });

  test("the OpenAPI document names every route with its schemas", async () => {
    const { json } = await here.ask("/api/v1/openapi.json");
    assert.equal(json.openapi, "3.1.0");
    assert.deepEqual(Object.keys(json.paths).toSorted(), [
      "/api/v1/channels",
      "/api/v1/channels/{name}",
      "/api/v1/channels/{name}/keys",
      "/api/v1/channels/{name}/keys/{key}",
      "/api/v1/channels/{name}/keys/{key}/rotate",
      "/api/v1/events",
      "/api/v1/hooks",
      "/api/v1/hooks/test",
      "/api/v1/refusals",
      "/api/v1/sessions",
      "/api/v1/sessions/{id}",
      "/api/v1/sessions/{id}/kick",
      "/api/v1/sessions/{id}/stop",
      "/api/v1/status",
      "/api/v1/workers",
    ]);
    const body = json.paths["/api/v1/channels"].post.requestBody.content["application/json"].schema;
    assert.deepEqual([body.required, body.additionalProperties], [["name"], false]);
  });
});

describe("access", () => {
  test("here everybody reads, and only the admin writes", async () => {
    const { ask } = here;
    assert.equal((await ask("/api/v1/status", { token: null })).status, 200);
    const refused = await ask("/api/v1/channels", { method: "POST", token: null, body: { name: "x" } });
    assert.deepEqual(
      [refused.status, refused.json.code, refused.headers["www-authenticate"]],
      [401, "api.unauthorized", "Bearer"],
    );
    for (const token of ["wrong", `${TOKEN}x`, TOKEN.slice(0, -1)])
      assert.equal((await ask("/api/v1/status", { token })).status, 401);
    assert.equal((await ask("/api/v1/sessions/s1/stop", { method: "POST", token: null })).status, 401);
    assert.equal(
      (await ask(`/api/v1/status?access_token=${TOKEN}`, { token: null, method: "DELETE" })).status,
      401,
      "only for events",
    );
  });

  test("bound elsewhere, reading needs the token as well", async () => {
    const there = await start("0.0.0.0");
    try {
      for (const path of ["/api/v1/status", "/metrics", "/api/v1/openapi.json", "/api/none"])
        assert.equal((await there.ask(path, { token: null })).status, 401, path);
      assert.equal((await there.ask("/api/v1/status")).status, 200);
      assert.equal((await there.ask("/api/v1/events", { token: null })).status, 401);
      assert.equal((await there.ask("/healthz", { token: null })).status, 200);
    } finally {
      await there.close();
    }
  });

  test("foreign names and foreign pages are refused, also with the right token", async () => {
    const { ask, server } = here;
    const status = async (headers: Record<string, string>, token: string | null = TOKEN) =>
      (await ask("/api/v1/status", { headers, token })).status;
    const own = `127.0.0.1:${server.port}`;
    for (const host of [
      own,
      "localhost:1",
      "[::1]:80",
      "10.1.2.3",
      "live.example.org",
      "live.example.org:99",
      "other.example.org:8443",
    ])
      assert.equal(await status({ host }), 200, host);
    for (const host of [
      "evil.example.org",
      "other.example.org",
      "localhost.evil.org",
      "127.0.0.1.evil.org",
      "a b",
      "[::1",
    ])
      assert.equal(await status({ host }), 403, host);
    for (const origin of [
      "http://evil.example.org",
      "null",
      `http://127.0.0.1:${server.port + 1}`,
      "http://localhost:3000",
      "file://",
    ])
      assert.equal(await status({ origin }), 403, origin);
    for (const origin of [`http://${own}`, "https://live.example.org"])
      assert.equal(await status({ origin }), 200, origin);
  });

  test("a public name on a loopback address is a proxy: reading needs the token", async () => {
    const headers = { host: "live.example.org" };
    assert.equal((await here.ask("/api/v1/status", { headers, token: null })).status, 401);
  });
});

describe("bad input", () => {
  test("no JSON, too long, another type, unknown paths, tricks: a problem each, and no defect in the log", async () => {
    const { ask, lines } = here;
    const post = async (body: string, type: string) => {
      const { status, json } = await ask("/api/v1/channels", {
        method: "POST",
        body,
        headers: { "content-type": type },
      });
      return [status, json.code];
    };
    assert.deepEqual(await post("{", "application/json"), [400, "api.bad_request"]);
    assert.deepEqual(await post('{"name":"a","__proto__":{}}', "application/json"), [400, "api.bad_request"]);
    assert.deepEqual(await post("[]", "application/json"), [400, "api.bad_request"]);
    assert.deepEqual(await post("", "application/json"), [400, "api.bad_request"]);
    assert.deepEqual(await post("name=a", "application/x-www-form-urlencoded"), [415, "api.bad_request"]);
    assert.deepEqual(await post("x", "text/plain"), [415, "api.bad_request"]);
    assert.deepEqual(await post(`"${"x".repeat(300_000)}"`, "application/json"), [413, "api.bad_request"]);
    for (const path of [
      "/api",
      "/api/",
      "/api/v1",
      "/api/v1/nothing",
      "/api/v1/../../etc",
      "/api/v1/channels/",
      "/api/v1/sessions/%ff",
      "/api/v1/%2e%2e",
    ]) {
      const { status, json } = await ask(path);
      assert.ok(status === 404 || status === 400, `${path} ${status}`);
      assert.match(json.code, /^(api|channel)\./, path);
    }
    assert.equal((await ask("/api/v1/status", { method: "PUT" })).status, 404);
    assert.equal((await ask("/elsewhere")).status, 404);
    assert.deepEqual(
      lines.filter((line) => line.includes('"request failed"')),
      [],
    );
  });

  test("no key and no token ever reaches the log", () => {
    for (const secret of [TOKEN, PUBLISH_KEY, "given-key"]) assert.ok(!here.lines.join("").includes(secret));
  });
});

/** Reads server-sent events as they come. */
function follow(port: number, path: string, keptChars = Number.POSITIVE_INFINITY) {
  const socket = connect(port, "127.0.0.1", () => socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`));
  let text = "";
  let wake = () => {};
  socket.setEncoding("utf8").on("data", (chunk) => {
    text = keptChars === Number.POSITIVE_INFINITY ? text + chunk : (text + chunk).slice(-keptChars);
    wake();
  });
  socket.on("error", () => {});
  return {
    socket,
    text: () => text,
    async until(pattern: RegExp): Promise<RegExpExecArray> {
      for (;;) {
        const match = pattern.exec(text);
        if (match) return match;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

describe("events", () => {
  test("the whole state first, then what happens, then the new state; HEAD is refused", async () => {
    const { house, server, ask } = here;
    house.gateway.set([]);
    await settle(house.clock);
    const reader = follow(server.port, `/api/v1/events?access_token=${TOKEN}`);
    const [, first] = await reader.until(/event: state\ndata: (.*)\n\n/);
    const state = JSON.parse(first!);
    assert.deepEqual(Object.keys(state), ["status", "channels", "sessions", "workers", "refusals"]);
    assert.match(reader.text(), /content-type: text\/event-stream/i);
    house.gateway.set([gatewaySession("s5", { channel: "cam" })]);
    await settle(house.clock);
    const [, event] = await reader.until(/event: session\.live\ndata: (.*)\n\n/);
    assert.deepEqual([JSON.parse(event!).session, JSON.parse(event!).channel], ["s5", "cam"]);
    assert.ok(reader.text().indexOf("session.started") < reader.text().indexOf("session.live"));
    await reader.until(/event: state\ndata: .*"id":"s5"/);
    reader.socket.destroy();
    assert.equal((await ask("/api/v1/events", { method: "HEAD" })).status, 404);
    house.gateway.set([]);
  });

  test("a reader that takes nothing is cut off, and the others go on", async () => {
    const { house, server } = here;
    const lazy = follow(server.port, "/api/v1/events");
    await lazy.until(/event: state/);
    lazy.socket.pause();
    const gone = new Promise((resolve) => lazy.socket.once("close", resolve));
    const reader = follow(server.port, "/api/v1/events", 100_000);
    await reader.until(/event: state/);
    const long = "x".repeat(500_000);
    for (let i = 0; i < 36; i += 1) {
      house.control.emit("channel.changed", { channel: "big", message: `${long} ${i}` });
      await reader.until(new RegExp(`x ${i}"`));
    }
    lazy.socket.resume();
    await gone; // without the cut this never comes
    assert.ok(lazy.text().length < 36 * long.length);
    reader.socket.destroy();
  });
});
