import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { buildAvcConfig } from "#media/codec/avcc.ts";
import { codecString } from "#media/codec/codec-string.ts";
import { joinLengths, splitLengths } from "#media/codec/nal.ts";
import { h264Pps, h264Sps } from "#media/codec/testing/parameter-set-writer.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import type { AudioTrack, Track, VideoTrack } from "#media/session-log/entries.ts";
import { mpegtsDemuxer } from "../mpegts/demux.ts";
import { encodeAmf0 } from "./amf0.ts";
import { flvDemuxer } from "./demux.ts";
import { audioFrame, audioHeader, metadata, videoFrame, videoHeader } from "./write.ts";

type Message = { type: 8 | 9 | 18; timestampMs: number; body: Buffer };
const recorded = join(import.meta.dirname, "../../../test/fixtures/recorded");

/** The tags of an FLV file. Source: Adobe Flash Video File Format 10.1, annex E */
function tagsOf(file: string): Message[] {
  const bytes = readFileSync(join(recorded, file));
  const messages: Message[] = [];
  for (let at = bytes.readUInt32BE(5) + 4; at + 11 < bytes.length; ) {
    const size = bytes.readUIntBE(at + 1, 3);
    const timestampMs = bytes.readUIntBE(at + 4, 3) + bytes[at + 7]! * 2 ** 24;
    messages.push({ type: bytes[at] as 8, timestampMs, body: bytes.subarray(at + 11, at + 11 + size) });
    at += 11 + size + 4;
  }
  return messages;
}

function run(messages: readonly Message[]): DemuxEvent[] {
  const events: DemuxEvent[] = [];
  const demuxer = flvDemuxer((event) => events.push(event));
  for (const { type, timestampMs, body } of messages) demuxer.tag(type, timestampMs, Buffer.from(body));
  demuxer.end();
  return events;
}

const units = (events: readonly DemuxEvent[], track: number): DemuxedUnit[] =>
  events.filter((event) => event.kind === "unit").filter((unit) => unit.track === track);
const kinds = (events: readonly DemuxEvent[]) => events.map((event) => event.kind).filter((kind) => kind !== "unit");
const lastTracks = (events: readonly DemuxEvent[]) => events.findLast((event) => event.kind === "tracks")!;

/** Tracks and units of a transport stream, to be published again as messages. */
function source(file: string): { video: VideoTrack | null; audio: AudioTrack | null; units: DemuxedUnit[] } {
  const found: DemuxedUnit[] = [];
  let tracks: readonly Track[] = [];
  const demuxer = mpegtsDemuxer((event) => {
    if (event.kind === "tracks") tracks = event.tracks;
    else if (event.kind === "unit") found.push(event);
  });
  demuxer.push(readFileSync(join(recorded, file)));
  demuxer.end();
  const of = (kind: string) => tracks.find((track) => track.kind === kind) ?? null;
  return { video: of("video") as VideoTrack | null, audio: of("audio") as AudioTrack | null, units: found };
}

test("a recorded file gives the frames and times that ffprobe gives", () => {
  const known = JSON.parse(readFileSync(join(recorded, "h264-aac.flv.json"), "utf8")) as { packets: number[][] };
  const events = run(tagsOf("h264-aac.flv"));
  assert.deepEqual(kinds(events), ["tracks", "tracks", "end"]);
  const { tracks, complete } = lastTracks(events);
  assert.equal(complete, true);
  assert.deepEqual(
    tracks.map((track) => [track.track, track.codec]),
    [
      [0, "h264"],
      [1, "aac"],
    ],
  );
  const video = tracks[0] as VideoTrack;
  assert.deepEqual(
    [video.width, video.height, video.declaredRate, video.interlaced],
    [160, 90, { num: 30, den: 1 }, false],
  );
  const audio = tracks[1] as AudioTrack;
  assert.deepEqual([audio.sampleRate, audio.channels, audio.samplesPerUnit], [44_100, 2, 1024]);
  for (const track of [0, 1]) {
    const ours = units(events, track).map((unit) => [unit.ptsTicks, unit.dtsTicks, unit.randomAccess ? 1 : 0]);
    const theirs = known.packets.filter(([stream]) => stream === track).map((packet) => packet.slice(1, 4));
    assert.ok(ours.length > 50);
    assert.deepEqual(ours, theirs);
  }
  assert.ok(units(events, 0).every((unit) => !unit.damaged));
});

for (const file of ["h264-bframes.mpegts", "hevc.mpegts"])
  test(`what our writer writes, the reader reads back: ${file}`, () => {
    const { video, audio, units: sent } = source(file);
    assert.ok(video && audio);
    const messages: Message[] = [
      { type: 18, timestampMs: 0, body: metadata(video, audio, "test") },
      { type: 9, timestampMs: 0, body: videoHeader(video.codec, video.config) },
      { type: 8, timestampMs: 0, body: audioHeader(audio.config) },
    ];
    for (const { track, ptsTicks, dtsTicks, payload, randomAccess } of sent) {
      const timestampMs = Math.round(dtsTicks / 90);
      const composition = Math.round(ptsTicks / 90) - timestampMs;
      const isVideo = track === 0;
      const body = isVideo ? videoFrame(video.codec, payload, randomAccess, composition) : audioFrame(payload);
      messages.push({ type: isVideo ? 9 : 8, timestampMs, body });
    }
    const events = run(messages);
    assert.deepEqual(lastTracks(events).tracks, [video, { ...audio, language: "und" }]);
    assert.equal(lastTracks(events).complete, true);
    for (const track of [0, 1]) {
      const brief = (unit: DemuxedUnit, divisor: number) => [Math.round(unit.ptsTicks / divisor), unit.randomAccess];
      const [back, out] = [units(events, track), sent.filter((unit) => unit.track === track)];
      assert.deepEqual(
        back.map((unit) => brief(unit, 1)),
        out.map((unit) => brief(unit, 90)),
      );
      assert.ok(back.every((unit, i) => Buffer.from(unit.payload).equals(out[i]!.payload)));
    }
  });

test("enhanced messages of FFmpeg: AV1, Opus, and two more tracks of AC-3 and E-AC-3", () => {
  const known = JSON.parse(readFileSync(join(recorded, "av1-multitrack.flv.json"), "utf8")) as {
    packets: [stream: number, ptsMs: number, dtsMs: number, key: number, bytes: number][];
    boxes: string[];
  };
  const events = run(tagsOf("av1-multitrack.flv"));
  const { tracks, complete } = lastTracks(events);
  assert.equal(complete, true);
  assert.equal(
    events.findIndex((event) => event.kind === "tracks" && event.complete),
    events.findIndex((event) => event.kind === "tracks" && event.tracks.length === 4),
  );
  assert.deepEqual(
    tracks.map((track) => [track.track, track.codec, codecString(track)]),
    [
      [0, "av1", "av01.0.00M.08"],
      [1, "opus", "opus"],
      [2, "ac3", "ac-3"],
      [3, "eac3", "ec-3"],
    ],
  );
  const configs = tracks.map(({ config }) => Buffer.from(config).toString("hex"));
  assert.deepEqual(configs.slice(1, 3), known.boxes.slice(1, 3));
  assert.equal(configs[0]!.slice(0, 8), known.boxes[0]!.slice(0, 8)); // the sequence header is the stream's, not the muxer's
  const first = Math.min(...known.packets.map(([, pts]) => pts));
  for (const track of [0, 1, 2, 3]) {
    const ours = units(events, track).map((unit) => [
      unit.ptsTicks,
      unit.dtsTicks,
      unit.randomAccess ? 1 : 0,
      unit.payload.length,
    ]);
    const theirs = known.packets
      .filter(([stream]) => stream === track)
      .map(([, pts, dts, key, bytes]) => [pts - first, dts - first, key, bytes]);
    assert.ok(ours.length > 25);
    assert.deepEqual(ours, theirs);
  }
  assert.ok(
    units(events, 0).every((unit) => isInstantRefresh("av1", unit.payload) === unit.randomAccess && !unit.damaged),
  );
});

test("MP3 in the old form gives the frames that ffprobe gives", () => {
  const known = JSON.parse(readFileSync(join(recorded, "h264-mp3.flv.json"), "utf8")) as { packets: number[][] };
  const events = run(tagsOf("h264-mp3.flv"));
  const audio = lastTracks(events).tracks[1] as AudioTrack;
  assert.deepEqual([audio.codec, audio.sampleRate, audio.channels, audio.samplesPerUnit], ["mp3", 44_100, 1, 1152]);
  const ours = units(events, 1).map((unit) => [unit.ptsTicks, unit.payload.length]);
  assert.deepEqual(
    ours,
    known.packets.filter(([stream]) => stream === 1).map((packet) => [packet[1], packet[4]]),
  );
});

const config = () => source("h264-bframes.mpegts");
const message = (type: 8 | 9 | 18, body: Uint8Array, timestampMs = 0): Message => ({
  type,
  timestampMs,
  body: Buffer.from(body),
});

test("old and enhanced ways to say the same give the same unit", () => {
  const { video, units: sent } = source("hevc.mpegts");
  const { payload } = sent.find((unit) => unit.track === 0)!;
  const fourcc = Buffer.from("hvc1");
  const header = videoHeader("hevc", video!.config);
  const old = Buffer.concat([Buffer.of(0x1c, 1, 0, 0, 7), payload]);
  const oldHeader = Buffer.concat([Buffer.of(0x1c, 0, 0, 0, 0), video!.config]);
  const enhanced = Buffer.concat([Buffer.of(0x91), fourcc, Buffer.of(0, 0, 7), payload]);
  const modified = Buffer.concat([Buffer.of(0x97, 2, 0, 1, 2, 0x01), fourcc, Buffer.of(0, 0, 7), payload]);
  const results = [
    [oldHeader, old],
    [header, enhanced],
    [header, modified],
  ].map(([first, second]) => units(run([message(9, first!), message(9, second!, 100)]), 0));
  for (const result of results) {
    assert.equal(result.length, 1);
    assert.deepEqual([result[0]!.ptsTicks, result[0]!.dtsTicks, result[0]!.randomAccess], [107, 100, true]);
    assert.ok(Buffer.from(result[0]!.payload).equals(payload));
  }
  const noTime = Buffer.concat([Buffer.of(0x93), fourcc, payload]);
  assert.equal(units(run([message(9, header), message(9, noTime, 100)]), 0)[0]!.ptsTicks, 100);
});

test("enhanced H.264 and enhanced AAC are taken", () => {
  const { video, audio, units: sent } = config();
  const picture = sent.find((unit) => unit.track === 0)!.payload;
  const frame = sent.find((unit) => unit.track === 1)!.payload;
  const events = run([
    message(9, Buffer.concat([Buffer.of(0x90), Buffer.from("avc1"), video!.config])),
    message(8, Buffer.concat([Buffer.of(0x90), Buffer.from("mp4a"), audio!.config])),
    message(9, Buffer.concat([Buffer.of(0x93), Buffer.from("avc1"), picture]), 5),
    message(8, Buffer.concat([Buffer.of(0x91), Buffer.from("mp4a"), frame]), 6),
  ]);
  assert.deepEqual(kinds(events), ["tracks", "tracks", "end"]);
  assert.equal(lastTracks(events).complete, true);
  assert.equal(units(events, 0).length, 1);
  assert.ok(Buffer.from(units(events, 1)[0]!.payload).equals(frame));
});

test("a negative composition time never puts decoding after presentation", () => {
  const { video, units: sent } = config();
  const frame = videoFrame("h264", sent[0]!.payload, true, -40);
  const [unit] = units(run([message(9, videoHeader("h264", video!.config)), message(9, frame, 20)]), 0);
  assert.deepEqual([unit!.ptsTicks, unit!.dtsTicks], [2 ** 32 - 20, 2 ** 32 - 20]);
});

test("metadata says what to wait for", () => {
  const { video, audio } = config();
  const head = message(9, videoHeader("h264", video!.config));
  const meta = (properties: object) => message(18, encodeAmf0(["onMetaData", properties as Record<string, number>]));
  const complete = (messages: Message[]) => lastTracks(run(messages)).complete;
  assert.equal(complete([head]), false);
  assert.equal(complete([meta({ videocodecid: 7 }), head]), true);
  assert.equal(complete([head, meta({ videocodecid: 7 })]), true);
  assert.equal(complete([meta({ width: 160 }), head]), false);
  assert.equal(complete([meta({ videocodecid: 7, audiocodecid: 10 }), head]), false);
  assert.equal(complete([meta({ audiocodecid: 10 }), message(8, audioHeader(audio!.config))]), true);
  assert.equal(complete([meta({ videocodecid: 0, audiocodecid: 10 }), message(8, audioHeader(audio!.config))]), true);
});

test("the declared frame rate stands in when the stream names none", () => {
  const record = buildAvcConfig([h264Sps()], [h264Pps()]);
  const meta = (framerate: number) =>
    message(18, encodeAmf0(["@setDataFrame", "onMetaData", { framerate, videocodecid: 7 }]));
  const rateOf = (messages: Message[]) => (lastTracks(run(messages)).tracks[0] as VideoTrack).declaredRate;
  const head = message(9, videoHeader("h264", record));
  assert.equal(rateOf([head]), null);
  assert.deepEqual(rateOf([meta(29.97), head]), { num: 30_000, den: 1001 });
  assert.deepEqual(rateOf([head, meta(23.976)]), { num: 24_000, den: 1001 });
  assert.deepEqual(rateOf([head, meta(24)]), { num: 24, den: 1 });
  assert.deepEqual(rateOf([head, meta(27.5)]), { num: 55, den: 2 });
  assert.equal(rateOf([head, meta(90_000)]), null);
});

test("what we cannot take is told once and the rest goes on", () => {
  const { video, units: sent } = config();
  const speex = message(8, Buffer.of(0xb2, 1, 2, 3));
  const flac = message(8, Buffer.concat([Buffer.of(0x95, 0x00), Buffer.from("fLaC"), Buffer.of(1, 2, 3)]));
  const frame = message(9, videoFrame("h264", sent[0]!.payload, true, 0));
  const events = run([
    message(9, videoHeader("h264", video!.config)),
    speex,
    speex,
    flac,
    frame,
    message(9, Buffer.of(0x22, 0)),
  ]);
  assert.deepEqual(
    events.filter((event) => event.kind === "unsupported").map((event) => event.what),
    ["audio codec Speex", "audio codec fLaC", "video codec Sorenson H.263"],
  );
  assert.equal(units(events, 0).length, 1);
  assert.equal(lastTracks(events).complete, true); // no sound is to be waited for any more
});

test("a changed sequence header is another track; the same one is not", () => {
  const first = config().video!;
  const second = source("h264-interlaced.mpegts").video!;
  const heads = [first, first, second].map((video) => message(9, videoHeader("h264", video.config)));
  const widths = run(heads).flatMap((event) =>
    event.kind === "tracks" ? [(event.tracks[0] as VideoTrack).height] : [],
  );
  assert.deepEqual(widths, [90, 96]);
});

test("parameter sets in the stream replace those of the header", () => {
  const first = config().video!;
  const second = source("h264-interlaced.mpegts");
  const sets = Buffer.from(second.video!.config);
  const sps = sets.subarray(8, 8 + sets.readUInt16BE(6));
  const ppsAt = 8 + sps.length + 1;
  const pps = sets.subarray(ppsAt + 2, ppsAt + 2 + sets.readUInt16BE(ppsAt));
  const nals = splitLengths(Buffer.from(second.units.find((unit) => unit.track === 0)!.payload));
  const events = run([
    message(9, videoHeader("h264", first.config)),
    message(9, videoFrame("h264", joinLengths([Buffer.of(9, 0xf0), sps, pps, ...nals]), true, 0)),
  ]);
  assert.deepEqual(lastTracks(events).tracks, [second.video!]);
  assert.ok(Buffer.from(units(events, 0)[0]!.payload).equals(joinLengths(nals)));
});

test("shorter NAL unit lengths become four bytes", () => {
  const { video, units: sent } = config();
  const record = Buffer.from(video!.config);
  record[4] = 0xfd; // two bytes
  const nals = splitLengths(Buffer.from(sent[0]!.payload));
  const short = Buffer.concat(nals.flatMap((nal) => [Buffer.of(nal.length >> 8, nal.length & 255), nal]));
  const [unit] = units(
    run([message(9, videoHeader("h264", record)), message(9, videoFrame("h264", short, true, 0))]),
    0,
  );
  assert.ok(Buffer.from(unit!.payload).equals(sent[0]!.payload));
});

test("no message makes the reader throw, and it recovers after any", () => {
  const random = seededRandom(11);
  const valid = [...tagsOf("h264-aac.flv"), ...tagsOf("h264-aac.flv").slice(0, 3)];
  const events: DemuxEvent[] = [];
  const demuxer = flvDemuxer((event) => events.push(event));
  for (let i = 0; i < 30_000; i += 1) {
    const { type, body } = valid[random.int(0, valid.length)]!;
    const bytes = Buffer.from(random.next() < 0.1 ? random.bytes(random.int(0, 40)) : body);
    const flips = random.int(0, 3);
    for (let k = 0; k < flips && bytes.length > 0; k += 1)
      bytes[random.int(0, Math.min(bytes.length, 60))]! ^= 1 << random.int(0, 8);
    demuxer.tag(
      type,
      random.int(0, 2 ** 32),
      random.next() < 0.2 ? bytes.subarray(0, random.int(0, bytes.length + 1)) : bytes,
    );
    if (events.length > 5000) events.splice(0, events.length - 5000);
  }
  const found = new Set(events.map((event) => event.kind));
  assert.ok(found.has("loss") && found.has("unit"), [...found].join());
  events.length = 0;
  for (const { type, timestampMs, body } of tagsOf("h264-aac.flv")) demuxer.tag(type, timestampMs, Buffer.from(body));
  assert.ok(units(events, 0).length >= 59 && units(events, 1).length > 80);
});
