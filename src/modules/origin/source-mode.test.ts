// Copied media from end to end: what is sent, listed, hinted, held and stored, over real HTTP.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { fastClock, TestHouse, until } from "./testing/harness.ts";
import { COPIED_VIDEO, copiedAudio, regularMedia, sent, TICKS } from "./testing/source-media.ts";
import { COPIED, SourceSession } from "./testing/source-session.ts";

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

const uris = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const hint = (text: string) => /PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(text)?.[1];
const parts = (text: string) => [...text.matchAll(/EXT-X-PART:.*URI="([^"]+)"/g)].map((match) => match[1]!);
const all = (text: string, tag: string) => [...text.matchAll(new RegExp(`#EXT-X-${tag}(?:\n|:)`, "g"))].length;

/** Key frames 2, 3, 1.5, 2 and 2 s apart. */
const GOPS = [2, 3, 1.5, 2, 2].map((seconds) => seconds * TICKS);

withHouse("copied segments are listed as they were cut, and served as they were sent", {}, async (house) => {
  const session = new SourceSession(house, "s1", regularMedia(GOPS));
  await session.open();
  await session.push(0, 5);
  session.end(session.media.boundaries[5]!);
  await until(() => house.origin.sessions()[0]!.state === "complete");
  for (const { name } of COPIED) {
    const { text } = await house.get(`/live/news/${name}.m3u8`);
    const listed = uris(text);
    assert.equal(listed.length, 5);
    for (const [ordinal, uri] of listed.entries()) {
      assert.match(uri, new RegExp(`^s1/${name}/0-${session.parts(name, ordinal)[0]!.start}\\.m4s$`));
      assert.deepEqual((await house.get(`/live/news/${uri}`)).body, session.bytes(name, ordinal));
    }
    assert.match(text, /#EXT-X-ENDLIST/);
  }
  const { text } = await house.get("/live/news/vsource.m3u8");
  assert.deepEqual(
    [...text.matchAll(/#EXTINF:([\d.]+)/g)].map((match) => Number(match[1])),
    [2, 3, 1.5, 2, 2],
  );
});

withHouse(
  "the part after the last of a segment is hinted as the first of the next, and is what comes",
  {},
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia(GOPS));
    await session.open();
    session.boundary(0);
    for (const { name } of COPIED) {
      const own = session.parts(name, 0);
      for (const [i, part] of own.slice(0, -1).entries()) {
        await session.send(name, [part]);
        const { text } = await house.get(`/live/news/${name}.m3u8`);
        assert.equal(parts(text).length, i + 1);
        assert.equal(hint(text), `s1/${name}/0-${own[0]!.start}.${i + 1}.m4s`);
      }
      await session.send(name, own.slice(-1));
      const { text } = await house.get(`/live/news/${name}.m3u8`);
      assert.equal(parts(text).length, own.length - 1, "the log has not said that it is the last");
    }
    session.boundary(1);
    for (const { name } of COPIED) {
      const last = session.parts(name, 0).at(-1)!;
      const { text } = await until(async () => {
        const answer = await house.get(`/live/news/${name}.m3u8`);
        return uris(answer.text).length === 1 && answer;
      });
      assert.equal(hint(text), `s1/${name}/0-${last.start + last.duration}.0.m4s`);
    }
    const held = Promise.all(
      COPIED.map(async ({ name }) =>
        house.get(`/live/news/${hint((await house.get(`/live/news/${name}.m3u8`)).text)}`),
      ),
    );
    await until(() => house.origin.sessions()[0]!.waiters === 2);
    for (const { name } of COPIED) await session.send(name, session.parts(name, 1).slice(0, 1));
    assert.deepEqual(
      (await held).map(({ body }) => body),
      COPIED.map(({ name }) => session.parts(name, 1)[0]!.bytes),
    );
  },
);

withHouse(
  "a blocking reload is answered by the part it names, and at a segment's end by the next one's first",
  {},
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia(GOPS));
    const { msnBase } = await session.open();
    await session.push(0, 1);
    const own = session.parts("vsource", 1);
    await session.send("vsource", own.slice(0, 2));
    const ask = (part: number) => house.get(`/live/news/vsource.m3u8?_HLS_msn=${msnBase + 1}&_HLS_part=${part}`);
    const third = ask(2);
    const past = ask(own.length);
    await until(() => house.origin.sessions()[0]!.waiters === 2);
    await session.send("vsource", own.slice(2, 3));
    assert.equal(parts((await third).text).at(-1), `s1/vsource/0-${own[0]!.start}.2.m4s`);
    await session.send("vsource", own.slice(3));
    session.boundary(2);
    await session.send("vsource", session.parts("vsource", 2).slice(0, 1));
    assert.equal(parts((await past).text).at(-1), `s1/vsource/0-${session.parts("vsource", 2)[0]!.start}.0.m4s`);
  },
);

withHouse(
  "a chunk that begins a segment waits for the log to say so; one that lies at no boundary is refused",
  { clock: fastClock(20) },
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia(GOPS));
    await session.open();
    await session.push(0, 1);
    const early = session.send("vsource", session.parts("vsource", 2));
    session.boundary(2);
    await early;
    await session.send("vsource", session.parts("vsource", 1));
    assert.equal(uris((await house.get("/live/news/vsource.m3u8")).text).length, 2);
    const [first] = session.parts("vsource", 1);
    const wrong = session.media.parts(COPIED_VIDEO, 1)[1]!;
    const claims = {
      ...wrong,
      first: true,
      bytes: Buffer.concat([first!.bytes.subarray(0, first!.bytes.readUInt32BE(0)), wrong.bytes]),
    };
    await assert.rejects(session.send("vsource", [claims]), /api.bad_request/);
    await assert.rejects(session.send("vsource", session.parts("vsource", 4)), /api.bad_request/); // its boundary never came
  },
);

withHouse(
  "holes: gaps as they are told, not stale meanwhile, and the return joins at its boundary",
  { clock: fastClock(5) },
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia([2 * TICKS, TICKS]));
    await session.open();
    await session.push(0, 1);
    for (const { name } of COPIED) await session.send(name, session.parts(name, 1));
    const away = session.media.boundaries[2]!;
    session.boundary(2, away); // the publisher is gone
    const held = house.get(`/live/news/${hint((await house.get("/live/news/vsource.m3u8")).text)}`);
    await until(() => house.origin.sessions()[0]!.waiters === 1);
    for (const n of [0, 1]) {
      session.base.say({ kind: "hole", from: away + n * 2 * TICKS, to: away + (n + 1) * 2 * TICKS });
      session.boundary(3 + n, away + (n + 1) * 2 * TICKS);
    }
    assert.equal((await held).status, 404);
    await until(async () => all((await house.get("/live/news/asource.m3u8")).text, "GAP") === 2);
    session.media = regularMedia([0, 0, 0, 0, 2 * TICKS, 2 * TICKS], 3000, 30_000, away + 4 * TICKS);
    for (const ordinal of [5]) session.boundary(ordinal);
    for (const { name } of COPIED) await session.send(name, session.parts(name, 4));
    for (const { name } of COPIED) {
      const { text } = await house.get(`/live/news/${name}.m3u8`);
      assert.equal(uris(text).length, 5);
      assert.deepEqual((await house.get(`/live/news/${uris(text)[4]}`)).body, session.bytes(name, 4));
    }
  },
);

withHouse(
  "lost parts are a gap where they were lost, in pieces no longer than a part",
  { clock: fastClock(20) },
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia(GOPS));
    await session.open();
    await session.push(0, 1);
    session.boundary(2);
    session.boundary(3);
    for (const { name } of COPIED) {
      const own = session.parts(name, 1);
      await session.send(name, [own[0]!, own[1]!, own[4]!, own.at(-1)!]);
      await session.send(name, session.parts(name, 2).slice(1)); // the first of the next one too
      await session.send(name, session.parts(name, 3));
    }
    session.boundary(4);
    for (const { name } of COPIED) {
      const text = await until(async () => {
        const answer = await house.get(`/live/news/${name}.m3u8`);
        return uris(answer.text).length === 4 && answer.text;
      });
      assert.equal(all(text, "GAP"), 2);
      const lost = [...text.matchAll(/EXT-X-PART:DURATION=([\d.]+),GAP=YES/g)].map((match) => Number(match[1]));
      assert.ok(lost.length >= 4 && lost.every((seconds) => seconds <= 0.36), `${lost}`);
      assert.deepEqual((await house.get(`/live/news/${uris(text)[3]}`)).body, session.bytes(name, 3));
      const dates = [...text.matchAll(/DATE-TIME:(\S+)\n/g)].map((match) => Date.parse(match[1]!));
      const expected = session.media.boundaries
        .slice(0, 4)
        .map((tick) => ((tick - session.media.boundaries[0]!) * 1000) / TICKS);
      for (const [i, date] of dates.entries()) assert.ok(Math.abs(date - dates[0]! - expected[i]!) <= 22, `${i}`);
    }
  },
);

withHouse(
  "a new era: other media, another init, behind a discontinuity; a rendition that leaves ends",
  {},
  async (house) => {
    const both = [...COPIED, copiedAudio("a2")];
    const session = new SourceSession(house, "s1", regularMedia([2 * TICKS, 2 * TICKS]), both);
    await session.open();
    await session.push(0, 1);
    for (const { name } of both) await session.send(name, session.parts(name, 1));
    const border = session.media.boundaries[2]!;
    session.renditions = COPIED;
    session.nextEra(regularMedia([TICKS, TICKS, TICKS], 1500, 30_000, border), border, 2, {
      frame: border,
      frameRate: { num: 60, den: 1 },
    });
    await session.push(2, 4);
    const { text } = await house.get("/live/news/vsource.m3u8");
    assert.equal(uris(text).length, 4);
    assert.equal(all(text, "DISCONTINUITY"), 2);
    assert.match(text, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="s1\/vsource\/init-1.mp4"/);
    assert.match((await house.get("/live/news/a2.m3u8")).text, /ENDLIST/);
    assert.match((await house.get("/live/news/index.m3u8")).text, /FRAME-RATE=60.000/);
  },
);

withHouse("sound alone, and one part per segment", {}, async (house) => {
  const media = regularMedia([2 * TICKS, 2 * TICKS, 2 * TICKS], 3000, 2 * TICKS + 10_000);
  const session = new SourceSession(house, "s1", media, [copiedAudio("asource")]);
  await session.open({ partTargetMs: 2200 });
  await session.push(0, 2);
  const { text } = await house.get("/live/news/asource.m3u8");
  assert.deepEqual([uris(text).length, parts(text).length], [2, 2]);
  assert.match(hint(text)!, /\.0\.m4s$/);
  assert.doesNotMatch((await house.get("/live/news/index.m3u8")).text, /RESOLUTION|VIDEO-RANGE/);
});

withHouse(
  "sound that just stops is gaps after a while, and goes on where it comes again",
  { clock: fastClock(20), origin: { tendMs: 500 } },
  async (house) => {
    const session = new SourceSession(house, "s1", regularMedia(Array.from({ length: 8 }, () => 2 * TICKS)));
    await session.open();
    await session.push(0, 1);
    for (const ordinal of [2, 3, 4, 5, 6, 7]) session.boundary(ordinal);
    for (const ordinal of [1, 2, 3, 4, 5]) await session.send("vsource", session.parts("vsource", ordinal));
    const sound = async () => (await house.get("/live/news/asource.m3u8")).text;
    await until(async () => all(await sound(), "GAP") === 4);
    assert.doesNotMatch((await house.get("/live/news/vsource.m3u8")).text, /GAP/);
    for (const ordinal of [5, 6]) await session.send("asource", session.parts("asource", ordinal));
    const text = await sound();
    assert.deepEqual([all(text, "GAP"), uris(text).length], [4, 7]);
    assert.deepEqual((await house.get(`/live/news/${uris(text)[6]}`)).body, session.bytes("asource", 6));
  },
);

withHouse("an origin killed in the middle of it takes the open segment again from its start", {}, async (first) => {
  const session = new SourceSession(first, "s1", regularMedia(GOPS));
  await session.open();
  await session.push(0, 2);
  for (const { name } of COPIED) await session.send(name, session.parts(name, 2).slice(0, 2));
  const before = (await first.get("/live/news/asource.m3u8")).text;
  await first.crash();
  const second = await new TestHouse({ journals: first.journals, logs: first.logs }).start();
  try {
    session.moveTo(second);
    assert.deepEqual(uris((await second.get("/live/news/asource.m3u8")).text), uris(before));
    const next = await until(async () => {
      const headers = { authorization: `Bearer ${await session.base.token()}` };
      return (JSON.parse((await second.get("/internal/origin/sessions/s1", headers)).text) as { next: object | null })
        .next;
    });
    assert.deepEqual(next, { era: 0, frame: session.media.boundaries[2] });
    for (const { name } of COPIED) for (const ordinal of [1, 2]) await session.send(name, session.parts(name, ordinal));
    session.boundary(3);
    for (const { name } of COPIED) {
      const { text } = await second.get(`/live/news/${name}.m3u8`);
      assert.equal(uris(text).length, 3);
      assert.deepEqual((await second.get(`/live/news/${uris(text)[2]}`)).body, session.bytes(name, 2));
      assert.doesNotMatch(text, /GAP/);
    }
    assert.equal(second.origin.sessions()[0]!.copiesThatDiffer, 0);
  } finally {
    await second.stop();
  }
});

withHouse("a part sent again says what its first copy did not know: that it was the last", {}, async (house) => {
  const session = new SourceSession(house, "s1", regularMedia(GOPS));
  await session.open();
  session.boundary(0);
  const own = session.parts("vsource", 0);
  const silent = { ...own.at(-1)!, last: false };
  await session.send("vsource", [...own.slice(0, -1), silent]);
  const before = hint((await house.get("/live/news/vsource.m3u8")).text)!;
  assert.match(before, new RegExp(`\\.${own.length}\\.m4s$`));
  await session.send("vsource", own.slice(-1));
  assert.match(hint((await house.get("/live/news/vsource.m3u8")).text)!, /\.0\.m4s$/);
  const bytes = (await house.get(`/live/news/${parts((await house.get("/live/news/vsource.m3u8")).text).at(-1)}`)).body;
  assert.deepEqual(bytes, own.at(-1)!.bytes);
  assert.notDeepEqual(sent(own.at(-1)!), bytes, "the box is not served");
});
