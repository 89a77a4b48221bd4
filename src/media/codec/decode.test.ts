// The payloads and configurations we put out, decoded by a decoder that is not ours: the same pictures as of the file.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { VideoTrack } from "#media/session-log/entries.ts";
import { flvDemuxer } from "../flv/demux.ts";
import { mpegtsDemuxer } from "../mpegts/demux.ts";
import { parseAvcConfig } from "./avcc.ts";
import { parseHevcConfig } from "./hvcc.ts";
import { joinAnnexB, splitLengths } from "./nal.ts";

const recorded = join(import.meta.dirname, "../../../test/fixtures/recorded");
/** Stored units have no delimiters; a stream has. */
const DELIMITER = Buffer.of(0x12, 0);
const noDecoder = spawnSync("ffmpeg", ["-version"]).status !== 0;

function picturesOf(file: string, format: string): string[] {
  const options = ["-nostdin", "-v", "error", "-f", format, "-i", file, "-map", "0:v", "-f", "framemd5", "-"];
  const { stdout, stderr, status } = spawnSync("ffmpeg", options, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout
    .split("\n")
    .flatMap((line) => (line.startsWith("#") || line === "" ? [] : [line.split(",").at(-1)!.trim()]));
}

test("av1: a decoder takes the temporal units", { skip: noDecoder && "skipped: no ffmpeg" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "decode-"));
  try {
    const bytes = readFileSync(join(recorded, "av1-multitrack.flv"));
    const units: Buffer[] = [];
    const demuxer = flvDemuxer((event) => {
      if (event.kind === "unit" && event.track === 0) units.push(DELIMITER, Buffer.from(event.payload));
    });
    for (let at = bytes.readUInt32BE(5) + 4; at + 11 < bytes.length; ) {
      const size = bytes.readUIntBE(at + 1, 3);
      if (bytes[at] === 9) demuxer.tag(9, 0, bytes.subarray(at + 11, at + 11 + size));
      at += 11 + size + 4;
    }
    const stream = join(folder, "stream.obu");
    writeFileSync(stream, Buffer.concat(units));
    const pictures = picturesOf(stream, "obu");
    assert.equal(pictures.length, 30);
    assert.equal(new Set(pictures).size, 30); // the test picture moves
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const name of ["h264-bframes", "h264-interlaced", "h264-open-gop", "h264-slices", "h264-turned-hlg", "hevc"])
  test(`${name}: the pictures are those of the file`, { skip: noDecoder && "skipped: no ffmpeg" }, () => {
    const folder = mkdtempSync(join(tmpdir(), "decode-"));
    try {
      const nals: Buffer[] = [];
      let video: VideoTrack | undefined;
      const demuxer = mpegtsDemuxer((event) => {
        if (event.kind === "tracks") video = event.tracks.find((track) => track.kind === "video");
        else if (event.kind === "unit" && event.track === 0) nals.push(...splitLengths(Buffer.from(event.payload)));
      });
      const source = join(recorded, `${name}.mpegts`);
      demuxer.push(readFileSync(source));
      demuxer.end();
      const { config, codec } = video!;
      const { vps, sps, pps } = codec === "h264" ? { vps: [], ...parseAvcConfig(config) } : parseHevcConfig(config);
      const stream = join(folder, "stream");
      writeFileSync(stream, joinAnnexB([...vps, ...sps, ...pps, ...nals]));
      const ours = picturesOf(stream, codec);
      assert.ok(ours.length >= 15);
      assert.deepEqual(ours, picturesOf(source, "mpegts"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
