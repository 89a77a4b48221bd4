// A publisher changes what it sends in mid-stream: viewers of encoded renditions see one stream. The init segments stay, no
// slot is missing, every picture is the source's, and the sound goes on.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Rate, rate } from "#media/time/rate.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound, psnr } from "#platform/av/testing/decode.ts";
import { makeVideo, type SourceVideoSettings, scenePlanes } from "#platform/av/testing/source.ts";
import { makeAudio, type SourceAudioSettings } from "#platform/av/testing/source-audio.ts";
import { joinedLogs } from "./testing/joined-log.ts";
import { bytesOf, R25, RUNG, videoOf } from "./testing/look.ts";
import { assertSameFrom, runOver, segmentsOf } from "./testing/runs.ts";
import { audioRung, buildLog, firstFrameOf, type LogSettings, sourceOfLog } from "./testing/session-log.ts";

const av = nodeAv();
process.env.SVT_LOG = "1"; // the AV1 encoder that makes a source greets at length otherwise
/** Of each source. */
const FRAMES = 75;
const UNIT_SAMPLES = { aac: 1024, mp2: 1152, mp3: 1152, ac3: 1536, eac3: 1536, opus: 960 } as const;

type Part = Readonly<{
  video?: Partial<SourceVideoSettings>;
  audio?: Partial<SourceAudioSettings>;
  sourceRate?: Rate;
  log?: Partial<LogSettings>;
}>;

async function logOf({ video, audio, sourceRate = R25, log }: Part) {
  const frames = (FRAMES * sourceRate.num) / (25 * sourceRate.den);
  const settings = videoOf({ rate: sourceRate, frames: Math.round(frames), gopFrames: 25, ...video });
  const format = { sampleRate: 48_000, channels: 2, codec: "aac" as const, ...audio };
  const units = Math.ceil(((FRAMES / 25) * format.sampleRate) / UNIT_SAMPLES[format.codec]);
  return buildLog({
    video: await makeVideo(settings),
    audio: await makeAudio({ ...format, frames: units }),
    audioFormat: format,
    rate: R25,
    sourceRate,
    size: { width: settings.width, height: settings.height },
    renditions: [RUNG, audioRung],
    ...log,
  });
}

/** @param alike whether the pictures behind the change can be told from the scene, frame by frame */
async function assertUnseen(before: Part, after: Part, alike: boolean): Promise<void> {
  const log = joinedLogs([await logOf(before), await logOf(after)], R25, FRAMES);
  const sink = await runOver(av, log);
  assert.deepEqual([...sink.inits.keys()].toSorted(), ["audio/0", "v90/0"]);
  const first = firstFrameOf(R25);
  const pictures = await decodePictures(bytesOf(sink, "v90"));
  assert.deepEqual(
    pictures.map(({ ticks }) => ticks),
    Array.from({ length: 2 * FRAMES }, (_, i) => first + i),
  );
  for (const [i, { luma }] of pictures.entries())
    if (i < FRAMES || alike) {
      const likeness = psnr(luma, scenePlanes(videoOf(), i % FRAMES).y);
      assert.ok(likeness > 24, `frame ${i}: ${likeness} dB`);
    }
  const sound = await decodeSound(bytesOf(sink, "audio"));
  assert.ok(sound.every(({ ticks }, i) => i === 0 || ticks === sound[i - 1]!.ticks + 1024));
  const silent = sound.slice(6, -6).filter(({ samples }) => Math.max(...samples) < 0.2);
  assert.ok(silent.length <= 4, `${silent.length} frames of sound are missing at the change`);

  // And whoever joins behind it makes the same bytes.
  const joinAt = segmentsOf(log).at(-1)!;
  const from = { era: 0, frame: joinAt.start };
  const joiner = await runOver(av, log, { from, source: sourceOfLog(log) });
  assert.ok(assertSameFrom(sink, joiner, joinAt, log) > 3);
}

const CHANGES: readonly (readonly [name: string, before: Part, after: Part, alike?: false])[] = [
  ["pixel format: 4:2:2 of 10 bits", {}, { video: { format: "4:2:2 10" } }],
  ["codec: H.264 to H.265, AAC to MP2", {}, { video: { codec: "hevc" }, audio: { codec: "mp2" } }],
  [
    "codec: H.264 with B-frames to AV1, MP3 to Opus",
    { video: { bFrames: 2 }, audio: { codec: "mp3" } },
    { video: { codec: "av1" }, audio: { codec: "opus" } },
  ],
  [
    "frame rate: 25 to 50, and six channels of AC-3",
    {},
    { sourceRate: rate(50), audio: { codec: "ac3", channels: 6, bitrate: 384_000 } },
    false,
  ],
  ["frame rate: 25 to 12.5", {}, { sourceRate: rate(25, 2) }, false],
  ["sample rate and channels: 48 kHz stereo to 22.05 kHz mono", {}, { audio: { sampleRate: 22_050, channels: 1 } }],
  [
    "range: standard to PQ",
    {},
    { video: { codec: "hevc", format: "4:2:0 10", range: "PQ" }, log: { range: "PQ" } },
    false,
  ],
  ["size and rotation: another shape, turned", {}, { video: { width: 96, height: 170 }, log: { rotation: 90 } }, false],
];

for (const [name, before, after, alike = true] of CHANGES)
  test(`a change of ${name}`, () => assertUnseen(before, after, alike));
