import { strict as assert } from "node:assert";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { jsonLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { audioTrack, syntheticChunk, videoTrack } from "#media/cmaf/testing/synthetic.ts";
import { writeInit } from "#media/cmaf/write.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { ask, fastClock, LADDER, RATE, TestHouse, type TestSession, until } from "./testing/harness.ts";

function withHouse(
  title: string,
  options: ConstructorParameters<typeof TestHouse>[0],
  body: (house: TestHouse) => Promise<void>,
): void {
  test(title, { timeout: 30_000 }, async () => {
    const house = await new TestHouse(options).start();
    try {
      await body(house);
    } finally {
      await house.stop();
    }
  });
}

type Told = { stored?: { track: string; era: number; start: number }; error?: { code: string } };

/** A long-running POST that reads acknowledgements while it sends. */
async function openPush(session: TestSession, name: string) {
  const headers = { authorization: `Bearer ${await session.token()}`, accept: "application/x-ndjson" };
  const request = httpRequest(session.url(name), { method: "POST", headers, agent: false });
  const told: Told[] = [];
  let text = "";
  const answered = new Promise<number>((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
        const lines = text.split("\n");
        text = lines.pop()!;
        told.push(...lines.map((line) => JSON.parse(line) as Told));
      });
      response.on("end", () => resolve(response.statusCode!));
      response.on("error", reject);
    });
  });
  return { request, told, answered };
}

withHouse("a segment is acknowledged once it is on disk, in the answer of the running request", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  const { request, told, answered } = await openPush(session, "v360");
  request.write(session.init("v360"));
  const parts = [0, 1, 2].map((ordinal) => session.parts("v360", session.segment(ordinal)));
  const start = (ordinal: number) => session.segment(ordinal).start * RATE.den;
  for (const part of parts[0]!) request.write(part);
  await until(() => told.length === 1);
  assert.deepEqual(told[0], { stored: { track: "v360", era: 0, start: start(0) } });
  for (const part of parts[1]!.slice(0, 5)) request.write(part);
  await until(() => house.origin.sessions()[0]!.renditions[0]!.parts === 11);
  assert.equal(told.length, 1);
  request.end(parts[1]![5]);
  assert.equal(await answered, 200);
  assert.deepEqual(told[1], { stored: { track: "v360", era: 0, start: start(1) } });
  // Again, as after a cut: known and on disk, so said at once.
  const second = await openPush(session, "v360");
  second.request.end(Buffer.concat([session.init("v360"), ...parts[1]!]));
  await second.answered;
  assert.equal(second.told.at(-1)!.stored!.start, start(1));
});

test("what is not on disk is not acknowledged, and is once the disk is back", { timeout: 30_000 }, async () => {
  let isFull = false;
  const journals = memoryJournals({ fails: () => isFull });
  const lines: string[] = [];
  const log = jsonLog("info", {}, (line) => lines.push(line));
  const house = await new TestHouse({ clock: fastClock(20), journals, log }).start();
  try {
    const session = house.session("s1");
    await session.open();
    const { request, told, answered } = await openPush(session, "a128");
    request.write(session.init("a128"));
    isFull = true;
    for (const ordinal of [0, 1])
      for (const part of session.parts("a128", session.segment(ordinal))) request.write(part);
    await until(() => house.origin.sessions()[0]!.renditions.some(({ segments }) => segments === 2)); // served all the same
    await new Promise((resolve) => setTimeout(resolve, 120)); // more than two tries
    assert.equal(told.length, 0);
    isFull = false;
    await until(() => told.length === 2);
    request.end();
    assert.equal(await answered, 200);
    const refusals = lines.filter((line) => line.includes("journal.failed"));
    assert.equal(refusals.length, 2, `said once by each who writes, not for each segment: ${refusals.join("")}`);
    assert.ok(lines.some((line) => line.includes("journalled again")));
  } finally {
    await house.stop();
  }
});

withHouse("everything stored in all renditions lets the gateway forget", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  await until(() => house.logs.stored.has("s1"));
  const first = house.logs.stored.get("s1")!;
  await session.pushParts(1, 0, 6, ["v360", "v180"]);
  assert.equal(house.logs.stored.get("s1"), first);
  await session.pushParts(1, 0, 6, ["a128"]);
  await until(() => house.logs.stored.get("s1")! > first);
  assert.equal(house.logs.stored.get("s1")! - first, 2_002_000_000n);
});

withHouse("each refusal has its status", { clock: fastClock(50) }, async (house) => {
  const session = house.session("s1");
  await session.open();
  const token = `Bearer ${await session.token()}`;
  const parts = session.parts("v360", session.segment(0));
  const good = Buffer.concat([session.init("v360"), ...parts]);
  const send = async (
    change: { url?: string; body?: Buffer; headers?: Record<string, string>; method?: string } = {},
  ) => {
    const { url = session.url("v360"), body = good, headers = {}, method = "POST" } = change;
    const answer = await ask(url, { method, body, headers: { authorization: token, ...headers } });
    return [answer.status, answer.status < 400 ? "" : (JSON.parse(answer.text || "{}").code ?? "")];
  };
  const other = house.session("s2");
  const wrongToken = `Bearer ${await other.token()}`;
  assert.deepEqual(await send({ headers: { authorization: "" } }), [401, "api.unauthorized"]);
  assert.deepEqual(await send({ headers: { authorization: "Bearer a.b.c" } }), [401, "api.unauthorized"]);
  assert.deepEqual(await send({ headers: { authorization: wrongToken } }), [403, "api.forbidden"]);
  const internal = `Bearer ${await house.keys.mint({ kind: "internal", role: "test" }, 60)}`;
  const unknown = session.url("v360").replace("session=s1", "session=s9");
  assert.deepEqual(await send({ url: unknown, headers: { authorization: internal } }), [404, "origin.session_unknown"]);
  assert.deepEqual(await send({ url: session.url("v360").replace("/news/", "/other/") }), [403, "api.forbidden"]);
  assert.deepEqual(await send({ url: `${house.url}/ingest/news.mpegts` }), [404, "api.not_found"]); // not ours
  assert.deepEqual(await send({ url: `${house.url}/ingest/news/what/ever` }), [404, "api.not_found"]);
  assert.deepEqual(await send({ url: session.url("v360").split("?")[0]! }), [404, "api.not_found"]); // the gateway's
  assert.deepEqual(await send({ url: session.url("v360").replace("era=0", "era=x") }), [400, "api.bad_request"]);
  assert.deepEqual(await send({ body: Buffer.concat(parts) }), [412, "origin.init_missing"]);
  assert.deepEqual(await send({ body: Buffer.from("GET / HTTP/1.1\r\n\r\n") }), [400, "media.malformed"]);
  assert.deepEqual(await send({ body: good.subarray(0, -10) }), [400, "media.truncated"]);
  assert.deepEqual(await send({ headers: { "content-type": "video/x-flv" } }), [415, "media.unsupported"]);
  assert.deepEqual(await send({ url: session.url("v360").replace("cmfv", "cmfa") }), [415, "media.unsupported"]);
  assert.deepEqual(await send({ body: writeInit(audioTrack()) }), [415, "media.unsupported"]);
  assert.deepEqual(await send({ body: writeInit(videoTrack(RATE.num, 320, 180)) }), [400, "media.malformed"]);
  assert.deepEqual(await send({ body: writeInit(videoTrack(25, 640, 360)) }), [400, "media.malformed"]);
  assert.deepEqual(await send({ url: session.url("nobody") }), [400, "api.bad_request"]);
  assert.deepEqual(await send({ url: session.url("v360", 7) }), [404, "origin.session_unknown"]); // may still come
  assert.deepEqual(await send({ method: "DELETE" }), [405, ""]);

  const start = session.segment(0).start * RATE.den;
  const chunk = (change: object) =>
    syntheticChunk({ start, count: 10, sampleTicks: RATE.den, startsSegment: true, sync: "first", ...change });
  const wrong = [{ start: start + 1 }, { start: start + RATE.den }, { count: 9 }, { start: start - 60 * RATE.den }];
  for (const change of wrong) {
    const body = Buffer.concat([session.init("v360"), chunk(change)]);
    assert.deepEqual(await send({ body }), [400, "api.bad_request"], JSON.stringify(change));
  }
  const noSync = Buffer.concat([session.init("v360"), chunk({ sync: "none" })]);
  assert.deepEqual(await send({ body: noSync }), [400, "media.malformed"]);
  assert.deepEqual(await send(), [200, ""]);
  const otherInit = Buffer.from(session.init("v360"));
  otherInit[otherInit.indexOf("btrt") + 10]! ^= 1;
  assert.deepEqual(await send({ body: otherInit }), [409, "origin.copy_differs"]);
});

withHouse("a chunk may come before the log entry that gives it its place", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  const { start } = session.segment(1);
  // The sender knows of the splice, the origin's log does not yet.
  const early = { kind: "splice", frame: start + 20, discontinuity: false } as const;
  session.timeline.apply(early);
  const posts = LADDER.map(({ name }) => {
    const parts = [1, 2].flatMap((ordinal) => session.parts(name, session.segment(ordinal)));
    return session.post(name, [session.init(name), ...parts]);
  });
  await until(() => house.origin.sessions()[0]!.renditions.every(({ parts }) => parts === 8));
  house.logs.add("s1", early);
  for (const post of posts) assert.equal((await post).status, 200);
  const { text } = await house.get("/live/news/v360.m3u8");
  assert.deepEqual(
    [...text.matchAll(/#EXTINF:([\d.]+),/g)].map((match) => match[1]),
    ["2.002000", "0.667333", "1.334667"],
  );
});

withHouse("per-segment PUT is the same media by other means", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  const headers = { authorization: `Bearer ${await session.token()}`, "content-type": "video/iso.segment" };
  const put = (name: string, file: string, body: Buffer) =>
    ask(`${house.url}/ingest/news/${name}/${file}?session=s1&era=0`, { method: "PUT", headers, body });
  const segment = (name: string, ordinal: number) => Buffer.concat(session.parts(name, session.segment(ordinal)));
  assert.equal((await put("v360", "1.m4s", segment("v360", 0))).status, 412);
  for (const { name } of LADDER) {
    assert.equal((await put(name, "init.mp4", session.init(name))).status, 200);
    for (const ordinal of [0, 1]) assert.equal((await put(name, `${ordinal}.m4s`, segment(name, ordinal))).status, 200);
  }
  assert.equal((await house.get("/live/news/index.m3u8")).status, 200);
  assert.equal(
    house.origin.sessions()[0]!.renditions.every(({ segments }) => segments === 2),
    true,
  );
});

withHouse(
  "where to go on: the start of the first segment that is not whole, however many parts of it are there",
  {},
  async (house) => {
    const session = house.session("s1");
    await session.open();
    const url = `${house.url}/internal/origin/sessions/s1`;
    const next = async () => {
      const answer = await ask(url, { headers: { authorization: `Bearer ${await session.token()}` } });
      return JSON.parse(answer.text).next;
    };
    assert.equal(await next(), null);
    await session.push(0, 2);
    assert.deepEqual(await next(), { era: 0, frame: session.segment(2).start });
    await session.pushParts(2, 0, 3, ["v360", "v180"]);
    await session.pushParts(2, 0, 1, ["a128"]);
    assert.deepEqual(await next(), { era: 0, frame: session.segment(2).start });
    const { renditions } = house.origin.sessions()[0]!;
    assert.equal(renditions.find(({ name }) => name === "a128")!.nextFrame, session.segment(2).start + 10);
    assert.equal((await ask(url)).status, 401);
    const foreign = `Bearer ${await house.session("s2").token()}`;
    assert.equal((await ask(url, { headers: { authorization: foreign } })).status, 403);
  },
);

withHouse(
  "fuzz: broken bodies are refused with a status below 500, and the session goes on",
  { clock: fastClock(500) },
  async (house) => {
    const session = house.session("s1");
    await session.open();
    const random = seededRandom(5);
    assert.equal((await session.post("v180", [session.init("v180")])).status, 200);
    const good = Buffer.concat([session.init("v180"), ...session.parts("v180", session.segment(0)).slice(0, 2)]);
    for (let round = 0; round < 150; round += 1) {
      const body = Buffer.from(good);
      for (let i = random.int(1, 5); i > 0; i -= 1)
        body[random.int(0, session.init("v180").length + 120)]! ^= 1 << random.int(0, 8);
      const cut = random.next() < 0.3 ? body.subarray(0, random.int(0, body.length)) : body;
      const { status } = await session.post("v180", [cut]);
      assert.ok(status < 500, `round ${round}: ${status}`);
    }
    await session.push(0, 1);
    assert.equal((await house.get("/live/news/index.m3u8")).status, 200);
  },
);
