import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { buildAvcConfig, parseAvcConfig } from "./avcc.ts";
import { parseSps } from "./h264.ts";
import { readSei } from "./sei.ts";
import { h264Pps, h264Sps, type SpsOptions } from "./testing/parameter-set-writer.ts";

const hasRecoveryPoint = (nal: Buffer, headerBytes: 1 | 2) => readSei(nal, headerBytes).recoveryPoint;

const codeOf = (read: () => unknown): string => {
  try {
    read();
    return "none";
  } catch (error) {
    assert.ok(error instanceof PlatformError, String(error));
    return error.code;
  }
};

test("size: macroblocks, fields, cropping by chroma format", () => {
  const cases: [SpsOptions, number, number][] = [
    [{ widthBlocks: 120, heightUnits: 68, crop: [0, 0, 0, 4] }, 1920, 1080],
    [{ widthBlocks: 120, heightUnits: 34, framesOnly: false, crop: [0, 0, 0, 2] }, 1920, 1080],
    [{ profile: 122, chromaFormat: 2, widthBlocks: 120, heightUnits: 68, crop: [1, 2, 3, 5] }, 1914, 1080],
    [{ profile: 244, chromaFormat: 3, widthBlocks: 45, heightUnits: 36, crop: [1, 2, 3, 5] }, 717, 568],
    [{ profile: 100, chromaFormat: 0, widthBlocks: 2, heightUnits: 2, crop: [1, 0, 0, 1] }, 31, 31],
  ];
  for (const [options, width, height] of cases) {
    const sps = parseSps(h264Sps(options));
    assert.deepEqual([sps.width, sps.height], [width, height], JSON.stringify(options));
  }
});

test("rate: a tick is a field; a time base is no rate", () => {
  const rateOf = (unitsInTick: number, timeScale: number) =>
    parseSps(h264Sps({ timing: [unitsInTick, timeScale] })).declaredRate;
  assert.deepEqual(rateOf(1001, 60_000), { num: 30_000, den: 1001 });
  assert.deepEqual(rateOf(1, 50), { num: 25, den: 1 });
  assert.deepEqual(rateOf(500_000, 60_000_000), { num: 60, den: 1 });
  assert.equal(rateOf(1, 2000), null);
  assert.equal(rateOf(0, 50), null);
  assert.equal(rateOf(1, 0), null);
  assert.equal(parseSps(h264Sps()).declaredRate, null);
});

test("pixel aspect: by table, extended, unspecified and nonsense", () => {
  const aspectOf = (aspect: NonNullable<SpsOptions["aspect"]>) => parseSps(h264Sps({ aspect })).pixelAspect;
  assert.deepEqual(aspectOf(3), { num: 10, den: 11 });
  assert.deepEqual(aspectOf(14), { num: 4, den: 3 });
  assert.deepEqual(aspectOf([128, 90]), { num: 64, den: 45 });
  for (const nothing of [0, 1, 17, 254, [0, 1], [1, 0]] as const)
    assert.deepEqual(aspectOf(nothing), { num: 1, den: 1 });
});

test("what lies behind scaling lists, order types and buffering parameters is found", () => {
  for (const orderType of [0, 1, 2] as const)
    for (const chromaFormat of [1, 3]) {
      const sps = parseSps(
        h264Sps({
          profile: 244,
          chromaFormat,
          bitDepth: 10,
          scalingLists: true,
          orderType,
          hrd: true,
          timing: [1, 100],
          reorder: 3,
        }),
      );
      assert.deepEqual([sps.width, sps.height, sps.bitDepthLuma, sps.reorderFrames], [160, 96, 10, 3]);
      assert.deepEqual(sps.declaredRate, { num: 50, den: 1 });
      assert.deepEqual([sps.frameNumBits, sps.pictureOrderBits], [4, orderType === 0 ? 6 : 0]);
    }
});

test("emulation prevention inside a parameter set does not move its bits", () => {
  const nal = h264Sps({ timing: [1, 0x0000_0100], aspect: [1, 1] });
  assert.ok(nal.includes(Buffer.of(0, 0, 3)));
  assert.deepEqual(parseSps(nal).declaredRate, { num: 128, den: 1 });
});

test("impossible parameter sets are refused", () => {
  assert.equal(
    codeOf(() => parseSps(h264Sps({ crop: [40, 40, 0, 0] }))),
    "media.malformed",
  );
  assert.equal(
    codeOf(() => parseSps(h264Sps({ widthBlocks: 2000 }))),
    "media.malformed",
  );
  assert.equal(
    codeOf(() => parseSps(h264Sps({ id: 32 }))),
    "media.malformed",
  );
  assert.equal(
    codeOf(() => parseSps(Buffer.of(0x67))),
    "media.truncated",
  );
  assert.equal(
    codeOf(() => parseSps(Buffer.alloc(0))),
    "media.truncated",
  );
  assert.equal(
    codeOf(() => parseSps(Buffer.concat([Buffer.of(0x67, 77, 0, 30), Buffer.alloc(20)]))),
    "media.malformed",
  );
});

test("a configuration record is read back as written, and the same sets give the same bytes", () => {
  const sps = [h264Sps({ profile: 100 }), h264Sps({ profile: 100, id: 1 })];
  const pps = [h264Pps(0, 0), h264Pps(1, 1)];
  const record = buildAvcConfig(sps, pps);
  assert.deepEqual(parseAvcConfig(record), { lengthBytes: 4, sps, pps });
  assert.deepEqual(buildAvcConfig(sps, pps), record);
  assert.deepEqual([...record.subarray(0, 6)], [1, 100, 0, 30, 0xff, 0xe2]);
  assert.deepEqual([...record.subarray(-4)], [0xfd, 0xf8, 0xf8, 0]); // 4:2:0, 8 bits, as high profiles must say
  assert.equal(
    codeOf(() => buildAvcConfig(sps, [])),
    "media.malformed",
  );
  for (let end = 0; end < record.length - 4; end += 1)
    assert.equal(
      codeOf(() => parseAvcConfig(record.subarray(0, end))),
      "media.truncated",
      String(end),
    );
});

test("a recovery point is found behind other messages and not inside them", () => {
  const user = [5, 20, ...Array.from({ length: 20 }, () => 6)];
  assert.equal(hasRecoveryPoint(Buffer.from([0x06, ...user, 6, 1, 0x84, 0x80]), 1), true);
  assert.equal(hasRecoveryPoint(Buffer.from([0x06, ...user, 0x80]), 1), false);
  assert.equal(hasRecoveryPoint(Buffer.from([0x06, 5, 0xff, 0xff, 0xff]), 1), false);
  assert.equal(hasRecoveryPoint(Buffer.from([0x4e, 0x01, 6, 1, 0xd0, 0x80]), 2), true);
});

test("no bytes make the parsers throw anything but their own errors", () => {
  const random = seededRandom(31);
  const valid = h264Sps({
    profile: 244,
    chromaFormat: 3,
    scalingLists: true,
    orderType: 1,
    hrd: true,
    timing: [1, 100],
    reorder: 2,
  });
  const record = buildAvcConfig([h264Sps()], [h264Pps()]);
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i += 1) {
    const bytes = Buffer.from(i % 3 === 0 ? random.bytes(random.int(0, 60)) : i % 3 === 1 ? valid : record);
    for (let k = random.int(0, 4); k > 0 && bytes.length > 0; k -= 1)
      bytes[random.int(0, bytes.length)]! ^= 1 << random.int(0, 8);
    const cut = bytes.subarray(0, random.int(0, bytes.length + 1));
    seen.add(codeOf(() => parseSps(cut)));
    seen.add(codeOf(() => parseAvcConfig(cut)));
    hasRecoveryPoint(cut, 1);
  }
  assert.deepEqual([...seen].sort(), ["media.malformed", "media.truncated", "none"]);
});
