// What publishers send that is neither 8-bit 4:2:0 nor AAC: it comes out as standard pictures and as the sound it was.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { preRollUnits } from "#media/session-log/audio-pre-roll.ts";
import type { AudioCodec, AudioTrack, Rotation, VideoCodec } from "#media/session-log/entries.ts";
import { rate } from "#media/time/rate.ts";
import type { Picture, ScalerSettings } from "../av.ts";
import { psnr } from "../testing/decode.ts";
import { makeVideo, type SourceVideoSettings, scenePlanes } from "../testing/source.ts";
import { makeAudio, type SourceAudio } from "../testing/source-audio.ts";
import { nodeAv } from "./node-av.ts";

const av = nodeAv();
process.env.SVT_LOG = "1"; // the AV1 encoder that makes a source greets at length otherwise
const BT709 = { primaries: 1, transfer: 1, matrix: 1, fullRange: false };
const SIZE = { width: 192, height: 108 };
const SQUARE = { num: 1, den: 1 };

async function scaled(settings: SourceVideoSettings, over: Partial<ScalerSettings> = {}): Promise<Picture[]> {
  const source = await makeVideo(settings);
  const decoder = await av.openVideoDecoder({ codec: source.codec, config: source.config, reorders: false });
  const { width, height } = settings;
  const outputs = [{ width, height, pixelAspect: SQUARE }];
  const scaler = await av.openScaler({ deinterlace: false, colour: BT709, outputs, ...over });
  const pictures: Picture[] = [];
  for (const [tag, { payload }] of source.units.entries())
    for (const picture of await decoder.decode({ payload, tag }))
      pictures.push(...(await scaler.scale(picture)).flat());
  for (const picture of await decoder.drain()) pictures.push(...(await scaler.scale(picture)).flat());
  pictures.push(...(await scaler.drain()).flat());
  await decoder.close();
  await scaler.close();
  return pictures;
}

function settingsOf(over: Partial<SourceVideoSettings>): SourceVideoSettings {
  return { ...SIZE, rate: rate(25), frames: 4, gopFrames: 25, ...over };
}

for (const [codec, format] of [
  ["h264", "4:2:2"],
  ["h264", "4:4:4"],
  ["h264", "4:2:2 10"],
  ["hevc", "4:2:0 10"],
  ["av1", "4:2:0"],
  ["av1", "4:2:0 10"],
] as const satisfies readonly (readonly [VideoCodec, SourceVideoSettings["format"]])[])
  test(`${codec} of ${format} comes out as the picture it was`, async () => {
    const settings = settingsOf({ codec, format });
    const pictures = await scaled(settings);
    assert.equal(pictures.length, 4);
    for (const picture of pictures) {
      const { width, height } = picture;
      assert.deepEqual({ width, height }, SIZE);
      const likeness = psnr(picture.luma(), scenePlanes(settings, picture.tag).y);
      assert.ok(likeness > 28, `${likeness} dB`);
      picture.release();
    }
  });

test("a picture of an odd size is scaled to an even one", async () => {
  const pictures = await scaled(settingsOf({ codec: "av1", width: 181, height: 101 }), {
    outputs: [{ width: 90, height: 50, pixelAspect: SQUARE }],
  });
  assert.ok(pictures.every(({ width, height }) => width === 90 && height === 50) && pictures.length === 4);
  for (const picture of pictures) picture.release();
});

/** Where in a turned picture a pixel of the source lies. */
const TURNED: Readonly<Record<Rotation, (x: number, y: number) => readonly [x: number, y: number]>> = {
  0: (x, y) => [x, y],
  90: (x, y) => [SIZE.height - 1 - y, x],
  180: (x, y) => [SIZE.width - 1 - x, SIZE.height - 1 - y],
  270: (x, y) => [y, SIZE.width - 1 - x],
};

for (const rotation of [0, 90, 180, 270] as const)
  test(`a picture is turned by ${rotation} degrees clockwise`, async () => {
    const settings = settingsOf({ frames: 1 });
    const across = rotation % 180 === 0 ? SIZE.width : SIZE.height;
    const down = rotation % 180 === 0 ? SIZE.height : SIZE.width;
    const outputs = [{ width: across, height: down, pixelAspect: SQUARE }];
    const [picture] = await scaled(settings, { rotation, outputs });
    const luma = picture!.luma();
    const scene = scenePlanes(settings, 0).y;
    const expected = new Uint8Array(scene.length);
    for (let y = 0; y < SIZE.height; y += 1)
      for (let x = 0; x < SIZE.width; x += 1) {
        const [toX, toY] = TURNED[rotation](x, y);
        expected[toY * across + toX] = scene[y * SIZE.width + x]!;
      }
    assert.ok(psnr(luma, expected) > 28, `${psnr(luma, expected)} dB`);
    picture!.release();
  });

/** Grey of 10-bit code values, as the scene cannot make it: one value all over. */
async function grey(range: "PQ" | "HLG", code: number): Promise<{ luma: number; picture: Picture["colour"] }> {
  const settings = settingsOf({ codec: "hevc", format: "4:2:0 10", range, frames: 1, content: { luma: code / 4 } });
  const [picture] = await scaled(settings, { range });
  const { colour } = picture!;
  const luma = picture!.luma();
  picture!.release();
  return { luma: luma.reduce((sum, value) => sum + value, 0) / luma.length, picture: colour };
}

test("PQ and HLG become BT.709: black is black, diffuse white is bright, highlights keep their order", async () => {
  // Codes of 203 cd/m2 (diffuse white), by ITU-R BT.2408: 58 % of PQ, 75 % of HLG.
  for (const [range, white] of [
    ["PQ", 572],
    ["HLG", 721],
  ] as const) {
    const levels: number[] = [];
    for (const code of [64, 200, 400, white, 760, 840]) levels.push((await grey(range, code)).luma);
    assert.ok(Math.abs(levels[0]! - 16) < 2, `${range} black ${levels[0]}`);
    assert.ok(Math.abs(levels[3]! - 219) < 4, `${range} white ${levels[3]}`);
    for (let i = 1; i < levels.length; i += 1)
      assert.ok(levels[i]! > levels[i - 1]! || levels[i - 1]! > 234, `${range}: ${levels}`);
    assert.deepEqual((await grey(range, white)).picture, BT709);
  }
});

test("pictures of another matrix are converted to the one that was asked for", async () => {
  const plain = (await scaled(settingsOf({ frames: 1 })))[0]!;
  const converted = (await scaled(settingsOf({ frames: 1, matrix: 9 })))[0]!;
  const likeness = psnr(plain.luma(), converted.luma());
  assert.ok(likeness < 45 && likeness > 20, `${likeness} dB: the scene has chroma, so its luma changes a little`);
  plain.release();
  converted.release();
});

const UNIT_SAMPLES = { aac: 1024, mp2: 1152, mp3: 1152, ac3: 1536, eac3: 1536, opus: 960 } as const;

function trackOf(source: SourceAudio, channels: number): AudioTrack {
  const { codec, config, samplesPerUnit } = source;
  return { track: 1, kind: "audio", codec, config, sampleRate: 48_000, channels, samplesPerUnit, language: "und" };
}

async function decoded(source: SourceAudio, channels: number, from: number): Promise<Map<number, Float32Array>> {
  const decoder = await av.openAudioDecoder(trackOf(source, channels));
  const out = new Map<number, Float32Array>();
  for (let unit = from; unit < source.units.length; unit += 1) {
    const samples = decoder.decode(source.units[unit]!);
    if (samples !== null) out.set(unit, samples.planes[0]!);
  }
  decoder.close();
  return out;
}

for (const [codec, bitrate] of [
  ["aac", 128_000],
  ["mp2", 192_000],
  ["mp3", 48_000],
  ["mp3", 320_000],
  ["ac3", 192_000],
  ["eac3", 96_000],
  ["opus", 96_000],
] as const satisfies readonly (readonly [AudioCodec, number])[])
  test(`${codec} at ${bitrate / 1000} kbit/s: one unit in, its samples out, and after its pre-roll as in a long run`, async () => {
    const source = await makeAudio({ codec, bitrate, sampleRate: 48_000, channels: 2, frames: 80 });
    assert.equal(source.samplesPerUnit, UNIT_SAMPLES[codec]);
    const long = await decoded(source, 2, 0);
    const late = await decoded(source, 2, 40);
    const first = 40 + preRollUnits(trackOf(source, 2));
    for (let unit = first; unit < 80; unit += 1) {
      const [a, b] = [long.get(unit)!, late.get(unit)!];
      assert.equal(b.length, UNIT_SAMPLES[codec]);
      let noise = 0;
      for (let i = 0; i < a.length; i += 1) noise += (a[i]! - b[i]!) ** 2;
      // Opus converges by about 5 dB a unit; the others are equal, but for AAC's noise substitution, which is drawn anew.
      const most = codec === "opus" ? 0.06 : codec === "aac" ? 1e-5 : 0;
      assert.ok(Math.sqrt(noise / a.length) <= most, `unit ${unit}: ${noise}`);
    }
    const again = await decoded(source, 2, 40);
    for (const [unit, samples] of late)
      assert.deepEqual(Buffer.from(samples.buffer), Buffer.from(again.get(unit)!.buffer), "a function of its input");
    const peak = Math.max(
      ...[...long.values()]
        .slice(20)
        .flatMap((samples) => [...samples])
        .map(Math.abs),
    );
    assert.ok(peak > 0.35 && peak < 0.5, `the tone's peak is 0.42, not ${peak}`);
  });

test("AC-3 of six channels says where they belong, and is mixed down to two", async () => {
  const source = await makeAudio({ codec: "ac3", bitrate: 384_000, sampleRate: 48_000, channels: 6, frames: 10 });
  const decoder = await av.openAudioDecoder(trackOf(source, 6));
  const samples = source.units.map((unit) => decoder.decode(unit)!);
  decoder.close();
  const { speakers, sampleRate, planes } = samples[5]!;
  assert.equal(planes.length, 6);
  const resampler = await av.openResampler({ sampleRate, speakers }, { sampleRate: 48_000, channels: 2 });
  const mixed = resampler.convert(samples[5]!);
  resampler.close();
  assert.equal(mixed.planes.length, 2);
  const peak = Math.max(...mixed.planes[0]!.map(Math.abs));
  assert.ok(peak > 0.2 && peak <= 1, `${peak}`);
});

test("what no decoder understands is no sound, and no harm", async () => {
  for (const codec of ["mp2", "mp3", "ac3", "eac3"] as const) {
    const decoder = await av.openAudioDecoder({ codec, config: new Uint8Array(), sampleRate: 48_000, channels: 2 });
    assert.equal(decoder.decode(new Uint8Array(0)), null);
    for (const size of [1, 7, 400]) assert.equal(decoder.decode(new Uint8Array(size).fill(0x5a)), null);
    decoder.close();
  }
  const opus = { codec: "opus", config: new Uint8Array(3), sampleRate: 48_000, channels: 2 } as const;
  await assert.rejects(av.openAudioDecoder(opus), { code: "media.unsupported" });
});
