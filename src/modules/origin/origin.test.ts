import { strict as assert } from "node:assert";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { fastClock, LADDER, TestHouse, until } from "./testing/harness.ts";

/** An origin for one test, and its end. */
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
const tag = (text: string, name: string) => new RegExp(`#EXT-X-${name}:(.*)`).exec(text)?.[1];

withHouse("a session is playable with the first part of every rendition, and not before", {}, async (house) => {
  const session = house.session("s1");
  assert.equal((await house.get("/live/news/index.m3u8")).status, 404);
  await session.open();
  let answered = false;
  const early = house.get("/live/news/index.m3u8").then((answer) => {
    answered = true;
    return answer;
  });
  await session.pushParts(0, 0, 1, ["v360", "v180"]);
  await until(async () => (await house.get("/live/news/v180.m3u8")).status === 200);
  assert.equal(answered, false);
  await session.pushParts(0, 0, 1, ["a128"]);
  const { status, text, headers } = await early;
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "application/vnd.apple.mpegurl");
  assert.deepEqual(uris(text), ["v360.m3u8", "v180.m3u8"]);
  assert.match(text, /CODECS="avc1\.4d401e,mp4a\.40\.2",RESOLUTION=640x360,FRAME-RATE=29\.970,AUDIO="audio"/);
  assert.match(text, /BANDWIDTH=1076000,/); // 800k x 1.125 and 128k, 24k of boxes each
});

withHouse(
  "media is served as it was pushed: init, parts, segments that are their parts' concatenation",
  {},
  async (house) => {
    const session = house.session("s1");
    await session.open();
    await session.push(0, 2);
    await session.pushParts(2, 0, 3);
    for (const { name } of LADDER) {
      const { text } = await house.get(`/live/news/${name}.m3u8`);
      const init = await house.get(`/live/news/${/MAP:URI="([^"]+)"/.exec(text)![1]}`);
      assert.deepEqual(init.body, session.init(name));
      assert.equal(init.headers["content-type"], name === "a128" ? "audio/mp4" : "video/mp4");
      for (const [i, uri] of uris(text).entries()) {
        const segment = await house.get(`/live/news/${uri}`);
        assert.deepEqual(segment.body, Buffer.concat(session.parts(name, session.segment(i))));
        assert.match(segment.headers["cache-control"]!, /immutable/);
      }
      const parts = [...text.matchAll(/EXT-X-PART:.*URI="([^"]+)"/g)].map((match) => match[1]!);
      const expected = [0, 1, 2].flatMap((i) => session.parts(name, session.segment(i)).slice(0, i === 2 ? 3 : 9));
      assert.equal(parts.length, expected.length);
      for (const [i, uri] of parts.entries())
        assert.deepEqual((await house.get(`/live/news/${uri}`)).body, expected[i]);
    }
  },
);

withHouse("a growing segment is not served, a hinted part is held until it is there", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  await session.pushParts(1, 0, 2);
  const { text } = await house.get("/live/news/v360.m3u8");
  const next = hint(text)!;
  assert.match(next, /\.2\.m4s$/);
  const growing = await house.get(`/live/news/${next.replace(".2.m4s", ".m4s")}`);
  assert.equal(growing.status, 404);
  assert.match(growing.headers["cache-control"]!, /max-age=1$/);
  assert.equal((await house.get(`/live/news/${next.replace(".2.m4s", ".3.m4s")}`)).status, 404);
  const held = house.get(`/live/news/${next}`);
  await until(() => house.origin.sessions()[0]!.waiters === 1);
  await session.pushParts(1, 2, 3);
  assert.deepEqual((await held).body, session.parts("v360", session.segment(1))[2]);
  assert.equal(house.origin.sessions()[0]!.waiters, 0);
});

withHouse(
  "blocking reload: not before, not after; what is too far ahead or wrong is 400 at once",
  {},
  async (house) => {
    const session = house.session("s1");
    const { msnBase } = await session.open();
    await session.push(0, 2);
    await session.pushParts(2, 0, 2);
    const ask = (query: string) => house.get(`/live/news/v360.m3u8?${query}`);
    const growing = msnBase + 2;
    for (const query of [`_HLS_msn=${msnBase + 1}`, `_HLS_msn=${growing}&_HLS_part=1`, `_HLS_msn=0&_HLS_part=9`]) {
      const there = await ask(query);
      assert.equal(there.status, 200, query);
      assert.match(there.headers["cache-control"]!, /max-age=12$/);
    }
    const wrong = [`_HLS_msn=${msnBase + 4}`, `_HLS_msn=${growing}&_HLS_part=11`, "_HLS_part=1", "_HLS_msn=x"];
    for (const query of wrong) {
      const answer = await ask(query);
      assert.equal(answer.status, 400, query);
      assert.equal(answer.headers["cache-control"], "public, max-age=1");
    }
    const part = ask(`_HLS_msn=${growing}&_HLS_part=2`);
    const last = ask(`_HLS_msn=${growing}&_HLS_part=6`); // past the last: the first of the next
    const whole = ask(`_HLS_msn=${growing}`);
    await until(() => house.origin.sessions()[0]!.waiters === 3);
    await session.pushParts(2, 2, 3);
    assert.match((await part).text, /\.2\.m4s"\n#EXT-X-PRELOAD/);
    assert.equal(house.origin.sessions()[0]!.waiters, 2);
    await session.pushParts(2, 3, 6);
    assert.equal(uris((await whole).text).length, 3);
    assert.equal(house.origin.sessions()[0]!.waiters, 1);
    await session.pushParts(3, 0, 1);
    assert.equal(hint((await last).text)!.slice(-6), ".1.m4s");
  },
);

withHouse("a delta update leaves out what is old; gzip and ETag say the same text", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 10);
  const full = await house.get("/live/news/v360.m3u8");
  const delta = await house.get("/live/news/v360.m3u8?_HLS_skip=YES");
  assert.equal(tag(delta.text, "SKIP"), "SKIPPED-SEGMENTS=4");
  assert.ok(full.text.endsWith(delta.text.slice(delta.text.indexOf("\n", delta.text.indexOf("#EXT-X-SKIP")) + 1)));
  const zipped = await house.get("/live/news/v360.m3u8", { "accept-encoding": "gzip, br" });
  assert.equal(zipped.headers["content-encoding"], "gzip");
  assert.equal(gunzipSync(zipped.body).toString(), full.text);
  assert.notEqual(zipped.headers.etag, full.headers.etag);
  const same = await house.get("/live/news/v360.m3u8", { "if-none-match": full.headers.etag });
  assert.deepEqual([same.status, same.body.length], [304, 0]);
});

withHouse(
  "the window moves: numbers go up by what was removed, what was removed stays fetchable",
  {},
  async (house) => {
    const session = house.session("s1", undefined);
    const { msnBase } = await session.open();
    await session.push(0, 30);
    const before = (await house.get("/live/news/v360.m3u8")).text;
    await session.push(30, 35);
    const after = (await house.get("/live/news/v360.m3u8")).text;
    assert.equal(tag(before, "MEDIA-SEQUENCE"), String(msnBase));
    assert.equal(tag(after, "MEDIA-SEQUENCE"), String(msnBase + 5));
    assert.equal(tag(before, "DISCONTINUITY-SEQUENCE"), "0");
    assert.equal(tag(after, "DISCONTINUITY-SEQUENCE"), "1"); // the session's own slid out
    assert.deepEqual(uris(after).slice(0, 25), uris(before).slice(5));
    for (const uri of uris(before)) assert.equal((await house.get(`/live/news/${uri}`)).status, 200);
  },
);

withHouse("a part is one copy: an equal one is dropped, another is an alarm and changes nothing", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  const url = `/live/news/${uris((await house.get("/live/news/v360.m3u8")).text)[0]}`;
  const first = await house.get(url);
  await session.push(0, 1);
  assert.equal(house.origin.sessions()[0]!.copiesThatDiffer, 0);
  const other = session.parts("v360", session.segment(0), 77);
  assert.equal((await session.post("v360", [session.init("v360"), ...other])).status, 200);
  assert.equal(house.origin.sessions()[0]!.copiesThatDiffer, 6);
  assert.deepEqual((await house.get(url)).body, first.body);
});

withHouse(
  "a session that ends has ENDLIST; the next one goes on under the same URL with higher numbers",
  {},
  async (house) => {
    const first = house.session("s1");
    const { msnBase } = await first.open();
    await first.push(0, 3);
    const waits = house.get(`/live/news/v360.m3u8?_HLS_msn=${msnBase + 3}`);
    await until(() => house.origin.sessions()[0]!.waiters === 1);
    first.end(2);
    assert.match((await waits).text, /#EXT-X-ENDLIST\n$/);
    const ended = (await house.get("/live/news/v360.m3u8?_HLS_msn=99999999")).text; // nothing to wait for
    assert.doesNotMatch(ended, /PRELOAD-HINT|SERVER-CONTROL|RENDITION-REPORT/);
    await until(() => house.origin.sessions()[0]!.state === "complete");

    const second = house.session("s2", undefined, house.nowNs() + 60_000_000_000n);
    const next = await second.open();
    assert.deepEqual(next, { msnBase: msnBase + 3, discontinuityBase: 1 });
    assert.deepEqual(await house.origin.openSession("s2", second.channel), next);
    await second.push(0, 2);
    const { text } = await house.get("/live/news/v360.m3u8");
    assert.doesNotMatch(text, /ENDLIST/);
    assert.equal(uris(text).length, 5);
    assert.equal(tag(text, "MEDIA-SEQUENCE"), String(msnBase));
    assert.equal([...text.matchAll(/#EXT-X-DISCONTINUITY\n#EXT-X-MAP/g)].length, 2);
  },
);

withHouse(
  "numbers that only another origin may have shown are gaps here, so that all lists are the same",
  {},
  async (house) => {
    const first = house.session("s1");
    const { msnBase } = await first.open();
    await first.push(0, 3);
    first.end(2);
    await until(() => house.origin.sessions()[0]!.state === "complete");
    const second = house.session("s2", undefined, house.nowNs() + 60_000_000_000n);
    assert.equal((await second.open(LADDER, 5)).msnBase, msnBase + 8);
    await second.push(0, 1);
    for (const name of ["v360", "v180", "a128"]) {
      const { text } = await house.get(`/live/news/${name}.m3u8`);
      assert.equal(tag(text, "MEDIA-SEQUENCE"), String(msnBase));
      assert.equal(uris(text).length, 9);
      assert.equal([...text.matchAll(/#EXT-X-GAP/g)].length, 5);
    }
  },
);

withHouse(
  "a session that is not complete is given up when the next one needs its numbers",
  { clock: fastClock(5) },
  async (house) => {
    const first = house.session("s1");
    const { msnBase } = await first.open();
    await first.push(0, 2);
    await first.pushParts(2, 0, 2, ["v360"]);
    first.end(3);
    const second = house.session("s2", undefined, house.nowNs() + 60_000_000_000n);
    assert.equal((await second.open()).msnBase, msnBase + 4);
    await second.push(0, 1);
    await until(() => house.origin.sessions()[0]!.state === "abandoned");
    const { text } = await house.get("/live/news/a128.m3u8");
    assert.equal(uris(text).length, 5);
    assert.equal([...text.matchAll(/#EXT-X-GAP/g)].length, 2);
    assert.doesNotMatch(text, /ENDLIST/);
  },
);

withHouse("holes: whole segments are gaps as they pass, a hinted part of one is 404", {}, async (house) => {
  const session = house.session("s1");
  const { msnBase } = await session.open();
  await session.push(0, 2);
  const held = house.get(`/live/news/${hint((await house.get("/live/news/v360.m3u8")).text)}`);
  const waits = house.get(`/live/news/v360.m3u8?_HLS_msn=${msnBase + 2}&_HLS_part=0`);
  await until(() => house.origin.sessions()[0]!.waiters === 2);
  const { start, end } = session.segment(2);
  session.say({ kind: "hole", from: start, to: end - 5 });
  session.say({ kind: "hole", from: end - 5, to: end });
  assert.equal((await held).status, 404);
  assert.match((await waits).text, /#EXT-X-GAP\n#EXTINF/);
  await session.push(3, 4);
  const { text } = await house.get("/live/news/a128.m3u8");
  assert.equal(uris(text).length, 4);
  assert.equal((await house.get(`/live/news/${uris(text)[2]}`)).status, 404);
  assert.equal(house.origin.sessions()[0]!.renditions[0]!.gaps, 1);
});

withHouse(
  "what a sender skips is a gap after a while, only where it was lost",
  { clock: fastClock(20) },
  async (house) => {
    const session = house.session("s1");
    await session.open();
    await session.push(0, 1);
    await session.post("v180", [session.init("v180"), ...session.parts("v180", session.segment(1))]);
    await session.post("v360", [session.init("v360"), ...session.parts("v360", session.segment(1)).slice(0, 2)]);
    await session.post("v360", [session.init("v360"), ...session.parts("v360", session.segment(2))]);
    await until(async () => uris((await house.get("/live/news/v360.m3u8")).text).length === 3);
    const { text } = await house.get("/live/news/v360.m3u8");
    assert.equal([...text.matchAll(/#EXT-X-PART:.*GAP=YES/g)].length, 4);
    assert.equal([...text.matchAll(/#EXT-X-GAP/g)].length, 1);
    const part = /URI="([^"]+\.1\.m4s)"/.exec(text.slice(text.indexOf("GAP=YES") - 400))![1];
    assert.equal((await house.get(`/live/news/${part}`)).status, 200); // it was there before the loss
    assert.doesNotMatch((await house.get("/live/news/v180.m3u8")).text, /GAP/);
  },
);

withHouse("a splice cuts segment and part; what was hinted behind it is 404", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  await session.pushParts(1, 0, 2);
  const held = house.get(`/live/news/${hint((await house.get("/live/news/v360.m3u8")).text)}`);
  await until(() => house.origin.sessions()[0]!.waiters === 1);
  session.say({ kind: "splice", frame: session.segment(1).start + 20, discontinuity: true });
  assert.equal((await held).status, 404);
  await session.push(2, 3);
  const { text } = await house.get("/live/news/v360.m3u8");
  assert.match(text, /#EXTINF:0.667333,\n.*\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP/);
  assert.equal(uris(text).length, 3);
});

withHouse("a new era has its own init, after a discontinuity", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 2);
  const border = session.segment(1).end;
  session.era(1, border, border, LADDER);
  await session.push(2, 3, 1);
  const { text } = await house.get("/live/news/v360.m3u8");
  assert.match(text, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="s1\/v360\/init-1.mp4"/);
  assert.match(uris(text)[2]!, /^s1\/v360\/1-/);
});

withHouse(
  "an open session whose media stops is stale; in a hole it is not",
  { clock: fastClock(10) },
  async (house) => {
    const session = house.session("s1");
    await session.open();
    await session.push(0, 2);
    await until(async () => (await house.get("/live/news/v360.m3u8")).status === 503);
    const stale = await house.get("/live/news/v360.m3u8");
    assert.equal(stale.headers["cache-control"], "no-store");
    assert.match(stale.text, /origin\.stale/);
    const { start } = session.segment(2);
    session.say({ kind: "hole", from: start, to: start + 10 });
    await until(async () => (await house.get("/live/news/v360.m3u8")).status === 200);
  },
);

withHouse(
  "a request that nothing answers is 503 after three target durations",
  { clock: fastClock(20) },
  async (house) => {
    const session = house.session("s1");
    const { msnBase } = await session.open();
    await session.push(0, 1);
    const late = await house.get(`/live/news/v360.m3u8?_HLS_msn=${msnBase + 1}`);
    assert.equal(late.status, 503);
    assert.equal(late.headers["cache-control"], "no-store");
  },
);

withHouse("no more wait than may", { origin: { waitersMax: 5 } }, async (house) => {
  const session = house.session("s1");
  const { msnBase } = await session.open();
  await session.push(0, 1);
  const all = Array.from({ length: 8 }, () => house.get(`/live/news/v360.m3u8?_HLS_msn=${msnBase + 1}`));
  const [one] = await Promise.all([Promise.race(all), until(() => house.origin.sessions()[0]!.waiters === 5)]);
  assert.equal(one.status, 503);
  assert.match(one.text, /origin\.busy/);
  await session.push(1, 2);
  const counts = (await Promise.all(all)).map(({ status }) => status);
  assert.equal(counts.filter((status) => status === 200).length, 5);
});

withHouse("ranges, HEAD, CORS and paths that lead nowhere", {}, async (house) => {
  const session = house.session("s1");
  await session.open();
  await session.push(0, 1);
  const path = `/live/news/${uris((await house.get("/live/news/v360.m3u8")).text)[0]}`;
  const whole = (await house.get(path)).body;
  const range = async (value: string) => house.get(path, { range: value });
  const middle = await range("bytes=10-19");
  assert.deepEqual([middle.status, middle.body], [206, whole.subarray(10, 20)]);
  assert.equal(middle.headers["content-range"], `bytes 10-19/${whole.length}`);
  assert.deepEqual((await range("bytes=-5")).body, whole.subarray(-5));
  assert.deepEqual((await range(`bytes=${whole.length - 3}-`)).body, whole.subarray(-3));
  assert.equal((await range(`bytes=${whole.length}-`)).status, 416);
  assert.equal((await range("bytes=1-2,4-5")).status, 200);
  const head = await house.get(path, {}, "HEAD");
  assert.deepEqual([head.status, head.body.length, head.headers["content-length"]], [200, 0, String(whole.length)]);
  assert.equal(head.headers["access-control-allow-origin"], "*");
  assert.equal((await house.get("/live/news/index.m3u8", {}, "OPTIONS")).status, 204);
  assert.equal((await house.get("/live/news/index.m3u8", {}, "DELETE")).status, 405);
  const tricks = [
    "../../etc/passwd",
    "..%2f..%2fetc",
    "news/../news/index.m3u8",
    "news/%69ndex.m3u8",
    "news//index.m3u8",
  ];
  tricks.push("news/s1/v360/init-1.mp4", "news/s1/v360/0-1.m4s", "news/s1/nobody/init-0.mp4", "news/nobody.m3u8", "");
  for (const trick of tricks) {
    const { status, headers } = await house.get(`/live/${trick}`);
    assert.deepEqual([status, headers["cache-control"]], [404, "public, max-age=1"], trick);
  }
});

withHouse(
  "a channel on demand is waited for, and asking is what starts it",
  { onDemand: (name) => name === "demo" },
  async (house) => {
    let changes = 0;
    house.origin.onChange(() => (changes += 1));
    const first = house.get("/live/demo/index.m3u8");
    await until(() => house.origin.audience().some(({ channel }) => channel === "demo"));
    assert.ok(changes > 0);
    await house.get("/live/stranger/index.m3u8");
    assert.deepEqual(
      house.origin.audience().map(({ channel }) => channel),
      ["demo"],
    );
    const session = house.session("d1", { ...house.session("x").channel, name: "demo" });
    await session.open();
    await session.pushParts(0, 0, 1);
    assert.equal((await first).status, 200);
  },
);

withHouse("audio only and video only are presentations too", {}, async (house) => {
  const radio = house.session("r1", { ...house.session("x").channel, name: "radio" });
  await radio.open(LADDER.slice(2));
  await radio.push(0, 2);
  const audio = (await house.get("/live/radio/index.m3u8")).text;
  assert.deepEqual(uris(audio), ["a128.m3u8"]);
  assert.doesNotMatch(audio, /EXT-X-MEDIA|RESOLUTION|AUDIO=/);
  assert.equal(uris((await house.get("/live/radio/a128.m3u8")).text).length, 2);
  const mute = house.session("m1", { ...house.session("x").channel, name: "mute" });
  await mute.open(LADDER.slice(0, 1));
  await mute.push(0, 1);
  const video = (await house.get("/live/mute/index.m3u8")).text;
  assert.match(video, /CODECS="avc1\.4d401e",/);
  assert.doesNotMatch(video, /AUDIO/);
});

withHouse("reports in a playlist are as fresh as the playlist", {}, async (house) => {
  const session = house.session("s1");
  const { msnBase } = await session.open();
  await session.push(0, 2);
  await session.pushParts(2, 0, 3, ["v360"]);
  await session.pushParts(2, 0, 2, ["a128"]);
  const { text } = await house.get("/live/news/v360.m3u8");
  const reports = [...text.matchAll(/RENDITION-REPORT:(.*)/g)].map((match) => match[1]);
  assert.deepEqual(reports, [
    `URI="v180.m3u8",LAST-MSN=${msnBase + 1},LAST-PART=5`,
    `URI="a128.m3u8",LAST-MSN=${msnBase + 2},LAST-PART=1`,
  ]);
});

withHouse("2000 waiters are answered by one part, with one body", {}, async (house) => {
  const session = house.session("s1");
  const { msnBase } = await session.open();
  await session.push(0, 10);
  const path = `/live/news/v360.m3u8?_HLS_msn=${msnBase + 10}&_HLS_part=0`;
  const all = Array.from({ length: 2000 }, () => house.get(path));
  await until(() => house.origin.sessions()[0]!.waiters === 2000);
  await session.pushParts(10, 0, 1, ["v360"]);
  const answers = await Promise.all(all);
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
});
