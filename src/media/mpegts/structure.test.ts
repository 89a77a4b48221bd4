// What a recorded stream does not hold: tables that change, units that do not heed PES borders, floods.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { joinAnnexB, splitLengths } from "#media/codec/nal.ts";
import { h264Pps, h264Slice, h264Sps } from "#media/codec/testing/parameter-set-writer.ts";
import type { DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import { mpegtsDemuxer } from "./demux.ts";
import { adtsFrame, TestMux } from "./testing/mux.ts";

const MAP = 0x20;
const VIDEO = 0x100;
const AUDIO = 0x101;

function run(...pieces: Buffer[]): DemuxEvent[] {
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  demuxer.push(Buffer.concat(pieces));
  demuxer.end();
  return events;
}

const units = (events: readonly DemuxEvent[], track = 0): DemuxedUnit[] =>
  events.filter((event) => event.kind === "unit").filter((unit) => unit.track === track);
const of = <K extends DemuxEvent["kind"]>(events: readonly DemuxEvent[], kind: K) =>
  events.filter((event): event is Extract<DemuxEvent, { kind: K }> => event.kind === kind);

const key = (tail = 1) => joinAnnexB([h264Sps({ timing: [1, 50] }), h264Pps(), h264Slice({ idr: true, tail })]);
const inter = (frameNum: number, tail = 2) => joinAnnexB([h264Slice({ frameNum, tail })]);
const open = (mux: TestMux) =>
  Buffer.concat([
    mux.programs({ 1: MAP }),
    mux.programMap(MAP, 1, [
      [0x1b, VIDEO],
      [0x0f, AUDIO, "swe"],
    ]),
  ]);

test("a unit whose PES says its length comes out at once", () => {
  const mux = new TestMux();
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  demuxer.push(Buffer.concat([open(mux), mux.pes(VIDEO, key(), { pts: 900, dts: 900 })]));
  assert.equal(units(events).length, 1);
  demuxer.push(mux.pes(VIDEO, inter(1), { pts: 4500, bounded: false }));
  assert.equal(units(events).length, 1); // it cannot be known to be complete
  demuxer.push(mux.pes(VIDEO, inter(2), { pts: 8100, bounded: false }));
  assert.equal(units(events).length, 2);
});

test("several units in one PES follow each other by the declared rate", () => {
  const mux = new TestMux();
  const data = Buffer.concat([key(), inter(1), inter(2)]);
  const events = run(open(mux), mux.pes(VIDEO, data, { pts: 7200, dts: 3600 }));
  assert.deepEqual(
    units(events).map((unit) => [unit.ptsTicks, unit.dtsTicks]),
    [
      [7200, 3600],
      [10_800, 7200],
      [14_400, 10_800],
    ],
  );
});

test("a unit in several PES is one unit; the next one is not swallowed", () => {
  const mux = new TestMux();
  const slice = Buffer.concat([h264Slice({ idr: true }), Buffer.alloc(100_000, 0x77)]);
  const unit = joinAnnexB([h264Sps(), h264Pps(), slice]);
  const events = run(
    open(mux),
    mux.pes(VIDEO, unit.subarray(0, 65_400), { pts: 900, dts: 900 }),
    mux.pes(VIDEO, unit.subarray(65_400)),
    mux.pes(VIDEO, inter(1), { pts: 4500 }),
  );
  assert.deepEqual(of(events, "loss"), []);
  assert.deepEqual(
    units(events).map((found) => found.ptsTicks),
    [900, 4500],
  );
  assert.ok(splitLengths(Buffer.from(units(events)[0]!.payload))[0]!.equals(slice));
});

test("time stamps wrap", () => {
  const mux = new TestMux();
  const last = 2 ** 33 - 1;
  const events = run(open(mux), mux.pes(VIDEO, Buffer.concat([key(), inter(1)]), { pts: last, dts: last }));
  assert.deepEqual(
    units(events).map((unit) => unit.ptsTicks),
    [last, 3599],
  );
});

test("AAC frames do not heed PES borders", () => {
  const mux = new TestMux();
  const frames = Array.from({ length: 6 }, (_, i) => Buffer.alloc(300 + i, i + 1));
  const bytes = Buffer.concat(frames.map(adtsFrame));
  const cuts = [0, 700, 750, 1000, bytes.length]; // the third PES begins and ends inside one frame
  const stamps = [9000, 9000 + 3 * 1920, undefined, 9000 + 4 * 1920];
  const pieces = cuts.slice(1).map((cut, i) => {
    const pts = stamps[i];
    return mux.pes(AUDIO, bytes.subarray(cuts[i], cut), { streamId: 0xc0, ...(pts === undefined ? {} : { pts }) });
  });
  const events = run(open(mux), ...pieces);
  const found = units(events, 1);
  assert.deepEqual(of(events, "loss"), []);
  assert.ok(found.every((unit, i) => Buffer.from(unit.payload).equals(frames[i]!)));
  assert.deepEqual(
    found.map((unit) => unit.ptsTicks),
    [0, 1, 2, 3, 4, 5].map((i) => 9000 + i * 1920),
  );
});

test("noise between AAC frames is told, and the frames behind it are found", () => {
  const mux = new TestMux();
  const frame = adtsFrame(Buffer.alloc(200, 3));
  const noise = Buffer.from([0xff, 0xf1, 0x00, 1, 2, 0xff, 0xff, 9, 9, 9]);
  const data = Buffer.concat([frame, frame, noise, frame, frame]);
  const events = run(open(mux), mux.pes(AUDIO, data, { streamId: 0xc0, pts: 0 }));
  assert.equal(units(events, 1).length, 4);
  assert.equal(of(events, "loss").length, 1);
});

test("the first program with a stream we take is taken; others and other streams are told or left", () => {
  const mux = new TestMux();
  const events = run(
    mux.programs({ 1: 0x20, 2: 0x21, 3: 0x22 }),
    mux.programMap(0x20, 1, [[0x02, 0x200]]),
    mux.programMap(0x21, 2, [
      [0x06, 0x201],
      [0x1b, VIDEO],
      [0x1b, 0x202],
      [0x02, 0x203],
      [0x0f, AUDIO, "swe"],
    ]),
    mux.programMap(0x22, 3, [[0x1b, 0x300]]),
    mux.pes(VIDEO, key(), { pts: 0 }),
    mux.pes(0x300, key(), { pts: 0 }),
    mux.pes(AUDIO, adtsFrame(Buffer.alloc(50, 1)), { streamId: 0xc0, pts: 0 }),
  );
  assert.deepEqual(
    of(events, "unsupported").map(({ what }) => what),
    [
      "program 1, 3: only program 2 is taken",
      "stream type 0x06 (private data: subtitles, teletext, AC-3) on PID 513",
      "stream type 0x1b (H.264) on PID 514",
      "stream type 0x02 (MPEG-2 video) on PID 515",
    ],
  );
  const { tracks, complete } = of(events, "tracks").at(-1)!;
  assert.deepEqual(
    tracks.map((track) => [track.track, track.codec]),
    [
      [0, "h264"],
      [1, "aac"],
    ],
  );
  assert.equal(complete, true);
  assert.equal(units(events).length, 1);
});

test("a map that changes keeps what stays, adds what comes, and drops what goes", () => {
  const mux = new TestMux();
  const audio = (pts: number) => mux.pes(AUDIO, adtsFrame(Buffer.alloc(50, 1)), { streamId: 0xc0, pts });
  const map = (version: number, streams: [number, number][]) => mux.programMap(MAP, 1, streams, version);
  const events = run(
    mux.programs({ 1: MAP }),
    map(0, [[0x1b, VIDEO]]),
    mux.pes(VIDEO, key(), { pts: 0 }),
    audio(0), // not announced yet
    map(1, [
      [0x1b, VIDEO],
      [0x0f, AUDIO],
    ]),
    mux.pes(VIDEO, inter(1), { pts: 3600 }),
    audio(1920),
    map(2, [[0x0f, AUDIO]]),
    mux.pes(VIDEO, inter(2), { pts: 7200 }),
    audio(3840),
  );
  assert.deepEqual(of(events, "loss"), []);
  assert.deepEqual(
    of(events, "tracks").map(({ tracks, complete }) => [tracks.length, complete]),
    [
      [1, true],
      [1, false],
      [2, true],
      [1, true],
    ],
  );
  assert.deepEqual([units(events).length, units(events, 1).length], [2, 2]);
});

test("a program that vanishes makes room for another, seen before or not", () => {
  const mux = new TestMux();
  const events = run(
    mux.programs({ 1: 0x20, 2: 0x21 }),
    mux.programMap(0x20, 1, [[0x1b, VIDEO]]),
    mux.programMap(0x21, 2, [[0x1b, 0x300]]),
    mux.pes(VIDEO, key(1), { pts: 0 }),
    mux.programs({ 2: 0x21 }, 1),
    mux.programMap(0x21, 2, [[0x1b, 0x300]]),
    mux.pes(VIDEO, key(2), { pts: 3600 }),
    mux.pes(0x300, key(3), { pts: 7200 }),
  );
  assert.deepEqual(
    units(events).map((unit) => unit.ptsTicks),
    [0, 7200],
  );
});

test("a table with a wrong checksum changes nothing", () => {
  const mux = new TestMux();
  const map = mux.programMap(MAP, 1, [[0x1b, VIDEO]]);
  map[20]! ^= 1;
  const events = run(mux.programs({ 1: MAP }), map, mux.pes(VIDEO, key(), { pts: 0 }));
  assert.deepEqual(
    of(events, "loss").map(({ detail }) => detail),
    ["a table with a wrong checksum"],
  );
  assert.equal(units(events).length, 0);
});

test("a clock that jumps is told between the units of the old and of the new one", () => {
  const mux = new TestMux();
  const events = run(
    open(mux),
    mux.pes(VIDEO, key(1), { pts: 900_000, bounded: false }),
    mux.pes(AUDIO, adtsFrame(Buffer.alloc(50, 1)), { streamId: 0xc0, pts: 900_000 }),
    mux.pes(VIDEO, key(2), { pts: 0, bounded: false, discontinuity: true }),
    mux.pes(VIDEO, inter(1), { pts: 3600, bounded: false }),
  );
  const order = events.flatMap((event): (string | number)[] =>
    event.kind === "unit" ? [event.ptsTicks] : event.kind === "clock-jump" ? ["jump"] : [],
  );
  assert.deepEqual(order, [900_000, 900_000, "jump", 0, 3600]);
  assert.ok(of(events, "unit").every((unit) => !unit.damaged));
});

test("scrambled packets are told once and not taken", () => {
  const mux = new TestMux();
  const scrambled = mux.pes(VIDEO, key(), { pts: 0 });
  scrambled[3]! |= 0x80;
  const events = run(open(mux), scrambled, scrambled);
  assert.deepEqual(of(events, "unsupported"), [{ kind: "unsupported", what: "scrambled packets on PID 256" }]);
  assert.equal(units(events).length, 0);
});

test("a unit without end is cut, and the memory it takes is bounded", () => {
  const mux = new TestMux();
  const events: DemuxEvent[] = [];
  const demuxer = mpegtsDemuxer((event) => events.push(event));
  const flood = Buffer.alloc(20 * 1024 * 1024, 0x55);
  key().copy(flood);
  demuxer.push(open(mux));
  demuxer.push(mux.pes(VIDEO, flood, { pts: 0, bounded: false }));
  demuxer.push(mux.pes(VIDEO, key(9), { pts: 3600 }));
  demuxer.end();
  assert.deepEqual(
    units(events).map((unit) => unit.damaged),
    [true, false],
  );
  assert.ok(units(events)[0]!.payload.length <= 8 * 1024 * 1024);
  assert.ok(of(events, "loss").some(({ detail }) => detail.startsWith("a unit of more than")));
});

test("a stream whose units go on after stuffing is not cut again", () => {
  const mux = new TestMux();
  const unit = (i: number) => mux.pes(VIDEO, i === 0 ? key() : inter(i), { pts: i * 3600, bounded: false });
  const tail = (i: number) => {
    const packets = mux.packets(VIDEO, joinAnnexB([h264Slice({ frameNum: i, firstBlock: 9 })]));
    packets[1]! &= 0xbf; // no payload_unit_start_indicator: it goes on
    return packets;
  };
  const usual = Array.from({ length: 12 }, (_, i) => unit(i));
  const odd = [12, 13, 14, 15].flatMap((i) => [unit(i), tail(i)]);
  const events = run(open(mux), ...usual, ...odd);
  const told = of(events, "loss").filter(({ detail }) => detail === "a unit went on after its stuffing");
  assert.equal(told.length, 1);
  const slices = units(events).map((found) => splitLengths(Buffer.from(found.payload)).length);
  assert.deepEqual(slices.slice(-4), [1, 2, 2, 2]); // only the first of them was put out too early
});
