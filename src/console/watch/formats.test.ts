import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { writeMultivariant } from "#media/hls/multivariant.ts";
import { codecName, judge, type Offer, offersOf, pictureLabel, rangeName } from "./formats.ts";

const offer = (codecs: string[], height: number | null = 720, range = "SDR"): Offer => ({ codecs, height, range });
const except =
  (...refused: string[]) =>
  (codec: string) =>
    !refused.some((one) => codec.startsWith(one));

test("offers are read as the origin writes them", () => {
  const codec = fc.constantFrom("avc1.64001f", "hvc1.2.4.L153.b0", "mp4a.40.2", "ac-3", "Opus");
  const any = fc.record(
    {
      codecs: fc.uniqueArray(codec, { minLength: 1 }),
      height: fc.option(fc.integer({ min: 16, max: 4320 })),
      range: fc.constantFrom("SDR" as const, "PQ" as const, "HLG" as const),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(any, { maxLength: 5 }), (offers) => {
      const variants = offers.map(({ codecs, height, range }, i) => ({
        uri: `v${i}.m3u8`,
        bandwidth: 1000,
        averageBandwidth: 900,
        codecs,
        video: height === null ? null : { width: 2 * height, height, framesPerSecond: 30, range },
        audio: i === 0 ? null : "audio,RESOLUTION=1x1",
      }));
      const expected = offers.map((one) => (one.height === null ? { ...one, range: "SDR" } : one));
      assert.deepEqual(offersOf(writeMultivariant({ variants, audio: [] })), expected);
    }),
  );
});

test("what a browser cannot play is named when nothing else is left", () => {
  const offers = [offer(["hvc1.1.6.L93.b0", "mp4a.40.2"]), offer(["hvc1.1.6.L93.b0", "ac-3"])];
  assert.deepEqual(judge(offers, except("hvc1")), { playable: false, missing: ["HEVC"], hidden: [] });
  assert.deepEqual(judge([offer(["avc1.64001f", "ac-3"])], except("ac-3")).missing, ["AC-3"]);
  assert.deepEqual(judge(offers, except("hvc1", "ac-3")).missing, ["HEVC", "AC-3"]);
  assert.deepEqual(judge([offer(["ec-3"], null)], except("ec-3")).missing, ["E-AC-3"]);
});

test("what is out of reach beside something playable is labelled", () => {
  const offers = [offer(["hvc1.2.4.L153.b0", "mp4a.40.2"], 2160, "PQ"), offer(["avc1.64001f", "mp4a.40.2"])];
  assert.deepEqual(judge(offers, except("hvc1")), { playable: true, missing: [], hidden: ["2160p HEVC HDR"] });
  assert.deepEqual(
    judge(offers, () => true),
    { playable: true, missing: [], hidden: [] },
  );
});

test("another sound with the same picture puts nothing out of reach", () => {
  const offers = [offer(["avc1.64001f", "mp4a.40.2"]), offer(["avc1.64001f", "ac-3"])];
  assert.deepEqual(judge(offers, except("ac-3")), { playable: true, missing: [], hidden: [] });
});

test("a playlist that names no codecs is tried", () => {
  assert.equal(judge([], () => false).playable, true);
  assert.equal(judge(offersOf("#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8"), () => false).playable, true);
});

test("names are those that people use", () => {
  const names = ["avc1.640020", "hev1.1.6.L93.b0", "av01.0.04M.08", "mp4a.40.34", "mp4a.40.5", "opus", "wvtt"];
  assert.deepEqual(names.map(codecName), ["H.264", "HEVC", "AV1", "MPEG audio", "AAC", "Opus", "wvtt"]);
  assert.deepEqual(["SDR", "PQ", "HLG"].map(rangeName), ["SDR", "HDR (PQ)", "HDR (HLG)"]);
  assert.equal(pictureLabel(720, "avc1.64001f", "SDR"), "720p H.264");
});
