import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { buildAvcConfig } from "#media/codec/avcc.ts";
import { joinLengths, splitAnnexB } from "#media/codec/nal.ts";
import { writeProducerTime } from "./producer-time.ts";
import { type CmafEvent, CmafReader } from "./read.ts";
import { audioTrack, syntheticChunk, videoTrack } from "./testing/synthetic.ts";
import { type CmafSample, type CmafTrack, writeChunk, writeInit } from "./write.ts";

const NOW_TICKS = 1_795_000_000 * 60_000; // far beyond 32 bits

/** Everything the reader says about these bytes, fed in pieces of the given sizes. */
function readAll(bytes: Buffer, pieceBytes: (i: number) => number = () => bytes.byteLength): CmafEvent[] {
  const reader = new CmafReader();
  const events: CmafEvent[] = [];
  for (let at = 0, i = 0; at < bytes.byteLength; i += 1) {
    const size = Math.max(1, pieceBytes(i));
    events.push(...reader.push(bytes.subarray(at, at + size)));
    at += size;
  }
  reader.end();
  return events;
}

test("init segments of both kinds read back as they were written", () => {
  const [video] = readAll(writeInit(videoTrack(30_000)));
  assert.ok(video?.kind === "init");
  const { defaults: _, config, ...facts } = video.init;
  assert.deepEqual(facts, {
    kind: "video",
    codec: "avc1.4d401e",
    codecName: "h264",
    rotation: 0,
    trackId: 1,
    timescale: 30_000,
    width: 640,
    height: 360,
    channels: 0,
  });
  assert.deepEqual(config, Buffer.from(videoTrack(1).config));
  const [audio] = readAll(writeInit(audioTrack(44_100, 2)));
  assert.ok(audio?.kind === "init");
  assert.deepEqual([audio.init.codec, audio.init.timescale, audio.init.channels], ["mp4a.40.2", 44_100, 2]);
});

const sample = fc.record({
  bytes: fc.uint8Array({ maxLength: 300 }),
  durationTicks: fc.integer({ min: 1, max: 100_000 }),
  compositionOffsetTicks: fc.integer({ min: -5000, max: 5000 }),
  sync: fc.boolean(),
});
const chunk = fc.record({
  sequence: fc.nat(),
  baseDecodeTicks: fc.integer({ min: 0, max: 2 ** 52 }),
  samples: fc.array(sample, { minLength: 1, maxLength: 40 }),
  startsSegment: fc.boolean(),
});

test("any chunk comes back, byte for byte and with its facts, however it is cut up", () => {
  const init = writeInit(videoTrack(60_000));
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 4 }), fc.integer(), (chunks, seed) => {
      const random = seededRandom(seed);
      const written = chunks.map(writeChunk);
      const events = readAll(Buffer.concat([init, ...written]), () => random.int(1, 700));
      assert.deepEqual(events[0]?.bytes, init);
      assert.equal(events.length, chunks.length + 1);
      for (const [i, { samples, baseDecodeTicks, startsSegment }] of chunks.entries()) {
        const event = events[i + 1]!;
        assert.ok(event.kind === "chunk");
        assert.deepEqual(event.bytes, written[i]);
        assert.equal(event.startsSegment, startsSegment);
        assert.deepEqual(event.facts, {
          baseDecodeTicks,
          durationTicks: samples.reduce((sum, s) => sum + s.durationTicks, 0),
          sampleCount: samples.length,
          firstSync: samples[0]!.sync,
        });
      }
    }),
    { numRuns: 150, seed: 1 },
  );
});

test("equal arguments give equal bytes", () => {
  const place = { start: NOW_TICKS, count: 10, sampleTicks: 1001, startsSegment: true };
  assert.deepEqual(syntheticChunk(place), syntheticChunk(place));
  assert.deepEqual(writeInit(audioTrack()), writeInit(audioTrack()));
});

test("boxes that carry no media are passed over, heads before a moof stay with their chunk", () => {
  const init = writeInit(audioTrack());
  const part = syntheticChunk({ start: 1024, count: 3, sampleTicks: 1024, startsSegment: false });
  const free = Buffer.from("0000000c66726565ffffffff", "hex");
  const torn = Buffer.concat([Buffer.from("0000001070726674", "hex"), Buffer.alloc(8)]);
  const events = readAll(Buffer.concat([init, free, torn, free, part, free]), () => 5);
  assert.equal(events.length, 2);
  assert.deepEqual(events[1]!.bytes, part);
});

test("a producer reference time is told, to the nanosecond, and is no part of the chunk", () => {
  const part = syntheticChunk({ start: 1024, count: 3, sampleTicks: 1024, startsSegment: true });
  const [styp, rest] = [part.subarray(0, part.readUInt32BE(0)), part.subarray(part.readUInt32BE(0))];
  const init = writeInit(audioTrack());
  for (const utcNs of [1_795_231_538_969_089_175n, 1_000_000_000n, 4_200_000_000_999_999_999n]) {
    const prft = writeProducerTime(utcNs, 1024);
    for (const sent of [Buffer.concat([prft, part]), Buffer.concat([styp, prft, rest])]) {
      const [, first, second] = readAll(Buffer.concat([init, sent, part]), () => 7);
      assert.ok(first?.kind === "chunk" && first.producedUtcNs !== null);
      const off = first.producedUtcNs - utcNs;
      assert.ok(off >= -1n && off <= 0n, `off by ${off} ns`);
      assert.deepEqual(first.bytes, part);
      assert.ok(second?.kind === "chunk" && second.producedUtcNs === null);
    }
  }
});

function refusal(bytes: Buffer, reader = new CmafReader()): string {
  try {
    reader.push(bytes);
    reader.end();
    return "taken";
  } catch (error) {
    assert.ok(error instanceof PlatformError, `not an operating error: ${error}`);
    return error.code;
  }
}

test("what is no CMAF is refused with a code", () => {
  const part = syntheticChunk({ start: 1, count: 3, sampleTicks: 1, startsSegment: false });
  const init = writeInit(videoTrack(30));
  assert.equal(refusal(part), "origin.init_missing");
  assert.equal(refusal(Buffer.from("GET / HTTP/1.1\r\nhost: here\r\n\r\n")), "media.malformed");
  assert.equal(refusal(Buffer.from("0000000066747970", "hex")), "media.malformed"); // size 0: until the end of file
  assert.equal(refusal(Buffer.from("000000016d64617400000000ffffffff", "hex")), "media.malformed");
  assert.equal(refusal(Buffer.concat([init, part.subarray(0, -1)])), "media.truncated");
  const hugeMdat = Buffer.concat([
    init,
    part.subarray(0, part.indexOf("mdat") - 4),
    Buffer.from("7fffffff6d646174", "hex"),
  ]);
  assert.equal(refusal(hugeMdat), "media.malformed");
  const other = Buffer.from(init);
  other.write("vp09", other.indexOf("avc1"), "latin1");
  assert.equal(refusal(other), "media.unsupported");
  const wrongSum = Buffer.from(part);
  wrongSum[wrongSum.indexOf("trun") + 19] = 0xee; // size of the first sample
  assert.equal(refusal(Buffer.concat([init, wrongSum])), "media.malformed");
});

test("fuzz: flipped, cut and mixed-up bytes are taken or refused with a code, and hold bounded memory", () => {
  const random = seededRandom(2026);
  const parts = [0, 1, 2].map((i) =>
    syntheticChunk({ start: i * 10, count: 10, sampleTicks: 1, startsSegment: i === 0, sampleBytes: 30 }),
  );
  const tracks = [videoTrack(30), audioTrack()];
  let taken = 0;
  let refused = 0;
  for (let round = 0; round < 6000; round += 1) {
    const bytes = Buffer.concat([writeInit(tracks[round % 2]!), ...parts]);
    for (let i = random.int(0, 4); i > 0; i -= 1) bytes[random.int(0, bytes.byteLength)]! ^= 1 << random.int(0, 8);
    if (random.next() < 0.3) bytes.copy(bytes, random.int(0, bytes.byteLength), random.int(0, bytes.byteLength));
    const cut = bytes.subarray(0, random.next() < 0.2 ? random.int(0, bytes.byteLength) : bytes.byteLength);
    if (refusal(cut) === "taken") taken += 1;
    else refused += 1;
  }
  assert.ok(taken > 500 && refused > 500, `${taken} taken, ${refused} refused`);
});

// An independent reader of the same standard. Without it this test says so instead of passing quietly.
const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;

test("ffmpeg's own encode, re-boxed by us, decodes without a warning", {
  skip: hasFfmpeg ? false : "no ffmpeg",
}, () => {
  const folder = mkdtempSync(join(tmpdir(), "cmaf-"));
  try {
    const made = spawnSync(
      "ffmpeg",
      [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=320x240:rate=25:duration=1",
        "-c:v",
        "libx264",
        "-bf",
        "0",
      ].concat(["-g", "25", "-x264-params", "aud=0:slices=1", "-f", "h264", "pipe:1"]),
      { maxBuffer: 1e8 },
    );
    assert.equal(made.status, 0, made.stderr.toString());
    const { track, samples } = boxed(made.stdout);
    const chunks = [0, 10, 20].map((from) =>
      writeChunk({
        sequence: from,
        baseDecodeTicks: 1_795_000_000 * 25 + from,
        samples: samples.slice(from, from + 10),
        startsSegment: from === 0,
      }),
    );
    const file = join(folder, "out.mp4");
    writeFileSync(file, Buffer.concat([writeInit(track), ...chunks]));
    const probe = spawnSync("ffprobe", ["-v", "warning", "-count_frames", "-show_streams", "-of", "json", file]);
    assert.equal(probe.stderr.toString(), "");
    const [stream] = JSON.parse(probe.stdout.toString()).streams;
    assert.deepEqual(
      [stream.nb_read_frames, stream.r_frame_rate, stream.sample_aspect_ratio, stream.start_time],
      ["25", "25/1", "4:3", "1795000000.000000"],
    );
    const decode = spawnSync("ffmpeg", ["-v", "warning", "-i", file, "-f", "null", "-"]);
    assert.equal(decode.stderr.toString(), "");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** An Annex B stream with one slice a picture as our track and samples of one tick. */
function boxed(stream: Buffer): { track: CmafTrack; samples: CmafSample[] } {
  const { nals } = splitAnnexB(stream);
  const ofType = (...types: number[]) => nals.filter((nal) => types.includes(nal[0]! & 31));
  const config = buildAvcConfig(ofType(7).slice(0, 1), ofType(8).slice(0, 1));
  const samples = ofType(1, 5).map((nal) => {
    const sync = (nal[0]! & 31) === 5;
    return { bytes: joinLengths([nal]), durationTicks: 1, compositionOffsetTicks: 0, sync };
  });
  const base = { kind: "video", codec: "avc1", timescale: 25, width: 320, height: 240, bitrate: 1_000_000 } as const;
  return { track: { ...base, pixelAspect: { num: 4, den: 3 }, config }, samples };
}
