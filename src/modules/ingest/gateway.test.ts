// The gateway over RTMP in one process: a network and a clock that the test moves.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type SimClock, simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { jsonLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { memoryNetwork } from "#platform/network/drivers/memory.ts";
import { createGateway } from "./gateway.ts";
import type { IngestLimits } from "./limits.ts";
import { RtmpPublisher } from "./testing/rtmp-publisher.ts";
import type { Gateway, PublishAuthority, PublishRequest } from "./types.ts";

const KEY = "right-key";

class House {
  readonly clock: SimClock = simClock();
  readonly random = seededRandom(1);
  readonly lines: string[] = [];
  readonly asked: PublishRequest[] = [];
  readonly journals: JournalFolder;
  readonly limits: Partial<IngestLimits>;
  network = memoryNetwork(this.clock);
  opened = 0;
  gateway!: Gateway;
  isControlAway = false;

  constructor(options: { journals?: JournalFolder; limits?: Partial<IngestLimits> } = {}) {
    this.journals = options.journals ?? memoryJournals();
    this.limits = options.limits ?? {};
  }

  static async open(options: ConstructorParameters<typeof House>[0] = {}): Promise<House> {
    const house = new House(options);
    await house.start();
    return house;
  }

  async start(): Promise<void> {
    const { clock, random, limits, journals } = this;
    this.network = memoryNetwork(clock);
    const authority: PublishAuthority = {
      authorize: async (request) => {
        this.asked.push(request);
        if (this.isControlAway) throw new PlatformError("publish.unavailable", "control is away");
        if (request.key !== KEY) throw new PlatformError("publish.key_refused", "wrong key");
        if (request.channel === "nobody") throw new PlatformError("publish.channel_unknown", "no such channel");
        return { ...channelDefaults, name: request.channel ?? "mapped", origin: "auto" } satisfies Channel;
      },
      openSession: async () => {
        this.opened += 1;
        return { msnBase: 100 * this.opened, discontinuityBase: this.opened };
      },
    };
    this.gateway = await createGateway({
      clock,
      random,
      log: jsonLog("debug", {}, (line) => this.lines.push(line)),
      network: this.network,
      listen: { host: "127.0.0.1", rtmpPort: 0, rtmps: null },
      authority,
      journals,
      keys: jwtKeys(new Uint8Array(32).fill(7), clock),
      limits,
    });
  }

  /** Time passes, and whatever waits for it happens. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 20) {
      this.clock.advance(Math.min(20, left));
      for (let i = 0; i < 4; i += 1) await turn();
    }
  }

  publisher(path: string): Promise<RtmpPublisher> {
    const url = `rtmp://127.0.0.1:${this.gateway.rtmpPort}/${path}`;
    return RtmpPublisher.connect(this.network, url, { clock: this.clock, random: this.random });
  }

  async publishing(path = `live/cam?key=${KEY}`): Promise<RtmpPublisher> {
    const publisher = await this.publisher(path);
    await this.pass(200);
    assert.equal(publisher.state, "ready", publisher.description);
    publisher.headers();
    return publisher;
  }

  /** Media at its own pace. */
  async media(publisher: RtmpPublisher, from: number, to: number): Promise<void> {
    for (let at = from; at < to - 1e-9; at += 0.2) {
      publisher.media(at, Math.min(to, at + 0.2));
      await this.pass(200);
    }
  }

  session(channel = "cam") {
    return this.gateway.sessions().findLast((session) => session.channel === channel)!;
  }
}

test("a publisher becomes a live session; a clean end ends it after its grace", async () => {
  const house = await House.open();
  let changes = 0;
  house.gateway.onChange(() => (changes += 1));
  const publisher = await house.publishing();
  await house.media(publisher, 0, 2);
  const live = house.session();
  assert.deepEqual([live.state, live.msnBase, live.protocol, live.tracks.length], ["live", 100, "rtmp", 2]);
  assert.ok(live.counters.units > 140 && live.counters.droppedUnits === 0 && live.counters.bytesIn > 1000);
  assert.deepEqual(live.rate, { num: 25, den: 1 });
  assert.ok(changes >= 2 && changes < 20, `${changes} changes`);
  publisher.client.end();
  await house.pass(500);
  assert.equal(house.session().state, "interrupted");
  await house.pass(3000);
  assert.deepEqual([house.session().state, house.session().endReason], ["ended", "publisher"]);
  await house.pass(61_000);
  assert.deepEqual(house.gateway.sessions(), []);
  assert.deepEqual(await house.journals.list(), []);
  await house.gateway.close();
});

test("URL shapes: channel and key, a key alone, an application of one's own", async () => {
  const house = await House.open();
  for (const path of [`live/cam?key=${KEY}`, "live/lonely-key", `studio/one?key=${KEY}`, `live/x?key=wrong`]) {
    (await house.publisher(path)).connection.onClose(() => {});
    await house.pass(200);
  }
  assert.deepEqual(
    house.asked.map(({ channel, key, rtmpPath }) => [channel, key, rtmpPath]),
    [
      ["cam", KEY, "live/cam"],
      ["lonely-key", null, "live/lonely-key"],
      [null, KEY, "studio/one"],
      ["x", "wrong", "live/x"],
    ],
  );
  assert.deepEqual(
    house.gateway.refusals().map(({ channel }) => channel),
    [null, "x"],
  );
  assert.ok(!house.lines.join("").includes("lonely-key"), "what may be a key is not logged");
  assert.ok(!house.lines.join("").includes(KEY));
  await house.gateway.close();
});

test("refusals: in RTMP's words, with our code, on record; the connection is closed", async () => {
  const house = await House.open();
  const first = await house.publishing();
  await house.media(first, 0, 1);
  for (const [path, word, code] of [
    ["live/cam?key=nope", "NetStream.Publish.Denied", "publish.key_refused"],
    [`live/nobody?key=${KEY}`, "NetStream.Publish.Denied", "publish.channel_unknown"],
    [`live/cam?key=${KEY}`, "NetStream.Publish.BadName", "publish.channel_busy"],
  ] as const) {
    const refused = await house.publisher(path);
    await house.pass(200);
    first.media(1, 1.04);
    assert.deepEqual([refused.state, refused.code], ["refused", word]);
    assert.ok(refused.description.startsWith(code), refused.description);
    assert.equal(house.gateway.refusals().at(-1)!.code, code);
    assert.ok(house.lines.some((line) => line.includes(code)));
    await house.pass(100);
    assert.ok(refused.closed);
  }
  house.isControlAway = true;
  const unlucky = await house.publisher(`live/other?key=${KEY}`);
  await house.pass(200);
  assert.ok(unlucky.description.startsWith("publish.unavailable"));
  assert.equal(house.gateway.sessions().length, 1);
  await house.gateway.close();
});

test("of two that ask for one channel at once, one gets it", async () => {
  const house = await House.open();
  const both = await Promise.all([house.publisher(`live/cam?key=${KEY}`), house.publisher(`live/cam?key=${KEY}`)]);
  await house.pass(300);
  assert.deepEqual(both.map(({ state }) => state).sort(), ["ready", "refused"]);
  assert.equal(house.opened, 1);
  await house.gateway.close();
});

test("a publisher that is cut off and returns goes on in the same session; one that stays away ends it", async () => {
  const house = await House.open();
  const first = await house.publishing();
  await house.media(first, 0, 2);
  const { id } = house.session();
  first.connection.destroy();
  await house.pass(5000);
  assert.equal(house.session().state, "interrupted");
  assert.ok(house.session().counters.holes > 0);
  const second = await house.publishing();
  await house.media(second, 0, 2);
  assert.deepEqual([house.session().id, house.session().state, house.session().counters.returns], [id, "live", 1]);
  assert.equal(house.opened, 1);
  second.connection.destroy();
  await house.pass(31_000);
  assert.deepEqual([house.session().state, house.session().endReason], ["ended", "lost"]);
  const third = await house.publishing();
  await house.media(third, 0, 1);
  assert.notEqual(house.session().id, id);
  assert.equal(house.session().msnBase, 200);
  await house.gateway.close();
});

test("a silent connection: another may take its place; its own media would go on in the session", async () => {
  const house = await House.open();
  const first = await house.publishing();
  await house.media(first, 0, 2);
  await house.pass(2000);
  assert.equal(house.session().state, "interrupted");
  const second = await house.publishing();
  await house.media(second, 0, 1);
  assert.equal(house.session().state, "live");
  assert.ok(first.closed);
  await house.gateway.close();
});

test("no data, no key frame, too fast: refused with a code, and the session is over", async () => {
  const house = await House.open({ limits: { bitsPerSecondMax: 1_000_000 } });
  const silent = await house.publisher(`live/silent?key=${KEY}`);
  await house.pass(10_500);
  assert.ok(silent.description.startsWith("ingest.no_data"), silent.description);
  assert.deepEqual([house.session("silent").state, house.session("silent").endReason], ["ended", "refused"]);

  const keyless = await house.publishing(`live/keyless?key=${KEY}`);
  for (let at = 0; at < 11 && !keyless.closed; at += 0.2) {
    keyless.media(at, at + 0.2, false);
    await house.pass(200);
  }
  assert.ok(keyless.description.startsWith("ingest.no_key_frame"), keyless.description);

  const flood = await house.publishing(`live/flood?key=${KEY}`);
  flood.media(0, 0.2);
  await house.pass(100);
  for (let i = 0; i < 3; i += 1) flood.client.sendMedia(18, 0, Buffer.alloc(200_000));
  await house.pass(300);
  assert.ok(flood.description.startsWith("ingest.too_fast"), flood.description);
  assert.deepEqual(
    house.gateway.refusals().map(({ code, channel }) => [code, channel]),
    [
      ["ingest.no_data", "silent"],
      ["ingest.no_key_frame", "keyless"],
      ["ingest.too_fast", "flood"],
    ],
  );
  await house.gateway.close();
});

test("stop disconnects the publisher and ends the session at once", async () => {
  const house = await House.open();
  const publisher = await house.publishing();
  await house.media(publisher, 0, 1);
  await house.gateway.stop("unknown", "stopped");
  await house.gateway.stop(house.session().id, "stopped");
  await house.pass(200);
  assert.ok(publisher.closed);
  assert.deepEqual([house.session().state, house.session().endReason], ["ended", "stopped"]);
  await house.gateway.close();
});

test("a kick disconnects the publisher and tells it why; the session waits, and goes on with the next one", async () => {
  const house = await House.open();
  const publisher = await house.publishing();
  await house.media(publisher, 0, 1);
  const { id } = house.session();
  await house.gateway.kick("unknown");
  await house.gateway.kick(id);
  await house.pass(200);
  assert.ok(publisher.closed);
  assert.match(publisher.description, /^publish\.kicked/);
  assert.equal(house.session().state, "interrupted");
  await house.gateway.kick(id); // nobody is there: nothing happens
  const next = await house.publishing();
  await house.media(next, 0, 1);
  assert.deepEqual([house.session().id, house.session().state], [id, "live"]);
  await house.gateway.kick(id);
  await house.pass(40_000);
  assert.deepEqual([house.session().state, house.session().endReason], ["ended", "lost"]);
  await house.gateway.close();
});

test("a gateway that died: the next one has the session, interrupted; the publisher goes on in it", async () => {
  const house = await House.open();
  const publisher = await house.publishing();
  await house.media(publisher, 0, 3);
  const before = house.session();
  // The old one is left alone with its network: to the new one it is dead. Its journals are all it left.
  const copy = memoryJournals();
  for (const name of await house.journals.list()) {
    const [from, to] = [await house.journals.open(name), await copy.open(name)];
    for await (const record of from.read()) await to.append(record);
  }
  await house.pass(4000);
  const next = new House({ journals: copy });
  next.clock.advance(house.clock.monotonicMs());
  next.opened = house.opened;
  await next.start();
  const restored = next.session();
  assert.deepEqual([restored.id, restored.state, restored.msnBase], [before.id, "interrupted", before.msnBase]);
  assert.ok(restored.log.next > before.log.next, "positions go on above all that were handed out");
  await next.pass(200);
  assert.ok(next.session().counters.holes >= 1);
  const again = await next.publishing();
  await next.media(again, 0, 2);
  assert.deepEqual([next.session().id, next.session().state], [before.id, "live"]);
  assert.equal(next.opened, house.opened, "no new numbers were asked for");
  await next.gateway.close();

  const late = new House({ journals: copy });
  late.clock.advance(house.clock.monotonicMs() + 60_000);
  await late.start();
  assert.deepEqual([late.session().state, late.session().endReason], ["ended", "lost"]);
  await late.gateway.close();
  const after = new House({ journals: copy });
  after.clock.advance(house.clock.monotonicMs() + 61_000);
  await after.start();
  assert.deepEqual([after.session().state, after.session().endReason], ["ended", "lost"]);
  await after.pass(61_000);
  assert.deepEqual(await copy.list(), []);
  await after.gateway.close();
  await house.gateway.close();
});

test("a disk that fails does not stop the stream, and gets everything once it works again", async () => {
  let fails = true;
  const journals = memoryJournals({ fails: () => fails });
  const house = await House.open({ journals });
  const publisher = await house.publishing();
  await house.media(publisher, 0, 2);
  assert.equal(house.session().state, "live");
  assert.ok(house.lines.some((line) => line.includes("journal.failed")));
  fails = false;
  await house.media(publisher, 2, 4);
  assert.ok(house.lines.some((line) => line.includes("journal.works_again")));
  await house.gateway.close();
  const next = new House({ journals });
  next.clock.advance(house.clock.monotonicMs());
  await next.start();
  assert.equal(next.session().state, "interrupted");
  assert.equal(next.session().tracks.length, 2);
  await next.gateway.close();
});

test("a connection that speaks no RTMP, or asks to play, harms nobody", async () => {
  const house = await House.open();
  const publisher = await house.publishing();
  await house.media(publisher, 0, 1);
  const noise = await house.network.connectTcp({ host: "127.0.0.1", port: house.gateway.rtmpPort, timeoutMs: 1000 });
  let closed = false;
  noise.onData(() => {});
  noise.onClose(() => (closed = true));
  noise.write(house.random.bytes(100_000));
  await house.media(publisher, 1, 2);
  assert.ok(closed);
  assert.equal(house.gateway.refusals().at(-1)!.code, "rtmp.malformed");
  assert.equal(house.session().state, "live");
  await house.gateway.close();
});
