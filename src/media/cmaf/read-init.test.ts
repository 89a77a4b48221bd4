// Init segments of every codec that HLS carries: as an independent program writes them, and torn.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { box, fullBox, joinBoxes, u8, u16, u32 } from "./box.ts";
import { parseInit } from "./read-init.ts";
import { audioTrack, videoTrack } from "./testing/synthetic.ts";
import { writeInit } from "./write.ts";

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const PICTURE = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=0.4", "-pix_fmt"];
const SOUND = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=0.5"];

/** What ffmpeg writes before the first moof. */
function initBy(...args: string[]): Buffer {
  const container = ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+delay_moov+default_base_moof", "pipe:1"];
  const made = spawnSync("ffmpeg", ["-v", "error", ...args, ...container], { maxBuffer: 1e8 });
  assert.equal(made.status, 0, made.stderr.toString());
  const moov = made.stdout.indexOf("moov") - 4;
  return made.stdout.subarray(0, moov + made.stdout.readUInt32BE(moov));
}

const CASES: readonly [string, string, RegExp, string[]][] = [
  [
    "hevc",
    "8 bits",
    /^hvc1\.1\.6\.L\d+(\.[0-9a-f]+)*$/,
    [...PICTURE, "yuv420p", "-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=none"],
  ],
  [
    "hevc",
    "10 bits",
    /^hvc1\.2\.4\.L\d+(\.[0-9a-f]+)*$/,
    [...PICTURE, "yuv420p10le", "-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=none"],
  ],
  ["av1", "8 bits", /^av01\.0\.\d\d[MH]\.08/, [...PICTURE, "yuv420p", "-c:v", "libaom-av1", "-cpu-used", "8"]],
  ["av1", "10 bits", /^av01\.0\.\d\d[MH]\.10/, [...PICTURE, "yuv420p10le", "-c:v", "libaom-av1", "-cpu-used", "8"]],
  ["h264", "", /^avc1\.64[0-9a-f]{4}$/, [...PICTURE, "yuv420p", "-c:v", "libx264"]],
  ["aac", "", /^mp4a\.40\.2$/, [...SOUND, "-c:a", "aac"]],
  ["mp3", "", /^mp4a\.40\.34$/, [...SOUND, "-c:a", "libmp3lame"]],
  ["mp3", "MPEG-2", /^mp4a\.40\.34$/, [...SOUND, "-c:a", "libmp3lame", "-ar", "24000"]],
  ["ac3", "", /^ac-3$/, [...SOUND, "-c:a", "ac3"]],
  ["eac3", "", /^ec-3$/, [...SOUND, "-c:a", "eac3"]],
  ["opus", "", /^Opus$/i, [...SOUND, "-c:a", "libopus"]],
];

for (const [name, more, codec, args] of CASES)
  test(`${name} ${more} as ffmpeg boxes it`, { skip: hasFfmpeg ? false : "no ffmpeg" }, () => {
    const init = parseInit(initBy(...args));
    assert.equal(init.codecName, name);
    assert.match(init.codec, codec);
    if (init.kind === "video") assert.deepEqual([init.width, init.height, init.rotation], [320, 240, 0]);
  });

/** An init segment with another sample entry of the same kind. */
function withEntry(entry: Buffer, kind: "video" | "audio" = "audio"): Buffer {
  const init = writeInit(kind === "audio" ? audioTrack() : videoTrack(90_000));
  const at = init.indexOf(kind === "audio" ? "mp4a" : "avc1") - 4;
  const size = init.readUInt32BE(at);
  const out = Buffer.concat([init.subarray(0, at), entry, init.subarray(at + size)]);
  for (const type of ["moov", "trak", "mdia", "minf", "stbl", "stsd"]) {
    const length = out.indexOf(type) - 4;
    out.writeUInt32BE(out.readUInt32BE(length) + entry.byteLength - size, length);
  }
  return out;
}

const audioFields = (channels: number) => [u32(0), u16(0, 1), u32(0, 0), u16(channels, 16), u32(0), u16(48_000, 0)];

test("entries without their configuration, and those of no codec that HLS carries, are refused with a code", () => {
  const refused: [Buffer, string][] = [
    [joinBoxes(box("ac-3", ...audioFields(2))), "media.malformed"],
    [joinBoxes(box("ac-3", ...audioFields(2), box("dac3", u8(0x10)))), "media.truncated"],
    [joinBoxes(box("Opus", ...audioFields(2), box("dOps", u8(0, 2)))), "media.truncated"],
    [joinBoxes(box("fLaC", ...audioFields(2), fullBox("dfLa", 0, 0, u32(0)))), "media.unsupported"],
    [joinBoxes(box("constructor", ...audioFields(2))), "media.unsupported"],
    [joinBoxes(box("ac-3", u32(0))), "media.truncated"],
  ];
  for (const [entry, code] of refused) assert.throws(() => parseInit(withEntry(entry)), { code });
  const av01 = joinBoxes(box("av01", Buffer.alloc(78), box("av1C", u8(0x81))));
  assert.throws(
    () => parseInit(withEntry(av01, "video")),
    (error) => error instanceof PlatformError,
  );
});

test("MP3 in MPEG-4 clothes (object type 34) is MP3", () => {
  const track = audioTrack();
  const plain = writeInit(track);
  const config = Buffer.from(track.config);
  const at = plain.indexOf(Buffer.concat([u8(5, 0x80, config.length), config]));
  plain.set([0xf8, 0x46], at + 3);
  assert.equal(parseInit(plain).codec, "mp4a.40.34");
});

test("the rotation is what the matrix of tkhd says", () => {
  const at = (bytes: Buffer) => bytes.indexOf("tkhd") + 4 + 40;
  const turned = (a: number, b: number, c: number, d: number) => {
    const init = writeInit(videoTrack(90_000));
    for (const [i, value] of [a, b, 0, c, d, 0].entries()) init.writeInt32BE(value * 65_536, at(init) + i * 4);
    return parseInit(init).rotation;
  };
  assert.deepEqual(
    [turned(1, 0, 0, 1), turned(0, 1, -1, 0), turned(-1, 0, 0, -1), turned(0, -1, 1, 0)],
    [0, 90, 180, 270],
  );
});

test("fuzz: flipped and cut init segments are read or refused with a code", () => {
  const random = seededRandom(77);
  const inits = [
    withEntry(joinBoxes(box("ec-3", ...audioFields(6), box("dec3", u8(0x0c, 0, 0x20, 0x0f, 0))))),
    withEntry(joinBoxes(box("Opus", ...audioFields(2), box("dOps", u8(0, 2, 1, 56, 0, 0, 187, 128, 0, 0, 0))))),
    withEntry(joinBoxes(box("av01", Buffer.alloc(78), box("av1C", u8(0x81, 4, 0x0c, 0)))), "video"),
    writeInit(audioTrack()),
    writeInit(videoTrack(90_000)),
  ];
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 8000; round += 1) {
    const bytes = Buffer.from(inits[round % inits.length]!);
    for (let i = random.int(0, 4); i > 0; i -= 1) bytes[random.int(0, bytes.byteLength)]! ^= 1 << random.int(0, 8);
    try {
      parseInit(random.next() < 0.2 ? bytes.subarray(0, random.int(0, bytes.byteLength)) : bytes);
      taken += 1;
    } catch (error) {
      assert.ok(error instanceof PlatformError, `${error}`);
      refused += 1;
    }
  }
  assert.ok(taken > 1000 && refused > 1000, `${taken} taken, ${refused} refused`);
});
