// Channels' own ports in one process: a network and a clock that the test moves, transport streams of a recording.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { jsonLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { type Channel, channelDefaults, type Input } from "#media/channel.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import { jwtKeys } from "#platform/keys/drivers/jwt.ts";
import { type MemoryFaults, memoryNetwork } from "#platform/network/drivers/memory.ts";
import type { UdpSocket } from "#platform/network/network.ts";
import { rtpPacket } from "#protocols/rtp/testing/packet.ts";
import { createGateway } from "../gateway.ts";
import type { Gateway, InputState, PublishRequest } from "../types.ts";

const HOST = "127.0.0.1";
const DATAGRAM_BYTES = 7 * 188;
const recorded = readFileSync(join(import.meta.dirname, "../../../../test/fixtures/recorded/h264-bframes.mpegts"));
const whole = Math.floor(recorded.length / DATAGRAM_BYTES);
const payloads = Array.from({ length: whole }, (_, i) =>
  recorded.subarray(i * DATAGRAM_BYTES, (i + 1) * DATAGRAM_BYTES),
);

class House {
  readonly clock = simClock();
  readonly network;
  readonly lines: string[] = [];
  readonly asked: PublishRequest[] = [];
  gateway!: Gateway;
  refuse: PlatformError | null = null;

  constructor(faults?: Omit<MemoryFaults, "random">) {
    this.network = memoryNetwork(this.clock, faults && { ...faults, random: seededRandom(9) });
  }

  static async open(inputs: readonly Input[], faults?: Omit<MemoryFaults, "random">): Promise<House> {
    const house = new House(faults);
    const { clock, network } = house;
    house.gateway = await createGateway({
      clock,
      network,
      random: seededRandom(1),
      log: jsonLog("debug", {}, (line) => house.lines.push(line)),
      listen: { host: HOST, rtmpPort: 0, rtmps: null },
      authority: {
        authorize: async (request) => {
          house.asked.push(request);
          if (house.refuse) throw house.refuse;
          return { ...channelDefaults, name: request.channel!, origin: "auto" } satisfies Channel;
        },
        openSession: async () => ({ msnBase: 1, discontinuityBase: 0 }),
      },
      journals: memoryJournals(),
      keys: jwtKeys(new Uint8Array(32).fill(7), clock),
    });
    house.want(inputs);
    await house.pass(20);
    return house;
  }

  want(inputs: readonly Input[]): void {
    this.gateway.want(inputs.map((input) => ({ channel: "cam", input })));
  }

  /** Time passes, and whatever waits for it happens. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 20) {
      this.clock.advance(Math.min(20, left));
      for (let i = 0; i < 4; i += 1) await turn();
    }
  }

  get input(): InputState {
    return this.gateway.inputs()[0]!;
  }

  session() {
    return this.gateway.sessions().at(-1);
  }

  told(event: string): number {
    return this.lines.filter((line) => line.includes(`"${event}"`)).length;
  }

  async sender(port = 0): Promise<UdpSocket> {
    return this.network.openUdp({ host: HOST, port, receiveBufferBytes: 1000 }, () => {});
  }

  /** The recording at about its own pace: 20 datagrams in half a second are 400 kbit/s. */
  async send(socket: UdpSocket, packets: readonly Uint8Array[], port: number): Promise<void> {
    for (const [i, bytes] of packets.entries()) {
      socket.send(bytes, { host: HOST, port });
      if (i % 4 === 3) await this.pass(100);
    }
    await this.pass(20);
  }
}

const rtp = (from: number, ssrc = 1, list: readonly Uint8Array[] = payloads) =>
  list.map((payload, i) => rtpPacket({ sequence: from + i, timestamp: i * 3000, ssrc, payload }));

const UDP = { kind: "udp", port: 5000 } as const;

test("bare datagrams become a session; the request says that it came by the channel's own port", async () => {
  const house = await House.open([UDP]);
  assert.deepEqual([house.input.state, house.input.port, house.asked.length], ["listening", 5000, 0]);
  const sender = await house.sender(40_000);
  await house.send(sender, payloads, 5000);
  assert.deepEqual(house.asked, [
    { protocol: "mpegts-udp", byInput: true, channel: "cam", rtmpPath: null, key: null, remote: `${HOST}:40000` },
  ]);
  const session = house.session()!;
  assert.deepEqual([session.state, session.protocol, session.tracks.length], ["live", "mpegts-udp", 2]);
  assert.equal(session.counters.continuityErrors, 0);
  const { state, remote, bytes, datagrams } = house.input;
  assert.deepEqual([state, remote, bytes], ["connected", `${HOST}:40000`, whole * DATAGRAM_BYTES]);
  assert.deepEqual([datagrams?.received, datagrams?.encapsulation, datagrams?.dropped], [whole, "none", 0]);
  await house.gateway.close();
});

test("RTP: swapped and doubled packets cost nothing, and lost ones are counted and told", async () => {
  const house = await House.open([UDP]);
  const sender = await house.sender();
  const packets = rtp(65_500);
  for (let i = 10; i + 1 < packets.length; i += 10) [packets[i], packets[i + 1]] = [packets[i + 1]!, packets[i]!];
  packets.splice(20, 0, packets[19]!);
  await house.send(sender, packets, 5000);
  const clean = house.session()!;
  assert.deepEqual([clean.state, clean.counters.continuityErrors, clean.counters.damagedUnits], ["live", 0, 0]);
  assert.equal(house.input.datagrams?.encapsulation, "rtp");
  assert.ok(house.input.datagrams!.reordered >= 3 && house.input.datagrams!.stale === 1);
  const more = rtp(65_500 + whole).filter((_, i) => i !== 6 && (i < 20 || i >= 28));
  await house.send(sender, more, 5000);
  await house.pass(600);
  assert.equal(house.input.datagrams?.lost, 9);
  assert.ok(house.session()!.counters.continuityErrors > 0);
  await house.gateway.close();
});

test("silence is a sender that went away; the next datagram is its return into the same session", async () => {
  const house = await House.open([UDP]);
  const sender = await house.sender();
  await house.send(sender, payloads, 5000);
  const { id } = house.session()!;
  await house.pass(4000);
  assert.deepEqual([house.session()!.state, house.input.state, house.input.remote], ["interrupted", "listening", null]);
  await house.send(sender, payloads, 5000);
  const { state, counters } = house.session()!;
  assert.deepEqual([house.session()!.id, state, counters.returns, house.asked.length], [id, "live", 1, 2]);
  await house.pass(40_000);
  assert.deepEqual([house.session()!.state, house.session()!.endReason], ["ended", "lost"]);
  await house.gateway.close();
});

test("a second sender is not heard while the first one sends, is told of once, and is heard afterwards", async () => {
  const house = await House.open([UDP]);
  const [first, second] = [await house.sender(40_001), await house.sender(40_002)];
  for (let i = 0; i < payloads.length; i += 4) {
    await house.send(first, payloads.slice(i, i + 4), 5000);
    await house.send(second, payloads.slice(0, 2), 5000);
  }
  assert.deepEqual([house.input.remote, house.told("ingest.second_sender_ignored")], [`${HOST}:40001`, 1]);
  assert.ok(house.input.datagrams!.ignored > 20);
  assert.equal(house.session()!.counters.continuityErrors, 0);
  await house.pass(1200);
  await house.send(second, payloads, 5000);
  assert.equal(house.input.remote, `${HOST}:40002`);
  assert.deepEqual([house.session()!.state, house.gateway.sessions().length], ["live", 1]);
  await house.gateway.close();
});

test("RTP: another SSRC from the same address is a new sender; two in turn are not heard both", async () => {
  const house = await House.open([UDP]);
  const sender = await house.sender();
  await house.send(sender, rtp(100, 1), 5000);
  await house.send(sender, rtp(7, 2), 5000);
  assert.deepEqual([house.session()!.state, house.asked.length, house.input.datagrams?.ignored], ["live", 2, 0]);
  assert.equal(house.input.datagrams?.lost, 0, "a new count is no loss");
  const mixed = rtp(7 + whole, 2).flatMap((packet, i) => [packet, rtp(900 + i, 1, [payloads[i]!])[0]!]);
  await house.send(sender, mixed, 5000);
  assert.ok(house.input.datagrams!.ignored > whole / 2, `${house.input.datagrams!.ignored}`);
  assert.ok(house.asked.length <= 6, `${house.asked.length}`);
  await house.gateway.close();
});

test("what holds no transport packets asks nobody and changes nothing", async () => {
  const house = await House.open([UDP]);
  const sender = await house.sender();
  const random = seededRandom(3);
  for (let i = 0; i < 2000; i += 1) {
    const bytes = Buffer.from(random.bytes(random.int(0, 1400)));
    if (bytes.length > 0) bytes[0] = [0x47, 0x80, 0x90, 0xb5, bytes[0]!][i % 5]!;
    sender.send(bytes, { host: HOST, port: 5000 });
    if (i % 50 === 0) await house.pass(20);
  }
  await house.pass(100);
  assert.deepEqual([house.asked.length, house.gateway.sessions().length], [0, 0]);
  assert.equal(house.input.datagrams?.malformed, 2000);
  await house.gateway.close();
});

test("a refused sender is asked about again, less and less often, and told of once; then it is taken", async () => {
  const house = await House.open([UDP]);
  house.refuse = new PlatformError("publish.unavailable", "control is away");
  const sender = await house.sender();
  for (let i = 0; i < 5; i += 1) await house.send(sender, payloads, 5000); // some seconds
  const tries = house.asked.length;
  assert.ok(tries >= 2 && tries <= 5, `${tries} tries`);
  assert.equal(house.gateway.refusals().length, 1);
  house.refuse = null;
  for (let i = 0; i < 6; i += 1) await house.send(sender, payloads, 5000);
  assert.equal(house.session()?.state, "live");
  await house.gateway.close();
});

test("a session that was stopped is not begun again by the sender that goes on; a pause makes it a new one", async () => {
  const house = await House.open([UDP]);
  const sender = await house.sender();
  await house.send(sender, payloads, 5000);
  await house.gateway.stop(house.session()!.id, "stopped");
  await house.send(sender, payloads, 5000);
  assert.deepEqual([house.gateway.sessions().length, house.input.state], [1, "stopped"]);
  await house.pass(4000);
  await house.send(sender, payloads, 5000);
  assert.deepEqual([house.gateway.sessions().length, house.session()!.state], [2, "live"]);
  await house.gateway.close();
});

test("a lossy network in RTP: the session lives, and what was lost is known", async () => {
  const house = await House.open([UDP], { loss: 0.02, repeat: 0.05, delayMsMax: 15 });
  const sender = await house.sender();
  for (let i = 0; i < 4; i += 1) await house.send(sender, rtp(i * whole), 5000);
  const { datagrams } = house.input;
  assert.equal(house.session()!.state, "live");
  assert.ok(datagrams!.lost > 0 && datagrams!.lost < whole && datagrams!.stale > 0 && datagrams!.reordered > 0);
  await house.gateway.close();
});

const TCP = { kind: "tcp", port: 6000 } as const;

test("TCP: one publishes, a second one is refused; what closes may come back into the session", async () => {
  const house = await House.open([TCP]);
  const connect = () => house.network.connectTcp({ host: HOST, port: 6000, timeoutMs: 1000 });
  const first = await connect();
  await house.pass(100);
  assert.deepEqual([house.asked.length, house.input.state], [0, "listening"]);
  for (let i = 0; i < payloads.length; i += 4) {
    for (const bytes of payloads.slice(i, i + 4)) first.write(bytes);
    await house.pass(100);
  }
  assert.deepEqual([house.session()?.state, house.input.state], ["live", "connected"]);
  assert.equal(house.asked[0]?.protocol, "mpegts-tcp");
  const second = await connect();
  let isCut = false;
  second.onData(() => {});
  second.onClose(() => (isCut = true));
  second.write(payloads[0]!);
  await house.pass(60);
  assert.ok(isCut);
  assert.equal(house.gateway.refusals().at(-1)?.code, "publish.channel_busy");
  assert.equal(house.session()?.state, "live");
  first.destroy();
  await house.pass(2000);
  assert.deepEqual([house.session()?.state, house.input.state], ["interrupted", "listening"]);
  const third = await connect();
  for (let i = 0; i < payloads.length; i += 4) {
    for (const bytes of payloads.slice(i, i + 4)) third.write(bytes);
    await house.pass(100);
  }
  assert.deepEqual([house.gateway.sessions().length, house.session()?.state], [1, "live"]);
  assert.ok(house.input.bytes > 2 * whole * DATAGRAM_BYTES - 1);
  await house.gateway.close();
});

test("TCP: who says nothing, or no transport stream, is cut and opens no session", async () => {
  const house = await House.open([TCP]);
  const connect = () => house.network.connectTcp({ host: HOST, port: 6000, timeoutMs: 1000 });
  const cut: string[] = [];
  const [silent, scan, noise] = [await connect(), await connect(), await connect()];
  for (const [name, connection] of Object.entries({ silent, scan, noise })) {
    connection.onData(() => {});
    connection.onClose(() => cut.push(name));
  }
  scan.write(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  noise.write(Buffer.from(seededRandom(2).bytes(100_000)));
  await house.pass(100);
  assert.deepEqual(cut, ["noise"]);
  await house.pass(5000);
  assert.deepEqual(cut.toSorted(), ["noise", "scan", "silent"]);
  assert.deepEqual(
    house.gateway.refusals().map(({ code }) => code),
    ["ingest.garbage", "ingest.no_data", "ingest.garbage"],
  );
  assert.deepEqual([house.asked.length, house.gateway.sessions().length], [0, 0]);
  await house.gateway.close();
});

test("ports follow what channels want: opened, kept, moved, closed; one in use is tried until it is free", async () => {
  const house = await House.open([UDP, { kind: "pull", url: "rtsp://camera/1" }]);
  const rival = await house.network.listenTcp({ host: HOST, port: 6000 }, () => {});
  const sender = await house.sender();
  await house.send(sender, payloads, 5000);
  house.want([UDP, TCP]);
  await house.pass(20);
  const [udp, tcp] = house.gateway.inputs();
  assert.deepEqual([udp!.state, tcp!.state, tcp!.error?.code], ["connected", "failed", "network.address_in_use"]);
  await house.pass(12_000);
  assert.equal(house.told("ingest.input_failed"), 1, "each reason once");
  await rival.close();
  await house.pass(5000);
  assert.deepEqual(
    house.gateway.inputs().map(({ state, error }) => [state, error]),
    [
      ["listening", null],
      ["listening", null],
    ],
  );
  house.want([{ kind: "udp", port: 5001 }]);
  await house.pass(20);
  assert.deepEqual(
    house.gateway.inputs().map(({ kind, port }) => [kind, port]),
    [["udp", 5001]],
  );
  const again = await house.network.openUdp({ host: HOST, port: 5000, receiveBufferBytes: 1 }, () => {});
  await again.close();
  await house.gateway.close();
});
