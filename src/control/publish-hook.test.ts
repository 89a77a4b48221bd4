// What control makes of a customer's word about a publisher.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import Type from "typebox";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { asSchema, wrongFields } from "#base/schema.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import { hashKey } from "./channel-keys.ts";
import { changedChannel, channelConflicts, channelSettings } from "./channel-schema.ts";
import { overridesOf, type PublishHookPort } from "./publish-hook.ts";
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

test("whatever an answer holds: a channel that its own rules allow, or nobody is let in", () => {
  const random = seededRandom(20);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)]!;
  const values: (() => unknown)[] = [
    () => pick([null, true, "auto", "passthrough", "refuse", "transcode", "", "\u0000", "__proto__"]),
    () => pick([0, -0, -1, 0.15, 0.5, 1, 2, 6, 10, 720, 1e9, 1e308, 2 ** 53]),
    () => Array.from({ length: pick([0, 1, 2, 9, 200]) }, () => pick(values.slice(0, 2))()),
    () => Object.fromEntries(Array.from({ length: pick([0, 1, 3]) }, () => [pick(names), pick(values)()])),
    () => ({ height: pick([64, 180, 720, 4320, 4321, 0.5]) }),
    () => [{ copy: true }, { height: pick([180, 360]) }, { height: pick([180, 360]), bitrateKbps: pick([49, 500]) }],
  ];
  const names = [...Object.keys(channelSettings), "name", "origin", "height", "durationSeconds", "copy", "__proto__"];
  const base = NEWS.channel;
  const rules = asSchema(Type.Object(channelSettings));
  const outcomes = { taken: 0, refused: 0 };
  for (let turn = 0; turn < 20_000; turn += 1) {
    const pairs = Array.from({ length: pick([1, 1, 2, 3]) }, () => [pick(names), pick(values)()] as const);
    const answer: unknown = JSON.parse(JSON.stringify(Object.fromEntries(pairs)));
    const text = JSON.stringify(answer);
    let channel: Channel;
    try {
      channel = changedChannel(base, overridesOf(answer, base, silentLog));
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "publish.unavailable", text);
      outcomes.refused += 1;
      continue;
    }
    const { name, origin, ...settings } = channel;
    assert.deepEqual([name, origin, channel.tenant, channel.inputs], ["news", "file", "main", base.inputs], text);
    assert.deepEqual(wrongFields(rules, settings), [], text);
    assert.deepEqual(channelConflicts(channel), [], text);
    outcomes.taken += 1;
  }
  assert.ok(outcomes.taken > 2000 && outcomes.refused > 2000, JSON.stringify(outcomes));
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
