// Events on their way: in order, at least once, whatever is killed, full or away.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { openOutbox } from "./outbox.ts";
import { newsOf, type SeenSession, type Told } from "./told.ts";
import { type Post, STREAM_EVENTS, type StreamEventType } from "./types.ts";

const SECRET = "a secret of the customer";

/** Lets promises and journals run. */
const settle = async () => {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

const seen = (id: string, state: SeenSession["state"]): SeenSession => ({
  id,
  channel: "news",
  tenant: "main",
  state,
  protocol: "rtmp",
  remote: "r",
  endReason: null,
});

test("what is told follows from states alone: any restart between two looks says nothing twice and leaves nothing out", () => {
  const states = fc.array(fc.constantFrom("starting", "live", "interrupted", "ending", "ended", "failed", "absent"), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(states, (list) => {
      const told = new Map<string, Told>();
      const types: string[] = [];
      for (const state of list) {
        const sessions = state === "absent" ? [] : [seen("s", state as SeenSession["state"])];
        for (let look = 0; look < 2; look += 1)
          for (const news of newsOf(sessions, told, true)) {
            told.set(news.session, news.told);
            types.push(news.told.type);
          }
      }
      const text = types.map((type) => type.slice(7)).join(" ");
      assert.match(text, /^(failed)?$|^started( interrupted( resumed)?)*( (ended|failed))?$/, text);
      assert.equal(told.get("s")?.count ?? 0, types.length);
    }),
  );
});

type Received = { id: string; session: string | null; type: string };

async function outboxWith(
  post: Post,
  journals = memoryJournals(),
  types = STREAM_EVENTS as readonly StreamEventType[],
) {
  const clock = simClock();
  const hooks = [{ url: "http://customer/events?token=x", secret: SECRET, types }];
  const outbox = await openOutbox({ clock, random: seededRandom(5), log: silentLog, hooks, journals, post });
  return { clock, outbox, journals };
}

test("events of a session arrive in order and at least once, whatever fails in between; states say how it goes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(200, 500, 0), { maxLength: 25 }), async (outcomes) => {
      const received: Received[] = [];
      let at = 0;
      const { clock, outbox } = await outboxWith(async (_, body) => {
        const outcome = outcomes[at++] ?? 200;
        if (outcome === 0) throw new PlatformError("network.unreachable", "away");
        if (outcome === 200) received.push(JSON.parse(body) as Received);
        return { status: outcome, body: "" };
      });
      outbox.look([seen("a", "live"), seen("b", "live")], true);
      outbox.look([seen("a", "interrupted"), seen("b", "live")], true);
      outbox.look([seen("a", "live"), seen("b", "ended")], true);
      outbox.look([], true);
      for (let minute = 0; minute < 300 && outbox.states()[0]!.pending > 0; minute += 1) {
        await settle();
        clock.advance(60_000);
      }
      await settle();
      const of = (session: string) => received.filter((event) => event.session === session).map(({ type }) => type);
      assert.deepEqual(of("a"), ["stream.started", "stream.interrupted", "stream.resumed", "stream.ended"]);
      assert.deepEqual(of("b"), ["stream.started", "stream.ended"]);
      const [state] = outbox.states();
      assert.deepEqual(
        [state!.pending, state!.delivered, state!.dead, state!.url],
        [0, 6, 0, "http://customer/events"],
      );
      await outbox.close();
    }),
    { numRuns: 25 },
  );
});

test("a process that is killed with events waiting: the next one sends them, and says nothing twice", async () => {
  const journals = memoryJournals();
  const first = await outboxWith(async () => ({ status: 503, body: "" }), journals);
  first.outbox.look([seen("a", "live")], true);
  await settle();
  const received: Received[] = [];
  const second = await outboxWith(async (_, body) => {
    received.push(JSON.parse(body) as Received);
    return { status: 204, body: "" };
  }, journals);
  second.outbox.look([seen("a", "live")], true);
  second.outbox.look([], false); // the gateway has not been heard: nothing has ended
  await settle();
  assert.deepEqual(
    received.map(({ id, type }) => [id, type]),
    [["a.1", "stream.started"]],
  );
  second.outbox.look([], true);
  await settle();
  assert.deepEqual(
    received.map(({ id }) => id),
    ["a.1", "a.2"],
  );
  await second.outbox.close();
});

test("no more than a thousand events wait for a target", async () => {
  const { outbox } = await outboxWith(async () => ({ status: 500, body: "" }));
  for (let i = 0; i < 1100; i += 1) outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
  await settle();
  assert.deepEqual([outbox.states()[0]!.pending, outbox.states()[0]!.dead], [1000, 100]);
  await outbox.close();
});

test("when too many wait, refusals are given up before the news of a stream", async () => {
  const received: Received[] = [];
  let away = true;
  const { outbox, clock } = await outboxWith(async (_, body) => {
    if (!away) received.push(JSON.parse(body) as Received);
    return { status: away ? 500 : 204, body: "" };
  });
  outbox.look([seen("a", "live")], true);
  for (let i = 0; i < 3000; i += 1) outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
  outbox.look([], true);
  away = false;
  for (let turn = 0; turn < 400 && outbox.states()[0]!.pending > 0; turn += 1) {
    await settle();
    clock.advance(1000);
  }
  const streams = received.filter(({ session }) => session === "a").map(({ type }) => type);
  assert.deepEqual(streams, ["stream.started", "stream.ended"]);
  assert.equal(received.length, 1000);
  await outbox.close();
});

test("while the disk does not answer, refusals are counted instead of kept", async () => {
  const disk = memoryJournals();
  const release: (() => void)[] = [];
  let stuck = false;
  const slow = {
    ...disk,
    async open(name: string) {
      const journal = await disk.open(name);
      const append = async (record: Uint8Array) => {
        if (stuck) await new Promise<void>((resolve) => release.push(resolve));
        await journal.append(record);
      };
      return { read: journal.read.bind(journal), close: journal.close.bind(journal), append };
    },
  };
  const omitted: unknown[] = [];
  const { outbox } = await outboxWith(async (_, body) => {
    omitted.push((JSON.parse(body) as { data: { omitted?: number } }).data.omitted);
    return { status: 204, body: "" };
  }, slow);
  stuck = true;
  const refuse = () => outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
  refuse();
  await settle();
  for (let i = 0; i < 20_000; i += 1) refuse();
  assert.ok(outbox.states()[0]!.pending <= 1000);
  stuck = false;
  for (const go of release) go();
  for (let i = 0; i < 200; i += 1) await settle();
  refuse();
  await settle();
  assert.ok((omitted.at(-1) as number) > 10_000, `${omitted.at(-1)}`);
  assert.equal(omitted.slice(0, -1).filter((count) => count !== undefined).length, 0);
  await outbox.close();
});

test("a test event goes to every target, whatever it wants to hear of", async () => {
  const received: Received[] = [];
  const taking: Post = async (_, body) => {
    received.push(JSON.parse(body) as Received);
    return { status: 204, body: "" };
  };
  const { outbox } = await outboxWith(taking, memoryJournals(), ["stream.ended"]);
  outbox.look([seen("a", "live")], true);
  outbox.test();
  await settle();
  assert.deepEqual(
    received.map(({ type, session }) => [type, session]),
    [["hooks.test", null]],
  );
  await outbox.close();
});

test("a target that never answers: after a day its events are given up", async () => {
  const { clock, outbox } = await outboxWith(async () => ({ status: 500, body: "" }));
  for (let i = 0; i < 10; i += 1) outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
  for (let turn = 0; turn < 200; turn += 1) {
    await settle();
    clock.advance(600_000);
    if (turn === 130) assert.equal(outbox.states()[0]!.pending, 10, "not before");
  }
  const [state] = outbox.states();
  assert.deepEqual([state!.pending, state!.dead, state!.lastError], [0, 10, "it answered 500"]);
  await outbox.close();
});

/** Journals that a kill stops at its `keeps`th record: nothing after it is on disk. */
function dyingJournals(folder: ReturnType<typeof memoryJournals>, keeps: number) {
  let left = keeps;
  return {
    ...folder,
    async open(name: string) {
      const journal = await folder.open(name);
      const append = async (record: Uint8Array) => {
        if (left-- > 0) await journal.append(record);
        else await new Promise(() => {}); // the process is gone
      };
      return { ...journal, append, read: journal.read, close: journal.close };
    },
  };
}

test("a kill after any record loses no event: what was not told before is told afterwards", async () => {
  for (let keeps = 0; keeps <= 6; keeps += 1) {
    const disk = memoryJournals();
    const dead: Post = async () => ({ status: 503, body: "" });
    const first = await outboxWith(dead, dyingJournals(disk, keeps));
    first.outbox.look([seen("a", "live")], true);
    await settle();
    first.outbox.look([seen("a", "interrupted")], true);
    await settle();
    const ids: string[] = [];
    const second = await outboxWith(async (_, body) => {
      ids.push((JSON.parse(body) as Received).id);
      return { status: 200, body: "" };
    }, disk);
    second.outbox.look([seen("a", "live")], true);
    second.outbox.look([seen("a", "interrupted")], true);
    second.outbox.look([seen("a", "ended")], true);
    for (let i = 0; i < 5; i += 1) {
      await settle();
      second.clock.advance(1000);
    }
    const types = [...new Set(ids)].length;
    assert.ok(ids.includes("a.1") && types >= 3, `${keeps} records kept: ${ids}`);
    assert.deepEqual(ids, ids.toSorted(), "in order, whatever is said twice");
    await second.outbox.close();
  }
});

test("the journal stays small, with many events waiting as well, and one that cannot be written anew is tried again", async () => {
  const disk = memoryJournals();
  let opened = 0;
  let open = 0;
  let noNew = false;
  const counting = {
    ...disk,
    async open(name: string) {
      opened += 1;
      open += 1;
      const journal = await disk.open(name);
      const refused = () => Promise.reject(new PlatformError("journal.failed", "no space is left"));
      const close = async () => {
        open -= 1;
        await journal.close();
      };
      return { ...journal, close, append: noNew ? refused : journal.append };
    },
  };
  const { outbox, clock } = await outboxWith(async () => ({ status: 500, body: "" }), counting);
  const refuse = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
      if (i % 200 === 0) await settle();
    }
    await settle();
    clock.advance(1);
    await settle();
  };
  await refuse(9000); // each beyond the thousandth is written, and given up
  assert.ok(opened >= 3 && opened < 10, `${opened} journals for 17 000 records`);
  noNew = true;
  await refuse(6000);
  noNew = false;
  clock.advance(5000);
  await refuse(6000);
  assert.equal(open, 1);
  const names = await disk.list();
  assert.equal(names.length, 1, `${names}`);
  let records = 0;
  for await (const _ of (await disk.open(names[0]!)).read()) records += 1;
  assert.ok(records < 7000, `${records} records`);
  assert.equal(outbox.states()[0]!.pending, 1000);
  await outbox.close();
});

test("a disk that is full at the start: events are sent all the same, and kept as soon as there is room", async () => {
  let full = true;
  const disk = memoryJournals({ fails: () => full });
  const { outbox, clock } = await outboxWith(async () => ({ status: 500, body: "" }), disk);
  outbox.look([seen("a", "live")], true);
  await settle();
  full = false;
  clock.advance(5000);
  outbox.refused({ channel: "c", code: "publish.key_refused", message: "no" });
  await settle();
  const ids: string[] = [];
  const next = await outboxWith(async (_, body) => {
    ids.push((JSON.parse(body) as Received).type);
    return { status: 200, body: "" };
  }, disk);
  await settle();
  assert.deepEqual(ids.sort(), ["publish.refused", "stream.started"]);
  await outbox.close();
  await next.outbox.close();
});
