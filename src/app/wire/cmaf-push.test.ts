import { strict as assert } from "node:assert";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { SEGMENT_END } from "#media/cmaf/segment-end.ts";
import type { CmafSink, CmafTrackSink } from "#media/session-log/maker-ports.ts";
import { plannedParts, renditionOf } from "#modules/origin/planned-parts.ts";
import { RATE, TestHouse, type TestSession, until } from "#modules/origin/testing/harness.ts";
import { type ByteBudget, byteBudget, cmafPush } from "./cmaf-push.ts";

function sinkTo(url: () => string, session: TestSession, budget?: ByteBudget): CmafSink {
  return cmafPush({
    ...(budget ? { budget } : {}),
    originUrl: url,
    channel: session.channel.name,
    session: session.id,
    token: () => session.token(),
    clock: systemClock(),
    log: silentLog,
    random: seededRandom(1),
  });
}

/** Parts [from, to) of a segment, as the worker's outlet pushes them. */
function push(session: TestSession, name: string, track: CmafTrackSink, ordinal: number, from = 0, to = 99): void {
  const segment = session.segment(ordinal);
  const planned = plannedParts(session.timeline, segment, renditionOf(session.timeline.eraOf(segment.era), name)!);
  for (const [i, bytes] of session.parts(name, segment).entries())
    if (i >= from && i < to)
      track.push({
        startTicks: planned[i]!.startTicks,
        segmentStartTicks: planned[i]!.segmentStartTicks,
        bytes,
        lastOfSegment: i === planned.length - 1,
        newestArrivedNs: 0n,
      });
}

const kindOf = (name: string) => (name.startsWith("a") ? "audio" : "video");
const names = ["v360", "v180", "a128"];
const uris = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("what is pushed is played; drained when all of it is on disk", { timeout: 20_000 }, async () => {
  const house = await new TestHouse().start();
  const session = house.session("s1");
  const sink = sinkTo(() => house.url, session);
  try {
    assert.equal(await sink.nextFrame(), null);
    await session.open();
    for (const name of names) {
      const track = sink.track(name, kindOf(name), 0, session.init(name));
      for (const ordinal of [0, 1, 2]) push(session, name, track, ordinal);
      track.end();
    }
    await sink.drained(5000);
    assert.equal(uris((await house.get("/live/news/v360.m3u8")).text).length, 3);
    assert.deepEqual(await sink.nextFrame(), { era: 0, frame: session.segment(3).start });
  } finally {
    sink.close();
    await house.stop();
  }
});

test("an origin that is killed and comes back elsewhere gets everything it did not acknowledge", {
  timeout: 20_000,
}, async () => {
  const first = await new TestHouse().start();
  let house = first;
  const session = first.session("s1");
  const sink = sinkTo(() => house.url, session);
  let second: TestHouse | null = null;
  try {
    await session.open();
    const tracks = names.map((name) => ({ name, track: sink.track(name, kindOf(name), 0, session.init(name)) }));
    for (const { name, track } of tracks) {
      push(session, name, track, 0);
      push(session, name, track, 1, 0, 3);
    }
    await until(() => first.origin.sessions()[0]!.renditions.every(({ parts }) => parts === 9));
    await first.crash();
    for (const { name, track } of tracks) push(session, name, track, 1, 3); // into nothing
    second = await new TestHouse({ journals: first.journals, logs: first.logs }).start();
    session.moveTo(second);
    house = second;
    for (const { name, track } of tracks) {
      push(session, name, track, 2);
      track.end();
    }
    await sink.drained(10_000);
    const { text } = await house.get("/live/news/v360.m3u8");
    assert.equal(uris(text).length, 3);
    assert.doesNotMatch(text, /GAP/);
    assert.equal(house.origin.sessions()[0]!.copiesThatDiffer, 0);
  } finally {
    sink.close();
    await second?.stop();
  }
});

/** A server that answers each push as it likes. */
async function fakeOrigin(answer: (request: IncomingMessage, response: ServerResponse, count: number) => void) {
  let count = 0;
  const server = createServer((request, response) => answer(request, response, (count += 1)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    count: () => count,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const problem = (status: number, code: string) =>
  JSON.stringify({ status, code, detail: "because", title: "", type: "" });

async function refusedWith(answer: (response: ServerResponse) => void): Promise<{ error: unknown; requests: number }> {
  const house = await new TestHouse().start();
  const session = house.session("s1");
  await session.open();
  const fake = await fakeOrigin((request, response) => {
    request.resume();
    answer(response);
  });
  const sink = sinkTo(() => fake.url, session);
  try {
    const track = sink.track("v360", "video", 0, session.init("v360"));
    push(session, "v360", track, 0);
    const error = await sink.drained(1500).catch((reason) => reason);
    return { error, requests: fake.count() };
  } finally {
    sink.close();
    fake.close();
    await house.stop();
  }
}

test("a refusal that another try will not change is final; one that may is tried again", {
  timeout: 20_000,
}, async () => {
  const final = await refusedWith((response) => {
    response.writeHead(400).end(problem(400, "api.bad_request"));
  });
  assert.equal((final.error as { code: string }).code, "api.bad_request");
  assert.equal(final.requests, 1);
  const passing = await refusedWith((response) => {
    response.writeHead(404).end(problem(404, "origin.session_unknown"));
  });
  assert.equal((passing.error as { code: string }).code, "network.unreachable");
  assert.ok(passing.requests > 2, `${passing.requests} requests`);
});

test("a refusal in the middle of the answer counts like one at its start, and is not tried without pause", {
  timeout: 20_000,
}, async () => {
  const inside = (status: number, code: string) => (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end(`{"error":${problem(status, code)}}\n`);
  };
  const final = await refusedWith(inside(400, "media.malformed"));
  assert.equal((final.error as { code: string }).code, "media.malformed");
  assert.equal(final.requests, 1);
  const passing = await refusedWith(inside(503, "origin.busy"));
  assert.equal((passing.error as { code: string }).code, "network.unreachable");
  assert.ok(passing.requests > 2 && passing.requests < 8, `${passing.requests} requests`);
});

test("a slow reader holds nobody up: pushes return, and what waits is bounded", { timeout: 20_000 }, async () => {
  const house = await new TestHouse().start();
  const session = house.session("s1");
  await session.open();
  const fake = await fakeOrigin(() => {}); // takes the connection, reads nothing
  const sink = sinkTo(() => fake.url, session);
  try {
    const track = sink.track("v360", "video", 0, session.init("v360"));
    const bytes = Buffer.alloc(8 * 1024 * 1024);
    const part = { segmentStartTicks: 0, bytes, lastOfSegment: false, newestArrivedNs: 0n };
    const tooMuch = () => {
      for (let i = 0; i < 40; i += 1) track.push({ ...part, startTicks: i * RATE.den });
    };
    assert.throws(tooMuch, { code: "network.unreachable" });
  } finally {
    sink.close();
    fake.close();
    await house.stop();
  }
});

test("sessions of one process share a bound, and one that leaves gives its bytes back", {
  timeout: 20_000,
}, async () => {
  const house = await new TestHouse().start();
  const session = house.session("s1");
  await session.open();
  const fake = await fakeOrigin(() => {}); // takes the connection, reads nothing
  const budget = byteBudget(1000);
  const [first, second] = [sinkTo(() => fake.url, session, budget), sinkTo(() => fake.url, session, budget)];
  try {
    const [one, other] = [first, second].map((sink) => sink.track("v360", "video", 0, session.init("v360")));
    const part = { startTicks: 0, segmentStartTicks: 0, lastOfSegment: false, newestArrivedNs: 0n };
    one!.push({ ...part, bytes: Buffer.alloc(600) });
    assert.throws(() => other!.push({ ...part, bytes: Buffer.alloc(600) }), { code: "network.unreachable" });
    other!.push({ ...part, bytes: Buffer.alloc(400) });
    first.close();
    assert.equal(budget.bytes, 400);
    other!.push({ ...part, startTicks: RATE.den, bytes: Buffer.alloc(600) });
    second.close();
    assert.equal(budget.bytes, 0);
  } finally {
    first.close();
    second.close();
    fake.close();
    await house.stop();
  }
});

test("what is stored is given back as well; the last part of a segment says that it is", {
  timeout: 20_000,
}, async () => {
  const house = await new TestHouse().start();
  const session = house.session("s1");
  await session.open();
  const sent: Buffer[] = [];
  const fake = await fakeOrigin((request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    request.on("data", (bytes: Buffer) => sent.push(bytes));
    request.on("end", () => response.end(`{"stored":{"start":${9 * RATE.den}}}\n`));
  });
  const budget = byteBudget(1e6);
  const sink = sinkTo(() => fake.url, session, budget);
  try {
    const init = session.init("v360");
    const track = sink.track("v360", "video", 0, init);
    const parts = [false, true].map((lastOfSegment, i) => {
      const startTicks = i * RATE.den;
      return { startTicks, segmentStartTicks: 0, bytes: Buffer.alloc(100, i + 1), lastOfSegment, newestArrivedNs: 0n };
    });
    for (const part of parts) track.push(part);
    assert.equal(budget.bytes, 200);
    track.end();
    await sink.drained(5000);
    assert.equal(budget.bytes, 0);
    const bytes = Buffer.concat(sent);
    assert.equal(bytes.indexOf(SEGMENT_END), bytes.length - 100 - SEGMENT_END.length, "before the last part alone");
    assert.deepEqual(bytes.subarray(-100), parts[1]!.bytes);
  } finally {
    sink.close();
    fake.close();
    await house.stop();
  }
});
