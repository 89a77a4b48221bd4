import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { ChannelNumbers } from "./numbers.ts";
import { channelNamed, LADDER, TestHouse, until } from "./testing/harness.ts";

const uris = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const tag = (text: string, name: string) => new RegExp(`#EXT-X-${name}:(.*)`).exec(text)?.[1];

/** Origins one after another over the same disk and the same logs, as after kill -9. */
async function restarted(before: TestHouse, options: ConstructorParameters<typeof TestHouse>[0] = {}) {
  const house = new TestHouse({ journals: before.journals, ...options, logs: before.logs });
  return house.start();
}

async function stopAll(...houses: TestHouse[]): Promise<void> {
  for (const house of houses) await house.stop();
}

test("killed in the middle of a session: what was acknowledged is served, the rest is taken again", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  const numbers = await session.open();
  await session.push(0, 3);
  await session.pushParts(3, 0, 3);
  const before = (await first.get("/live/news/v360.m3u8")).text;
  await first.crash();

  const second = await restarted(first);
  session.moveTo(second);
  const after = (await second.get("/live/news/v360.m3u8")).text;
  assert.deepEqual(uris(after), uris(before));
  assert.equal(tag(after, "MEDIA-SEQUENCE"), tag(before, "MEDIA-SEQUENCE"));
  assert.doesNotMatch(after, /ENDLIST/);
  assert.equal((await second.get("/live/news/index.m3u8")).status, 200);
  for (const { name } of LADDER) {
    const listed = uris((await second.get(`/live/news/${name}.m3u8`)).text);
    for (const [ordinal, uri] of listed.entries()) {
      const { body } = await second.get(`/live/news/${uri}`);
      assert.deepEqual(body, Buffer.concat(session.parts(name, session.segment(ordinal))));
    }
  }
  assert.deepEqual(await second.origin.openSession("s1", session.channel), numbers);
  await session.push(2, 6); // the sender had no word for all of it
  const later = (await second.get("/live/news/v360.m3u8")).text;
  assert.equal(uris(later).length, 6);
  assert.deepEqual(uris(later).slice(0, 3), uris(before));
  assert.doesNotMatch(later, /GAP/);
  assert.equal(second.origin.sessions()[0]!.copiesThatDiffer, 0);
  session.end(5);
  await until(() => second.origin.sessions()[0]!.state === "complete");
  await stopAll(second);
});

test("a session whose log is gone too ends; numbers that may have been shown are gaps, the next ones are above", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  const { msnBase } = await session.open();
  await session.push(0, 3);
  await first.crash();
  first.logs.forget("s1");

  const second = await restarted(first);
  await until(() => second.origin.sessions()[0]!.state === "abandoned");
  const ended = (await second.get("/live/news/v360.m3u8")).text;
  assert.match(ended, /#EXT-X-ENDLIST/);
  const next = second.session("s2");
  const bases = await next.open();
  assert.ok(bases.msnBase >= msnBase + 4, `${bases.msnBase}`);
  assert.ok(bases.msnBase <= msnBase + 3 + 16, `${bases.msnBase}`); // no more than a block
  await next.push(0, 1);
  for (const name of ["v360", "a128"]) {
    const { text } = await second.get(`/live/news/${name}.m3u8`);
    assert.equal(tag(text, "MEDIA-SEQUENCE"), String(msnBase));
    assert.equal(uris(text).length, bases.msnBase + 1 - msnBase);
    assert.equal([...text.matchAll(/#EXT-X-GAP/g)].length, bases.msnBase - msnBase - 3);
  }
  await stopAll(second);
});

test("a channel whose journal cannot be read costs no other channel, and is tried again when it is needed", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  await session.open();
  await session.push(0, 2);
  const numbers = await first.origin.openSession("other1", channelNamed("other"));
  await first.crash();
  let isBroken = true;
  const journals: JournalFolder = {
    ...first.journals,
    open: async (name) => {
      if (isBroken && name.startsWith("numbers/other/")) throw new PlatformError("journal.failed", "no space left");
      return first.journals.open(name);
    },
  };
  const second = await restarted(first, { journals });
  session.moveTo(second);
  await session.push(2, 3);
  assert.equal(uris((await second.get("/live/news/v360.m3u8")).text).length, 3);
  await assert.rejects(second.origin.openSession("other1", channelNamed("other")), { code: "journal.failed" });
  isBroken = false;
  assert.deepEqual(await second.origin.openSession("other1", channelNamed("other")), numbers);
  await stopAll(second);
});

test("an ended session is listed after a restart, and forgotten when its time is over", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  await session.open();
  await session.push(0, 2);
  session.end(1);
  await until(() => first.origin.sessions()[0]!.state === "complete");
  const before = (await first.get("/live/news/v360.m3u8")).text;
  await first.crash();
  const second = await restarted(first);
  assert.equal((await second.get("/live/news/v360.m3u8")).text, before);
  assert.equal(second.origin.sessions()[0]!.state, "complete");
  await second.crash();

  const third = await restarted(second, { origin: { endedKeepMs: 1, tendMs: 20 } });
  assert.equal((await third.get("/live/news/v360.m3u8")).status, 404);
  assert.deepEqual(
    (await third.journals.list()).filter((name) => name.startsWith("segments/")),
    [],
  );
  const next = await third.session("s2").open();
  assert.deepEqual(next, { msnBase: 2, discontinuityBase: 1 });
  await stopAll(third);
});

test("opened and killed before the first segment: the same numbers, and it goes on", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  const numbers = await session.open();
  await first.crash();
  const second = await restarted(first);
  session.moveTo(second);
  assert.deepEqual(await second.origin.openSession("s1", session.channel), numbers);
  await session.push(0, 1);
  assert.equal((await second.get("/live/news/index.m3u8")).status, 200);
  await stopAll(second);
});

test("splices before a crash give the same numbers after it", async () => {
  const first = await new TestHouse().start();
  const session = first.session("s1");
  await session.open();
  session.say({ kind: "splice", frame: session.segment(0).start + 20, discontinuity: true });
  session.say({ kind: "splice", frame: session.segment(2).start + 10, discontinuity: false });
  await session.push(0, 5);
  const before = (await first.get("/live/news/a128.m3u8")).text;
  await first.crash();
  const second = await restarted(first);
  session.moveTo(second);
  await session.push(4, 7);
  const after = (await second.get("/live/news/a128.m3u8")).text;
  assert.deepEqual(uris(after).slice(0, 5), uris(before));
  assert.equal(uris(after).length, 7);
  assert.equal([...after.matchAll(/#EXT-X-DISCONTINUITY\n/g)].length, 2);
  await stopAll(second);
});

test("files: on a real disk the same holds, and what left the window leaves the disk", async () => {
  const folder = await mkdtemp(join(tmpdir(), "origin-"));
  try {
    const options = { origin: { stretchSegments: 4, tendMs: 20 } };
    const first = await new TestHouse({ journals: fileJournals(folder), ...options }).start();
    const session = first.session("s1", channelNamed("news", { windowSegments: 4 }));
    await session.open();
    await session.push(0, 6);
    const before = (await first.get("/live/news/v360.m3u8")).text;
    await first.crash();
    const second = await restarted(first, { journals: fileJournals(folder), ...options });
    session.moveTo(second);
    assert.deepEqual(uris((await second.get("/live/news/v360.m3u8")).text), uris(before));
    await session.push(6, 7);
    assert.equal(uris((await second.get("/live/news/v360.m3u8")).text).length, 4);
    session.end(6);
    await until(() => second.origin.sessions()[0]!.state === "complete");
    await stopAll(second);
    const third = await restarted(second, { journals: fileJournals(folder), origin: { endedKeepMs: 1 } });
    assert.equal((await third.journals.list()).filter((name) => name.startsWith("segments/")).length, 0);
    await stopAll(third);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("numbers: whatever is killed when, none is given twice and none goes back", async () => {
  const step = fc.constantFrom("open", "show", "close", "crash", "reopen");
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const folder: JournalFolder = memoryJournals();
    let numbers = await ChannelNumbers.open(folder, "news", 8, silentLog);
    let shown = -1;
    let base = 0;
    let count = 0;
    let open: string | null = null;
    for (const kind of steps) {
      if (kind === "open" && open === null) {
        open = `s${(count += 1)}`;
        base = (await numbers.reserve(open, channelNamed("news"))).msnBase;
        assert.ok(base > shown, `base ${base}, but ${shown} was shown`);
        shown = Math.max(shown, base - 1);
      } else if (kind === "show" && open !== null) {
        numbers.shown(shown + 1, 0);
        shown += 1;
        await Promise.resolve(); // the raise is on its way; a part does not wait for it
        await new Promise((resolve) => setImmediate(resolve));
      } else if (kind === "close" && open !== null) {
        await numbers.close(open, shown, 0);
        open = null;
      } else if (kind === "crash" || kind === "reopen") {
        numbers = await ChannelNumbers.open(folder, "news", 8, silentLog);
        if (kind === "reopen" && open !== null)
          assert.equal((await numbers.reserve(open, channelNamed("news"))).msnBase, base);
        else open = null;
      }
      assert.ok(numbers.listedTo >= shown, `listed to ${numbers.listedTo}, ${shown} was shown`);
    }
  });
  await fc.assert(property, { numRuns: 200, seed: 8 });
});

test("numbers: a journal that has grown long is written anew, with the same state", async () => {
  const folder = memoryJournals();
  let numbers = await ChannelNumbers.open(folder, "news", 8, silentLog);
  const channel = channelNamed("news");
  let last = -1;
  for (let i = 0; i < 2100; i += 1) {
    const { msnBase } = await numbers.reserve(`s${i}`, channel);
    assert.equal(msnBase, last + 1);
    last = msnBase + 1;
    await numbers.close(`s${i}`, last, i + 1);
  }
  assert.deepEqual(await folder.list(), ["numbers/news/1"]);
  numbers = await ChannelNumbers.open(folder, "news", 8, silentLog);
  assert.equal(numbers.listedTo, last);
  assert.equal(numbers.discontinuities, 2100);
});
