// Protocols and our own formats: RTMP on both sides, AMF0, RTP, playlist directives, the session log.
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { simClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { decodeAmf0, encodeAmf0 } from "#media/flv/amf0.ts";
import { parseDirectives } from "#media/hls/directives.ts";
import { EntryReader, encodeEntry, encodeHeader, encodeIdle } from "#media/session-log/codec.ts";
import { decodeDecision, encodeDecision } from "#media/session-log/decision-json.ts";
import { anyDecision, anyEntry } from "#media/session-log/testing/arbitrary.ts";
import { RtmpClientSession } from "#protocols/rtmp/client.ts";
import { RtmpServerSession } from "#protocols/rtmp/server.ts";
import { parseRtp } from "#protocols/rtp/packet.ts";
import { Reorder } from "#protocols/rtp/reorder.ts";
import { ofItems, ofJson, pack, unpack } from "../mutate.ts";
import { mayRefuse, pieces, type Target } from "../target.ts";
import { flvItems, recorded } from "./fixtures.ts";

type Conversation = { toServer: Buffer; toClient: Buffer };

/** A good publication, as both sides send it. */
function conversation(digest: boolean): Conversation {
  const clock = simClock();
  const sent = { toServer: [] as Buffer[], toClient: [] as Buffer[] };
  let waiting: (() => void)[] = [];
  const server = new RtmpServerSession({
    clock,
    random: seededRandom(1),
    send: (bytes) => {
      const copy = Buffer.from(bytes);
      sent.toClient.push(copy);
      waiting.push(() => client.receive(copy));
    },
    on: (event) => event.kind === "publish" && server.acceptPublish(event.streamId),
  });
  const client: RtmpClientSession = new RtmpClientSession({
    clock,
    random: seededRandom(2),
    digest,
    address: { app: "live", tcUrl: "rtmp://h/live", name: "x?key=abc" },
    send: (bytes) => {
      const copy = Buffer.from(bytes);
      sent.toServer.push(copy);
      waiting.push(() => server.receive(copy));
    },
    on: (event) => {
      if (event.kind !== "ready") return;
      for (let i = 0; i < 12; i += 1)
        client.sendMedia(i % 3 === 0 ? 8 : 9, 0xfffffa + i, Buffer.alloc(i === 5 ? 30_000 : i * 10, i));
    },
  });
  while (waiting.length > 0) {
    const now = waiting;
    waiting = [];
    for (const deliver of now) deliver();
  }
  client.end();
  return { toServer: Buffer.concat(sent.toServer), toClient: Buffer.concat(sent.toClient) };
}

const conversations = () => [conversation(false), conversation(true)];

function rtpDatagrams(): Buffer[] {
  return recorded("h264-bframes.mpegts").map(({ bytes }) =>
    pack(
      Array.from({ length: 40 }, (_, i) => {
        const head = Buffer.alloc(12);
        head.writeUInt16BE(0x8021, 0);
        head.writeUInt16BE((65_520 + i) & 0xffff, 2);
        head.writeUInt32BE(i * 900, 4);
        head.writeUInt32BE(7, 8);
        return Buffer.concat([head, bytes.subarray(i * 1316, (i + 1) * 1316)]);
      }),
    ),
  );
}

const log = (seed: number) =>
  Buffer.concat([
    encodeHeader(),
    ...fc.sample(anyEntry, { seed, numRuns: 12 }).flatMap((entry) => encodeEntry(entry)),
    encodeIdle(),
  ]);

export const protocolTargets: readonly Target[] = [
  {
    name: "amf0",
    seeds: () => [
      ...recorded(".flv").flatMap(({ bytes }) =>
        flvItems(bytes)
          .filter((item) => item[0] === 18)
          .map((item) => item.subarray(5)),
      ),
      encodeAmf0(["connect", 1, { app: "live", list: ["a", 1, null, true], more: { deep: { er: [new Date(5)] } } }]),
    ],
    mutations: [],
    run: (input) => mayRefuse(() => encodeAmf0(decodeAmf0(input))),
  },
  {
    name: "rtmp-server",
    seeds: () => conversations().map(({ toServer }) => toServer),
    mutations: [],
    run(input, random) {
      const clock = simClock();
      let mediaBytes = 0;
      const server = new RtmpServerSession({
        clock,
        random,
        send: () => {},
        on: (event) => {
          if (event.kind === "publish") server.acceptPublish(event.streamId);
          if (event.kind === "play")
            server.refusePlay(event.streamId, { code: "NetStream.Play.Failed", description: "" });
          if (event.kind === "media") mediaBytes += event.body.length;
          if (event.kind === "failed") assert.ok(event.error instanceof PlatformError);
        },
      });
      for (const piece of pieces(input, random)) server.receive(piece);
      server.peerClosed();
      clock.advance(60_000);
      assert.ok(mediaBytes <= input.length);
    },
  },
  {
    name: "rtmp-client",
    seeds: () => conversations().map(({ toClient }) => toClient),
    mutations: [],
    run(input, random) {
      const clock = simClock();
      const client: RtmpClientSession = new RtmpClientSession({
        clock,
        random,
        address: { app: "live", tcUrl: "rtmp://h/live", name: "x" },
        send: () => {},
        on: (event) => event.kind === "ready" && client.sendMedia(8, 0, Buffer.alloc(10)),
      });
      for (const piece of pieces(input, random)) client.receive(piece);
      client.peerClosed();
      clock.advance(60_000);
    },
  },
  {
    name: "rtp",
    seeds: rtpDatagrams,
    mutations: [ofItems],
    run(input, random) {
      const clock = simClock();
      let handedOn = 0;
      const reorder = new Reorder(clock, {
        packet: ({ payload }) => {
          handedOn += payload.length;
        },
        lost: (count) => assert.ok(Number.isInteger(count) && count >= 0),
      });
      for (const datagram of unpack(input)) {
        const packet = parseRtp(datagram);
        if (packet) reorder.push(packet);
        clock.advance(random.int(0, 30));
      }
      reorder.flush();
      assert.ok(handedOn <= input.length);
    },
  },
  {
    name: "directives",
    seeds: () =>
      ["_HLS_msn=12&_HLS_part=3", "_HLS_msn=0&_HLS_skip=YES&x=1", "_HLS_skip=v2", ""].map((text) => Buffer.from(text)),
    mutations: [],
    run(input) {
      mayRefuse(() => {
        const { msn, part } = parseDirectives(input.toString("latin1"));
        for (const value of [msn, part]) assert.ok(value === null || (Number.isSafeInteger(value) && value >= 0));
      });
    },
  },
  {
    name: "session-log",
    seeds: () => Array.from({ length: 12 }, (_, seed) => log(seed)),
    mutations: [],
    run(input, random) {
      mayRefuse(() => {
        const reader = new EntryReader();
        for (const piece of pieces(input, random)) reader.push(piece);
      });
    },
  },
  {
    name: "decision-json",
    seeds: () => fc.sample(anyDecision, { seed: 1, numRuns: 60 }).map((decision) => encodeDecision(decision)),
    mutations: [ofJson, ofJson],
    run(input) {
      mayRefuse(() => {
        const written = encodeDecision(decodeDecision(input));
        assert.deepEqual(encodeDecision(decodeDecision(written)), written); // what is taken can be written and read again
      });
    },
  },
];
