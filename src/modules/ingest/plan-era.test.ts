import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import { type Rate, rate, STANDARD_RATES } from "#media/time/rate.ts";
import { partCell } from "#media/time/source-ticks.ts";
import { FrameTicks, isVariable } from "./frame-ticks.ts";
import { planEra, ROUNDING_MS } from "./plan-era.ts";
import type { ChosenRate } from "./source-rate.ts";
import { audioTrack, videoTrack } from "./testing/source.ts";

const channel = (more: Partial<Channel> = {}): Channel => ({
  ...channelDefaults,
  name: "cam",
  origin: "auto",
  ladder: "passthrough",
  ...more,
});
const constant = (sourceRate: Rate): ChosenRate => ({ rate: rate(25), sourceRate, varies: false });

const RATES = fc.oneof(
  fc.constantFrom(...STANDARD_RATES, rate(20), rate(29), rate(48), rate(90), rate(120), rate(120_000, 1001)),
  fc.integer({ min: 1, max: 144 }).map((framesPerSecond) => rate(framesPerSecond)),
);

const AUDIO: AudioTrack[] = [
  audioTrack(48_000),
  audioTrack(44_100),
  { ...audioTrack(24_000), samplesPerUnit: 1024 },
  { ...audioTrack(), codec: "ac3", samplesPerUnit: 1536 },
  { ...audioTrack(44_100), codec: "mp3", samplesPerUnit: 1152 },
  { ...audioTrack(), codec: "opus", samplesPerUnit: 960 },
  { ...audioTrack(), codec: "opus", samplesPerUnit: 2880 },
];

test("any constant rate: each part holds as many pictures as another, none is longer than PART-TARGET", () => {
  const seconds = fc.constantFrom(0.15, 0.2, 0.334, 0.5, 1);
  fc.assert(
    fc.property(
      RATES,
      seconds,
      fc.integer({ min: 1, max: 6 }),
      fc.nat(1000),
      (frameRate, partSeconds, length, phase) => {
        const plan = planEra([videoTrack()], constant(frameRate), channel({ partSeconds, segmentSeconds: length }));
        const ticks = new FrameTicks(plan);
        const first = BigInt(phase) * 1_000_000_007n + 1_800_000_000_000_000_000n;
        const start = ticks.nearest(first, 0);
        const frames = Array.from({ length: 400 }, (_, i) =>
          ticks.nearest(ticks.instant(start) + BigInt(Math.round((i * 1e9 * frameRate.den) / frameRate.num)), 0),
        );
        const cells = Map.groupBy(frames, (tick) => partCell(start, tick, plan.partFrames));
        const counts = [...cells.values()].slice(0, -2).map((cell) => cell.length);
        const inSegment = counts.slice(0, Math.floor(plan.segmentFrames / plan.partFrames));
        assert.deepEqual(new Set(inSegment).size, 1, counts.join());
        const firsts = [...cells.values()].slice(0, -1).map(([tick]) => tick!);
        for (const [i, tick] of firsts.slice(1, inSegment.length).entries()) {
          const partMs = ((tick - firsts[i]!) * 1000) / plan.rate.num;
          assert.ok(partMs <= plan.partTargetMs + 1e-6 && partMs >= 0.85 * plan.partTargetMs, `${partMs} ms`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a picture that is missing, late or of the next rate makes no part longer than PART-TARGET", () => {
  for (const [fps, sound] of [
    [25, [audioTrack()]],
    [25, [{ ...audioTrack(), codec: "eac3", samplesPerUnit: 1536 }]],
    [30, [audioTrack()]],
    [50, []],
    [15, [audioTrack(44_100)]],
  ] as const) {
    const { partFrames, partTargetMs, rate: ticks } = planEra([videoTrack(), ...sound], constant(rate(fps)), channel());
    const cellMs = (partFrames * 1000) / ticks.num;
    assert.ok(cellMs + 1000 / fps <= partTargetMs + 1e-6, `${cellMs} and a picture of ${partTargetMs} ms`);
    assert.ok(cellMs >= 0.85 * partTargetMs, `${cellMs} of ${partTargetMs} ms`);
  }
});

test("any sound beside, however it lies, with a frame missing now and then: its parts keep PART-TARGET", () => {
  fc.assert(
    fc.property(
      RATES,
      fc.constantFrom(...AUDIO),
      fc.constantFrom(0.15, 0.334, 0.5),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (frameRate, audio, partSeconds, phase) => {
        const plan = planEra([videoTrack(), audio], constant(frameRate), channel({ partSeconds, segmentSeconds: 6 }));
        const cell = (plan.partFrames * audio.sampleRate) / plan.rate.num;
        const starts = Array.from({ length: 2000 }, (_, i) => Math.round((i + phase) * audio.samplesPerUnit));
        const firsts = [...Map.groupBy(starts, (start) => partCell(0, start, cell)).values()].map(([first]) => first!);
        for (const [i, first] of firsts.slice(1).entries()) {
          const partMs = ((first - firsts[i]!) * 1000) / audio.sampleRate;
          assert.ok(partMs <= plan.partTargetMs + 0.03, `${partMs} of ${plan.partTargetMs} ms`);
        }
        const cellMs = (plan.partFrames * 1000) / plan.rate.num;
        const isWhole = plan.partFrames >= plan.segmentFrames;
        assert.ok(isWhole || cellMs >= 0.85 * plan.partTargetMs - 1, `${cellMs} of ${plan.partTargetMs} ms`);
      },
    ),
    { numRuns: 300 },
  );
});

test("a rate that varies, and sound alone", () => {
  const varying = planEra([videoTrack(), audioTrack()], { ...constant(rate(17_300, 1000)), varies: true }, channel());
  assert.ok(isVariable(varying));
  assert.deepEqual(
    [varying.rate, varying.segmentFrames, varying.partTargetMs],
    [rate(90_000), 180_000, 10_000 + ROUNDING_MS],
  );
  assert.ok(varying.partFrames > varying.targetDurationSeconds * 90_000);
  const radio = planEra([audioTrack()], constant(rate(25)), channel());
  assert.equal(isVariable(radio), false);
  assert.deepEqual([radio.segmentFrames, radio.partFrames, radio.targetDurationSeconds], [180_000, 28_800, 2]);
});

test("nothing copied, nothing but a grid", () => {
  const mp2: AudioTrack = { ...audioTrack(), codec: "mp2", samplesPerUnit: 1152 };
  assert.equal(planEra([mp2], constant(rate(25)), channel()).mode, "grid");
  assert.equal(planEra([mp2, videoTrack()], constant(rate(25)), channel()).mode, "source");
  assert.equal(planEra([videoTrack()], constant(rate(25)), channel({ ladder: "auto" })).mode, "grid");
});
