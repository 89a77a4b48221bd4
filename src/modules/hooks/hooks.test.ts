import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { openOutbox } from "./outbox.ts";
import { createPublishAsker, type PublishQuestion } from "./publish-hook.ts";
import { newsOf, type SeenSession, type Told } from "./told.ts";
import { hookDefaults, type Post, type PublishHook, STREAM_EVENTS, type StreamEvent } from "./types.ts";

const SECRET = "a secret of the customer";
const hook: PublishHook = { ...hookDefaults, url: "http://customer/hook", secret: SECRET };
const question: PublishQuestion = {
  channel: "news",
  tenant: "main",
  protocol: "rtmp",
  remote: "10.0.0.1:4711",
  keyName: "studio",
  key: null,
  rtmpPath: "live/news",
};

/** Lets promises and journals run. */
const settle = async () => {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

function asker(post: Post, change: Partial<PublishHook> = {}) {
  const clock = simClock();
  return { clock, asker: createPublishAsker({ clock, log: silentLog, hook: { ...hook, ...change }, post }) };
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => null,
    (error) => [(error as PlatformError).code, (error as PlatformError).message],
  );

test("a question is signed, asked once for equal ones at a time and for a while, and its answer obeyed", async () => {
  const posts: { body: string; headers: Readonly<Record<string, string>> }[] = [];
  const { clock, asker: hooked } = asker(async (_, body, headers) => {
    posts.push({ body, headers });
    return { status: 200, body: '{"limits":{"height":720}}' };
  });
  const answers = await Promise.all([hooked.ask(question), hooked.ask({ ...question, remote: "10.0.0.1:9" })]);
  assert.deepEqual(answers, [{ limits: { height: 720 } }, { limits: { height: 720 } }]);
  assert.equal(posts.length, 1);
  const { body, headers } = posts[0]!;
  const [, seconds, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["x-continuity-signature"]!)!;
  assert.equal(mac, createHmac("sha256", SECRET).update(`${seconds}.${body}`).digest("hex"));
  assert.ok(!("key" in JSON.parse(body)) && JSON.parse(body).channel === "news");
  clock.advance(29_000);
  await hooked.ask(question);
  assert.equal(posts.length, 1);
  clock.advance(2000);
  await hooked.ask(question);
  assert.equal(posts.length, 2);
  await hooked.ask({ ...question, channel: "other" });
  assert.equal(posts.length, 3);
});

test("a no is told in the customer's words, in one line; a failure does what is configured and is not remembered", async () => {
  const refusing = asker(async () => ({ status: 403, body: '{"message":"Your\\nplan\\u0007 has ended."}' }));
  assert.deepEqual(await codeOf(refusing.asker.ask(question)), ["publish.hook_refused", "Your plan has ended."]);
  const long = asker(async () => ({ status: 401, body: JSON.stringify({ message: "\u{1f3a5}".repeat(1000) }) }));
  assert.equal(((await codeOf(long.asker.ask(question))) as string[])[1], "\u{1f3a5}".repeat(200));
  for (const body of ["<h1>404</h1><address>proxy.internal", '{"message":7}', "null", '{"error":"db.internal"}', ""]) {
    const page = asker(async () => ({ status: 404, body }));
    assert.deepEqual(
      await codeOf(page.asker.ask(question)),
      ["publish.hook_refused", "You may not publish to this channel."],
      "what others wrote stays with the operator",
    );
  }
  let calls = 0;
  const broken: Post = async () => {
    calls += 1;
    if (calls % 2 === 0) return { status: 500, body: "" };
    throw new PlatformError("network.unreachable", "away");
  };
  const closed = asker(broken);
  for (let i = 0; i < 2; i += 1)
    assert.equal(((await codeOf(closed.asker.ask(question))) as string[])[0], "publish.unavailable");
  const open = asker(broken, { onFailure: "allow" });
  for (let i = 0; i < 2; i += 1) assert.equal(await open.asker.ask(question), null);
  assert.equal(calls, 4);
});

test("an answer that is broken JSON or a redirect counts as none; a word like OK changes nothing", async () => {
  for (const answer of [
    { status: 200, body: '{"limits":{"height":72' },
    { status: 302, body: "" },
    { status: 101, body: "" },
  ])
    for (const onFailure of ["refuse", "allow"] as const) {
      const { asker: hooked } = asker(async () => answer, { onFailure });
      const outcome = await codeOf(hooked.ask(question));
      assert.equal((outcome as string[] | null)?.[0] ?? null, onFailure === "allow" ? null : "publish.unavailable");
    }
  for (const body of ["OK", "", "null", "[1]", "  "])
    assert.equal(await asker(async () => ({ status: 200, body })).asker.ask(question), null);
});

test("a hook that is slow for one holds up nobody else; two hundred questions are open at most", async () => {
  const release: (() => void)[] = [];
  const { asker: hooked } = asker(async (_, body) => {
    if (JSON.parse(body).channel !== "quick") await new Promise<void>((resolve) => release.push(resolve));
    return { status: 200, body: "" };
  });
  const slow = Array.from({ length: 199 }, (_, i) => hooked.ask({ ...question, channel: `slow${i}` }));
  assert.equal(await hooked.ask({ ...question, channel: "quick" }), null);
  slow.push(hooked.ask({ ...question, channel: "slow199" }), hooked.ask({ ...question, channel: "slow199" }));
  const [code] = (await codeOf(hooked.ask({ ...question, channel: "one-more" }))) as string[];
  assert.equal(code, "publish.unavailable");
  for (const answer of release) answer();
  assert.deepEqual(new Set(await Promise.all(slow)), new Set([null]));
  assert.equal(release.length, 200, "the same question twice was one");
  assert.equal(await hooked.ask({ ...question, channel: "quick" }), null);
});

test("nginx's form, with the key where the other side judges it", async () => {
  let sent = "";
  const { asker: hooked } = asker(
    async (_, body) => {
      sent = body;
      return { status: 200, body: "whatever" };
    },
    { format: "nginx-rtmp", keys: "theirs" },
  );
  assert.equal(await hooked.ask({ ...question, key: "s3cret", rtmpPath: "app/cam/1" }), null);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(sent)), {
    app: "app",
    name: "cam/1",
    addr: "10.0.0.1",
    call: "publish",
    type: "live",
    key: "s3cret",
  });
});

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
  types = STREAM_EVENTS as readonly StreamEvent["type"][],
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
