// Where segments meet, the viewer must notice nothing: a hash says that two workers agree, not that what they agree on is
// good. Sound: the residual against the true signal near each boundary. Picture: the first frames of each segment, and
// the whole against one encoder that was never opened anew.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { presumedColour } from "#media/codec/colour.ts";
import type { VideoRendition } from "#media/ladder/rendition.ts";
import { indexAt, rate, timeOf } from "#media/time/rate.ts";
import { runOver, segmentsOf } from "#modules/transcode/testing/runs.ts";
import {
  audioRung,
  buildLog,
  firstFrameOf,
  type MemorySink,
  videoRung,
} from "#modules/transcode/testing/session-log.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound, psnr } from "#platform/av/testing/decode.ts";
import { makeVideo, type SourceVideo } from "#platform/av/testing/source.ts";
import { makeAudio, sceneSamples } from "#platform/av/testing/source-audio.ts";

const av = nodeAv();
const SIZE = { width: 320, height: 180 };
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function bytesOf(sink: MemorySink, name: string): Uint8Array[] {
  return [sink.inits.get(`${name}/0`)!, ...sink.parts.filter(({ track }) => track === name).map(({ bytes }) => bytes)];
}

/** Noise against signal in dB of each span of 1024 samples. */
function residuals(
  decoded: readonly { ticks: number; samples: Float32Array }[],
  truth: (from: number) => Float32Array,
) {
  return decoded.map(({ ticks, samples }) => {
    const expected = truth(ticks);
    let noise = 0;
    let signal = 0;
    for (let i = 0; i < samples.length; i += 1) {
      noise += (samples[i]! - expected[i]!) ** 2;
      signal += expected[i]! ** 2;
    }
    return { ticks, snr: 10 * Math.log10(signal / noise) };
  });
}

/** Samples by which encoder and decoder of the source delay it. */
const SOUNDS = [
  { codec: "aac", sampleRate: 48_000, delay: 0 },
  { codec: "aac", sampleRate: 44_100, delay: 0 },
  { codec: "ac3", sampleRate: 48_000, delay: 256 },
  { codec: "opus", sampleRate: 48_000, delay: 312 },
] as const;
const UNIT_SAMPLES = { aac: 1024, ac3: 1536, opus: 960 } as const;

for (const { codec, sampleRate, delay } of SOUNDS)
  test(`sound from ${codec} of ${sampleRate} Hz is as good at segment boundaries as elsewhere`, async () => {
    const seconds = 12;
    const r = rate(25);
    const audioFormat = { sampleRate, channels: 2 };
    const settings = { ...audioFormat, codec, frames: Math.ceil((seconds * sampleRate) / UNIT_SAMPLES[codec]) };
    const audio = await makeAudio(settings);
    const log = buildLog({ video: null, audio, rate: r, size: SIZE, audioFormat, renditions: [audioRung] });
    const sink = await runOver(av, log);
    const decoded = await decodeSound(bytesOf(sink, "audio"));
    assert.ok(
      decoded.every(({ ticks }, i) => i === 0 || ticks === decoded[i - 1]!.ticks + 1024),
      "no gap, no overlap",
    );

    // Source sample i lies at index first + i of its own rate; the output is on the grid of 48 kHz.
    const first = indexAt(rate(sampleRate), timeOf(r, firstFrameOf(r)));
    const truth = (ticks: number) => {
      const offset = (ticks * sampleRate) / 48_000 - first - delay;
      return sceneSamples({ ...settings, sampleRate: 48_000 }, (offset * 48_000) / sampleRate, 1024);
    };
    const starts = segmentsOf(log)
      .slice(1)
      .map((segment) => (segment.start * 48_000) / 25);
    const inside = residuals(decoded, truth).slice(8, -8);
    const isSeam = (ticks: number) => starts.some((start) => Math.abs(ticks - start) <= 3 * 1024);
    const seams = inside.filter(({ ticks }) => isSeam(ticks)).map(({ snr }) => snr);
    const others = inside.filter(({ ticks }) => !isSeam(ticks)).map(({ snr }) => snr);
    assert.ok(seams.length > 20 && others.length > 200);
    // An encoder that begins is up to 2 dB worse than one that runs (12 frames of pre-roll), and single frames scatter by
    // 15 dB. With 4 frames it is 3 to 5 dB worse; without pre-roll the worst seam is at 12 dB, a click.
    assert.ok(mean(seams) > mean(others) - 3, `${mean(seams)} dB at seams, ${mean(others)} elsewhere`);
    assert.ok(Math.min(...seams) > 30, `${Math.min(...seams)} dB at the worst seam`);
    assert.ok(Math.min(...others) > 30, `${Math.min(...others)} dB at the worst frame elsewhere`);
  });

/** The pictures a worker's encoders were given. */
async function sourcePictures(video: SourceVideo): Promise<Uint8Array[]> {
  const decoder = await av.openVideoDecoder({ codec: "h264", config: video.config, reorders: false });
  const planes: Uint8Array[] = [];
  for (const [tag, unit] of video.units.entries())
    for (const picture of await decoder.decode({ payload: unit.payload, tag })) {
      planes.push(picture.luma());
      picture.release();
    }
  for (const picture of await decoder.drain()) {
    planes.push(picture.luma());
    picture.release();
  }
  await decoder.close();
  return planes;
}

/** One encoder for all of it, with key frames at the same places. */
async function continuous(video: SourceVideo, rendition: VideoRendition, first: number, keys: ReadonlySet<number>) {
  const r = rate(25);
  const colour = presumedColour({ codec: "h264", config: video.config, height: SIZE.height });
  const encoder = await av.openVideoEncoder({ rendition, rate: r, colour });
  const own = await av.openVideoDecoder({ codec: "h264", config: encoder.config, reorders: false });
  const source = await av.openVideoDecoder({ codec: "h264", config: video.config, reorders: false });
  const planes: Uint8Array[] = [];
  let bytes = 0;
  for (const [tag, unit] of video.units.entries())
    for (const picture of await source.decode({ payload: unit.payload, tag })) {
      const frame = first + planes.length;
      for (const coded of await encoder.encode(picture, { ptsTicks: frame, key: keys.has(frame), repeated: false })) {
        bytes += coded.bytes.length;
        for (const decoded of await own.decode({ payload: coded.bytes, tag: frame })) {
          planes.push(decoded.luma());
          decoded.release();
        }
      }
      picture.release();
    }
  for (const machine of [encoder, own, source]) await machine.close();
  return { planes, bytes };
}

for (const [name, maxBitrate] of [
  ["below the cap", 3_000_000],
  ["at the cap", 300_000],
] as const)
  test(`pictures ${name}: first frames as good as others, the whole within 0.3 dB of one encoder`, async () => {
    const r = rate(25);
    const video = await makeVideo({ ...SIZE, rate: r, frames: 250, gopFrames: 50 });
    const rendition = videoRung(180, { preset: "veryfast", maxBitrate });
    const log = buildLog({ video, audio: null, rate: r, size: SIZE, renditions: [rendition] });
    const sink = await runOver(av, log);
    const pieces = bytesOf(sink, "v180");
    const pictures = await decodePictures(pieces);
    const first = firstFrameOf(r);
    assert.deepEqual(
      pictures.map(({ ticks }) => ticks),
      Array.from({ length: 250 }, (_, i) => first + i),
    );
    const source = await sourcePictures(video);
    const quality = pictures.map(({ luma }, i) => psnr(luma, source[i]!));
    const starts = segmentsOf(log).map((segment) => segment.start - first);
    const isFirst = (i: number) => starts.some((start) => i >= start && i < start + 5);
    const firsts = quality.filter((_, i) => isFirst(i));
    const others = quality.filter((_, i) => !isFirst(i));
    const one = await continuous(video, rendition, first, new Set(starts.map((start) => first + start)));
    const oneQuality = one.planes.map((luma, i) => psnr(luma, source[i]!));
    const bytes = pieces.slice(1).reduce((sum, piece) => sum + piece.length, 0);
    assert.ok(mean(firsts) > mean(others) - 0.5, `first frames ${mean(firsts)} dB, others ${mean(others)}`);
    assert.ok(bytes < one.bytes * 1.12, `${bytes} bytes, one encoder ${one.bytes}`);
    assert.ok(mean(quality) > mean(oneQuality) - 0.3, `${mean(quality)} dB, one encoder ${mean(oneQuality)}`);
  });
