import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { beginsWithKeyFrame, joinObus, type Obu, readObu, splitObus } from "./av1.ts";
import { buildAv1Config, parseAv1Config, parseSequence, sequenceOfConfig } from "./av1-sequence.ts";
import { Av1Stream } from "./av1-stream.ts";
import { codecString } from "./codec-string.ts";
import { declaredColour, presumedColour } from "./colour.ts";
import { BitWriter } from "./testing/parameter-set-writer.ts";

type Options = {
  profile?: number;
  level?: number;
  tier?: 0 | 1;
  width?: number;
  height?: number;
  highDepth?: boolean;
  twelveBits?: boolean;
  monochrome?: boolean;
  colour?: readonly [primaries: number, transfer: number, matrix: number];
  fullRange?: boolean;
  timing?: readonly [unitsInTick: number, timeScale: number];
  decoderModel?: boolean;
  points?: number;
};

/** A sequence header unit, field by field as 5.5.1 of the specification lists them. */
function sequenceUnit(options: Options = {}): Obu {
  const { profile = 0, level = 4, tier = 0, width = 1280, height = 720, points = 1 } = options;
  const out = new BitWriter().u(profile, 3).u(0, 1).u(0, 1);
  out.u(options.timing ? 1 : 0, 1);
  if (options.timing) {
    out.u(options.timing[0], 32).u(options.timing[1], 32).u(1, 1).ue(0);
    out.u(options.decoderModel ? 1 : 0, 1);
    if (options.decoderModel) out.u(9, 5).u(1, 32).u(4, 5).u(3, 5);
  }
  out.u(1, 1).u(points - 1, 5); // initial display delays follow
  for (let i = 0; i < points; i += 1) {
    out.u(0, 12).u(level, 5);
    if (level > 7) out.u(tier, 1);
    if (options.decoderModel) out.u(1, 1).u(5, 10).u(6, 10).u(0, 1);
    out.u(1, 1).u(3, 4);
  }
  out
    .u(15, 4)
    .u(15, 4)
    .u(width - 1, 16)
    .u(height - 1, 16);
  out.u(1, 1).u(2, 4).u(3, 3); // frame ids
  out.u(0, 3).u(0, 4).u(1, 1).u(0, 2).u(1, 1).u(1, 1).u(6, 3).u(0, 3);
  out.u(options.highDepth ? 1 : 0, 1);
  if (profile === 2 && options.highDepth) out.u(options.twelveBits ? 1 : 0, 1);
  if (profile !== 1) out.u(options.monochrome ? 1 : 0, 1);
  out.u(options.colour ? 1 : 0, 1);
  for (const code of options.colour ?? []) out.u(code, 8);
  const isRgb = options.colour?.join() === "1,13,0";
  if (options.monochrome || !isRgb) out.u(options.fullRange ? 1 : 0, 1);
  if (!options.monochrome && !isRgb) {
    if (profile === 2 && options.twelveBits) out.u(1, 1).u(1, 1);
    if (profile === 0 || (profile === 2 && options.twelveBits)) out.u(1, 2);
  }
  out.u(0, 1).u(0, 1);
  const payload = out.u(1, 1).bytes(); // trailing bits; nothing is escaped in AV1
  return readObu(Buffer.concat([Buffer.of(0x0a, payload.length), payload]));
}

const frame = (flags: number, ...rest: number[]) => readObu(Buffer.of(0x32, 1 + rest.length, flags, ...rest));
const KEY = 0x10; // shown key frame
const INTER = 0x30;

test("a sequence header says size, depth, level and rate, whatever stands between", () => {
  const of = (options: Options) => parseSequence(sequenceUnit(options).bytes.subarray(2));
  const plain = of({});
  assert.deepEqual([plain.width, plain.height, plain.bitDepth, plain.level, plain.tier], [1280, 720, 8, 4, 0]);
  assert.equal(plain.declaredRate, null);
  const full = of({
    timing: [1001, 60_000],
    decoderModel: true,
    points: 3,
    level: 13,
    tier: 1,
    width: 3840,
    height: 2160,
  });
  assert.deepEqual([full.width, full.height, full.level, full.tier], [3840, 2160, 13, 1]);
  assert.deepEqual(full.declaredRate, { num: 60_000, den: 1001 });
  assert.deepEqual(of({ profile: 2, highDepth: true, twelveBits: true }).bitDepth, 12);
  assert.deepEqual(of({ profile: 2, highDepth: true }).subsamplingY, 0);
  assert.deepEqual(of({ profile: 1, colour: [1, 13, 0] }).subsamplingX, 0);
  assert.equal(of({ monochrome: true }).monochrome, true);
});

test("records and codec strings are complete", () => {
  const string = (options: Options) => codecString({ codec: "av1", config: buildAv1Config(sequenceUnit(options)) });
  assert.equal(string({}), "av01.0.04M.08.0.111.02.02.02.0");
  assert.equal(string({ level: 13, tier: 1, highDepth: true, colour: [9, 16, 9] }), "av01.0.13H.10.0.111.09.16.09.0");
  assert.equal(string({ profile: 1, colour: [1, 1, 1] }), "av01.1.04M.08.0.000.01.01.01.0");
  assert.equal(string({ monochrome: true, fullRange: true }), "av01.0.04M.08.1.110.02.02.02.1");
  const config = buildAv1Config(sequenceUnit({ highDepth: true }));
  assert.equal(config.toString("hex", 0, 4), "81044d00");
  assert.equal(parseAv1Config(config).bitDepth, 10);
  assert.equal(sequenceOfConfig(config.subarray(0, 4)), null);
  assert.throws(() => parseAv1Config(config.subarray(0, 4)), { code: "media.malformed" });
  assert.throws(() => sequenceOfConfig(config.subarray(0, 3)), { code: "media.truncated" });
});

test("colours are told, and presumed where they are not", () => {
  const colour = (options: Options) => declaredColour({ codec: "av1", config: buildAv1Config(sequenceUnit(options)) });
  assert.deepEqual(colour({ colour: [9, 18, 9] }), { primaries: 9, transfer: 18, matrix: 9, fullRange: false });
  const config = buildAv1Config(sequenceUnit());
  assert.equal(presumedColour({ codec: "av1", config, height: 720 }).transfer, 1);
  assert.deepEqual(presumedColour({ codec: "av1", config, height: 720, range: "PQ" }), {
    primaries: 9,
    transfer: 16,
    matrix: 9,
    fullRange: false,
  });
});

test("units without a size field get one; delimiters and padding go", () => {
  const stream = new Av1Stream(0);
  const bare = Buffer.concat([Buffer.of(0x30), Buffer.of(KEY), Buffer.alloc(300, 7)]);
  const padding = Buffer.of(0x7a, 2, 0, 0x80);
  const bytes = Buffer.concat([Buffer.of(0x12, 0), sequenceUnit().bytes, padding, bare]);
  const unit = stream.unit(splitObus(bytes))!;
  assert.deepEqual([unit.randomAccess, unit.trackChanged, unit.damage], [true, true, null]);
  const back = splitObus(unit.payload);
  assert.deepEqual(
    back.map(({ type, hasSize }) => [type, hasSize]),
    [
      [1, true],
      [6, true],
    ],
  );
  assert.ok(back[1]!.bytes.subarray(back[1]!.payloadAt).equals(bare.subarray(1)));
  assert.ok(joinObus(back).equals(unit.payload));
});

test("decoding starts at key frames that are shown", () => {
  const begins = (...obus: Obu[]) => beginsWithKeyFrame(joinObus(obus));
  assert.equal(begins(sequenceUnit(), frame(KEY)), true);
  assert.equal(begins(frame(INTER)), false);
  assert.equal(begins(frame(0x00)), false); // a key frame for later
  assert.equal(begins(frame(0x50)), false); // intra only: what was before may be referred to
  assert.equal(begins(frame(0x80)), false); // shows what was decoded before
  assert.equal(begins(sequenceUnit()), false);
  const stream = new Av1Stream(0);
  assert.equal(stream.unit([frame(KEY)]), null); // nothing is known of it
  assert.equal(stream.configure(buildAv1Config(sequenceUnit())), true);
  assert.equal(stream.configure(buildAv1Config(sequenceUnit())), false);
  assert.deepEqual(
    [frame(KEY), frame(INTER)].map((obu) => stream.unit([obu])!.randomAccess),
    [true, false],
  );
  assert.deepEqual(
    [frame(0x00), frame(INTER), frame(0x80)].map((obu) => stream.endsTemporalUnit(obu)),
    [false, true, true],
  );
});

test("a new sequence is another track, and hints stand in for what it does not say", () => {
  const stream = new Av1Stream(0);
  assert.equal(stream.unit([sequenceUnit(), frame(KEY)])!.trackChanged, true);
  assert.equal(stream.unit([sequenceUnit(), frame(KEY)])!.trackChanged, false);
  assert.equal(stream.unit([sequenceUnit({ width: 640 }), frame(KEY)])!.trackChanged, true);
  assert.equal(stream.track!.width, 640);
  assert.equal(stream.hint({ rate: { num: 25, den: 1 }, transfer: 16 }), true);
  assert.equal(stream.hint({ transfer: 16 }), false);
  assert.deepEqual([stream.track!.range, stream.track!.declaredRate], ["PQ", { num: 25, den: 1 }]);
  const broken = readObu(Buffer.of(0x0a, 2, 0xe0, 0));
  assert.match(stream.unit([broken, frame(KEY)])!.damage!, /AV1 profile 7/);
  assert.equal(stream.track!.width, 640);
});

test("a new sequence that comes without a frame is told by the next unit", () => {
  const stream = new Av1Stream(0);
  assert.equal(stream.unit([sequenceUnit()]), null);
  assert.equal(stream.unit([frame(KEY)])!.trackChanged, true);
  assert.equal(stream.unit([frame(INTER)])!.trackChanged, false);
});

test("any bytes are survived", () => {
  const random = seededRandom(17);
  const good = Buffer.concat([sequenceUnit().bytes, frame(KEY, 1, 2, 3).bytes, frame(INTER).bytes]);
  let read = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const bytes = random.next() < 0.3 ? Buffer.from(random.bytes(random.int(0, 40))) : Buffer.from(good);
    if (bytes.length > 0) bytes[random.int(0, bytes.length)]! ^= 1 << random.int(0, 8);
    try {
      read += new Av1Stream(0).unit(splitObus(bytes)) ? 1 : 0;
    } catch (error) {
      assert.ok(error instanceof PlatformError, String(error));
    }
    beginsWithKeyFrame(bytes);
  }
  assert.ok(read > 1000);
});
