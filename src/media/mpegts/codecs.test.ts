// Codecs in ways that no multiplexer at hand writes: frames across PES borders, AV1 behind start codes, several programs.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Random, seededRandom } from "#base/random.ts";
import { splitObus } from "#media/codec/av1.ts";
import { joinAnnexB } from "#media/codec/nal.ts";
import { h264Pps, h264Slice, h264Sps } from "#media/codec/testing/parameter-set-writer.ts";
import type { DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import { flvDemuxer } from "#media/flv/demux.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import { mpegtsDemuxer } from "./demux.ts";
import { adtsFrame, TestMux } from "./testing/mux.ts";

const recorded = join(import.meta.dirname, "../../../test/fixtures/recorded");
const MAP = 0x20;
const PID = 0x100;

function run(...pieces: Buffer[]): DemuxEvent[] {
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  demuxer.push(Buffer.concat(pieces));
  demuxer.end();
  return events;
}

const of = <K extends DemuxEvent["kind"]>(events: readonly DemuxEvent[], kind: K) =>
  events.filter((event): event is Extract<DemuxEvent, { kind: K }> => event.kind === kind);
const unitsOf = (events: readonly DemuxEvent[], track: number): DemuxedUnit[] =>
  of(events, "unit").filter((unit) => unit.track === track);
const registration = (format: string) => Buffer.concat([Buffer.of(5, 4), Buffer.from(format)]);
const open = (mux: TestMux, type: number, about: Buffer | string = Buffer.alloc(0)) =>
  Buffer.concat([mux.programs({ 1: MAP }), mux.programMap(MAP, 1, [[type, PID, about]])]);

/** Frames with their transport headers, and what is to come out. */
type Frames = { type: number; about: Buffer; wire: Buffer[]; payloads: Buffer[]; ticks: number };

function frames(file: string, track: number, type: number, about: Buffer, wrap: (payload: Buffer) => Buffer): Frames {
  const events = run(readFileSync(join(recorded, file)));
  const payloads = unitsOf(events, track).map(({ payload }) => Buffer.from(payload));
  const found = of(events, "tracks")
    .at(-1)!
    .tracks.find((candidate) => candidate.track === track) as AudioTrack;
  const ticks = (found.samplesPerUnit * 90_000) / found.sampleRate;
  return { type, about, wire: payloads.map(wrap), payloads, ticks };
}

const plain = (payload: Buffer) => payload;
const opusPacket = (payload: Buffer) => {
  const size = [...Array(Math.floor(payload.length / 255)).fill(255), payload.length % 255];
  return Buffer.concat([Buffer.from([0x7f, 0xe0, ...size]), payload]);
};
const opusDescriptors = Buffer.concat([registration("Opus"), Buffer.of(0x7f, 2, 0x80, 2)]);

const KINDS: Readonly<Record<string, () => Frames>> = {
  MP2: () => frames("mpeg-audio.mpegts", 1, 0x03, Buffer.alloc(0), plain),
  MP3: () => frames("mpeg-audio.mpegts", 2, 0x04, Buffer.alloc(0), plain),
  "AC-3": () => frames("dolby.mpegts", 1, 0x81, Buffer.alloc(0), plain),
  "AC-3 by registration": () => frames("dolby.mpegts", 1, 0x06, registration("AC-3"), plain),
  "E-AC-3": () => frames("dolby.mpegts", 2, 0x06, Buffer.of(0x7a, 1, 0), plain),
  Opus: () => frames("opus.mpegts", 1, 0x06, opusDescriptors, opusPacket),
  AAC: () => frames("audio-only.mpegts", 1, 0x0f, Buffer.alloc(0), adtsFrame),
};

/** The frames in PES that are cut anywhere; each has the time stamp of the first frame that begins in it. */
function cutAnywhere(mux: TestMux, { wire, ticks }: Frames, random: Random): Buffer {
  const bytes = Buffer.concat(wire);
  const begins = wire.map((_, i) => wire.slice(0, i).reduce((sum, frame) => sum + frame.length, 0));
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.int(20, 1500));
    const first = begins.findIndex((begin) => begin >= at && begin < end);
    const stamp = first < 0 ? {} : { pts: Math.round(9000 + first * ticks) };
    packets.push(mux.pes(PID, bytes.subarray(at, end), { streamId: 0xbd, ...stamp }));
    at = end;
  }
  return Buffer.concat(packets);
}

for (const [name, make] of Object.entries(KINDS))
  test(`${name}: frames do not heed PES borders`, () => {
    const source = make();
    for (let seed = 1; seed <= 8; seed += 1) {
      const mux = new TestMux();
      const events = run(open(mux, source.type, source.about), cutAnywhere(mux, source, seededRandom(seed)));
      assert.deepEqual(of(events, "loss"), [], `seed ${seed}`);
      const found = unitsOf(events, 1);
      assert.equal(found.length, source.payloads.length);
      found.forEach(({ payload, ptsTicks }, i) => {
        assert.ok(source.payloads[i]!.equals(payload), `seed ${seed}, unit ${i}`);
        assert.ok(Math.abs(ptsTicks - (9000 + i * source.ticks)) <= 1.5, `seed ${seed}, unit ${i}: ${ptsTicks}`);
      });
    }
  });

test("a lost packet costs the frames it touches, and says so", () => {
  for (const [name, make] of Object.entries(KINDS)) {
    const source = make();
    const mux = new TestMux();
    const stream = cutAnywhere(mux, source, seededRandom(3));
    const middle = Math.floor(stream.length / 376) * 188;
    const head = open(new TestMux(), source.type, source.about);
    const events = run(head, stream.subarray(0, middle), stream.subarray(middle + 188));
    const whole = new Set(source.payloads.map((payload) => payload.toString("hex")));
    const good = unitsOf(events, 1).filter(({ damaged }) => !damaged);
    assert.ok(of(events, "loss").length > 0, name);
    assert.ok(good.length >= source.payloads.length - 12, `${name}: ${good.length} of ${source.payloads.length}`);
    assert.ok(
      good.every(({ payload }) => whole.has(Buffer.from(payload).toString("hex"))),
      name,
    );
  }
});

function av1Units(): Buffer[] {
  const bytes = readFileSync(join(recorded, "av1-multitrack.flv"));
  const units: Buffer[] = [];
  const demuxer = flvDemuxer((event) => {
    if (event.kind === "unit" && event.track === 0) units.push(Buffer.from(event.payload));
  });
  for (let at = bytes.readUInt32BE(5) + 4; at + 11 < bytes.length; ) {
    const size = bytes.readUIntBE(at + 1, 3);
    if (bytes[at] === 9) demuxer.tag(9, 0, bytes.subarray(at + 11, at + 11 + size));
    at += 11 + size + 4;
  }
  return units;
}

/** Emulation prevention. Source: ITU-T H.264, 7.4.1 */
function escaped(bytes: Buffer): Buffer {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros >= 2 && byte <= 3) {
      out.push(3);
      zeros = 0;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Buffer.from(out);
}

const startCoded = (obus: readonly Buffer[]) =>
  Buffer.concat(obus.flatMap((obu) => [Buffer.of(0, 0, 1), escaped(obu)]));
const DELIMITER = Buffer.of(0x12, 0);

test("AV1: temporal units are put together of one PES for each frame, behind start codes", () => {
  const sent = av1Units();
  assert.ok(sent.length === 30);
  const mux = new TestMux();
  const pes: Buffer[] = [];
  let hidden = 0;
  sent.forEach((unit, i) => {
    const obus = splitObus(unit).map(({ bytes }) => bytes);
    const last = obus.length - 1;
    const isShownAlone = last === 0 || splitObus(unit)[last - 1]!.type === 1;
    // A frame that is decoded and not shown goes before, in its own PES, as the specification wants.
    const groups = isShownAlone ? [obus] : [obus.slice(0, last), obus.slice(last)];
    if (!isShownAlone) hidden += 1;
    groups.forEach((group, k) => {
      const data = startCoded(k === 0 && i % 2 === 0 ? [DELIMITER, ...group] : group);
      pes.push(
        mux.pes(PID, data, { streamId: 0xbd, pts: 90_000 + i * 3000, dts: 90_000 + i * 3000, bounded: i % 3 !== 0 }),
      );
    });
  });
  assert.ok(hidden > 0);
  const events = run(
    open(mux, 0x06, Buffer.concat([registration("AV01"), Buffer.of(0x80, 4, 0x81, 0, 0x0c, 0)])),
    ...pes,
  );
  assert.deepEqual(of(events, "loss"), []);
  const found = unitsOf(events, 0);
  assert.deepEqual(
    found.map(({ ptsTicks }) => ptsTicks),
    sent.map((_, i) => 90_000 + i * 3000),
  );
  assert.ok(found.every(({ payload }, i) => sent[i]!.equals(payload)));
  assert.deepEqual(
    found.flatMap(({ randomAccess }, i) => (randomAccess ? [i] : [])),
    [0, 15],
  );
  const [track] = of(events, "tracks").at(-1)!.tracks;
  assert.ok(track?.kind === "video" && track.codec === "av1" && track.width === 160 && track.height === 90);
});

test("AV1 without start codes, as some senders have it", () => {
  const sent = av1Units();
  const mux = new TestMux();
  const pes = sent.map((unit, i) => mux.pes(PID, Buffer.concat([DELIMITER, unit]), { streamId: 0xbd, pts: i * 3000 }));
  const events = run(open(mux, 0x06, registration("AV1G")), ...pes);
  assert.deepEqual(of(events, "loss"), []);
  assert.ok(unitsOf(events, 0).every(({ payload }, i) => sent[i]!.equals(payload)));
  assert.equal(unitsOf(events, 0).length, sent.length);
});

test("what is no picture and no sound does no harm", () => {
  const mux = new TestMux();
  const key = joinAnnexB([h264Sps(), h264Pps(), h264Slice({ idr: true })]);
  const noise = Buffer.from(seededRandom(5).bytes(900));
  const events = run(
    mux.programs({ 1: MAP }),
    mux.programMap(MAP, 1, [
      [0x86, 0x102, registration("CUEI")],
      [0x06, 0x103, Buffer.of(0x56, 5, 0x65, 0x6e, 0x67, 0x09, 0x00)], // teletext
      [0x1b, PID],
      [0x06, 0x104, Buffer.concat([registration("Opus"), Buffer.of(0x7f, 2, 0x80, 0x88)])], // a mapping of its own
    ]),
    mux.section(0x102, 0xfc, 0, 0, Buffer.alloc(40)),
    mux.pes(0x103, noise, { streamId: 0xbd, pts: 0 }),
    mux.pes(0x1ff, noise, { streamId: 0xbd, pts: 0 }),
    mux.pes(PID, key, { pts: 900 }),
    mux.pes(0x104, noise, { streamId: 0xbd, pts: 0 }),
  );
  assert.equal(of(events, "unsupported").length, 3);
  assert.deepEqual(of(events, "loss"), []);
  assert.deepEqual(
    unitsOf(events, 0).map(({ ptsTicks }) => ptsTicks),
    [900],
  );
  assert.deepEqual(
    of(events, "tracks").map(({ complete }) => complete),
    [true],
  );
});

test("of several programs the first one with pictures is taken, in whatever order their maps come", () => {
  const mux = new TestMux();
  const key = joinAnnexB([h264Sps(), h264Pps(), h264Slice({ idr: true })]);
  const events = run(
    mux.programs({ 1: 0x20, 2: 0x21 }),
    mux.programMap(0x20, 1, [[0x0f, 0x201]]),
    mux.pes(0x201, adtsFrame(Buffer.alloc(50, 1)), { streamId: 0xc0, pts: 0 }),
    mux.programMap(0x21, 2, [[0x1b, PID]]),
    mux.pes(PID, key, { pts: 900 }),
  );
  assert.deepEqual(
    of(events, "unit").map(({ track }) => track),
    [0],
  );
  assert.deepEqual(
    of(events, "unsupported").map(({ what }) => what),
    ["program 1: only program 2 is taken"],
  );
});

test("programs without pictures: the first is taken when all are known, or when the others keep us waiting", () => {
  const audio = (mux: TestMux, pid: number) => mux.pes(pid, adtsFrame(Buffer.alloc(50, 1)), { streamId: 0xc0, pts: 0 });
  const known = new TestMux();
  const first = run(
    known.programs({ 1: 0x20, 2: 0x21 }),
    known.programMap(0x21, 2, [[0x0f, 0x202]]),
    known.programMap(0x20, 1, [[0x0f, 0x201]]),
    audio(known, 0x202),
    audio(known, 0x201),
  );
  assert.equal(of(first, "unit").length, 1);
  assert.deepEqual(
    of(first, "unsupported").map(({ what }) => what),
    ["program 2: only program 1 is taken"],
  );
  const silent = new TestMux();
  const list = () => silent.programs({ 1: 0x20, 2: 0x21 });
  const waited = run(list(), silent.programMap(0x21, 2, [[0x0f, 0x202]]), list(), list(), audio(silent, 0x202));
  assert.equal(of(waited, "unit").length, 1);
});
