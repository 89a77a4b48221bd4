import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { PlatformError } from "#base/errors.ts";
import type { FileUnit } from "../../media-file.ts";
import { openAudioDecoder } from "./audio-decoder.ts";
import { openMediaFile } from "./media-file.ts";
import { openTransportStream } from "./transport-stream.ts";
import { openVideoDecoder } from "./video-decoder.ts";

const folder = mkdtempSync(join(tmpdir(), "continuity-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const recorded = (name: string) =>
  fileURLToPath(new URL(`../../../../../test/fixtures/recorded/${name}`, import.meta.url));

async function readAll(path: string) {
  const file = await openMediaFile(path);
  try {
    const units: FileUnit[] = [];
    for (let unit = await file.read(); unit !== null; unit = await file.read()) units.push(unit);
    const { video, audio, converted, startMs, endMs } = file;
    return {
      video,
      audio,
      converted,
      startMs,
      endMs,
      units,
      of: (kind: string) => units.filter((u) => u.kind === kind),
    };
  } finally {
    await file.close();
  }
}

/** 16-bit stereo: a 1 kHz tone on the left, nothing on the right. */
function wav(seconds: number, sampleRate: number): Buffer {
  const samples = Buffer.alloc(seconds * sampleRate * 4);
  for (let i = 0; i < seconds * sampleRate; i += 1)
    samples.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 1000 * i) / sampleRate)), i * 4);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0).toString();
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(2, 22);
  head.writeUInt32LE(sampleRate, 24);
  head.writeUInt32LE(sampleRate * 4, 28);
  head.writeUInt16LE(4, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

/** Uncompressed 4:2:0 pictures whose luma goes up by one each frame. */
function y4m(frames: number, width: number, height: number): Buffer {
  const one = (luma: number) =>
    Buffer.concat([
      Buffer.from("FRAME\n"),
      Buffer.alloc(width * height, luma),
      Buffer.alloc((width * height) / 2, 128),
    ]);
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F30000:1001 Ip A1:1 C420jpeg\n`);
  return Buffer.concat([head, ...Array.from({ length: frames }, (_, i) => one(40 + i))]);
}

test("H.264 with B-frames and AAC pass as they are, in decode order from 0", async () => {
  const { video, audio, converted, units, of, startMs, endMs } = await readAll(recorded("h264-bframes.mpegts"));
  assert.deepEqual(converted, { video: false, audio: false });
  assert.ok(video?.codec === "h264" && video.width === 160 && audio?.sampleRate === 48_000);
  assert.equal(of("video").length, 50);
  assert.ok(units[0]!.dtsMs === 0 || units[0]!.ptsMs === 0);
  units.slice(1).forEach((unit, i) => {
    assert.ok(unit.dtsMs >= units[i]!.dtsMs, "interleaved by decode time");
  });
  const shown = of("video")
    .map(({ ptsMs }) => ptsMs)
    .sort((a, b) => a - b);
  shown.slice(1).forEach((ptsMs, i) => {
    assert.ok(Math.abs(ptsMs - shown[i]! - 40) < 0.1, `step of ${ptsMs - shown[i]!} ms`);
  });
  assert.ok(units.every(({ ptsMs, dtsMs }) => ptsMs >= dtsMs));
  assert.ok(startMs >= 0 && startMs < 200 && endMs > 1990 && endMs < 2300);
});

test("H.265 of 10 bits, FLV and sound alone pass as well", async () => {
  const hevc = await readAll(recorded("hevc.mpegts"));
  assert.ok(hevc.video?.codec === "hevc" && hevc.video.bitDepth === 10 && !hevc.converted.video);
  const flv = await readAll(recorded("h264-aac.flv"));
  assert.ok(flv.of("video").length === 60 && flv.audio?.sampleRate === 44_100 && !flv.converted.audio);
  const sound = await readAll(recorded("audio-only.mpegts"));
  assert.ok(sound.video === null && sound.audio !== null && sound.of("audio").length > 60);
});

test("other pictures are coded as H.264 with a key picture each second, all of them and in time", async () => {
  const path = join(folder, "grey.y4m");
  writeFileSync(path, y4m(75, 128, 96));
  const { video, converted, of } = await readAll(path);
  assert.ok(video?.codec === "h264" && converted.video && video.width === 128 && video.height === 96);
  assert.deepEqual(video.declaredRate, { num: 30_000, den: 1001 });
  const units = of("video");
  assert.equal(units.length, 75);
  units.forEach(({ ptsMs, key }, i) => {
    assert.ok(Math.abs(ptsMs - (i * 1001) / 30) < 0.1, `picture ${i} at ${ptsMs}`);
    assert.equal(key, i === 0 || i === 30 || i === 60, `key at ${i}`);
  });
  const decoder = await openVideoDecoder({ codec: "h264", config: video.config, reorders: false });
  for (const [i, { payload }] of units.entries())
    for (const picture of await decoder.decode({ payload, tag: i })) {
      assert.ok(Math.abs(picture.luma()[5000]! - 40 - picture.tag) <= 2, `luma ${picture.luma()[5000]}`);
      picture.release();
    }
  await decoder.close();
});

test("other sound is coded as AAC at 48 kHz, as long as it was and on its own channel", async () => {
  const path = join(folder, "tone.wav");
  writeFileSync(path, wav(2, 44_100));
  const { video, audio, converted, of } = await readAll(path);
  assert.ok(video === null && audio?.sampleRate === 48_000 && audio.channels === 2 && converted.audio);
  const units = of("audio");
  assert.ok(Math.abs(units.length - (2 * 48_000) / 1024) < 1.01, `${units.length} frames`);
  units.forEach(({ ptsMs }, i) => {
    assert.ok(Math.abs(ptsMs - (i * 1024) / 48) < 0.01, `frame ${i} at ${ptsMs}`);
  });
  const decoder = await openAudioDecoder(audio);
  const energy = [0, 0];
  for (const { payload } of units)
    decoder.decode(payload)?.planes.forEach((plane, channel) => {
      for (const sample of plane) energy[channel]! += sample * sample;
    });
  decoder.close();
  const rms = energy.map((sum) => Math.sqrt(sum / (units.length * 1024)));
  assert.ok(Math.abs(rms[0]! - 8000 / 32_768 / Math.SQRT2) < 0.02, `left ${rms[0]}`);
  assert.ok(rms[1]! < 0.01, `right ${rms[1]}`);
});

test("what is no media is refused in one sentence", async () => {
  const path = join(folder, "noise.bin");
  writeFileSync(path, Buffer.alloc(4000, "no media here "));
  for (const name of [path, join(folder, "missing.mp4"), folder])
    await assert.rejects(openMediaFile(name), (error: unknown) => {
      assert.ok(error instanceof PlatformError && error.code === "media.unsupported", String(error));
      assert.ok(error.message.includes(name));
      return true;
    });
});

test("what is muxed to MPEG-TS reads back with the same units and times", async () => {
  for (const name of ["h264-bframes.mpegts", "hevc.mpegts", "h264-aac.flv", "audio-only.mpegts"]) {
    const source = await readAll(recorded(name));
    const writer = await openTransportStream(source);
    const chunks: Uint8Array[] = [];
    for (const unit of source.units) chunks.push(await writer.write(unit));
    await writer.close();
    const bytes = Buffer.concat(chunks);
    assert.equal(bytes.length % 188, 0);
    const path = join(folder, "again.mpegts");
    writeFileSync(path, bytes);
    const again = await readAll(path);
    for (const kind of ["video", "audio"]) {
      const [was, is] = [source.of(kind), again.of(kind)];
      assert.equal(is.length, was.length, `${name} ${kind}`);
      is.forEach((unit, i) => {
        assert.ok(Buffer.from(unit.payload).equals(was[i]!.payload), `${name} ${kind} ${i}`);
        assert.ok(Math.abs(unit.ptsMs - unit.dtsMs - (was[i]!.ptsMs - was[i]!.dtsMs)) < 0.05);
      });
    }
  }
});
