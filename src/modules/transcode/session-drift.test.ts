// A drift step, as viewers see and hear it: one picture more or less at the boundary, and sound without a break.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodeSound } from "#platform/av/testing/decode.ts";
import { makeVideo } from "#platform/av/testing/source.ts";
import { makeAudio } from "#platform/av/testing/source-audio.ts";
import { withDriftStep } from "./testing/drift-log.ts";
import { bytesOf, R25, RUNG, SIZE, shownFrames, videoOf } from "./testing/look.ts";
import { runOver } from "./testing/runs.ts";
import { audioRung, buildLog, firstFrameOf } from "./testing/session-log.ts";

const av = nodeAv();
const FRAMES = 150;

for (const [step, codec, units] of [
  [1, "mp2", 250],
  [-1, "aac", 282],
] as const)
  test(`a step of ${step}, sound in ${codec}`, async () => {
    const settings = videoOf({ frames: FRAMES, gopFrames: 25, bFrames: 1 });
    const plain = buildLog({
      video: await makeVideo(settings),
      audio: await makeAudio({ codec, sampleRate: 48_000, channels: 2, frames: units }),
      rate: R25,
      size: SIZE,
      renditions: [RUNG, audioRung],
    });
    const { log, frame } = withDriftStep(plain, step);
    const sink = await runOver(av, log);

    const first = firstFrameOf(R25);
    const shown = await shownFrames(sink, settings);
    assert.equal(shown.size, FRAMES + step, "every slot is shown");
    for (const [slot, source] of shown) {
      const own = slot - first;
      // +1: the picture before the boundary again, in the boundary's slot. -1: the one at the boundary is dropped.
      const expected = slot < frame ? own : step === 1 && slot === frame ? own - 1 : own - step;
      assert.equal(source, expected, `slot ${own}, the boundary is ${frame - first}`);
    }

    const sound = await decodeSound(bytesOf(sink, "audio"));
    assert.ok(sound.every(({ ticks }, i) => i === 0 || ticks === sound[i - 1]!.ticks + 1024));
    const samples = sound.slice(4, -6).flatMap((piece) => [...piece.samples]);
    // The tone's two sines cannot step by more than this between samples; a click or a missing unit does.
    const steepest = 2 * Math.PI * (0.25 * (440 / 48_000) + 0.17 * (1234.5 / 48_000));
    for (let i = 1; i < samples.length; i += 1)
      assert.ok(Math.abs(samples[i]! - samples[i - 1]!) < steepest * 1.25 + 0.004, `a jump at sample ${i}`);
    for (let i = 0; i + 1024 <= samples.length; i += 1024) {
      const peak = samples.slice(i, i + 1024).reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      assert.ok(peak > 0.25, `silence at sample ${i}`);
    }
  });
