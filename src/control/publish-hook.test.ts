// What control makes of a customer's word about a publisher.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { channelDefaults } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import { hashKey } from "./channel-keys.ts";
import type { PublishHookPort } from "./publish-hook.ts";
import { createHouse, PUBLISH_KEY } from "./testing/house.ts";

const LIMITS = { bitrateKbps: 6000, height: 1080, durationSeconds: null };
const NEWS = {
  channel: { ...channelDefaults, name: "news", origin: "file" as const, segmentSeconds: 1, limits: LIMITS },
  keys: [{ name: "studio", sha256: hashKey("studio-key") }],
};
type Question = Parameters<PublishHookPort["ask"]>[0];

const asks = (channel: string, key: string | null, change: Partial<PublishRequest> = {}): PublishRequest => ({
  protocol: "rtmp",
  byInput: false,
  channel,
  rtmpPath: `live/${channel}`,
  key,
  remote: "10.0.0.1:4711",
  ...change,
});

async function hooked(keys: "ours" | "theirs", answer: (question: Question) => unknown) {
  const questions: Question[] = [];
  const ask = async (question: Question) => {
    questions.push(question);
    return answer(question);
  };
  const house = await createHouse({ configured: [NEWS], publishHook: { keys, ask } });
  return { house, questions, authorize: house.control.publishAuthority().authorize };
}

const no = () => {
  throw new PlatformError("publish.hook_refused", "Your plan has ended.");
};

test("an answer changes what it names, and leaves the channel's other limits", async () => {
  const answer = { limits: { height: 720 }, ladder: "passthrough", name: "evil", tenant: "evil", more: 1 };
  const { authorize, house, questions } = await hooked("ours", () => answer);
  const channel = await authorize(asks("news", "studio-key"));
  assert.deepEqual(channel.limits, { ...LIMITS, height: 720 });
  assert.deepEqual([channel.ladder, channel.name, channel.tenant], ["passthrough", "news", "main"]);
  assert.deepEqual([questions[0]!.keyName, questions[0]!.key], ["studio", null], "the key itself stays here");
  assert.deepEqual(house.channels.get("news")!.channel.limits, LIMITS, "only this session is changed");
  await house.control.close();
});

test("an answer that does not fit the channel as it is lets nobody in", async () => {
  for (const answer of [{ partSeconds: 1.5 }, { limits: { height: "tall" } }, { ladder: "best" }]) {
    const { authorize, house } = await hooked("ours", () => answer);
    await assert.rejects(authorize(asks("news", "studio-key")), { code: "publish.unavailable" });
    assert.ok(!house.channels.get("news")!.keys[0]!.lastUsedAt, "nobody came in with the key");
    await house.control.close();
  }
});

test("a wrong key asks nobody; a no makes no channel", async () => {
  const { authorize, house, questions } = await hooked("ours", no);
  await assert.rejects(authorize(asks("news", "wrong-key")), { code: "publish.key_refused" });
  assert.equal(questions.length, 0);
  await assert.rejects(authorize(asks("fresh", PUBLISH_KEY)), { code: "publish.hook_refused" });
  assert.equal(house.channels.get("fresh"), null);
  await house.control.close();
});

test("where the other side judges keys it is shown them; the demo's own source is no customer", async () => {
  const { authorize, house, questions } = await hooked("theirs", ({ key }) => (key === "theirs-1" ? null : no()));
  assert.equal((await authorize(asks("news", "theirs-1"))).name, "news");
  assert.equal((await authorize(asks("made", "theirs-1"))).origin, "auto");
  await assert.rejects(authorize(asks("news", "studio-key")), { code: "publish.hook_refused" });
  assert.deepEqual(
    questions.map(({ key }) => key),
    ["theirs-1", "theirs-1", "studio-key"],
  );
  assert.equal((await authorize(asks("demo", PUBLISH_KEY))).origin, "demo");
  assert.equal(questions.length, 3);
  await assert.rejects(authorize(asks("demo", "wrong-key")), { code: "publish.key_refused" });
  await house.control.close();
});
