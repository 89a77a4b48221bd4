// A publisher that comes back goes on in its session at max(grid(now), last frame + 1), in both modes, and "now" is the
// session's own: whatever happened to the host's clock, to the gateway or to the publisher's clock meanwhile.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { simClock } from "#base/clock.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { DemuxClock } from "#media/demux.ts";
import type { Decision, Entry, Positioned } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import { utcToTai } from "#media/time/tai.ts";
import { stateOf } from "./restored-session.ts";
import { Sequencer } from "./sequencer.ts";
import type { SessionFacts } from "./session-journal.ts";
import { CheckedLog } from "./testing/checked-log.ts";
import { audioTrack, FLV_CLOCK, sourceUnits, TS_CLOCK, tracksEvent, videoTrack } from "./testing/source.ts";

const HOUR_MS = 3_600_000;
/** At 25 pictures a second. */
const FRAME_NS = 40_000_000n;

class Bench {
  readonly clock = simClock();
  readonly log = new CheckedLog();
  readonly #decisions: Positioned<Decision>[] = [];
  readonly #channel: Channel;
  sequencer: Sequencer;

  constructor(ladder: Channel["ladder"]) {
    this.#channel = { ...channelDefaults, name: "cam", origin: "auto", ladder };
    this.sequencer = this.#start();
  }

  /** TAI, if nobody had set the clock. */
  get trueNs(): bigint {
    return utcToTai(1_800_000_000_000_000_000n) + BigInt(Math.round(this.clock.monotonicMs() * 1e6));
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left));
      this.sequencer.tick();
    }
  }

  /** @param aheadSeconds of its stream come in one burst */
  publish(seconds: number, { clock = FLV_CLOCK, startTicks = 0, fps = 25, aheadSeconds = 0 }: Sent = {}): void {
    this.sequencer.attach(clock);
    this.sequencer.event(tracksEvent(videoTrack(rate(fps)), audioTrack()));
    const startMs = this.clock.monotonicMs();
    for (const { seconds: at, unit } of sourceUnits({ seconds, clock, fps, startTicks })) {
      const dueMs = startMs + Math.max(0, at - aheadSeconds) * 1000;
      this.pass(dueMs - this.clock.monotonicMs());
      this.sequencer.event(unit);
    }
  }

  /** The gateway dies, and the next one has what was journaled a moment before. */
  restart(afterMs: number): void {
    const { era, nextFrame: frame, newestNs, time } = this.sequencer;
    const progress = { position: this.log.entries.length, era: era!.era, frame, newestNs, time };
    this.clock.advance(afterMs);
    this.sequencer = this.#start({ facts: {} as SessionFacts, decisions: this.#decisions, progress });
  }

  #start(remembered: Parameters<typeof stateOf>[0] | null = null): Sequencer {
    const restored = remembered && stateOf(remembered);
    const sink = { append: (entry: Entry) => this.#append(entry) };
    return new Sequencer({ clock: this.clock, channel: this.#channel, sink, restored });
  }

  #append(entry: Entry): number {
    const position = this.log.append(entry);
    if (entry.kind !== "unit") this.#decisions.push({ position, entry });
    return position;
  }

  /** Pictures that came after the newest anchor. */
  get returned() {
    const { entries } = this.log;
    return entries
      .slice(entries.findLastIndex(({ kind }) => kind === "anchor"))
      .filter((entry) => entry.kind === "unit");
  }

  /** The newest publisher's first picture is where it arrived, within a frame: the log may hold the nearest one, or go over
   *  to another grid. */
  checkReturn(returnedNs: bigint): void {
    const first = this.returned.find(({ track }) => track === 0)!;
    const offNs = first.timeNs - returnedNs;
    assert.ok(offNs <= FRAME_NS && offNs >= -FRAME_NS, `the first picture is ${offNs} ns from its arrival`);
    for (const { arrivedNs } of this.log.units()) assert.ok(arrivedNs <= this.trueNs, "arrived in the future");
  }

  /** Seconds that the log calls holes. */
  get holeSeconds(): number {
    const { rate: grid } = this.log.of("era")[0]!;
    return this.log.of("hole").reduce((sum, { from, to }) => sum + ((to - from) * grid.den) / grid.num, 0);
  }
}

type Sent = { clock?: DemuxClock; startTicks?: number; fps?: number; aheadSeconds?: number };

for (const ladder of ["auto", "passthrough"] as const) {
  for (const stepMs of [0, HOUR_MS, -HOUR_MS, 700, -700])
    test(`${ladder}: back after 7 s with another clock, the host's set by ${stepMs} ms`, () => {
      const bench = new Bench(ladder);
      bench.publish(3.2);
      bench.sequencer.detach(false);
      bench.pass(3000);
      bench.clock.stepUtc(stepMs);
      bench.pass(4000);
      const returnedNs = bench.trueNs;
      bench.publish(2, { clock: TS_CLOCK, startTicks: 2 ** 33 - 90_000 });
      bench.checkReturn(returnedNs);
      assert.equal(bench.returned.filter(({ track }) => track === 0).length, 50);
      assert.ok(bench.holeSeconds > 6.5 && bench.holeSeconds < 7.2, `${bench.holeSeconds} s of holes`);
    });

  for (const stepMs of [0, HOUR_MS, -HOUR_MS])
    test(`${ladder}: back after the gateway was gone for 2.5 s, the host's clock set by ${stepMs} ms`, () => {
      const bench = new Bench(ladder);
      bench.publish(4);
      bench.restart(2500);
      bench.clock.stepUtc(stepMs);
      bench.pass(1500);
      const returnedNs = bench.trueNs;
      bench.publish(2, { startTicks: 777 });
      bench.checkReturn(returnedNs);
      assert.ok(bench.holeSeconds < 4, `${bench.holeSeconds} s of holes`);
      bench.clock.stepUtc(stepMs);
      bench.sequencer.detach(false);
      bench.pass(2000);
      const againNs = bench.trueNs;
      bench.publish(2);
      bench.checkReturn(againNs);
    });

  test(`${ladder}: what was sent ahead of its time is not given again`, () => {
    const bench = new Bench(ladder);
    bench.publish(5, { aheadSeconds: 1.5 });
    const { next } = bench.log;
    bench.sequencer.detach(false);
    bench.pass(200);
    bench.publish(2, { startTicks: 5 });
    const first = bench.returned.find(({ track }) => track === 0)!;
    const { rate: grid, frameRate } = bench.sequencer.era!;
    const lateNs = timeOf(grid, first.index) - timeOf(grid, next);
    assert.ok(first.index >= next && lateNs < timeOf(frameRate, 1), `${lateNs} ns behind what the log holds`);
    assert.equal(bench.returned.filter(({ track }) => track === 0).length, 50);
    assert.equal(bench.holeSeconds, 0);
  });

  test(`${ladder}: back at another rate, the clock set meanwhile`, () => {
    const bench = new Bench(ladder);
    bench.publish(3);
    bench.sequencer.detach(false);
    bench.pass(2500);
    bench.clock.stepUtc(-HOUR_MS);
    bench.pass(2500);
    const returnedNs = bench.trueNs;
    bench.publish(2, { fps: 50, startTicks: 123_456 });
    assert.equal(bench.log.of("era").length, 2);
    bench.checkReturn(returnedNs);
  });

  test(`${ladder}: back on the same connection after a silence, the clock set meanwhile`, () => {
    const bench = new Bench(ladder);
    bench.sequencer.attach(FLV_CLOCK);
    bench.sequencer.event(tracksEvent(videoTrack(rate(25)), audioTrack()));
    let offsetNs: bigint | null = null;
    for (const { seconds, unit } of sourceUnits({ seconds: 12 })) {
      bench.pass(seconds * 1000 - bench.clock.monotonicMs());
      if (unit.track === 0 && seconds === 6) bench.clock.stepUtc(HOUR_MS);
      if (seconds >= 4 && seconds < 8) continue;
      bench.sequencer.event(unit);
      const newest = bench.log.units(0).at(-1);
      if (newest) offsetNs ??= newest.timeNs - bench.trueNs;
    }
    const last = bench.log.units(0).at(-1)!;
    const offNs = last.timeNs - last.arrivedNs - offsetNs!;
    assert.ok(offNs < 1_000_000n && offNs > -1_000_000n, `${offNs} ns off`);
    assert.equal(bench.log.of("anchor").length, 1);
    assert.equal(bench.log.units(0).length, 200);
    assert.ok(bench.holeSeconds > 3 && bench.holeSeconds <= 4, `${bench.holeSeconds} s of holes`);
  });
}
