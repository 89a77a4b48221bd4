// What a drift step does to the pictures and the sound around it, in either mode: a source whose clock is clearly off,
// played through the real sequencer.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import { STRETCH_MAX, type Unit } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import { Sequencer } from "./sequencer.ts";
import { CheckedLog } from "./testing/checked-log.ts";
import { DriftingSource, trueSecondsOf } from "./testing/drifting-source.ts";
import { audioTrack, TS_CLOCK, tracksEvent, videoTrack } from "./testing/source.ts";

type Play = Readonly<{
  ladder?: Channel["ladder"];
  gopSeconds?: number;
  ppm: number;
  seconds?: number;
  audioOnly?: boolean;
}>;

/** A source with B-frames, 25 pictures a second, until it was played for so long. */
function play({ ladder = "auto", gopSeconds = 2, ppm, seconds = 150, audioOnly = false }: Play) {
  const clock = simClock();
  const log = new CheckedLog();
  const notes: { event: string; [field: string]: unknown }[] = [];
  const sequencer = new Sequencer({
    clock,
    channel: { ...channelDefaults, name: "cam", origin: "auto", ladder, gopSeconds },
    sink: log,
    note: (event, fields) => notes.push({ event, ...fields }),
  });
  const audio = audioTrack(48_000);
  const source = new DriftingSource({
    clock: TS_CLOCK,
    startTicks: 1000,
    fps: 25,
    gopFrames: gopSeconds * 25,
    bFrames: 2,
    audio,
    ppm,
    audioPpm: 0,
    delaySeconds: () => 0.05,
  });
  sequencer.attach(TS_CLOCK);
  sequencer.event(audioOnly ? tracksEvent(audio) : tracksEvent(videoTrack(rate(25)), audio));
  for (let at = 0; at < seconds; ) {
    const { atSeconds, unit } = source.next();
    for (let nowMs = clock.monotonicMs(); nowMs < atSeconds * 1000; nowMs = clock.monotonicMs()) {
      clock.advance(Math.min(100, atSeconds * 1000 - nowMs));
      sequencer.tick();
    }
    if (!audioOnly || unit.track === 1) sequencer.event(unit);
    at = atSeconds;
  }
  return { log, notes, sequencer };
}

/** Without the last ones: what is shown between them had not come yet. */
const shownOrder = (units: readonly Unit[]) =>
  units.toSorted((a, b) => trueSecondsOf(a) - trueSecondsOf(b)).slice(0, -3);
const spacings = (units: readonly Pick<Unit, "index">[]) =>
  units.slice(1).map(({ index }, i) => index - units[i]!.index);

/** Spacings of the sound: all as long as a unit, but for those that share a picture's length. */
function checkSound(log: CheckedLog, step: number, boundaryNs: bigint): void {
  const sound = log.units(1);
  const moved = sound.slice(1).filter(({ index }, i) => index - sound[i]!.index !== 1024);
  assert.ok(moved.length >= 60 && moved.length <= 94, `${moved.length} units moved`);
  for (const step of spacings(sound)) assert.ok(Math.abs(step - 1024) <= 1024 * STRETCH_MAX, `${step} samples`);
  const [first, last] = [moved[0]!.timeNs - boundaryNs, moved.at(-1)!.timeNs - boundaryNs];
  assert.ok(first >= 0n && first < 100_000_000n, `begins ${first} ns after the boundary`);
  assert.ok(last <= 2_100_000_000n, `ends ${last} ns after it`);
  assert.equal(sound.at(-1)!.index - sound[0]!.index, (sound.length - 1) * 1024 + step * 1920);
}

test("on the grid, a slow clock: the boundary's slot stays empty, and everything after it is one later", () => {
  const { log, notes, sequencer } = play({ ppm: -500 });
  const [drift, another] = log.of("drift");
  assert.deepEqual([drift!.step, another], [1, undefined]);
  assert.equal(drift!.frame % 50, 0);
  const slots = shownOrder(log.units(0)).map(({ index }) => index);
  const begin = slots.indexOf(drift!.frame + 1);
  assert.deepEqual(slots, [
    ...Array.from({ length: begin }, (_, i) => slots[0]! + i),
    ...Array.from({ length: slots.length - begin }, (_, i) => drift!.frame + 1 + i),
  ]);
  checkSound(log, 1, timeOf(rate(25), drift!.frame));
  assert.equal(sequencer.counters.driftSteps, 1);
  assert.ok(Math.abs(sequencer.counters.driftMs) <= 40);
  const { event, frame, step, driftMs } = notes.find((note) => note.event === "ingest.drift_step")!;
  assert.deepEqual({ event, frame, step }, { event: "ingest.drift_step", frame: drift!.frame, step: 1 });
  assert.ok((driftMs as number) > 40 && (driftMs as number) < 45, `${driftMs} ms`);
});

test("on the grid, a fast clock: two pictures share the boundary's slot, and none gets in front of it", () => {
  const { log } = play({ ppm: 500 });
  const [drift, another] = log.of("drift");
  assert.deepEqual([drift!.step, another], [-1, undefined]);
  const slots = shownOrder(log.units(0)).map(({ index }) => index);
  const begin = slots.indexOf(drift!.frame);
  assert.deepEqual(slots, [
    ...Array.from({ length: begin + 1 }, (_, i) => slots[0]! + i),
    ...Array.from({ length: slots.length - begin - 1 }, (_, i) => drift!.frame + i),
  ]);
  checkSound(log, -1, timeOf(rate(25), drift!.frame));
});

for (const ppm of [-500, 500])
  test(`copied, ${ppm} ppm: pictures and sound are spread over the segment that begins with the step`, () => {
    const step = ppm < 0 ? 1 : -1;
    const { log } = play({ ppm, ladder: "passthrough" });
    const [drift, another] = log.of("drift");
    assert.deepEqual([drift!.step, another], [step, undefined]);
    assert.ok(log.of("boundary").some(({ frame }) => frame === drift!.frame));
    const pictures = shownOrder(log.units(0));
    const after = pictures.findIndex(({ index }) => index === drift!.frame);
    const ticks = spacings(pictures);
    assert.deepEqual(new Set(ticks.slice(0, after)), new Set([3600]));
    const spread = ticks.slice(after, after + 50);
    for (const tick of spread) assert.ok(Math.abs(tick - 3600 - step * 72) <= 4, `${tick} ticks`);
    assert.equal(
      spread.reduce((sum, tick) => sum + tick, 0),
      (50 + step) * 3600 - (spread.length - 50) * 3600,
    );
    assert.deepEqual(new Set(ticks.slice(after + 52)), new Set([3600]));
    for (const { timeNs, decodeNs } of log.units(0)) assert.ok(timeNs - decodeNs <= 120_000_000n);
    checkSound(log, step, timeOf(rate(90_000), drift!.frame));
  });

test("copied: segments begin with each second or every one of the source's groups as before, steps or none", () => {
  for (const ladder of ["passthrough", [{ copy: true }, { height: 360 }]] as const)
    for (const gopSeconds of [1, 2])
      for (const ppm of [-1900, 1900]) {
        const { log, sequencer } = play({ ladder, gopSeconds, ppm, seconds: 200 });
        assert.ok(log.of("drift").length >= 4);
        const lengths = log.of("boundary").map(({ frame }, i, all) => (all[i + 1]?.frame ?? frame + 180_000) - frame);
        for (const ticks of lengths) assert.ok(Math.abs(ticks - 180_000) <= 3601, `${ticks} ticks, ${ppm} ppm`);
        assert.deepEqual([log.of("era").length, log.of("hole").length, sequencer.fault()], [1, 0, null]);
      }
});

test("sound without pictures drifts too, by the length of a frame of its grid", () => {
  for (const ladder of ["auto", "passthrough"] as const) {
    const { log } = play({ ppm: -500, ladder, audioOnly: true });
    assert.equal(log.of("drift").length, 1, JSON.stringify(ladder));
    const sound = log.units(1);
    assert.equal(sound.at(-1)!.index - sound[0]!.index, (sound.length - 1) * 1024 + 1920);
    const lengths = new Set(spacings(log.of("boundary").map(({ frame: index }) => ({ index }))));
    if (ladder === "passthrough") assert.deepEqual(lengths, new Set([180_000, 183_600]));
  }
});

test("no step in the first minute", () => {
  assert.deepEqual(play({ ppm: -1900, seconds: 59 }).log.of("drift"), []);
});
