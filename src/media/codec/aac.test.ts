import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { aacTrack, buildAacConfig, buildHeAacConfig, OBJECT, parseAacConfig, parseAdts } from "./aac.ts";
import { codecString } from "./codec-string.ts";
import { BitWriter } from "./testing/parameter-set-writer.ts";

const bits = (write: (out: BitWriter) => void): Buffer => {
  const out = new BitWriter();
  write(out);
  return out.nal();
};

test("configurations are read back as written", () => {
  for (const sampleRate of [96_000, 48_000, 44_100, 32_000, 8000])
    for (const channels of [1, 2, 3, 4, 5, 6, 8]) {
      const config = buildAacConfig(OBJECT.lc, sampleRate, channels);
      assert.deepEqual(parseAacConfig(config), { objectType: 2, sampleRate, channels, samplesPerUnit: 1024 });
    }
  assert.equal(buildAacConfig(OBJECT.lc, 48_000, 2).toString("hex"), "1190");
  assert.equal(buildAacConfig(OBJECT.lc, 44_100, 2).toString("hex"), "1210");
  assert.throws(() => buildAacConfig(OBJECT.lc, 12_345, 2), { code: "media.unsupported" });
  assert.throws(() => buildAacConfig(OBJECT.lc, 48_000, 0), { code: "media.unsupported" });
});

test("explicit SBR and PS tell what a decoder puts out; implicit keeps the core's rate", () => {
  const he = buildHeAacConfig(48_000, 2);
  assert.deepEqual(parseAacConfig(he), { objectType: 5, sampleRate: 48_000, channels: 2, samplesPerUnit: 2048 });
  const ps = buildHeAacConfig(44_100, 2, true);
  assert.deepEqual(parseAacConfig(ps), { objectType: 29, sampleRate: 44_100, channels: 2, samplesPerUnit: 2048 });
  assert.equal(codecString({ codec: "aac", config: he }), "mp4a.40.5");
  assert.equal(codecString({ codec: "aac", config: ps }), "mp4a.40.29");
  const implicit = Buffer.from("131056e598", "hex"); // LC 24 kHz with the backward compatible extension
  assert.deepEqual(parseAacConfig(implicit), { objectType: 2, sampleRate: 24_000, channels: 2, samplesPerUnit: 1024 });
});

test("rates by value, short frames and described channels", () => {
  const byValue = bits((out) => out.u(2, 5).u(15, 4).u(47_999, 24).u(2, 4).u(1, 1).u(0, 2));
  assert.deepEqual(parseAacConfig(byValue), { objectType: 2, sampleRate: 47_999, channels: 2, samplesPerUnit: 960 });
  const described = bits((out) => {
    out.u(2, 5).u(3, 4).u(0, 4).u(0, 3); // then a program config element:
    out.u(0, 4).u(1, 2).u(3, 4).u(2, 4).u(0, 4).u(1, 4).u(1, 2).u(0, 3).u(0, 4).u(0, 3);
    out.u(0, 1).u(0, 4).u(1, 1).u(1, 4).u(1, 1).u(2, 4).u(0, 8); // front: one, pair; back: pair; lfe
  });
  assert.equal(parseAacConfig(described).channels, 6);
});

test("what we cannot take is refused with a code", () => {
  const codeOf = (config: Buffer) => {
    try {
      aacTrack(1, config);
      return "none";
    } catch (error) {
      assert.ok(error instanceof PlatformError, String(error));
      return error.code;
    }
  };
  assert.equal(codeOf(Buffer.alloc(0)), "media.truncated");
  assert.equal(codeOf(Buffer.of(0x11)), "media.truncated");
  assert.equal(codeOf(bits((out) => out.u(2, 5).u(13, 4).u(2, 4).u(0, 3))), "media.malformed");
  assert.equal(codeOf(bits((out) => out.u(31, 5).u(10, 6).u(3, 4).u(2, 4).u(0, 20))), "media.unsupported"); // xHE-AAC
  assert.equal(codeOf(bits((out) => out.u(2, 5).u(3, 4).u(9, 4).u(0, 3))), "media.unsupported");
  const random = seededRandom(61);
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i += 1) seen.add(codeOf(Buffer.from(random.bytes(random.int(0, 12)))));
  assert.deepEqual([...seen].sort(), ["media.malformed", "media.truncated", "media.unsupported", "none"]);
});

test("an ADTS header is read, and what is none is not", () => {
  const header = Buffer.from("fff14c8012fffc00", "hex");
  assert.deepEqual(parseAdts(header, 0), {
    headerBytes: 7,
    frameBytes: 151,
    objectType: 2,
    sampleRate: 48_000,
    channels: 2,
    blocks: 1,
  });
  const checked = Buffer.from(header);
  checked[1] = 0xf0;
  assert.equal(parseAdts(checked, 0)!.headerBytes, 9);
  for (const [at, value] of [
    [0, 0xfe],
    [1, 0x01],
    [1, 0xf7],
    [2, 0x7c],
  ] as const) {
    const bad = Buffer.from(header);
    bad[at] = value;
    assert.equal(parseAdts(bad, 0), null, `${at} ${value}`);
  }
  const short = Buffer.from(header);
  short[3] = 0x80;
  short[4] = 0;
  short[5] = 0xff;
  assert.equal(parseAdts(short, 0), null); // shorter than its header
});
