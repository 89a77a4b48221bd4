import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { type Rate, rate, STANDARD_RATES } from "./rate.ts";
import {
  AAC_FRAME_SAMPLES,
  audioFrameAtOrAfter,
  audioFramesOf,
  PART_MS_MIN,
  partFrames,
  partStarts,
  partTargetMs,
  segmentFrames,
  segmentStart,
  targetDurationSeconds,
} from "./segmentation.ts";

const anyRate = fc.constantFrom(...STANDARD_RATES);
const anySegmentMs = fc.constantFrom(1000, 2000, 3000, 4000, 6000);
const anyPartMs = fc.oneof(fc.constantFrom(150, 200, 250, 334, 500, 1000), fc.integer({ min: PART_MS_MIN, max: 1000 }));
const anySampleRate = fc.constantFrom(48_000, 44_100, 32_000);
const runs = { seed: 11, numRuns: 1000 };
/** A frame of today on the grid. */
const today = (r: Rate) => Math.floor((1_795_231_538 * r.num) / r.den);

test("frames of a segment and of a part as they are known for 2 s and 0.334 s", () => {
  const cases: [Rate, number, number][] = [
    [rate(24_000, 1001), 48, 8],
    [rate(24), 48, 8],
    [rate(25), 50, 8],
    [rate(30_000, 1001), 60, 10],
    [rate(30), 60, 10],
    [rate(50), 100, 15],
    [rate(60_000, 1001), 120, 20],
    [rate(60), 120, 20],
  ];
  for (const [r, frames, part] of cases) {
    assert.equal(segmentFrames(r, 2000), frames);
    const kMost = Math.floor(0.334 * (r.num / r.den) * 1.002);
    assert.equal(partFrames(r, frames, 334), Math.ceil(frames / Math.ceil(frames / kMost)));
    assert.ok(Math.abs(partFrames(r, frames, 334) - part) <= 2, `${r.num}/${r.den}`);
  }
});

test("parts fill their segment; all are as long as asked at most, and alike but for the last", () => {
  fc.assert(
    fc.property(anyRate, anySegmentMs, anyPartMs, fc.nat(1_000_000), (r, segmentMs, partMs, n) => {
      const frames = segmentFrames(r, segmentMs);
      const k = partFrames(r, frames, partMs);
      assert.ok(k >= 1 && k <= frames);
      const start = segmentStart(today(r) + n, frames);
      const starts = partStarts(start, start + frames, k);
      const lengths = starts.map((first, i) => (starts[i + 1] ?? start + frames) - first);
      assert.equal(
        lengths.reduce((sum, length) => sum + length, 0),
        frames,
      );
      assert.ok(lengths.slice(0, -1).every((length) => length === k));
      assert.ok(lengths.at(-1)! >= 1 && lengths.at(-1)! <= k);
      const seconds = (k * r.den) / r.num;
      const least = Math.ceil((0.128 * r.num) / r.den) * (r.den / r.num); // whole frames of six audio frames' length
      assert.ok(seconds <= Math.max((partMs / 1000) * 1.002, least) + 1e-9, `${k} frames at ${r.num}/${r.den}`);
    }),
    runs,
  );
});

test("PART-TARGET covers every part, video and audio, and every part but the last fills 85 % of it", () => {
  fc.assert(
    fc.property(
      anyRate,
      anySegmentMs,
      anyPartMs,
      fc.option(anySampleRate, { nil: null }),
      fc.nat(1_000_000),
      (r, segmentMs, partMs, sampleRate, n) => {
        const frames = segmentFrames(r, segmentMs);
        const k = partFrames(r, frames, partMs);
        const target = partTargetMs(r, k, sampleRate);
        const sixFramesMs = (6 * AAC_FRAME_SAMPLES * 1000) / (sampleRate ?? 48_000);
        const isEncoded = sampleRate === 48_000 || (k * r.den * 1000) / r.num >= sixFramesMs; // we encode at 48 kHz only
        const start = segmentStart(today(r) + n, frames);
        const starts = partStarts(start, start + frames, k);
        starts.forEach((first, i) => {
          const end = starts[i + 1] ?? start + frames;
          const isLast = i === starts.length - 1;
          const lengthsMs = [((end - first) * r.den * 1000) / r.num];
          if (sampleRate !== null) {
            const audio = audioFramesOf(r, first, end, sampleRate);
            lengthsMs.push(((audio.end - audio.start) * AAC_FRAME_SAMPLES * 1000) / sampleRate);
          }
          for (const ms of lengthsMs) {
            assert.ok(ms <= target + 1e-6, `${ms} ms in a target of ${target}`);
            if (!isLast && isEncoded) assert.ok(ms >= 0.85 * target - 1e-6, `${ms} ms of ${target}`);
          }
        });
      },
    ),
    runs,
  );
});

test("audio frames of consecutive segments and parts tile: no gap, no overlap, each starts inside", () => {
  fc.assert(
    fc.property(
      anyRate,
      anySegmentMs,
      anyPartMs,
      anySampleRate,
      fc.nat(1_000_000),
      (r, segmentMs, partMs, sampleRate, n) => {
        const frames = segmentFrames(r, segmentMs);
        const first = segmentStart(today(r) + n, frames);
        let next: number | null = null;
        for (let s = 0; s < 4; s += 1) {
          const start = first + s * frames;
          const whole = audioFramesOf(r, start, start + frames, sampleRate);
          assert.ok(next === null || whole.start === next);
          next = whole.end;
          const startsInside = (audio: number, from: number, to: number) => {
            // audio / sampleRate against from * den / num, both sides times everything
            const at = BigInt(audio) * BigInt(AAC_FRAME_SAMPLES) * BigInt(r.num);
            const frame = (index: number) => BigInt(index) * BigInt(r.den) * BigInt(sampleRate);
            return at >= frame(from) && at < frame(to);
          };
          assert.ok(
            startsInside(whole.start, start, start + frames) && startsInside(whole.end - 1, start, start + frames),
          );
          assert.ok(
            !startsInside(whole.start - 1, start, start + frames) && !startsInside(whole.end, start, start + frames),
          );
          const starts = partStarts(start, start + frames, partFrames(r, frames, partMs));
          let at: number = whole.start;
          starts.forEach((from, i) => {
            const part: { start: number; end: number } = audioFramesOf(
              r,
              from,
              starts[i + 1] ?? start + frames,
              sampleRate,
            );
            assert.equal(part.start, at);
            at = part.end;
          });
          assert.equal(at, whole.end);
        }
      },
    ),
    { ...runs, numRuns: 300 },
  );
});

test("TARGETDURATION: no segment of the presentation rounds above it", () => {
  fc.assert(
    fc.property(
      anyRate,
      anySegmentMs,
      fc.option(anySampleRate, { nil: null }),
      fc.nat(1_000_000),
      (r, segmentMs, sampleRate, n) => {
        const frames = segmentFrames(r, segmentMs);
        const start = segmentStart(today(r) + n, frames);
        const target = targetDurationSeconds(r, frames, sampleRate);
        assert.ok(Math.round((frames * r.den) / r.num) <= target);
        if (sampleRate === null) return;
        const audio = audioFramesOf(r, start, start + frames, sampleRate);
        assert.ok(Math.round(((audio.end - audio.start) * AAC_FRAME_SAMPLES) / sampleRate) <= target);
      },
    ),
    runs,
  );
});

test("a segment's start is a multiple of its frames at or before the frame", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 45), fc.integer({ min: 1, max: 600 }), (frame, frames) => {
      const start = segmentStart(frame, frames);
      assert.ok(start % frames === 0 && start <= frame && frame < start + frames);
    }),
    runs,
  );
});

test("a part length below the least is a mistake of ours", () => {
  assert.throws(() => partFrames(rate(25), 50, 149));
});

test("the audio grid begins with the epoch", () => {
  assert.equal(audioFrameAtOrAfter(rate(25), 0, 48_000), 0);
  assert.equal(audioFrameAtOrAfter(rate(25), 8, 48_000), 15); // 0.32 s are exactly 15 frames
  assert.equal(audioFrameAtOrAfter(rate(25), 1, 48_000), 2); // 40 ms lie in the second, so the third is next
});
