// What players other than ours must find in an init segment: per codec, by our reader and by ffprobe.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { splitUnits } from "#media/codec/audio-syntax.ts";
import { buildAvcConfig } from "#media/codec/avcc.ts";
import { DOLBY } from "#media/codec/dolby.ts";
import { MPEG_AUDIO } from "#media/codec/mpeg-audio.ts";
import { joinLengths, splitAnnexB } from "#media/codec/nal.ts";
import { buildOpusConfig, opusLayout } from "#media/codec/opus.ts";
import { descend, only } from "./read-box.ts";
import { parseInit } from "./read-init.ts";
import { audioTrack, videoTrack } from "./testing/synthetic.ts";
import { type CmafAudioTrack, type CmafTrack, type CmafVideoTrack, writeChunk, writeInit } from "./write.ts";

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0 && spawnSync("ffprobe", ["-version"]).status === 0;
const needsFfmpeg = { skip: hasFfmpeg ? false : "no ffmpeg" };

/** av1C of a 640 x 360 stream as SVT-AV1 makes it, with its sequence header. */
const AV1C = Buffer.from("81010c000a0b0000000cc4ff6700be0010", "hex");
const AUDIO: Omit<CmafAudioTrack, "codec" | "config"> = {
  kind: "audio",
  timescale: 48_000,
  channels: 2,
  bitrate: null,
};

test("every codec of sound comes back with its configuration, its language and no invented bit rate", () => {
  const tracks: CmafAudioTrack[] = [
    { ...(audioTrack() as CmafAudioTrack), bitrate: null, language: "deu" },
    { ...AUDIO, codec: "ac-3", config: Buffer.from("1014c0", "hex"), language: "eng" },
    { ...AUDIO, codec: "ec-3", config: Buffer.from("0600200400", "hex") },
    { ...AUDIO, codec: "Opus", config: buildOpusConfig(opusLayout(2)), language: "français" },
    { ...AUDIO, codec: "mp3", config: Buffer.alloc(0) },
    { ...AUDIO, codec: "mp3", config: Buffer.alloc(0), timescale: 22_050, channels: 1 },
  ];
  const read = tracks.map((track) => {
    const bytes = writeInit(track);
    const { codecName, config, timescale, channels } = parseInit(bytes);
    assert.deepEqual([config, timescale, channels], [Buffer.from(track.config), track.timescale, track.channels]);
    assert.equal(bytes.indexOf("btrt"), -1);
    return `${codecName} ${languageOf(bytes)}`;
  });
  assert.deepEqual(read, ["aac deu", "ac3 eng", "eac3 und", "opus und", "mp3 und", "mp3 und"]);
});

test("AV1 has an av1C; a high dynamic range its colr", () => {
  const colour = { primaries: 9, transfer: 16, matrix: 9, fullRange: false };
  const plain: CmafVideoTrack = { ...(videoTrack(90_000) as CmafVideoTrack), codec: "av01", config: AV1C };
  const bytes = writeInit({ ...plain, colour });
  assert.equal(parseInit(bytes).codecName, "av1");
  const at = bytes.indexOf("colrnclx");
  assert.equal(bytes.toString("hex", at + 8, at + 15), "00090010000900");
  assert.equal(writeInit(plain).indexOf("colr"), -1);
});

test("a turned picture says by how much", () => {
  for (const rotation of [0, 90, 180, 270] as const) {
    const bytes = writeInit({ ...(videoTrack(90_000) as CmafVideoTrack), rotation });
    assert.equal(parseInit(bytes).rotation, rotation);
  }
});

test("ffprobe sees colours and the turn, and ffmpeg decodes without a warning", needsFfmpeg, () => {
  const made = ffmpeg("-f lavfi -i testsrc=size=320x240:rate=25:duration=0.2 -c:v libx264 -bf 0 -f h264");
  const { nals } = splitAnnexB(made);
  const ofType = (...types: number[]) => nals.filter((nal) => types.includes(nal[0]! & 31));
  const track: CmafVideoTrack = {
    ...(videoTrack(25, 320, 240) as CmafVideoTrack),
    config: buildAvcConfig(ofType(7).slice(0, 1), ofType(8).slice(0, 1)),
    colour: { primaries: 9, transfer: 18, matrix: 9, fullRange: false },
    rotation: 90,
  };
  const units = ofType(1, 5).map((nal) => joinLengths([nal]));
  const { streams } = probe(track, units, 1);
  const [{ color_transfer: transfer, color_primaries: primaries, side_data_list: sides }] = streams;
  assert.deepEqual([transfer, primaries], ["arib-std-b67", "bt2020"]);
  // A display that turns by 90 degrees clockwise; ffprobe counts the other way.
  assert.equal(sides[0].rotation, -90);
});

for (const [name, encoder, syntax] of [
  ["ac-3", "ac3", DOLBY],
  ["ec-3", "eac3", DOLBY],
  ["mp3", "mp3", MPEG_AUDIO],
] as const)
  test(`${name}: what ffmpeg made, boxed by us, ffmpeg decodes without a warning`, needsFfmpeg, () => {
    const made = ffmpeg(
      `-f lavfi -i sine=duration=1:sample_rate=48000 -ac 2 -c:a ${encoder} -f ${encoder}${encoder === "mp3" ? " -write_xing 0 -id3v2_version 0" : ""}`,
    );
    const { units } = splitUnits(syntax, made);
    const { config, samplesPerUnit } = syntax.describe(units[0]!.unit, units[0]!.head)!;
    const payloads = units.map(({ unit }) => unit);
    const { streams } = probe({ ...AUDIO, codec: name, config }, payloads, samplesPerUnit);
    assert.deepEqual([streams[0].codec_name, streams[0].channels], [encoder, 2]);
  });

function ffmpeg(options: string): Buffer {
  const made = spawnSync("ffmpeg", ["-v", "error", ...options.split(" "), "pipe:1"], { maxBuffer: 1e8 });
  assert.equal(made.status, 0, made.stderr.toString());
  return made.stdout;
}

/** One file of one chunk: read by ffprobe, decoded by ffmpeg, both without a word of complaint. */
function probe(track: CmafTrack, units: readonly Uint8Array[], durationTicks: number) {
  const folder = mkdtempSync(join(tmpdir(), "cmaf-"));
  try {
    const samples = units.map((bytes, i) => ({
      bytes,
      durationTicks,
      compositionOffsetTicks: 0,
      sync: track.kind === "audio" || i === 0,
    }));
    const chunk = writeChunk({ sequence: 0, baseDecodeTicks: 0, samples, startsSegment: true });
    const file = join(folder, "out.mp4");
    writeFileSync(file, Buffer.concat([writeInit(track), chunk]));
    const probed = spawnSync("ffprobe", ["-v", "warning", "-show_streams", "-of", "json", file]);
    assert.equal(probed.stderr.toString(), "");
    const decoded = spawnSync("ffmpeg", ["-v", "warning", "-i", file, "-f", "null", "-"]);
    assert.equal(decoded.stderr.toString(), "");
    return JSON.parse(probed.stdout.toString());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function languageOf(bytes: Buffer): string {
  const trak = descend(bytes, only(bytes, 0, bytes.byteLength, "moov"), "trak");
  const { body } = descend(bytes, trak, "mdia", "mdhd");
  const code = bytes.readUInt16BE(body + 20);
  return [10, 5, 0].map((shift) => String.fromCharCode(((code >> shift) & 31) + 0x60)).join("");
}
