// The driver against itself: what goes in comes out, equal input gives equal bytes, and wrong orders of calls are errors
// in JavaScript, never a crash. (A crash would end this test process with a signal.)
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { seededRandom } from "#base/random.ts";
import { declaredColour } from "#media/codec/colour.ts";
import type { VideoRendition } from "#media/ladder/rendition.ts";
import type { EncodedUnit, Picture } from "../av.ts";
import { nodeAv } from "./node-av.ts";

const av = nodeAv();
const COLOUR = { primaries: 1, transfer: 1, matrix: 1, fullRange: false };
const MONO = 0x4;
const FIVE_POINT_ONE = 0x60f;
const RATE = { num: 30_000, den: 1001 };

function rung(width: number, height: number): VideoRendition {
  return {
    kind: "video",
    copied: false,
    name: `v${height}`,
    codec: "h264",
    width,
    height,
    pixelAspect: { num: 1, den: 1 },
    profile: "high",
    levelIdc: 31,
    preset: "veryfast",
    crf: 23,
    maxBitrate: 1_000_000,
  };
}

/** A moving gradient with a little noise. */
function scene(width: number, height: number, frame: number): Picture {
  const random = seededRandom(frame + 1);
  const y = Uint8Array.from(
    { length: width * height },
    (_, i) => 32 + (((i % width) + Math.floor(i / width) * 2 + frame * 3) % 160) + Math.floor(random.next() * 8),
  );
  const u = new Uint8Array((width * height) / 4).fill(110 + (frame % 20));
  const v = new Uint8Array((width * height) / 4).fill(140);
  return av.picture({ width, height }, { y, u, v }, frame);
}

async function encode(
  width: number,
  height: number,
  count: number,
): Promise<{ config: Uint8Array; units: EncodedUnit[] }> {
  const encoder = await av.openVideoEncoder({ rendition: rung(width, height), rate: RATE, colour: COLOUR });
  const units: EncodedUnit[] = [];
  for (let f = 0; f < count; f += 1) {
    const picture = scene(width, height, f);
    units.push(...(await encoder.encode(picture, { ptsTicks: (1e9 + f) * 1001, key: f === 0, repeated: false })));
    picture.release();
  }
  assert.deepEqual(await encoder.drain(), []);
  const { config } = encoder;
  await encoder.close();
  return { config, units };
}

function psnr(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10((255 * 255 * a.length) / sum);
}

const hash = (parts: Uint8Array[]) => parts.reduce((h, bytes) => h.update(bytes), createHash("sha256")).digest("hex");

test("an encoded stretch decodes to the pictures that went in, one unit for each, times exact", async () => {
  const { config, units } = await encode(320, 180, 12);
  assert.deepEqual(
    units.map((unit) => [unit.ptsTicks, unit.key]),
    Array.from({ length: 12 }, (_, f) => [(1e9 + f) * 1001, f === 0]),
  );
  assert.equal(config[0], 1, "avcC");
  assert.deepEqual(declaredColour({ codec: "h264", config }), COLOUR);
  const decoder = await av.openVideoDecoder({ codec: "h264", config, reorders: false });
  const pictures: Picture[] = [];
  for (const [tag, unit] of units.entries()) pictures.push(...(await decoder.decode({ payload: unit.bytes, tag })));
  pictures.push(...(await decoder.drain()));
  await decoder.close();
  assert.deepEqual(
    pictures.map((picture) => picture.tag),
    units.map((_, i) => i),
  );
  for (const picture of pictures) {
    const original = scene(320, 180, picture.tag);
    assert.ok(psnr(picture.luma(), original.luma()) > 30);
    assert.deepEqual(picture.colour, COLOUR);
    original.release();
    picture.release();
  }
});

test("equal input gives equal bytes", async () => {
  const [a, b] = await Promise.all([encode(320, 180, 20), encode(320, 180, 20)]);
  assert.equal(hash([a.config, ...a.units.map((u) => u.bytes)]), hash([b.config, ...b.units.map((u) => u.bytes)]));
});

test("the scaler gives each output each picture, and leaves one of its own size untouched", async () => {
  const outputs = [rung(320, 180), rung(160, 90)];
  for (const deinterlace of [false, true]) {
    const scaler = await av.openScaler({ deinterlace, outputs });
    const sets: Picture[][] = [];
    for (let f = 0; f < 5; f += 1) sets.push(...(await scaler.scale(scene(320, 180, f))));
    assert.equal(sets.length, deinterlace ? 4 : 5, "the deinterlacer holds one back");
    sets.push(...(await scaler.scale(scene(640, 360, 5)))); // another size: the graph is built anew
    sets.push(...(await scaler.drain()));
    await scaler.close();
    assert.deepEqual(
      sets.map((set) => set.map((p) => [p.tag, p.width, p.height])),
      Array.from({ length: 6 }, (_, f) => [
        [f, 320, 180],
        [f, 160, 90],
      ]),
    );
    const original = scene(320, 180, 2);
    assert.equal(hash([sets[2]![0]!.luma()]), hash([original.luma()]));
    original.release();
    for (const picture of sets.flat()) picture.release();
  }
});

test("a broken unit gives no picture and no error; the next random access point is whole again", async () => {
  const { config, units } = await encode(320, 180, 3);
  const random = seededRandom(7);
  const decoder = await av.openVideoDecoder({ codec: "h264", config, reorders: false });
  for (let i = 0; i < 50; i += 1)
    for (const picture of await decoder.decode({ payload: random.bytes(1 + random.int(0, 2000)), tag: i }))
      picture.release();
  const pictures = await decoder.decode({ payload: units[0]!.bytes, tag: 99 });
  pictures.push(...(await decoder.drain()));
  assert.ok(pictures.some((picture) => picture.tag === 99));
  for (const picture of pictures) picture.release();
  await decoder.close();
});

test("wrong orders are errors, and closing waits for what runs", async () => {
  const encoder = await av.openVideoEncoder({ rendition: rung(640, 360), rate: RATE, colour: COLOUR });
  const picture = scene(640, 360, 0);
  const running = Array.from({ length: 8 }, (_, i) =>
    encoder.encode(picture, { ptsTicks: (i + 1) * 1001, key: i === 0, repeated: i > 0 }),
  );
  picture.release(); // the encoder holds what it needs
  const closed = encoder.close();
  assert.equal((await Promise.all(running)).flat().length, 8);
  await closed;
  await encoder.close();
  await assert.rejects(encoder.drain(), /closed machine/);
  assert.throws(() => picture.luma(), /after its release/);
  assert.throws(() => picture.release(), /after its release/);
  const other = scene(640, 360, 1);
  const again = await av.openVideoEncoder({ rendition: rung(640, 360), rate: RATE, colour: COLOUR });
  await again.encode(other, { ptsTicks: 2002, key: true, repeated: false });
  assert.throws(
    () => void again.encode(other, { ptsTicks: 2002, key: false, repeated: false }),
    /frame at 2002 after 2002/,
  );
  other.release();
  await again.close();
  await assert.rejects(av.openVideoEncoder({ rendition: rung(0, 0), rate: RATE, colour: COLOUR }), {
    code: "av.failed",
  });
});

/** A tone that is not on the frame grid. */
function tone(sampleRate: number, first: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 0.4 * Math.sin((2 * Math.PI * 997 * (first + i)) / sampleRate));
}

test("audio: what goes in with frame f comes out with frame f, two frames later, and decodes to the tone", async () => {
  const encoder = await av.openAudioEncoder({ sampleRate: 48_000, channels: 2, bitrate: 128_000 });
  const decoder = await av.openAudioDecoder({ codec: "aac", config: encoder.config, sampleRate: 48_000, channels: 2 });
  const units = Array.from({ length: 20 }, (_, f) => {
    const samples = tone(48_000, f * 1024, 1024);
    return encoder.encode([samples, samples], 1_000_000 + f);
  });
  const frames = units.flat().map((unit) => unit.frame);
  assert.deepEqual(
    frames,
    Array.from({ length: frames.length }, (_, i) => 999_999 + i),
  );
  assert.ok(units[10]!.some((unit) => unit.frame === 1_000_008));
  let first = true;
  for (const { frame, bytes } of units.flat()) {
    const samples = decoder.decode(bytes);
    if (samples === null) continue;
    assert.equal(samples.planes.length, 2);
    // A decoder's output belongs to the packet before by the overlap: packet f holds samples from frame f on.
    const expected = tone(48_000, (frame - 1_000_000) * 1024, 1024);
    if (frame > 1_000_004)
      for (let i = 0; i < 1024; i += 1)
        assert.ok(Math.abs(samples.planes[0]![i]! - expected[i]!) < 0.02, `frame ${frame}`);
    first = false;
  }
  assert.ok(!first);
  encoder.close();
  decoder.close();
  assert.throws(() => encoder.encode([], 0), /closed encoder/);
});

test("the resampler begins in phase and keeps a downmix within full scale", async () => {
  const resampler = await av.openResampler({ sampleRate: 44_100, speakers: MONO }, { sampleRate: 48_000, channels: 2 });
  const out: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const { planes, count, sampleRate } = resampler.convert({
      planes: [tone(44_100, i * 1024, 1024)],
      count: 1024,
      sampleRate: 44_100,
      speakers: MONO,
    });
    assert.equal(sampleRate, 48_000);
    assert.equal(planes.length, 2);
    out.push(...planes[0]!.subarray(0, count));
  }
  resampler.close();
  const expected = tone(48_000, 0, out.length);
  for (let i = 64; i < out.length; i += 1)
    assert.ok(Math.abs(out[i]! - expected[i]!) < 0.002, `sample ${i}: ${out[i]} ${expected[i]}`);
  const downmix = await av.openResampler(
    { sampleRate: 48_000, speakers: FIVE_POINT_ONE },
    { sampleRate: 48_000, channels: 2 },
  );
  const full = Array.from({ length: 6 }, () => new Float32Array(1024).fill(1));
  const { planes } = downmix.convert({ planes: full, count: 1024, sampleRate: 48_000, speakers: FIVE_POINT_ONE });
  assert.ok(planes[0]!.every((sample) => sample <= 1.0001));
  downmix.close();
});
