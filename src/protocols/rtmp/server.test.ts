import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { type Amf0Value, encodeAmf0 } from "#media/flv/amf0.ts";
import { CHUNK_STREAM } from "./link.ts";
import { numberMessage, RTMP_LIMITS, setPeerBandwidth, TYPE, userControl } from "./message.ts";
import type { RtmpServerEvent, RtmpServerSession } from "./server.ts";
import { RawPeer } from "./testing/raw-peer.ts";

const accepting = (event: RtmpServerEvent, server: RtmpServerSession) => {
  if (event.kind === "publish") server.acceptPublish(event.streamId);
};
const video = (timestampMs: number, bytes = 10) => ({
  type: TYPE.video,
  streamId: 1,
  timestampMs,
  body: Buffer.alloc(bytes, 7),
});
const failure = (peer: RawPeer) => {
  const event = peer.events.at(-1);
  return event?.kind === "failed" ? `${event.error.code}: ${event.error.message}` : `no failure: ${event?.kind}`;
};

test("connect is answered with windows, chunk size and success", () => {
  const peer = new RawPeer();
  peer.connect({ app: "live", tcUrl: "rtmp://host/live", flashVer: "FMLE/3.0", fourCcList: ["hvc1", "av01"] });
  assert.deepEqual(
    peer.answers.map((message) => message.type),
    [TYPE.windowAcknowledgementSize, TYPE.setPeerBandwidth, TYPE.setChunkSize, TYPE.command],
  );
  const [answer] = peer.commands;
  assert.equal(answer?.name, "_result");
  assert.equal(answer?.transaction, 1);
  assert.deepEqual(answer?.arguments, [
    {
      level: "status",
      code: "NetConnection.Connect.Success",
      description: "Connected.",
      objectEncoding: 0,
      fourCcList: ["avc1", "hvc1", "av01", "mp4a", ".mp3", "ac-3", "ec-3", "Opus"],
      videoFourCcInfoMap: { avc1: 5, hvc1: 5, av01: 5 },
      audioFourCcInfoMap: { mp4a: 5, ".mp3": 5, "ac-3": 5, "ec-3": 5, Opus: 5 },
      capsEx: 6,
    },
  ]);
  const [event] = peer.events;
  assert.ok(event?.kind === "connect");
  assert.deepEqual([event.app, event.flashVer, event.fourCcList], ["live", "FMLE/3.0", ["hvc1", "av01"]]);
});

test("whoever says nothing of enhanced RTMP hears nothing of it; maps count as the list does", () => {
  const answerTo = (object: Record<string, Amf0Value>) => {
    const peer = new RawPeer();
    peer.connect({ app: "live", tcUrl: "rtmp://host/live", ...object });
    const [event] = peer.events;
    assert.ok(event?.kind === "connect");
    const information = peer.commands[0]!.arguments[0] as Record<string, unknown>;
    return { told: "fourCcList" in information && information.capsEx === 6, heard: event.fourCcList };
  };
  assert.deepEqual(answerTo({}), { told: false, heard: [] });
  assert.deepEqual(answerTo({ fourCcList: [] }), { told: false, heard: [] });
  assert.deepEqual(answerTo({ capsEx: 2 }), { told: true, heard: [] });
  const maps = { videoFourCcInfoMap: { av01: 4, hvc1: 4 }, audioFourCcInfoMap: { "*": 4 }, fourCcList: ["hvc1"] };
  assert.deepEqual(answerTo(maps), { told: true, heard: ["hvc1", "av01", "*"] });
});

test("a whole publication: asked, accepted, media, goodbye said twice", () => {
  const peer = new RawPeer({ on: accepting });
  peer.connect();
  peer.call(0, "releaseStream", 2, null, "x");
  peer.call(0, "FCPublish", 3, null, "x");
  peer.call(0, "createStream", 4, null);
  peer.call(0, "_checkbw", 5, null);
  peer.call(1, "publish", 6, null, "x", "live");
  peer.send(video(1000), CHUNK_STREAM.video);
  peer.send({ ...video(1020), type: TYPE.audio }, CHUNK_STREAM.audio);
  peer.call(0, "FCUnpublish", 7, null, "x");
  peer.call(0, "deleteStream", 0, null, 1);
  peer.send(video(1040), CHUNK_STREAM.video);
  assert.deepEqual(peer.kinds, ["connect", "publish", "media", "media", "unpublish"]);
  assert.deepEqual(peer.events[2], { kind: "media", ...video(1000) });
  assert.deepEqual(peer.statuses, ["1 NetStream.Publish.Start", "1 NetStream.Unpublish.Success"]);
  const answered = peer.commands.map((answer) => `${answer.name} ${answer.transaction}`);
  assert.deepEqual(answered, [
    "_result 1",
    "_result 2",
    "_result 3",
    "onFCPublish 0",
    "_result 4",
    "_result 5",
    "onStatus 0",
    "_result 7",
    "onFCUnpublish 0",
    "onStatus 0",
  ]);
});

for (const goodbye of ["closeStream", "deleteStream", "deleteStream of its own stream"])
  test(`${goodbye} alone is a clean end, and the connection may publish again`, () => {
    const peer = new RawPeer({ on: accepting });
    peer.askPublish("x");
    if (goodbye === "deleteStream") peer.call(0, goodbye, 0, null, 1);
    else peer.call(1, goodbye.split(" ", 1)[0]!, 0, null);
    peer.call(0, "createStream", 5, null);
    peer.call(2, "publish", 6, null, "y", "live");
    assert.deepEqual(peer.kinds, ["connect", "publish", "unpublish", "publish"]);
  });

const addresses: [string, { app: string; tcUrl: string }, string, unknown[]][] = [
  ["key behind the name", { app: "live", tcUrl: "rtmp://h/live" }, "x?key=abc", ["live", "x", { key: "abc" }]],
  ["key behind the application", { app: "live?key=abc", tcUrl: "" }, "x", ["live", "x", { key: "abc" }]],
  ["key in tcUrl only", { app: "live", tcUrl: "rtmp://h/live?key=abc" }, "x", ["live", "x", { key: "abc" }]],
  ["the name's key wins", { app: "live?key=b", tcUrl: "rtmp://h/live?key=c" }, "x?key=a", ["live", "x", { key: "a" }]],
  ["several parts", { app: "a/b/c/", tcUrl: "" }, "x", ["a/b/c", "x", {}]],
  ["encoded, and not", { app: "live", tcUrl: "" }, "x?key=a%2Fb+%&&n", ["live", "x", { key: "a%2Fb+%", n: "" }]],
  ["encoded", { app: "live", tcUrl: "" }, "x?key=a%2Fb", ["live", "x", { key: "a/b" }]],
  ["names of Object", { app: "live", tcUrl: "" }, "x?__proto__=1", ["live", "x", JSON.parse('{"__proto__":"1"}')]],
];
for (const [title, object, name, [app, own, query]] of addresses)
  test(`address: ${title}`, () => {
    const peer = new RawPeer();
    peer.askPublish(name, object);
    const event = peer.events.at(-1);
    assert.ok(event?.kind === "publish");
    assert.deepEqual([event.app, event.name], [app, own]);
    assert.deepEqual(Object.entries(event.query), Object.entries(query as object));
    assert.equal(event.query.constructor, undefined);
  });

test("what an eager encoder sends before the answer is kept, and comes after it", () => {
  const peer = new RawPeer();
  peer.askPublish("x");
  for (let i = 0; i < 20; i += 1) peer.send(video(i, 2000), CHUNK_STREAM.video);
  assert.deepEqual(peer.kinds, ["connect", "publish"]);
  peer.server.acceptPublish(1);
  assert.equal(peer.kinds.filter((kind) => kind === "media").length, 20);
});

test("a flood before the answer ends the connection", () => {
  const peer = new RawPeer({ limits: { heldBytesMax: 10_000 } });
  peer.askPublish("x");
  for (let i = 0; i < 20; i += 1) peer.send(video(i, 2000), CHUNK_STREAM.video);
  assert.match(failure(peer), /^rtmp.malformed: .*before the answer/);
  peer.server.acceptPublish(1); // too late: nothing happens
  assert.deepEqual(peer.statuses, []);
});

test("a refusal is told in the protocol's words, and media of that stream is not delivered", () => {
  const peer = new RawPeer();
  peer.askPublish("x");
  peer.send(video(0), CHUNK_STREAM.video);
  peer.server.refusePublish(1, { code: "NetStream.Publish.BadName", description: "Somebody else publishes to x." });
  assert.deepEqual(peer.statuses, ["1 NetStream.Publish.BadName"]);
  assert.deepEqual(peer.kinds, ["connect", "publish"]);
  assert.deepEqual(peer.commands.at(-1)?.arguments[0], {
    level: "error",
    code: "NetStream.Publish.BadName",
    description: "Somebody else publishes to x.",
  });
});

test("play is asked for and refused", () => {
  const peer = new RawPeer();
  peer.connect();
  peer.call(0, "createStream", 2, null);
  peer.call(0, "getStreamLength", 3, null, "x");
  peer.call(1, "play", 4, null, "x?token=1", -2000);
  const event = peer.events.at(-1);
  assert.ok(event?.kind === "play");
  assert.deepEqual([event.app, event.name, event.query.token], ["live", "x", "1"]);
  peer.server.refusePlay(1, { code: "NetStream.Play.StreamNotFound", description: "Not here." });
  assert.deepEqual(peer.statuses, ["1 NetStream.Play.StreamNotFound"]);
});

test("end tells the publisher why, then nothing is read or sent", () => {
  const peer = new RawPeer({ on: accepting });
  peer.askPublish("x");
  peer.server.end({ code: "NetStream.Publish.Denied", description: "Stopped by the operator." });
  peer.send(video(0), CHUNK_STREAM.video);
  peer.clock.advance(60_000);
  assert.deepEqual(peer.statuses.slice(1), ["1 NetStream.Publish.Denied", "0 NetConnection.Connect.Closed"]);
  assert.deepEqual(peer.kinds, ["connect", "publish"]);
});

test("aggregates come apart, with their times moved to the aggregate's own", () => {
  const peer = new RawPeer({ on: accepting });
  peer.askPublish("x");
  const part = (type: number, ownMs: number, text: string) => {
    const head = Buffer.alloc(11);
    head.writeUInt8(type, 0);
    head.writeUIntBE(text.length, 1, 3);
    head.writeUIntBE(ownMs & 0xffffff, 4, 3);
    head.writeUInt8(ownMs >>> 24, 7);
    const back = Buffer.alloc(4);
    back.writeUInt32BE(11 + text.length);
    return Buffer.concat([head, Buffer.from(text), back]);
  };
  const body = Buffer.concat([part(9, 0x1000000, "ab"), part(8, 0x1000014, "c"), part(20, 0x1000015, "no media")]);
  peer.send({ type: TYPE.aggregate, streamId: 1, timestampMs: 500, body }, CHUNK_STREAM.video);
  const media = peer.events.filter((event) => event.kind === "media");
  assert.deepEqual(
    media.map((event) => [event.type, event.timestampMs, event.body.toString()]),
    [
      [9, 500, "ab"],
      [8, 520, "c"],
    ],
  );
  peer.send({ type: TYPE.aggregate, streamId: 1, timestampMs: 500, body: body.subarray(0, 12) }, CHUNK_STREAM.video);
  assert.match(failure(peer), /aggregate/);
});

test("AMF3 commands and data lose their leading byte", () => {
  const peer = new RawPeer({ on: accepting });
  const amf3 = (...values: Parameters<typeof encodeAmf0>[0]) => Buffer.concat([Buffer.of(0), encodeAmf0(values)]);
  const send = (type: number, streamId: number, body: Buffer) => peer.send({ type, streamId, timestampMs: 0, body });
  send(TYPE.commandAmf3, 0, amf3("connect", 1, { app: "live" }));
  send(TYPE.commandAmf3, 0, amf3("createStream", 2, null));
  send(TYPE.commandAmf3, 1, amf3("publish", 3, null, "x", "live"));
  send(TYPE.dataAmf3, 1, amf3("onMetaData", { width: 1280 }));
  const event = peer.events.at(-1);
  assert.ok(event?.kind === "media");
  assert.equal(event.type, TYPE.data);
  assert.deepEqual(event.body, encodeAmf0(["onMetaData", { width: 1280 }]));
});

test("acknowledgements come as often as the peer's window says, with all bytes received", () => {
  const peer = new RawPeer({ on: accepting });
  peer.askPublish("x");
  peer.send(numberMessage(TYPE.windowAcknowledgementSize, 10_000), CHUNK_STREAM.control);
  for (let i = 0; i < 30; i += 1) peer.send(video(i, 1000), CHUNK_STREAM.video);
  const acknowledged = peer.answers
    .filter((message) => message.type === TYPE.acknowledgement)
    .map((message) => message.body.readUInt32BE());
  assert.ok(acknowledged.length === 3, `${acknowledged.length} acknowledgements`);
  assert.ok(acknowledged.every((bytes, i) => bytes >= 10_000 * (i + 1) && bytes < 10_000 * (i + 1) + 4000));
});

test("a bandwidth is answered with our window, once per value; pings with their time, not at any rate", () => {
  const peer = new RawPeer();
  const control = (type: number) => peer.answers.filter((message) => message.type === type).length;
  peer.connect();
  for (let i = 0; i < 3; i += 1) peer.send(setPeerBandwidth(77_777), CHUNK_STREAM.control);
  assert.equal(control(TYPE.windowAcknowledgementSize), 2); // one belongs to connect
  for (let i = 0; i < 50; i += 1) peer.send(userControl(6, 1234), CHUNK_STREAM.control);
  assert.equal(control(TYPE.userControl), 1);
  assert.equal(peer.answers.at(-1)?.body.toString("hex"), "0007000004d2");
  peer.clock.advance(1000);
  peer.send(userControl(6, 5), CHUNK_STREAM.control);
  assert.equal(control(TYPE.userControl), 2);
});

test("a PlatformError thrown by the owner fails the session; a defect is thrown on", () => {
  const throwing = (error: Error) => (event: RtmpServerEvent, server: RtmpServerSession) => {
    if (event.kind === "media") throw error;
    accepting(event, server);
  };
  const peer = new RawPeer({ on: throwing(new PlatformError("media.malformed", "No such codec.")) });
  peer.askPublish("x");
  peer.send(video(0), CHUNK_STREAM.video);
  assert.equal(failure(peer), "media.malformed: No such codec.");

  const broken = new RawPeer({ on: throwing(new TypeError("a defect")) });
  broken.askPublish("x");
  assert.throws(() => broken.send(video(0), CHUNK_STREAM.video), /a defect/);
});

test("commands are counted anew after each publication", () => {
  const peer = new RawPeer({ on: accepting });
  const chatter = (count: number) => {
    for (let i = 0; i < count; i += 1) peer.call(0, "_checkbw", 0, null);
  };
  peer.askPublish("x");
  chatter(RTMP_LIMITS.commandsMax - 2);
  peer.call(1, "closeStream", 0, null);
  peer.call(1, "publish", 0, null, "x", "live");
  chatter(RTMP_LIMITS.commandsMax);
  assert.deepEqual(peer.kinds, ["connect", "publish", "unpublish", "publish"]);
  chatter(1);
  assert.match(failure(peer), /more than 100 commands/);
});

test("an unknown call gets an error, an unknown notice none", () => {
  const peer = new RawPeer();
  peer.connect();
  peer.call(0, "fly", 9, null);
  peer.call(0, "fly", 0, null);
  const errors = peer.commands.filter((answer) => answer.name === "_error");
  assert.deepEqual(
    errors.map((answer) => answer.transaction),
    [9],
  );
});

const malformed: [string, (peer: RawPeer) => void, RegExp][] = [
  ["a command before connect", (peer) => peer.call(0, "createStream", 1, null), /"createStream" before connect/],
  ["connect twice", (peer) => [peer.connect(), peer.connect()], /second time/],
  [
    "publish on no stream",
    (peer) => [peer.connect(), peer.call(7, "publish", 2, null, "x")],
    /stream 7, which was not/,
  ],
  [
    "publish twice",
    (peer) => [peer.askPublish("x"), peer.server.acceptPublish(1), peer.call(1, "publish", 4, null, "y")],
    /in use/,
  ],
  ["no AMF0", (peer) => peer.send({ type: 20, streamId: 0, timestampMs: 0, body: Buffer.from("zz") }), /not AMF0/],
  ["no name", (peer) => peer.send({ type: 20, streamId: 0, timestampMs: 0, body: encodeAmf0([5]) }), /without a name/],
  [
    "many streams",
    (peer) => [peer.connect(), ...Array.from({ length: 9 }, (_, i) => peer.call(0, "createStream", i + 2, null))],
    /more than 8 streams/,
  ],
  [
    "many commands",
    (peer) => [peer.connect(), ...Array.from({ length: 200 }, () => peer.call(0, "_checkbw", 0, null))],
    /more than 100 commands/,
  ],
  [
    "a short control message",
    (peer) => peer.send({ type: 1, streamId: 0, timestampMs: 0, body: Buffer.alloc(2) }),
    /chunk size of 2 bytes/,
  ],
  [
    "much before publishing",
    (peer) => peer.send({ type: 20, streamId: 0, timestampMs: 0, body: Buffer.alloc(70_000) }),
    /70000 bytes/,
  ],
];
for (const [title, act, pattern] of malformed)
  test(`failed: ${title}`, () => {
    const peer = new RawPeer();
    act(peer);
    assert.match(failure(peer), /^rtmp.malformed: /);
    assert.match(failure(peer), pattern);
    const count = peer.events.length;
    peer.connect();
    peer.clock.advance(60_000);
    assert.equal(peer.events.length, count, "failed is the last event");
  });

test("a peer that asks for nothing in time fails, before and after a publication; one that publishes does not", () => {
  const quiet = new RawPeer();
  quiet.clock.advance(RTMP_LIMITS.openingTimeoutMs - 1);
  assert.deepEqual(quiet.kinds, []);
  quiet.clock.advance(1);
  assert.match(failure(quiet), /^ingest.no_data: /);

  const busy = new RawPeer({ on: accepting });
  busy.askPublish("x");
  busy.clock.advance(60_000);
  assert.deepEqual(busy.kinds, ["connect", "publish"]);
  busy.call(1, "closeStream", 0, null);
  busy.clock.advance(RTMP_LIMITS.openingTimeoutMs);
  assert.match(failure(busy), /^ingest.no_data: /);

  const gone = new RawPeer();
  gone.server.peerClosed();
  gone.clock.advance(60_000);
  assert.deepEqual(gone.kinds, []);
});
