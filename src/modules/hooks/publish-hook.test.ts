// What a customer's server is asked about a publisher, and what its answer comes to.
import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { createPublishAsker, type PublishQuestion } from "./publish-hook.ts";
import { hookDefaults, type Post, type PublishHook } from "./types.ts";

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
