// The checker reads init segments by itself. Here ffmpeg says what they hold.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { parseInit } from "./mp4.ts";
import { isNamed } from "./sample-entries.ts";

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const SIZE = { width: 322, height: 182 }; // no multiple of a block: both crop
const picture = (format: string) =>
  `-f lavfi -i testsrc=size=322x182:rate=25:duration=0.4 -pix_fmt ${format} -color_primaries bt2020 -colorspace bt2020nc`;
const SOUND = "-f lavfi -i sine=sample_rate=48000:duration=0.5 -ac 2";
const X265 = "-c:v libx265 -tag:v hvc1 -x265-params log-level=none";
const PQ = "-color_trc smpte2084";
const HLG = "-color_trc arib-std-b67";

function initBy(args: string): Buffer {
  const container = "-f mp4 -movflags frag_keyframe+empty_moov+delay_moov+default_base_moof pipe:1";
  const made = spawnSync("ffmpeg", `-v error ${args} ${container}`.split(" "), { maxBuffer: 1e8 });
  assert.equal(made.status, 0, made.stderr.toString());
  const moov = made.stdout.indexOf("moov") - 4;
  return made.stdout.subarray(0, moov + made.stdout.readUInt32BE(moov));
}

const VIDEO: [string, RegExp, string, string][] = [
  ["H.264", /^avc1\.64/, "SDR", `${picture("yuv420p")} -c:v libx264`],
  ["H.264 in 10 bits, PQ", /^avc1\.6e/, "PQ", `${picture("yuv420p10le")} -c:v libx264 ${PQ}`],
  ["HEVC", /^hvc1\.1\.6\.L/, "SDR", `${picture("yuv420p")} ${X265}`],
  ["HEVC in 10 bits, PQ", /^hvc1\.2\.4\.L/, "PQ", `${picture("yuv420p10le")} ${X265} ${PQ}`],
  ["HEVC in 10 bits, HLG", /^hvc1\.2\.4\.L/, "HLG", `${picture("yuv420p10le")} ${X265} ${HLG}`],
  ["AV1", /^av01\.0\.\d\d[MH]\.08$/, "SDR", `${picture("yuv420p")} -c:v libaom-av1 -cpu-used 8`],
  [
    "AV1 in 10 bits, HLG",
    /^av01\.0\.\d\d[MH]\.10$/,
    "HLG",
    `${picture("yuv420p10le")} -c:v libaom-av1 -cpu-used 8 ${HLG}`,
  ],
];

for (const [name, codec, range, args] of VIDEO)
  test(`${name}: codec, size and range`, { skip: hasFfmpeg ? false : "no ffmpeg" }, () => {
    const init = parseInit(initBy(args));
    assert.match(init.codec, codec);
    assert.deepEqual([init.kind, init.codedSize, init.range, init.onItsSide], ["video", SIZE, range, false]);
    assert.deepEqual([init.width, init.height], [SIZE.width, SIZE.height]);
  });

const AUDIO: [string, string][] = [
  ["mp4a.40.2", "-c:a aac"],
  ["mp4a.40.34", "-c:a libmp3lame"],
  ["ac-3", "-c:a ac3"],
  ["ec-3", "-c:a eac3"],
  ["opus", "-c:a libopus"],
];

for (const [codec, args] of AUDIO)
  test(`${codec} is known by its sample entry`, { skip: hasFfmpeg ? false : "no ffmpeg" }, () => {
    const init = parseInit(initBy(`${SOUND} ${args}`));
    assert.deepEqual([init.kind, init.codec, init.timescale], ["audio", codec, 48_000]);
  });

test("what CODECS may call a medium", () => {
  const right = [
    ["mp4a.40.34", "mp4a.6B"],
    ["opus", "Opus"],
    ["av01.0.04M.10", "av01.0.04M.10.0.110.09.16.09.0"],
    ["hvc1.1.6.L93.b0", "hvc1.1.6.L93.B0"],
  ];
  for (const [media, name] of right) assert.ok(isNamed(media!, name!), name);
  const wrong = [
    ["mp4a.40.2", "mp4a.40.34"],
    ["av01.0.04M.10", "av01.0.04M.08"],
    ["hvc1.1.6.L93.b0", "hvc1.1.6.L93"],
    ["avc1.64001f", "avc1.64001"],
  ];
  for (const [media, name] of wrong) assert.ok(!isNamed(media!, name!), name);
});
