import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import { perSecond, rate, STANDARD_RATES } from "#media/time/rate.ts";
import { levelIdcFor } from "./h264-level.ts";
import { planLadder } from "./plan.ts";
import { isEncodedAudio, isEncodedVideo, type VideoRendition } from "./rendition.ts";

const track = (width: number, height: number, pixelAspect = { num: 1, den: 1 }): VideoTrack => ({
  track: 0,
  kind: "video",
  codec: "h264",
  config: new Uint8Array(),
  width,
  height,
  pixelAspect,
  declaredRate: null,
  interlaced: false,
  bitDepth: 8,
  range: "SDR",
  rotation: 0,
});

const audio: AudioTrack = {
  track: 1,
  kind: "audio",
  codec: "aac",
  config: Uint8Array.of(0x12, 0x10),
  sampleRate: 44_100,
  channels: 1,
  samplesPerUnit: 1024,
  language: "deu",
};

const video = (source: VideoTrack, ladder: Parameters<typeof planLadder>[1] = "auto", r = rate(25)) =>
  planLadder([source], ladder, r) as VideoRendition[];
const shape = (source: VideoTrack, ...rest: [Parameters<typeof planLadder>[1]?]) =>
  video(source, ...rest).map(({ name, width, height }) => `${name} ${width}x${height}`);

test("common sources give the expected rungs", () => {
  assert.deepEqual(shape(track(1920, 1080)), ["v1080 1920x1080", "v720 1280x720", "v480 854x480", "v360 640x360"]);
  assert.deepEqual(shape(track(1280, 720)), ["v720 1280x720", "v480 854x480", "v360 640x360"]);
  assert.deepEqual(shape(track(3840, 2160)), ["v1080 1920x1080", "v720 1280x720", "v480 854x480", "v360 640x360"]);
  assert.deepEqual(shape(track(640, 360)), ["v360 640x360"]);
  assert.deepEqual(shape(track(320, 180)), ["v180 320x180"]);
  assert.deepEqual(shape(track(1024, 576)), ["v576 1024x576", "v480 854x480", "v360 640x360"]);
  assert.deepEqual(shape(track(1920, 1088)), ["v1080 1906x1080", "v720 1270x720", "v480 848x480", "v360 636x360"]);
});

test("a portrait source is measured by its short side", () => {
  assert.deepEqual(shape(track(1080, 1920)), ["v1080 1080x1920", "v720 720x1280", "v480 480x854", "v360 360x640"]);
});

test("what a display turns is encoded turned: sides swap, and so does the pixel's aspect", () => {
  const lying = { ...track(1280, 720, { num: 4, den: 3 }), rotation: 90 } as const;
  assert.deepEqual(shape(lying), ["v720 720x1280", "v480 480x854", "v360 360x640"]);
  for (const { pixelAspect } of video(lying)) assert.deepEqual(pixelAspect, { num: 3, den: 4 });
  assert.deepEqual(shape({ ...lying, rotation: 180 }), ["v720 1280x720", "v480 854x480", "v360 640x360"]);
});

test("an anamorphic source keeps its pixel aspect in every rung", () => {
  const rungs = video(track(720, 576, { num: 64, den: 45 }));
  assert.deepEqual(
    rungs.map(({ width, height }) => [width, height]),
    [
      [720, 576],
      [600, 480],
      [450, 360],
    ],
  );
  for (const { pixelAspect } of rungs) assert.deepEqual(pixelAspect, { num: 64, den: 45 });
});

test("the channel's own rungs: those above the source are left out, but never all", () => {
  const ladder = [{ height: 360 }, { height: 1080, bitrateKbps: 6000 }, { height: 540, bitrateKbps: 2000 }];
  assert.deepEqual(shape(track(1280, 720), ladder), ["v540 960x540", "v360 640x360"]);
  assert.equal(video(track(1920, 1080), ladder)[0]!.maxBitrate, 6_000_000);
  assert.deepEqual(shape(track(320, 180), ladder), ["v180 320x180"]);
});

test("caps, presets, profiles and levels", () => {
  const at25 = video(track(1920, 1080));
  assert.deepEqual(
    at25.map(({ maxBitrate, preset, profile, levelIdc }) => [maxBitrate, preset, profile, levelIdc]),
    [
      [5_000_000, "superfast", "high", 40],
      [3_000_000, "veryfast", "high", 31],
      [1_400_000, "veryfast", "high", 30],
      [800_000, "veryfast", "main", 30],
    ],
  );
  const at60 = video(track(1920, 1080), "auto", rate(60));
  assert.deepEqual(
    at60.map(({ maxBitrate, preset, levelIdc }) => [maxBitrate, preset, levelIdc]),
    [
      [7_500_000, "ultrafast", 42],
      [4_500_000, "superfast", 32],
      [2_100_000, "veryfast", 31],
      [1_200_000, "veryfast", 31],
    ],
  );
});

test("levels of table A-1", () => {
  const needs = { profile: "high", references: 1, maxBitrate: 1000, bufferBits: 500 } as const;
  const of = (width: number, height: number, fps: number) => levelIdcFor({ ...needs, width, height, rate: rate(fps) });
  assert.equal(of(176, 144, 15), 10);
  assert.equal(of(352, 288, 30), 13);
  assert.equal(of(720, 576, 25), 30);
  assert.equal(of(1280, 720, 30), 31);
  assert.equal(of(1280, 720, 60), 32);
  assert.equal(of(1920, 1080, 30), 40);
  assert.equal(of(3840, 2160, 30), 51);
  assert.equal(levelIdcFor({ ...needs, width: 1920, height: 1080, rate: rate(30), maxBitrate: 30_000_000 }), 41);
});

test("audio is one stereo rendition in the language of the track", () => {
  assert.deepEqual(planLadder([audio], "auto", rate(25)), [
    {
      kind: "audio",
      copied: false,
      track: 1,
      name: "a128",
      codec: "aac",
      sampleRate: 48_000,
      channels: 2,
      bitrate: 128_000,
      language: "deu",
    },
  ]);
  assert.equal(planLadder([track(640, 360), audio], "auto", rate(25)).at(-1)!.kind, "audio");
});

test("any source: even sizes, nothing upscaled, shape kept, rungs fall, names differ", () => {
  const side = fc.integer({ min: 16, max: 4096 });
  const rung = fc.record(
    { height: fc.integer({ min: 64, max: 4320 }), bitrateKbps: fc.integer({ min: 50, max: 100_000 }) },
    { requiredKeys: ["height"] },
  );
  const ladder = fc.oneof(
    fc.constant("auto" as const),
    fc.uniqueArray(rung, { minLength: 1, maxLength: 8, selector: ({ height }) => Math.floor(height / 2) }),
  );
  fc.assert(
    fc.property(side, side, fc.constantFrom(...STANDARD_RATES), ladder, (width, height, r, asked) => {
      const rungs = video(track(width, height), asked, r);
      assert.ok(rungs.length > 0 && rungs.length <= 8);
      assert.equal(new Set(rungs.map(({ name }) => name)).size, rungs.length);
      const sourceShort = Math.min(width, height);
      for (const [i, { width: w, height: h, maxBitrate, levelIdc }] of rungs.entries()) {
        assert.ok(w % 2 === 0 && h % 2 === 0 && w >= 2 && h >= 2, `${w}x${h}`);
        const short = Math.min(w, h);
        assert.ok(short <= sourceShort, `${short} from ${sourceShort}`);
        if (Math.max(w, h) < 4096)
          assert.ok(Math.abs(Math.max(w, h) - (Math.max(width, height) * short) / sourceShort) <= 1);
        assert.ok(maxBitrate >= 50_000 && Number.isInteger(maxBitrate));
        assert.ok(levelIdc >= 10 && levelIdc <= 62);
        if (i > 0) {
          assert.ok(short < Math.min(rungs[i - 1]!.width, rungs[i - 1]!.height));
          if (asked === "auto") assert.ok(maxBitrate <= rungs[i - 1]!.maxBitrate);
        }
        const macroblocks = Math.ceil(w / 16) * Math.ceil(h / 16);
        if (levelIdc === 31) assert.ok(macroblocks <= 3600 && macroblocks * perSecond(r) <= 108_000);
      }
    }),
    { numRuns: 300 },
  );
});

test("passthrough copies every picture track, largest first, and every audio that players take", () => {
  const small = { ...track(640, 360), track: 3 };
  const mp2: AudioTrack = { ...audio, track: 4, codec: "mp2", samplesPerUnit: 1152, language: "eng" };
  const ac3: AudioTrack = { ...audio, track: 5, codec: "ac3", samplesPerUnit: 1536, language: "fra" };
  const planned = planLadder(
    [small, track(1920, 1080), audio, mp2, ac3, { ...mp2, track: 6 }],
    "passthrough",
    rate(25),
  );
  assert.deepEqual(
    planned.map((rendition) => [rendition.name, rendition.copied, rendition.codec]),
    [
      ["vcopy", true, "h264"],
      ["vcopy-2", true, "h264"],
      ["acopy", true, "aac"],
      ["a128", false, "aac"],
      ["acopy-2", true, "ac3"],
      ["a128-2", false, "aac"],
    ],
  );
  assert.deepEqual(
    planned.map((rendition) => (isEncodedVideo(rendition) ? null : rendition.track)),
    [0, 3, 1, 4, 5, 6],
  );
});

test("a copied rung beside encoded ones: those below the source, and AAC as it is", () => {
  const ladder = [{ copy: true }, { height: 1080 }, { height: 720 }, { height: 360, bitrateKbps: 500 }] as const;
  const names = (source: VideoTrack, sound: AudioTrack) =>
    planLadder([source, sound], ladder, rate(25)).map(({ name }) => name);
  assert.deepEqual(names(track(1920, 1080), audio), ["vcopy", "v720", "v360", "acopy"]);
  assert.deepEqual(names(track(1280, 720), { ...audio, codec: "opus" }), ["vcopy", "v360", "a128"]);
  assert.deepEqual(names(track(320, 180), audio), ["vcopy", "acopy"]);
});

test("several audio tracks are encoded each, in their languages", () => {
  const planned = planLadder([track(640, 360), audio, { ...audio, track: 7, language: "eng" }], "auto", rate(25));
  const sound = planned.filter(isEncodedAudio).map(({ name, track: number, language }) => [name, number, language]);
  assert.deepEqual(sound, [
    ["a128", 1, "deu"],
    ["a128-2", 7, "eng"],
  ]);
});
