// Enhanced RTMP beyond what a recorded stream holds: several codecs in a message, modifiers, colours, languages.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildAvcConfig } from "#media/codec/avcc.ts";
import { joinLengths } from "#media/codec/nal.ts";
import { h264Pps, h264Slice, h264Sps } from "#media/codec/testing/parameter-set-writer.ts";
import type { DemuxEvent } from "#media/demux.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import { type Amf0Value, encodeAmf0 } from "./amf0.ts";
import { flvDemuxer } from "./demux.ts";

type Message = readonly [type: 8 | 9 | 18, timestampMs: number, body: Buffer];

function run(...messages: Message[]): DemuxEvent[] {
  const events: DemuxEvent[] = [];
  const demuxer = flvDemuxer((event) => events.push(event));
  for (const [type, timestampMs, body] of messages) demuxer.tag(type, timestampMs, Buffer.from(body));
  demuxer.end();
  return events;
}

const of = <K extends DemuxEvent["kind"]>(events: readonly DemuxEvent[], kind: K) =>
  events.filter((event): event is Extract<DemuxEvent, { kind: K }> => event.kind === kind);
const tracksOf = (events: readonly DemuxEvent[]) => of(events, "tracks").at(-1)?.tracks ?? [];
const brief = (events: readonly DemuxEvent[]) =>
  of(events, "unit").map(({ track, ptsTicks, payload }) => [track, ptsTicks, payload.length]);

/** The first frames of a recorded transport stream's track. */
function frames(file: string, track: number): Buffer[] {
  const found: Buffer[] = [];
  const demuxer = mpegtsDemuxer((event) => {
    if (event.kind === "unit" && event.track === track) found.push(Buffer.from(event.payload));
  });
  demuxer.push(readFileSync(join(import.meta.dirname, "../../../test/fixtures/recorded", file)));
  demuxer.end();
  return found;
}

const u24 = (value: number) => Buffer.of(value >> 16, (value >> 8) & 255, value & 255);
const aacConfig = Buffer.from("1190", "hex");
const opusHead = Buffer.from("4f707573486561640102380180bb0000000000", "hex");
/** @param packet type of all tracks */
const manyCodecs = (packet: number, ...tracks: [codec: string, id: number, data: Buffer][]) =>
  Buffer.concat([
    Buffer.of(0x95, 0x20 | packet),
    ...tracks.flatMap(([codec, id, data]) => [Buffer.from(codec), Buffer.of(id), u24(data.length), data]),
  ]);
const metadata = (properties: Record<string, Amf0Value>): Message => [
  18,
  0,
  encodeAmf0(["@setDataFrame", "onMetaData", properties]),
];

test("a message holds frames of several tracks with several codecs", () => {
  const [ac3, mp3] = [frames("dolby.mpegts", 1)[0]!, frames("mpeg-audio.mpegts", 2)[0]!];
  const opus = frames("opus.mpegts", 1)[0]!;
  const events = run(
    [8, 0, manyCodecs(0, ["mp4a", 0, aacConfig], ["Opus", 1, opusHead])],
    [8, 10, manyCodecs(1, ["mp4a", 0, Buffer.alloc(9, 1)], ["Opus", 1, opus], ["ac-3", 2, ac3], [".mp3", 7, mp3])],
  );
  assert.deepEqual(of(events, "loss"), []);
  assert.deepEqual(
    tracksOf(events).map(({ track, codec }) => [track, codec]),
    [
      [1, "aac"],
      [2, "opus"],
      [3, "ac3"],
      [8, "mp3"],
    ],
  );
  assert.deepEqual(brief(events), [
    [1, 10, 9],
    [2, 10, opus.length],
    [3, 10, ac3.length],
    [8, 10, mp3.length],
  ]);
});

test("several tracks of one codec, and one track by itself", () => {
  const many = Buffer.concat([
    Buffer.of(0x95, 0x10),
    Buffer.from("mp4a"),
    ...[0, 1].flatMap((id) => [Buffer.of(id), u24(2), aacConfig]),
  ]);
  const one = Buffer.concat([Buffer.of(0x95, 0x01), Buffer.from("mp4a"), Buffer.of(1), Buffer.alloc(30, 5)]);
  const events = run([8, 0, many], [8, 5, one]);
  assert.deepEqual(
    tracksOf(events).map(({ track }) => track),
    [1, 2],
  );
  assert.deepEqual(brief(events), [[2, 5, 30]]);
});

test("messages that end inside a track are lost, not misread", () => {
  const whole = manyCodecs(0, ["mp4a", 0, aacConfig], ["mp4a", 1, aacConfig]);
  for (const length of [1, 2, 5, 7, 10, 15, whole.length - 1]) {
    const events = run([8, 0, whole.subarray(0, length)]);
    assert.deepEqual(
      [of(events, "loss").length, of(events, "tracks").length],
      [length === 2 ? 0 : 1, 0],
      String(length),
    );
  }
  const nested = Buffer.concat([Buffer.of(0x95, 0x15), Buffer.from("mp4a")]);
  assert.equal(of(run([8, 0, nested]), "loss").length, 1);
});

test("modifiers of any length are stepped over", () => {
  const config = Buffer.concat([Buffer.from("mp4a"), aacConfig]);
  const nanoseconds = Buffer.concat([Buffer.of(0x97, 2, 0, 1, 2, 0x07, 0, 9, 0x10), config]);
  const long = Buffer.concat([Buffer.of(0x97, 255, 0x01, 0x2b), Buffer.alloc(300, 9), Buffer.of(0x00), config]);
  const many = Buffer.concat([Buffer.of(0x97, 0, 1, 0x05), manyCodecs(0, ["mp4a", 3, aacConfig]).subarray(1)]);
  assert.deepEqual(
    tracksOf(run([8, 0, long])).map(({ track }) => track),
    [1],
  );
  assert.deepEqual(
    tracksOf(run([8, 0, many])).map(({ track }) => track),
    [4],
  );
  assert.deepEqual(
    tracksOf(run([8, 0, nanoseconds])).map(({ track }) => track),
    [1],
  );
  assert.equal(of(run([8, 0, long.subarray(0, 200)]), "loss").length, 1);
});

test("a track that is announced is waited for, refused ones are not", () => {
  const config = buildAvcConfig([h264Sps()], [h264Pps()]);
  const video: Message = [9, 0, Buffer.concat([Buffer.of(0x90), Buffer.from("avc1"), config])];
  const complete = (...messages: Message[]) => of(run(...messages), "tracks").at(-1)!.complete;
  const ac3 = frames("dolby.mpegts", 1)[0]!;
  const announced: Message = [8, 0, manyCodecs(0, ["mp4a", 0, aacConfig], ["ac-3", 1, Buffer.alloc(0)])];
  assert.equal(complete(video, announced), false);
  assert.equal(complete(video, announced, [8, 9, manyCodecs(1, ["ac-3", 1, ac3])]), true);
  const map = { videocodecid: 7, audiocodecid: 10, audioTrackIdInfoMap: { 1: { channels: 2 }, x: {}, 900: {} } };
  const first: Message = [8, 0, Buffer.concat([Buffer.of(0xaf, 0), aacConfig])];
  assert.equal(complete(metadata(map), video, first), false);
  assert.equal(complete(metadata(map), video, first, [8, 0, manyCodecs(0, ["fLaC", 1, Buffer.alloc(4)])]), true);
});

test("languages of tracks, before and after they are known", () => {
  const languages = (events: DemuxEvent[]) => tracksOf(events).map((track) => (track as AudioTrack).language);
  const config: Message = [8, 0, manyCodecs(0, ["mp4a", 0, aacConfig], ["mp4a", 1, aacConfig])];
  const meta = metadata({ audiocodecid: 10, audioTrackIdInfoMap: { 1: { language: "fra" } } });
  assert.deepEqual(languages(run(meta, config)), ["und", "fra"]);
  assert.deepEqual(languages(run(config, meta)), ["und", "fra"]);
  const nonsense = metadata({ audiocodecid: 10, audioTrackIdInfoMap: { 1: { language: "French" } } });
  assert.deepEqual(languages(run(config, nonsense)), ["und", "und"]);
});

test("colorInfo stands in for a curve that the stream does not declare, until it is taken back", () => {
  const head = (sps: Buffer): Message => [
    9,
    0,
    Buffer.concat([Buffer.of(0x90), Buffer.from("avc1"), buildAvcConfig([sps], [h264Pps()])]),
  ];
  const info = (value: Amf0Value): Message => [
    9,
    0,
    Buffer.concat([Buffer.of(0xd4), Buffer.from("avc1"), encodeAmf0(["colorInfo", value])]),
  ];
  const pq = info({
    colorConfig: { bitDepth: 10, colorPrimaries: 9, transferCharacteristics: 16, matrixCoefficients: 9 },
  });
  const range = (...messages: Message[]) => (tracksOf(run(...messages))[0] as VideoTrack).range;
  const silent = h264Sps();
  assert.equal(range(head(silent)), "SDR");
  assert.equal(range(head(silent), pq), "PQ");
  assert.equal(range(pq, head(silent)), "PQ");
  assert.equal(range(head(silent), info({ colorConfig: { transferCharacteristics: 18 } })), "HLG");
  for (const reset of [undefined, {}]) assert.equal(range(head(silent), pq, info(reset)), "SDR");
  assert.equal(range(head(silent), pq, info({ hdrCll: { maxFall: 1 } })), "PQ"); // it says nothing of the curve
  assert.equal(range(head(h264Sps({ timing: [1, 50] })), pq), "SDR"); // the stream says BT.709 itself
});

test("other video tracks are told, and harm nothing", () => {
  const config = buildAvcConfig([h264Sps()], [h264Pps()]);
  const picture = joinLengths([h264Slice({ idr: true })]);
  const both = (packet: number, data: Buffer) =>
    Buffer.concat([
      Buffer.of(0x96, 0x10 | packet),
      Buffer.from("avc1"),
      ...[0, 1].flatMap((id) => [Buffer.of(id), u24(data.length), data]),
    ]);
  const events = run([9, 0, both(0, config)], [9, 40, both(1, Buffer.concat([u24(20), picture]))]);
  assert.deepEqual(brief(events), [[0, 60, picture.length]]);
  assert.deepEqual(of(events, "unsupported"), [
    { kind: "unsupported", what: "video track 1: only the first one is taken" },
  ]);
});

test("Opus without a header is described by its packets, or by a channel layout", () => {
  const opus = frames("opus.mpegts", 1)[0]!;
  const frame: Message = [8, 0, Buffer.concat([Buffer.of(0x91), Buffer.from("Opus"), opus])];
  const channels = (...messages: Message[]) => (tracksOf(run(...messages))[0] as AudioTrack).channels;
  assert.equal(channels(frame), 2);
  const layout: Message = [8, 0, Buffer.concat([Buffer.of(0x94), Buffer.from("Opus"), Buffer.of(1, 6, 0, 0, 0, 0x3f)])];
  assert.equal(channels(layout, frame), 6);
  const nine: Message = [8, 0, Buffer.concat([Buffer.of(0x94), Buffer.from("Opus"), Buffer.of(0, 9)])];
  assert.deepEqual(of(run(nine), "unsupported"), [{ kind: "unsupported", what: "Opus with 9 channels" }]);
});

test("a message with several MP3 frames gives each its time; what is no frame is lost", () => {
  const mp3 = frames("mpeg-audio.mpegts", 2).slice(0, 3);
  const head = Buffer.of(0x2f);
  const events = run([8, 100, Buffer.concat([head, ...mp3])], [8, 200, Buffer.concat([head, Buffer.of(1, 2, 3, 4)])]);
  assert.deepEqual(
    of(events, "unit").map(({ ptsTicks }) => ptsTicks),
    [100, 126, 152],
  );
  assert.deepEqual(
    of(events, "loss").map(({ track }) => track),
    [1],
  );
});
