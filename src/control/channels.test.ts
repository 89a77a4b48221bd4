import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { channelDefaults } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import { hashKey } from "./channel-keys.ts";
import { createChannels, type StoredChannel } from "./channels.ts";
import { memoryChannelStore, PUBLISH_KEY } from "./testing/house.ts";

const entry = (name: string, keys: string[] = [], change: Partial<StoredChannel["channel"]> = {}): StoredChannel => ({
  channel: { ...channelDefaults, name, origin: "auto", ...change },
  keys: keys.map((key, i) => ({ name: `k${i}`, sha256: hashKey(key) })),
});

const NEWS = entry("news", ["news-key-1", "news-key-2"], { origin: "file", rtmpPath: "app/old-name" });

async function registry(options: { autoCreate?: boolean; demo?: boolean; stored?: StoredChannel[] } = {}) {
  const store = memoryChannelStore(options.stored ?? [entry("made", ["made-key"])]);
  const clock = simClock();
  const channels = await createChannels({
    clock,
    store,
    log: silentLog,
    configured: [NEWS],
    demo: options.demo ?? true,
    autoCreate: options.autoCreate ?? true,
    publishKey: PUBLISH_KEY,
  });
  return { channels, store, clock };
}

const asks = (channel: string | null, key: string | null, change: Partial<PublishRequest> = {}): PublishRequest => ({
  protocol: "rtmp",
  byInput: false,
  channel,
  key,
  rtmpPath: channel === null ? null : `live/${channel}`,
  remote: "r",
  ...change,
});

test("each of a channel's keys opens it, and the publish key opens all", async () => {
  const { channels } = await registry();
  for (const key of ["news-key-1", "news-key-2", PUBLISH_KEY])
    assert.equal(channels.authorize(asks("news", key)).name, "news");
  assert.equal(channels.authorize(asks("demo", PUBLISH_KEY)).origin, "demo");
});

test("another channel's key, no key, a wrong key: refused with what to do, and nothing is given away", async () => {
  const { channels } = await registry();
  const refusal = (request: PublishRequest) => {
    try {
      channels.authorize(request);
    } catch (error) {
      assert.ok(error instanceof PlatformError);
      return `${error.code}: ${error.message}`;
    }
    return assert.fail("let in");
  };
  assert.match(refusal(asks("news", "made-key")), /^publish\.key_refused: This key does not open this channel/);
  assert.match(refusal(asks("news", null)), /^publish\.key_refused: .*rtmp:\/\/HOST\/live\/news\?key=KEY/);
  assert.match(refusal(asks("ts", null, { protocol: "mpegts" })), /\/ingest\/ts\.mpegts\?key=KEY/);
  assert.equal(refusal(asks("news", "wrong-key")), refusal(asks("no-such-channel", "wrong-key")));
  assert.match(refusal(asks(null, "wrong-key")), /^publish\.key_refused/);
  assert.match(refusal(asks(null, PUBLISH_KEY)), /^publish\.channel_unknown: .*must be named/);
  assert.doesNotMatch(refusal(asks("a-mistyped-key-of-some-length-3f9", null)), /3f9/);
});

test("a key alone in the URL finds its channel, whichever field the gateway put it in", async () => {
  const { channels } = await registry();
  assert.equal(channels.authorize(asks(null, "made-key")).name, "made");
  assert.equal(channels.authorize(asks("news-key-2", null)).name, "news");
});

test("the installation's key alone opens no channel, and whoever tries is told to name one", async () => {
  const { channels } = await registry();
  for (const request of [asks(null, PUBLISH_KEY), asks(PUBLISH_KEY, null)])
    assert.throws(() => channels.authorize(request), { code: "publish.channel_unknown", message: /must be named/ });
});

test("a mapped RTMP path leads to its channel; its last word counts as the key when there is no other", async () => {
  const { channels } = await registry();
  const mapped = { rtmpPath: "app/old-name" };
  assert.equal(channels.authorize(asks("old-name", "news-key-1", mapped)).name, "news");
  assert.throws(() => channels.authorize(asks("old-name", null, mapped)), { code: "publish.key_refused" });
  const { channels: open } = await registry({ stored: [entry("legacy", ["stream1"], { rtmpPath: "cams/stream1" })] });
  assert.equal(open.authorize(asks("stream1", null, { rtmpPath: "cams/stream1" })).name, "legacy");
});

test("a first publish with the publish key makes the channel, and it is stored", async () => {
  const { channels, store } = await registry();
  let changes = 0;
  channels.onChange(() => (changes += 1));
  assert.deepEqual(channels.authorize(asks("fresh", PUBLISH_KEY)), {
    ...channelDefaults,
    name: "fresh",
    origin: "auto",
  });
  await channels.put(entry("other")); // saves are in order, so the first one is done
  assert.deepEqual(
    store.saved.map(({ channel }) => channel.name),
    ["made", "fresh", "other"],
  );
  assert.equal(changes, 2);
  assert.throws(() => channels.authorize(asks("Not A Name", PUBLISH_KEY)), {
    code: "publish.channel_unknown",
    message: /a-z/,
  });
});

test("with autoCreate off an unknown channel is refused", async () => {
  const { channels } = await registry({ autoCreate: false });
  const refusal = { code: "publish.channel_unknown", message: /autoCreate is off/ };
  assert.throws(() => channels.authorize(asks("fresh", PUBLISH_KEY)), refusal);
  assert.equal(channels.get("fresh"), null);
});

test("a channel of the file hides a stored one of its name; fixed ones cannot be changed; the list is sorted", async () => {
  const { channels } = await registry({ stored: [entry("news", ["stored-key"]), entry("a")] });
  assert.throws(() => channels.authorize(asks("news", "stored-key")), { code: "publish.key_refused" });
  await assert.rejects(channels.put(entry("news")), { code: "channel.read_only", message: /configuration file/ });
  await assert.rejects(channels.remove("demo"), { code: "channel.read_only", message: /built in/ });
  await assert.rejects(channels.remove("none"), { code: "channel.unknown" });
  await assert.rejects(channels.put(entry("b", [], { rtmpPath: "app/old-name" })), {
    code: "api.conflict",
    message: /leads to channel news/,
  });
  assert.deepEqual(
    channels.list().map(({ channel }) => channel.name),
    ["a", "demo", "news"],
  );
});

test("what cannot be stored does not happen, and later saves go on", async () => {
  const { channels, store } = await registry();
  const save = store.save;
  store.save = () => Promise.reject(new PlatformError("journal.failed", "disk full"));
  await assert.rejects(channels.put(entry("x")), { code: "journal.failed" });
  await assert.rejects(channels.remove("made"), { code: "journal.failed" });
  assert.equal(
    channels.authorize(asks("auto-made", PUBLISH_KEY)).name,
    "auto-made",
    "a publisher need not wait for the disk",
  );
  await assert.rejects(channels.put(entry("y")), { code: "journal.failed" });
  store.save = save;
  await channels.put(entry("z"));
  assert.deepEqual(
    store.saved.map(({ channel }) => channel.name),
    ["made", "auto-made", "z"],
  );
});

test("an input of the channel's own needs no key, and leads nowhere when the channel is gone", async () => {
  const { channels } = await registry();
  const byInput = { byInput: true, protocol: "mpegts-udp", rtmpPath: null } as const;
  assert.equal(channels.authorize(asks("made", null, byInput)).name, "made");
  assert.throws(() => channels.authorize(asks("gone", null, byInput)), { code: "publish.channel_unknown" });
});

test("when a key was used is stored, but not for each use", async () => {
  const { channels, store, clock } = await registry();
  let saves = 0;
  const { save } = store;
  store.save = (entries) => {
    saves += 1;
    return save(entries);
  };
  const used = () => channels.get("made")!.keys[0]!.lastUsedAt;
  for (let i = 0; i < 100; i += 1) channels.authorize(asks("made", "made-key"));
  const first = used();
  clock.advance(61_000);
  channels.authorize(asks("made", "made-key"));
  assert.ok(Date.parse(used()!) - Date.parse(first!) === 61_000);
  await channels.put(entry("after"));
  assert.equal(saves, 3);
  assert.equal(store.saved[0]!.keys[0]!.lastUsedAt, used());
  channels.authorize(asks("news", "news-key-1"));
  assert.ok(channels.get("news")!.keys[0]!.lastUsedAt, "also of the file's channels, until a restart");
});
