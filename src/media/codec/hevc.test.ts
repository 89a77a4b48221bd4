import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { parseAvcConfig } from "./avcc.ts";
import { unescapeNal } from "./bits.ts";
import { codecString } from "./codec-string.ts";
import { isRandomAccess, nalType, parseSps, parseVps } from "./hevc.ts";
import { buildHevcConfig, parseHevcConfig } from "./hvcc.ts";
import { splitAnnexB } from "./nal.ts";
import { VideoStream } from "./video-stream.ts";

/** All NAL units of the recorded stream's video PID: start codes survive the transport packets' heads well enough here,
 *  because the parameter sets of this stream lie within one packet. */
function parameterSets(): { vps: Buffer; sps: Buffer; pps: Buffer } {
  const file = readFileSync(join(import.meta.dirname, "../../../test/fixtures/recorded/hevc.mpegts"));
  const packet = Array.from({ length: file.length / 188 }, (_, i) => file.subarray(i * 188, i * 188 + 188)).find(
    (candidate) => (candidate.readUInt16BE(1) & 0x5fff) === 0x4100,
  )!;
  const { nals } = splitAnnexB(packet);
  const of = (type: number) => nals.find((nal) => nal[0] === type << 1)!;
  return { vps: of(32), sps: of(33), pps: of(34) };
}

const codeOf = (read: () => unknown): string => {
  try {
    read();
    return "none";
  } catch (error) {
    assert.ok(error instanceof PlatformError, String(error));
    return error.code;
  }
};

test("a stream of x265 is described", () => {
  const { vps, sps } = parameterSets();
  const parsed = parseSps(sps);
  assert.deepEqual([parsed.width, parsed.height, parsed.bitDepthLuma, parsed.chromaFormat], [160, 90, 10, 1]);
  assert.deepEqual(parsed.declaredRate, { num: 60_000, den: 1001 });
  assert.equal(parsed.profile.profile, 2);
  assert.equal(parsed.fieldPictures, false);
  assert.deepEqual(parseVps(vps), { id: 0, declaredRate: null });
});

test("a configuration record is read back as written", () => {
  const { vps, sps, pps } = parameterSets();
  const record = buildHevcConfig([vps], [sps], [pps]);
  assert.deepEqual(parseHevcConfig(record), { lengthBytes: 4, vps: [vps], sps: [sps], pps: [pps] });
  assert.equal(record[0], 1);
  assert.equal(record[16], 0xfd);
  assert.equal(record[17], 0xfa); // 10 bits
  assert.equal(codecString({ codec: "hevc", config: record }), "hvc1.2.4.L60.90");
  assert.equal(
    codeOf(() => buildHevcConfig([], [sps], [pps])),
    "media.malformed",
  );
  for (let end = 0; end < record.length; end += 1)
    assert.equal(
      codeOf(() => parseHevcConfig(record.subarray(0, end))),
      "media.truncated",
      String(end),
    );
  const stream = new VideoStream(0, "hevc");
  stream.configure(record);
  assert.ok(Buffer.from(stream.track!.config).equals(record));
});

test("random access is IDR, BLA and CRA", () => {
  assert.deepEqual(Array.from({ length: 40 }, (_, type) => type).filter(isRandomAccess), [16, 17, 18, 19, 20, 21]);
  assert.equal(nalType(Buffer.of(0x26, 1)), 19);
});

test("codec strings have the tier, and leave out what is zero", () => {
  const config = Buffer.alloc(23);
  config.writeUInt32BE(0x6000_0000, 2);
  config.set([1, 0x01], 0);
  config.set([0xb0, 0, 0, 0, 0, 0, 93], 6);
  assert.equal(codecString({ codec: "hevc", config }), "hvc1.1.6.L93.b0");
  config[1] = 0x21;
  assert.equal(codecString({ codec: "hevc", config }), "hvc1.1.6.H93.b0");
  config[6] = 0;
  assert.equal(codecString({ codec: "hevc", config }), "hvc1.1.6.H93");
  assert.equal(codecString({ codec: "h264", config: Buffer.of(1, 0x64, 0, 0x1f) }), "avc1.64001f");
  assert.equal(codecString({ codec: "aac", config: Buffer.of(0x11, 0x90) }), "mp4a.40.2");
  assert.throws(() => codecString({ codec: "h264", config: Buffer.of(1) }), { code: "media.truncated" });
});

test("no bytes make the parsers throw anything but their own errors", () => {
  const random = seededRandom(51);
  const { vps, sps, pps } = parameterSets();
  const record = buildHevcConfig([vps], [sps], [pps]);
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i += 1) {
    const from = [Buffer.from(random.bytes(random.int(0, 80))), sps, vps, record][i % 4]!;
    const bytes = Buffer.from(from);
    for (let k = random.int(0, 4); k > 0 && bytes.length > 0; k -= 1)
      bytes[random.int(0, bytes.length)]! ^= 1 << random.int(0, 8);
    const cut = bytes.subarray(0, random.int(0, bytes.length + 1));
    for (const read of [parseSps, parseVps, parseHevcConfig, parseAvcConfig]) seen.add(codeOf(() => read(cut)));
  }
  assert.deepEqual([...seen].sort(), ["media.malformed", "media.truncated", "none"]);
});

test("emulation prevention is removed wherever it stands", () => {
  const cases: [number[], number[]][] = [
    [
      [0, 0, 3],
      [0, 0],
    ],
    [
      [0, 0, 3, 0, 0, 3, 1],
      [0, 0, 0, 0, 1],
    ],
    [
      [0, 0, 3, 3, 0, 0, 3, 0, 3],
      [0, 0, 3, 0, 0, 0, 3],
    ],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
  ];
  for (const [escaped, plain] of cases) assert.deepEqual([...unescapeNal(Buffer.from(escaped))], plain);
});
