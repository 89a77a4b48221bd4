import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { codecString } from "#media/codec/codec-string.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import type { Track, VideoTrack } from "#media/session-log/entries.ts";
import { mpegtsDemuxer } from "./demux.ts";

const recorded = join(import.meta.dirname, "../../../test/fixtures/recorded");
const bytesOf = (file: string): Buffer => readFileSync(join(recorded, file));

type Probe = {
  streams: {
    codec_type: string;
    width?: number;
    height?: number;
    sample_rate?: string;
    channels?: number;
    codec_name: string;
    r_frame_rate: string;
    sample_aspect_ratio?: string;
    tags?: { language?: string };
  }[];
  /** Configuration records, in the order of the streams that have one. */
  boxes?: string[];
  packets: [stream: number, pts: number | null, dts: number, key: number, bytes: number][];
};
const probeOf = (file: string): Probe => JSON.parse(readFileSync(join(recorded, `${file}.json`), "utf8"));

function run(bytes: Buffer, chunks: (left: number) => number = (left) => left): DemuxEvent[] {
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, Math.min(bytes.length - at, chunks(bytes.length - at)));
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    demuxer.push(chunk);
    chunk.fill(0xee); // whoever still looks at it sees nonsense
    at += size;
  }
  demuxer.end();
  return events;
}

const units = (events: readonly DemuxEvent[], track: number): DemuxedUnit[] =>
  events.filter((event) => event.kind === "unit").filter((unit) => unit.track === track);
const tracksOf = (events: readonly DemuxEvent[]): readonly Track[] =>
  events.findLast((event) => event.kind === "tracks")?.tracks ?? [];
/** Events as short lines: what a failing comparison can show. */
const texts = (events: readonly DemuxEvent[]) =>
  events.map((event) =>
    JSON.stringify(event, (key, value) =>
      key === "payload"
        ? createHash("sha1")
            .update(event.kind === "unit" ? event.payload : "")
            .digest("hex")
        : value,
    ),
  );
const losses = (events: readonly DemuxEvent[]) => events.filter((event) => event.kind === "loss");
const brief = (unit: DemuxedUnit) => [unit.ptsTicks, unit.dtsTicks];

const FILES = [
  "h264-bframes.mpegts",
  "h264-interlaced.mpegts",
  "h264-open-gop.mpegts",
  "h264-intra-refresh.mpegts",
  "h264-slices.mpegts",
  "hevc.mpegts",
  "audio-only.mpegts",
  "h264-turned-hlg.mpegts",
  "hevc-pq.mpegts",
  "mpeg-audio.mpegts",
  "dolby.mpegts",
  "dolby-dvb.mpegts",
  "opus.mpegts",
  "latm.mpegts",
  "gst-dolby-opus.mpegts",
  "gst-mp2.mpegts",
];

for (const file of FILES)
  test(`${file}: tracks, frames and times as ffprobe has them`, () => {
    const probe = probeOf(file);
    const events = run(bytesOf(file));
    assert.deepEqual(losses(events), []);
    assert.equal(events.at(-1)!.kind, "end");
    const tracks = tracksOf(events);
    assert.equal(tracks.length, probe.streams.length);
    probe.streams.forEach((stream, index) => {
      const track = tracks[index]!;
      if (track.kind === "video") {
        const { num, den } = track.declaredRate!;
        assert.equal(`${num}/${den}`, stream.r_frame_rate);
        assert.equal(`${track.pixelAspect.num}:${track.pixelAspect.den}`, stream.sample_aspect_ratio);
        assert.deepEqual([track.width, track.height], [stream.width, stream.height]);
      } else {
        assert.deepEqual([String(track.sampleRate), track.channels], [stream.sample_rate, stream.channels]);
        if (probe.streams[0]!.tags) assert.equal(track.language, stream.tags?.language ?? "und");
        assert.equal(track.codec, stream.codec_name === "aac_latm" ? "aac" : stream.codec_name);
      }
      const packets = probe.packets.filter(([number]) => number === index);
      const ours = units(events, track.track);
      assert.equal(ours.length, packets.length);
      packets.forEach(([, pts, dts], i) => {
        if (pts === null) return; // it knows none for a picture before which parameter sets come again
        const rounds = track.kind === "audio" && 90_000 % track.sampleRate !== 0; // frame by frame, for all of a PES
        const tolerance = rounds ? (track.codec === "eac3" ? 4 : 1) : 0;
        assert.ok(Math.abs(ours[i]!.ptsTicks - pts) <= tolerance, `${ours[i]!.ptsTicks} ${pts}`);
        assert.ok(Math.abs(ours[i]!.dtsTicks - dts) <= tolerance, `${ours[i]!.dtsTicks} ${dts}`);
      });
      assert.ok(ours.every((unit) => !unit.damaged));
      const header = stream.codec_name === "aac" ? 7 : 0;
      if (track.kind === "audio" && stream.codec_name !== "aac_latm")
        assert.ok(ours.every((unit, i) => unit.payload.length === packets[i]![4] - header));
    });
  });

test("configuration records are those that another muxer makes", () => {
  for (const file of ["dolby.mpegts", "dolby-dvb.mpegts", "opus.mpegts", "gst-dolby-opus.mpegts", "hevc-pq.mpegts"]) {
    const { boxes } = probeOf(file);
    const tracks = tracksOf(run(bytesOf(file)));
    const own = tracks.map(({ codec, config }) => recordOf(codec, Buffer.from(config)));
    assert.deepEqual(
      own,
      boxes!.map((hex, i) => recordOf(tracks[i]!.codec, Buffer.from(hex, "hex"))),
      file,
    );
  }
});

/** What must agree: a decoder configuration of H.265 has fields that may be left unknown. */
function recordOf(codec: string, config: Buffer): string {
  if (codec === "eac3") return config.toString("hex", 2); // the data rate is averaged differently
  if (codec === "hevc") return `${config.toString("hex", 0, 13)} ${config.toString("hex", 16, 19)}`;
  return config.toString("hex");
}

test("range, depth and rotation are told", () => {
  const told = ["h264-turned-hlg.mpegts", "hevc-pq.mpegts", "hevc.mpegts"].map((file) => {
    const track = tracksOf(run(bytesOf(file)))[0] as VideoTrack;
    return [track.range, track.bitDepth, track.rotation, codecString(track)];
  });
  assert.deepEqual(told, [
    ["HLG", 10, 270, "avc1.7a000b"],
    ["PQ", 10, 0, "hvc1.2.4.L60.90"],
    ["SDR", 10, 0, codecString(tracksOf(run(bytesOf("hevc.mpegts")))[0]!)],
  ]);
});

test("languages, depth and scan are told", () => {
  assert.deepEqual(
    tracksOf(run(bytesOf("audio-only.mpegts"))).map((track) => track.kind === "audio" && [track.track, track.language]),
    [
      [1, "eng"],
      [2, "fra"],
    ],
  );
  const video = (file: string) => tracksOf(run(bytesOf(file)))[0] as VideoTrack;
  assert.deepEqual([video("hevc.mpegts").bitDepth, video("hevc.mpegts").interlaced], [10, false]);
  assert.deepEqual(
    [video("h264-interlaced.mpegts").interlaced, video("h264-bframes.mpegts").interlaced],
    [true, false],
  );
});

test("decoding can start at closed and open groups and at gradual refreshes; only the first are instant", () => {
  const marks = (file: string) => {
    const codec = file.startsWith("hevc") ? "hevc" : "h264";
    const frames = units(run(bytesOf(file)), 0);
    const at = (wanted: (unit: DemuxedUnit) => boolean) => frames.flatMap((unit, i) => (wanted(unit) ? [i] : []));
    return [at((unit) => unit.randomAccess), at((unit) => isInstantRefresh(codec, unit.payload))];
  };
  assert.deepEqual(marks("h264-bframes.mpegts"), [
    [0, 25],
    [0, 25],
  ]);
  const [open, openInstant] = marks("h264-open-gop.mpegts");
  assert.ok(open!.length >= 4);
  assert.deepEqual(openInstant, [0]);
  const [refresh, refreshInstant] = marks("h264-intra-refresh.mpegts");
  assert.ok(refresh!.length >= 2);
  assert.deepEqual(refreshInstant, [0]);
  const [hevc, hevcInstant] = marks("hevc.mpegts");
  assert.equal(hevc!.length, 2);
  assert.equal(hevcInstant![0], 0);
});

test("the same bytes in pieces of any size give the same events", () => {
  const random = seededRandom(3);
  for (const file of ["h264-bframes.mpegts", "hevc.mpegts"]) {
    const whole = run(bytesOf(file));
    assert.deepEqual(
      run(bytesOf(file), () => 188),
      whole,
    );
    assert.deepEqual(
      run(bytesOf(file), () => random.int(1, 700)),
      whole,
    );
    assert.deepEqual(
      run(bytesOf(file).subarray(0, 9400), () => 1),
      run(bytesOf(file).subarray(0, 9400)),
    );
  }
});

test("packets of 192 and 204 bytes are found", () => {
  const file = bytesOf("h264-bframes.mpegts");
  const whole = run(file);
  for (const [before, after] of [
    [4, 0],
    [0, 16],
  ] as const) {
    const wide: Buffer[] = [];
    for (let at = 0; at < file.length; at += 188)
      wide.push(Buffer.alloc(before, at / 4), file.subarray(at, at + 188), Buffer.alloc(after, 0x47));
    const events = run(Buffer.concat(wide), () => 1000);
    assert.deepEqual(texts(events), texts(whole));
  }
});

test("a stream that begins inside a packet loses only that one", () => {
  const file = bytesOf("h264-bframes.mpegts");
  const events = run(file.subarray(100));
  assert.equal(losses(events).length, 1);
  assert.equal(losses(events)[0]!.track, null);
});

test("garbage in between is told, and the stream goes on behind it", () => {
  const file = bytesOf("h264-bframes.mpegts");
  const middle = Math.floor(file.length / 188 / 2) * 188;
  const random = seededRandom(5);
  const noise = Buffer.from(random.bytes(200_000)).map((byte) => (byte === 0x47 ? 0 : byte));
  const events = run(Buffer.concat([file.subarray(0, middle), noise, file.subarray(middle)]), () => 4096);
  assert.ok(losses(events).filter(({ track }) => track === null).length >= 2);
  const known = new Set(units(run(file), 0).map((unit) => Buffer.from(unit.payload).toString("hex")));
  const good = units(events, 0).filter((unit) => !unit.damaged);
  assert.ok(good.every((unit) => known.has(Buffer.from(unit.payload).toString("hex"))));
  assert.ok(good.length >= known.size - 2);
});

test("a lost packet damages its unit, is told before it, and touches no other track", () => {
  const file = bytesOf("h264-bframes.mpegts");
  const videoPid = 0x100;
  const packets = Array.from({ length: file.length / 188 }, (_, i) => file.subarray(i * 188, i * 188 + 188));
  const inside = (packet: Buffer) => (packet.readUInt16BE(1) & 0x5fff) === videoPid; // goes on, begins nothing
  const victims = packets.flatMap((packet, i) =>
    inside(packet) && inside(packets[i + 1] ?? Buffer.alloc(188)) ? [i] : [],
  );
  const victim = victims[Math.floor(victims.length / 2)]!;
  const whole = run(file);
  const events = run(Buffer.concat(packets.filter((_, i) => i !== victim)));
  assert.deepEqual(losses(events), [{ kind: "loss", track: 0, detail: "packets are missing on PID 256" }]);
  const damaged = units(events, 0).filter((unit) => unit.damaged);
  assert.equal(damaged.length, 1);
  assert.ok(events.indexOf(losses(events)[0]!) < events.indexOf(damaged[0]!));
  assert.deepEqual(units(events, 0).map(brief), units(whole, 0).map(brief));
  assert.deepEqual(texts(units(events, 1)), texts(units(whole, 1)));
});

test("a packet that is sent twice counts once", () => {
  const file = bytesOf("h264-bframes.mpegts");
  const twice = Array.from({ length: file.length / 188 }, (_, i) => file.subarray(i * 188, i * 188 + 188)).flatMap(
    (packet, i) => (i % 7 === 3 ? [packet, packet] : [packet]),
  );
  assert.deepEqual(texts(run(Buffer.concat(twice))), texts(run(file)));
});

test("2 % of lost packets: marked damage, no invented picture", () => {
  const random = seededRandom(9);
  for (const file of ["h264-bframes.mpegts", "h264-slices.mpegts", "hevc.mpegts"]) {
    const bytes = bytesOf(file);
    const known = new Set(
      units(run(bytes), 0).map((unit) => `${brief(unit)} ${Buffer.from(unit.payload).toString("hex")}`),
    );
    let told = 0;
    for (let round = 0; round < 20; round += 1) {
      const kept: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += 188) if (random.next() >= 0.02) kept.push(bytes.subarray(at, at + 188));
      const events = run(Buffer.concat(kept));
      told += losses(events).length;
      for (const unit of units(events, 0))
        if (!unit.damaged) assert.ok(known.has(`${brief(unit)} ${Buffer.from(unit.payload).toString("hex")}`), file);
    }
    assert.ok(told > 10);
  }
});

test("a unit is put out with its last packet, not with the next unit's first, once the stream has shown how it ends", () => {
  const bytes = bytesOf("h264-slices.mpegts");
  const late: number[] = [];
  let packets = 0;
  let began = 0;
  const demuxer = mpegtsDemuxer((event) => {
    if (event.kind === "unit") late.push(packets - began);
  });
  for (let at = 0; at < bytes.length; at += 188) {
    const packet = bytes.subarray(at, at + 188);
    packets += 1;
    if ((packet.readUInt16BE(1) & 0x5fff) === 0x4100) began = packets;
    demuxer.push(packet);
  }
  const known = late.slice(12);
  assert.ok(known.length > 30);
  assert.ok(known.filter((packetsAfter) => packetsAfter > 0).length > known.length / 2, known.join());
});

test("no bytes make the reader throw, and what it says stays bounded", () => {
  const random = seededRandom(21);
  const files = FILES.map(bytesOf);
  let said = 0;
  for (let round = 0; round < 400; round += 1) {
    const events: DemuxEvent[] = [];
    const demuxer = mpegtsDemuxer((event) => events.push(event));
    for (let part = 0; part < 4; part += 1) {
      const file = files[random.int(0, files.length)]!;
      const start = random.next() < 0.5 ? 0 : random.int(0, file.length);
      const bytes = Buffer.from(file.subarray(start, start + random.int(0, 8000)));
      const flips = random.next() < 0.3 ? 0 : random.int(0, 60);
      for (let i = 0; i < flips && bytes.length > 0; i += 1) bytes[random.int(0, bytes.length)] = random.int(0, 256);
      demuxer.push(random.next() < 0.1 ? random.bytes(random.int(0, 3000)) : bytes);
    }
    demuxer.end();
    assert.equal(events.at(-1)!.kind, "end");
    said += events.length;
    for (const event of events)
      if (event.kind === "unit") {
        assert.ok(event.ptsTicks >= 0 && event.ptsTicks < 2 ** 33 && Number.isInteger(event.ptsTicks));
        assert.ok(event.payload.length <= 8 * 1024 * 1024 + 64);
      }
    assert.ok(events.length < 5000);
  }
  assert.ok(said > 1000);
});
