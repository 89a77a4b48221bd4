import { strict as assert } from "node:assert";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { buildAvcConfig } from "./avcc.ts";
import { joinAnnexB, joinLengths, splitAnnexB, splitLengths } from "./nal.ts";
import { h264Pps, h264Slice, h264Sps } from "./testing/parameter-set-writer.ts";
import { isInstantRefresh, VideoStream } from "./video-stream.ts";
import type { VideoUnit } from "./video-unit.ts";

const AUD = Buffer.of(0x09, 0xf0);
const SEI = Buffer.of(0x06, 5, 1, 0xaa, 0x80);
const RECOVERY = Buffer.of(0x06, 6, 1, 0x84, 0x80);
const several = { randomAccessHint: false, single: false };

const types = (unit: VideoUnit) => splitLengths(unit.payload).map((nal) => nal[0]! & 31);

function ready(sps = h264Sps()): VideoStream {
  const stream = new VideoStream(0, "h264");
  stream.configure(buildAvcConfig([sps], [h264Pps()]));
  return stream;
}

test("start codes of three and four bytes, padding zeros and leftovers", () => {
  const bytes = Buffer.from([7, 0, 0, 1, 9, 1, 0, 0, 0, 1, 65, 2, 3, 0, 0, 0, 0, 1, 1, 0, 0]);
  const { nals, leading } = splitAnnexB(bytes);
  assert.deepEqual(
    nals.map((nal) => [...nal]),
    [[9, 1], [65, 2, 3], [1]],
  );
  assert.equal(leading, 1);
  assert.deepEqual(splitAnnexB(Buffer.from([0, 0, 0, 1, 5])).leading, 0);
  assert.deepEqual(splitAnnexB(Buffer.alloc(9)), { nals: [], leading: 0 });
  assert.deepEqual(splitAnnexB(joinAnnexB(nals)).nals, nals);
  assert.deepEqual(splitLengths(joinLengths(nals)), nals);
  assert.throws(() => splitLengths(Buffer.of(0, 0, 0, 9, 1)), { code: "media.truncated" });
  assert.throws(() => splitAnnexB(Buffer.concat(Array.from({ length: 5000 }, () => Buffer.of(0, 0, 1, 9)))), {
    code: "media.malformed",
  });
});

test("delimiters, filler and known parameter sets are dropped; messages stay", () => {
  const [unit] = ready().units(
    [AUD, h264Sps(), h264Pps(), SEI, h264Slice({ idr: true }), Buffer.of(12, 0xff, 0x80)],
    several,
  );
  assert.deepEqual(types(unit!), [6, 5]);
  assert.deepEqual([unit!.randomAccess, unit!.damage, unit!.trackChanged], [true, null, false]);
});

test("nothing comes out before the parameters are known", () => {
  const stream = new VideoStream(0, "h264");
  assert.deepEqual(stream.units([h264Slice({ idr: true })], several), []);
  assert.equal(stream.track, null);
  const [unit] = stream.units([h264Sps(), h264Pps(), h264Slice({ idr: true })], several);
  assert.equal(unit!.trackChanged, true);
  assert.deepEqual([stream.track!.width, stream.track!.height], [160, 96]);
});

test("parameter sets that come without a picture are told with the next one", () => {
  const stream = new VideoStream(0, "h264");
  assert.deepEqual(stream.units([h264Sps(), h264Pps()], several), []);
  const changes = [h264Slice({ idr: true }), h264Slice({ frameNum: 1 })].map(
    (nal) => stream.units([nal], several)[0]!.trackChanged,
  );
  assert.deepEqual(changes, [true, false]);
});

test("several access units at once are taken apart, with and without delimiters", () => {
  const pictures = [
    h264Slice({ idr: true, tail: 1 }),
    h264Slice({ frameNum: 1, tail: 2 }),
    h264Slice({ frameNum: 1, firstBlock: 30, tail: 3 }), // the second slice of that picture
    h264Slice({ frameNum: 2, tail: 4 }),
    h264Slice({ frameNum: 3, firstBlock: 0, tail: 5 }),
  ];
  const counts = (units: VideoUnit[]) => units.map((unit) => splitLengths(unit.payload).length);
  assert.deepEqual(counts(ready().units(pictures, several)), [1, 2, 1, 1]);
  const delimited = pictures.flatMap((nal, i) => (i === 2 ? [nal] : [AUD, SEI, nal]));
  assert.deepEqual(counts(ready().units(delimited, several)), [2, 3, 2, 2]);
  assert.deepEqual(counts(ready().units(delimited, { ...several, single: true })), [9]);
});

test("a lost first slice is seen, also when the next picture begins without it", () => {
  const units = ready().units([h264Slice({ idr: true }), h264Slice({ frameNum: 1, firstBlock: 30 })], several);
  assert.deepEqual(
    units.map((unit) => unit.damage),
    [null, "the first slices are missing"],
  );
});

test("two fields are one unit, whatever stands between them", () => {
  const stream = ready(h264Sps({ framesOnly: false, heightUnits: 3 }));
  const field = (side: "top" | "bottom", frameNum: number) => h264Slice({ field: side, frameNum });
  const nals = [
    field("top", 0),
    AUD,
    SEI,
    field("bottom", 0),
    AUD,
    field("top", 1),
    field("bottom", 1),
    AUD,
    field("top", 2),
    field("top", 3),
  ];
  const units = stream.units(nals, several);
  assert.deepEqual(units.map(types), [[1, 6, 1], [1, 1], [1], [1]]);
  assert.equal(stream.track!.interlaced, true);
});

test("changed parameter sets make another track with the unit that brings them", () => {
  const stream = ready();
  const wide = h264Sps({ widthBlocks: 20 });
  const units = stream.units([h264Slice({ idr: true }), wide, h264Pps(), h264Slice({ idr: true, idrId: 1 })], several);
  assert.deepEqual(
    units.map((unit) => unit.trackChanged),
    [false, true],
  );
  assert.equal(stream.track!.width, 320);
  assert.deepEqual(types(units[1]!), [5]);
});

test("the parameter set in use is the one the pictures refer to", () => {
  const stream = ready();
  const other = [h264Sps({ id: 1, widthBlocks: 30 }), h264Pps(1, 1)];
  assert.equal(stream.units([...other, h264Slice({ idr: true })], several)[0]!.trackChanged, true);
  assert.equal(stream.track!.width, 160);
  assert.equal(stream.units([h264Slice({ idr: true, ppsId: 1 })], several)[0]!.trackChanged, true);
  assert.equal(stream.track!.width, 480);
});

test("where decoding can start", () => {
  const starts = (nals: Buffer[], randomAccessHint = false) =>
    ready()
      .units(nals, { randomAccessHint, single: false })
      .map((unit) => unit.randomAccess);
  assert.deepEqual(starts([h264Slice({ idr: true })]), [true]);
  assert.deepEqual(starts([RECOVERY, h264Slice({ type: 2 })]), [true]);
  assert.deepEqual(starts([h264Slice({ type: 2 })]), [false]);
  assert.deepEqual(starts([h264Slice({ type: 2 })], true), [true]);
  assert.deepEqual(starts([h264Slice({ type: 7 })], true), [true]);
  assert.deepEqual(starts([h264Slice({ type: 0 })], true), [false]); // the hint is wrong
  assert.deepEqual(starts([h264Slice({ type: 2 }), h264Slice({ firstBlock: 9 })], true), [false]);
  assert.equal(isInstantRefresh("h264", joinLengths([SEI, h264Slice({ idr: true })])), true);
  assert.equal(isInstantRefresh("h264", joinLengths([SEI, h264Slice({ type: 2 })])), false);
  assert.equal(isInstantRefresh("h264", Buffer.of(0, 0, 0)), false);
});

test("bad syntax damages its unit only", () => {
  const stream = ready();
  const units = stream.units(
    [
      Buffer.of(0x67, 1),
      h264Slice({ idr: true }),
      h264Slice({ frameNum: 1, ppsId: 9 }),
      Buffer.of(0x80, 1),
      h264Slice({ frameNum: 2 }),
    ],
    several,
  );
  assert.deepEqual(
    units.map((unit) => unit.damage !== null),
    [true, true, false],
  );
  assert.equal(stream.track!.width, 160);
});

test("parameter sets without end do not fill the memory", () => {
  const stream = ready();
  const flood = Array.from({ length: 256 }, (_, id) => Buffer.concat([h264Pps(id), Buffer.alloc(2000, 1)]));
  const [unit] = stream.units([...flood, h264Slice({ idr: true })], several);
  assert.match(unit!.damage!, /parameter sets of \d+ bytes/);
  assert.ok(stream.track!.config.length < 70_000);
});

test("any NAL units are survived", () => {
  const random = seededRandom(41);
  const parts = [
    AUD,
    SEI,
    RECOVERY,
    h264Sps(),
    h264Sps({ id: 1, framesOnly: false }),
    h264Pps(),
    h264Pps(1, 1),
    h264Slice({ idr: true }),
    h264Slice(),
  ];
  let damaged = 0;
  let whole = 0;
  for (const codec of ["h264", "hevc"] as const) {
    const stream = codec === "h264" ? ready() : new VideoStream(0, codec);
    for (let i = 0; i < 5000; i += 1) {
      const nals = Array.from({ length: random.int(0, 8) }, () => {
        const nal = Buffer.from(
          random.next() < 0.2 ? random.bytes(random.int(1, 30)) : parts[random.int(0, parts.length)]!,
        );
        if (random.next() < 0.3) nal[random.int(0, nal.length)] = random.int(0, 256);
        return nal;
      });
      for (const unit of stream.units(nals, { randomAccessHint: random.next() < 0.5, single: random.next() < 0.5 })) {
        if (unit.damage === null) whole += 1;
        else damaged += 1;
        assert.ok(splitLengths(unit.payload).length > 0);
      }
    }
  }
  assert.ok(damaged > 100 && whole > 100, `${damaged} ${whole}`);
});
