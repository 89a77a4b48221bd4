// Goal: whatever a publisher does to its stream (loss, jitter, silence, jumps, standstill, returns with other tracks or
// rates, bursts, tracks out of step), the log keeps its promises, and once the publisher behaves again its pictures are in.
// Method: seeded faults, virtual clock, every entry checked as it is appended.
// Replay: SEED=17 node --test src/modules/ingest/sequencer.sim.test.ts
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { type Random, seededRandom } from "#base/random.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { DemuxEvent } from "#media/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { rate, STANDARD_RATES } from "#media/time/rate.ts";
import { Sequencer } from "./sequencer.ts";
import { CheckedLog } from "./testing/checked-log.ts";
import { audioTrack, FLV_CLOCK, sourceUnits, TS_CLOCK, tracksEvent, videoTrack } from "./testing/source.ts";

type Due = { atMs: number; event: DemuxEvent };

const pick = <T>(random: Random, values: readonly T[]): T => values[random.int(0, values.length)]!;

/** Everything that may happen to a stretch of stream between encoder and sequencer. */
function spoiled(random: Random, seconds: number): { due: Due[]; clock: typeof FLV_CLOCK; tracks: DemuxEvent } {
  const clock = pick(random, [FLV_CLOCK, TS_CLOCK]);
  const fps = pick(random, [25, 30, 50, 60, 30_000 / 1001, 24_000 / 1001, 15, 7]);
  const declared = random.next() < 0.5 ? rate(Math.round(fps * 1001), 1001) : null;
  const lying = random.next() < 0.2 ? pick(random, STANDARD_RATES) : declared;
  const sampleRate = pick(random, [44_100, 48_000]);
  const kinds = pick(random, ["both", "both", "both", "both", "video", "audio"] as const);
  const tracks = [
    ...(kinds === "audio" ? [] : [videoTrack(lying)]),
    ...(kinds === "video" ? [] : [audioTrack(sampleRate)]),
  ];
  const units = sourceUnits({
    clock,
    fps,
    sampleRate,
    seconds,
    kinds,
    gopFrames: random.int(5, 80),
    bFrames: random.int(0, 4),
    startTicks: random.int(0, 2 ** 32),
  });
  const lossRate = random.next() < 0.5 ? 0 : random.next() * 0.1;
  const audioLateMs = random.next() < 0.7 ? 0 : random.next() * 3000 - 1500;
  const burst = random.next() < 0.3 ? { from: random.next() * seconds, ms: random.next() * 5000 } : null;
  const shift = { from: random.next() * seconds, ticks: random.next() < 0.3 ? random.int(-1e7, 1e7) : 0 };
  const freeze = random.next() < 0.1 ? random.next() * seconds : Number.POSITIVE_INFINITY;
  const due: Due[] = [];
  for (const { seconds: at, unit } of units) {
    const lateMs = unit.track === 1 ? audioLateMs : 0;
    let atMs = Math.max(0, at * 1000 + lateMs + random.next() * 30);
    if (burst && at >= burst.from) atMs = Math.max(atMs, burst.from * 1000 + burst.ms);
    const frozen = Math.min(at, freeze);
    const ticks = at < shift.from ? 0 : shift.ticks;
    const move = (value: number) =>
      (value + ticks - Math.round((at - frozen) * clock.timescale) + 2 ** (clock.wrapBits + 1)) % 2 ** clock.wrapBits;
    if (random.next() < lossRate) due.push({ atMs, event: { kind: "loss", track: unit.track, detail: "sim" } });
    else if (random.next() < 0.0005) due.push({ atMs, event: { kind: "clock-jump" } });
    else due.push({ atMs, event: { ...unit, ptsTicks: move(unit.ptsTicks), dtsTicks: move(unit.dtsTicks) } });
  }
  if (random.next() < 0.3) due.push(...smaller(random, due));
  const all = due.some(({ event }) => event.kind === "unit" && event.track === SMALL) ? [...tracks, small] : tracks;
  for (let changes = random.next() < 0.3 ? random.int(1, 4) : 0; changes > 0; changes -= 1)
    due.push({
      atMs: random.next() * seconds * 1000,
      event: tracksEvent(...all.map((track) => changed(random, track))),
    });
  due.sort((a, b) => a.atMs - b.atMs);
  return { due, clock, tracks: { kind: "tracks", tracks: all, complete: random.next() < 0.8 } };
}

const SMALL = 7;
const small = { ...videoTrack(null, 640, 360), track: SMALL };

/** The same pictures smaller, a little earlier or later, some of them lost. */
function smaller(random: Random, due: readonly Due[]): Due[] {
  const lateMs = random.next() * 600 - 300;
  return due.flatMap(({ atMs, event }) => {
    if (event.kind !== "unit" || event.track !== 0 || random.next() < 0.02) return [];
    return [{ atMs: Math.max(0, atMs + lateMs), event: { ...event, track: SMALL } }];
  });
}

/** Other parameters, or those of before. */
function changed(random: Random, track: Track): Track {
  if (random.next() < 0.5) return track;
  if (track.kind === "video") return { ...track, width: pick(random, [640, 1280, 1920]) };
  return { ...track, channels: pick(random, [1, 2]), codec: pick(random, ["aac", "mp2"]) };
}

function run(seed: number, ladder: Channel["ladder"] = "auto"): void {
  const random = seededRandom(seed);
  const clock = simClock(1_800_000_000_000_000_000n + BigInt(random.int(0, 2 ** 31)));
  const log = new CheckedLog();
  const channel: Channel = {
    ...channelDefaults,
    name: "sim",
    origin: "auto",
    segmentSeconds: pick(random, [1, 2, 6]),
    ladder,
    copyFallback: pick(random, ["transcode", "refuse"]),
  };
  const sequencer = new Sequencer({ clock, channel, sink: log });
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(Math.min(100, left));
      sequencer.tick();
      if (random.next() < 0.001) clock.stepUtc(random.next() * 4000 - 2000);
    }
  };
  const play = (due: readonly Due[]) => {
    let atMs = 0;
    for (const { atMs: next, event } of due) {
      if (next > atMs) pass(next - atMs);
      atMs = Math.max(atMs, next);
      sequencer.event(event);
    }
  };
  for (let round = random.int(1, 5); round > 0; round -= 1) {
    const { due, clock: container, tracks } = spoiled(random, random.int(1, 12));
    sequencer.attach(container);
    sequencer.event(tracks);
    play(due);
    sequencer.detach(random.next() < 0.3);
    pass(random.next() < 0.5 ? 0 : random.next() * 9000);
  }
  // And now it behaves.
  sequencer.attach(TS_CLOCK);
  sequencer.event(tracksEvent(videoTrack(), audioTrack()));
  const before = log.units(0).length;
  play(
    sourceUnits({ seconds: 5, clock: TS_CLOCK }).map(({ seconds, unit }) => ({ atMs: seconds * 1000, event: unit })),
  );
  assert.equal(log.units(0).length - before, 125, "all pictures of a good stream are in the log");
  assert.equal(sequencer.state, "live");
  assert.equal(sequencer.fault(), null);
  sequencer.detach(true);
  sequencer.end("publisher");
  assert.equal(log.of("end").length, 1);
  checkTimeline(log);
}

/** The segments that readers derive follow each other without gap, from the first frame to the end. */
function checkTimeline(log: CheckedLog): void {
  const timeline = new Timeline();
  for (const entry of log.entries) if (entry.kind !== "unit") timeline.apply(entry);
  let segment = timeline.first();
  assert.ok(segment);
  let discontinuities = 0;
  for (let count = 0; segment; count += 1) {
    assert.equal(segment.ordinal, count);
    assert.ok(segment.end > segment.start);
    assert.equal(timeline.discontinuitiesBefore(segment), discontinuities);
    if (segment.discontinuity) discontinuities += 1;
    const next = timeline.next(segment);
    const era = timeline.eraOf(segment.era);
    if (next && next.era === segment.era) assert.equal(next.start, segment.end);
    else if (next) assert.equal(timeline.eraOf(next.era).previousEnd, segment.end);
    else assert.equal(segment.end, timeline.end!.frame);
    if (era.mode === "grid") assert.ok(segment.end - segment.start <= era.segmentFrames);
    segment = next;
  }
}

const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 300 }, (_, i) => i + 1);

const LADDERS: readonly Channel["ladder"][] = ["auto", "passthrough", [{ copy: true }, { height: 360 }]];

for (const ladder of LADDERS)
  test(`${seeds.length} spoiled streams, ladder ${JSON.stringify(ladder)}`, () => {
    for (const seed of seeds) {
      try {
        run(seed, ladder);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
