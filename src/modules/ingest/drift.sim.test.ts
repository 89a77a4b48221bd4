// Goal: however inexact a source's clock, and whatever network and host do, media time stays near TAI, by as many steps as
// the clock asks for and no others; the session's own time never steps; the log keeps its promises.
// Method: sources with a drifting clock, a virtual one for us, every entry checked as it is appended. A picture's payload
// says which true instant it shows. Days are simulated with few pictures a second.
// Replay: SEED=17 node --test src/modules/ingest/drift.sim.test.ts; all of it: npm run soak:drift
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type SimClock, simClock } from "#base/clock.ts";
import { type Random, seededRandom } from "#base/random.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { DemuxClock } from "#media/demux.ts";
import type { AudioTrack, Decision, Entry, Positioned, Unit } from "#media/session-log/entries.ts";
import { perSecond, rate, timeOf } from "#media/time/rate.ts";
import { utcToTai } from "#media/time/tai.ts";
import type { EntrySink } from "./output-side.ts";
import type { Progress } from "./progress-journal.ts";
import { stateOf } from "./restored-session.ts";
import { Sequencer } from "./sequencer.ts";
import type { SessionFacts } from "./session-journal.ts";
import { CheckedLog } from "./testing/checked-log.ts";
import { DriftingSource, network, trueSecondsOf } from "./testing/drifting-source.ts";
import { audioTrack, FLV_CLOCK, TS_CLOCK, tracksEvent, videoTrack } from "./testing/source.ts";

const isSoak = process.env.SOAK === "drift";

const pick = <T>(random: Random, values: readonly T[]): T => values[random.int(0, values.length)]!;

/** Sound in few units: what is spread over them is the same. */
const sparseAudio = (samplesPerUnit: number): AudioTrack => ({ ...audioTrack(8000), samplesPerUnit });

/** A session and the true time around it. */
class World implements EntrySink {
  readonly clock: SimClock;
  readonly log = new CheckedLog();
  readonly channel: Channel;
  sequencer: Sequencer;
  drifts = 0;
  /** When the publisher's true second 0 was, monotonic. */
  bornMs = 0;
  /** Told of each unit how far media time is from the truth, compared with the first after the anchor, ns. */
  onUnit: (offNs: number, track: number) => void = () => {};
  readonly #startNs: bigint;
  #decisions: Positioned<Decision>[] = [];
  #position = 0;
  #progress: Progress | null = null;
  #progressMs = 0;
  #firstNs: number | null = null;

  constructor(ladder: Channel["ladder"], startNs = 1_800_000_000_000_000_000n) {
    this.clock = simClock(startNs);
    this.#startNs = utcToTai(startNs);
    this.channel = { ...channelDefaults, name: "sim", origin: "auto", ladder, copyFallback: "refuse" };
    this.sequencer = new Sequencer({ clock: this.clock, channel: this.channel, sink: this });
  }

  /** TAI as it is, whatever the host's clock says. */
  get trueNs(): bigint {
    return this.#trueAt(this.clock.monotonicMs());
  }

  append(entry: Entry): number {
    const before = this.log.next;
    this.log.append(entry);
    this.log.entries.length = 0; // it would be days of them
    if (entry.kind === "unit") this.#unit(entry);
    else this.#decided(entry, before);
    return this.#position++;
  }

  attach(clock: DemuxClock): void {
    this.bornMs = this.clock.monotonicMs();
    this.sequencer.attach(clock);
  }

  /** Time passes. */
  passTo(atMs: number): void {
    while (this.clock.monotonicMs() < atMs) {
      this.clock.advance(Math.min(500, atMs - this.clock.monotonicMs()));
      this.sequencer.tick();
      this.#tellProgress();
    }
  }

  /** The gateway dies, and another goes on after `ms`, on the same host. */
  restart(ms: number): void {
    this.clock.advance(ms);
    const restored = stateOf({ facts: {} as SessionFacts, decisions: this.#decisions, progress: this.#progress });
    this.sequencer = new Sequencer({ clock: this.clock, channel: this.channel, sink: this, restored });
  }

  #trueAt(monotonicMs: number): bigint {
    return this.#startNs + BigInt(Math.round(monotonicMs * 1e6));
  }

  #tellProgress(): void {
    const { state, era, nextFrame: frame, newestNs } = this.sequencer;
    const atMs = this.clock.monotonicMs();
    if (state !== "live" || era === null || atMs - this.#progressMs < 1000) return;
    this.#progressMs = atMs;
    this.#progress = { position: this.#position, era: era.era, frame, newestNs, time: this.sequencer.time };
  }

  #decided(entry: Decision, nextBefore: number): void {
    this.#decisions.push({ position: this.#position, entry });
    if (entry.kind === "drift") this.drifts += 1;
    else if (entry.kind === "anchor") this.#anchored(entry.timeNs, nextBefore);
    else if (entry.kind === "hole") {
      const aheadNs = timeOf(this.sequencer.era!.rate, entry.to) - this.trueNs;
      assert.ok(aheadNs < 1_500_000_000n, `a hole that ends ${aheadNs} ns from now`);
    } else if (entry.kind === "boundary") {
      this.log.timeline.forgetBefore(entry.ordinal - 2);
      if (this.#decisions.length > 2000) this.#decisions = this.#decisions.filter(isKept);
    }
  }

  /** A publisher that begins or returns goes on now, or behind what the log holds. */
  #anchored(timeNs: bigint, _nextBefore: number): void {
    this.#firstNs = null;
    const lateNs = this.trueNs - timeNs;
    assert.ok(lateNs < 4_000_000_000n, `anchored ${lateNs} ns ago`);
    const floorNs = this.sequencer.newestNs;
    assert.ok(lateNs > -300_000_000n || timeNs < floorNs + 3_000_000_000n, `anchored ${-lateNs} ns ahead`);
  }

  #unit(unit: Unit): void {
    const offNs = unit.arrivedNs - this.trueNs;
    assert.ok(offNs < 1000n && offNs > -15_000_000_000n, `arrived ${offNs} ns from now`);
    const shownNs = this.#trueAt(this.bornMs) + BigInt(Math.round(trueSecondsOf(unit) * 1e9));
    const aheadNs = Number(unit.timeNs - shownNs);
    this.#firstNs ??= aheadNs;
    this.onUnit(aheadNs - this.#firstNs, unit.track);
  }
}

const isKept = ({ entry }: Positioned<Decision>, at: number, all: readonly unknown[]) =>
  entry.kind !== "boundary" || at > all.length - 50;

type Days = Readonly<{
  ladder: Channel["ladder"];
  fps: number;
  bFrames: number;
  audio: AudioTrack;
  ppm: number;
  days: number;
}>;

/** One publisher for days: the error at each unit, and how many steps there were. */
function days({ ladder, fps, bFrames, audio, ppm, days }: Days): void {
  const world = new World(ladder);
  const source = new DriftingSource({
    clock: TS_CLOCK,
    startTicks: 2 ** 33 - 90_000 * 100,
    fps,
    gopFrames: fps * 2,
    bFrames,
    audio,
    ppm,
    audioPpm: 0,
    delaySeconds: network(seededRandom(ppm + fps), 25, 45, 0.5),
  });
  world.attach(TS_CLOCK);
  world.sequencer.event(tracksEvent(videoTrack(rate(fps)), audio));
  const worst = [0, 0];
  world.onUnit = (offNs, track) => {
    if (Math.abs(offNs) > worst[track]!) worst[track] = Math.abs(offNs);
  };
  for (let at = 0; at < days * 86_400; ) {
    const { atSeconds, unit } = source.next();
    world.passTo(atSeconds * 1000);
    world.sequencer.event(unit);
    at = atSeconds;
  }
  const frameNs = 1e9 / perSecond(world.sequencer.era!.frameRate);
  for (const track of [0, 1]) {
    const frames = worst[track]! / frameNs;
    assert.ok(frames <= 2, `track ${track} was ${frames.toFixed(2)} frames off`);
  }
  const asked = (days * 86_400 * Math.abs(ppm) * 1000) / frameNs;
  assert.ok(Math.abs(world.drifts - asked) <= 2, `${world.drifts} steps instead of ${asked.toFixed(1)}`);
  assert.equal(world.sequencer.counters.driftSteps, world.drifts);
  assert.equal(world.sequencer.counters.droppedUnits, 0);
  assert.equal(world.sequencer.counters.holes, 0);
}

const LADDERS: readonly Channel["ladder"][] = ["auto", "passthrough", [{ copy: true }, { height: 360 }]];

/** The last ones take many minutes: npm run soak:drift */
const DAYS: readonly Days[] = [
  { ladder: "auto", fps: 1, bFrames: 0, audio: sparseAudio(8000), ppm: 100, days: 7 },
  { ladder: "passthrough", fps: 1, bFrames: 0, audio: sparseAudio(8000), ppm: -100, days: 7 },
  { ladder: "auto", fps: 25, bFrames: 2, audio: audioTrack(48_000), ppm: -100, days: 0.03 },
  { ladder: "passthrough", fps: 25, bFrames: 2, audio: audioTrack(44_100), ppm: 100, days: 0.03 },
  ...[100, -100]
    .flatMap((ppm) =>
      LADDERS.map((ladder): Days => ({ ladder, fps: 10, bFrames: 2, audio: audioTrack(48_000), ppm, days: 7 })),
    )
    .filter(() => isSoak),
];

for (const one of DAYS)
  test(`${one.ppm} ppm at ${one.fps} pictures a second over ${one.days} days, ladder ${JSON.stringify(one.ladder)}`, () =>
    days(one));

/** Sound that is off by less is left there, and it takes a second to see that it is more. */
const SOUND_OFF_NS = 25_000_000;

/** A publisher's stay: its clock, its network, and what happens meanwhile. */
function stay(random: Random, world: World): void {
  const clock = pick(random, [FLV_CLOCK, TS_CLOCK]);
  const fps = pick(random, [5, 10]);
  const audio = random.next() < 0.9 ? pick(random, [sparseAudio(1024), sparseAudio(4096)]) : null;
  const seconds = 20 + random.next() ** 2 * 500;
  const ppm = random.next() < 0.5 ? pick(random, [-1000, 1000]) : random.int(-1000, 1001);
  world.onUnit = (offNs, track) => {
    // A picture, and what the clock goes wrong by until it is seen: a minute, another after a hole, and a boundary later.
    const most = 1e9 / perSecond(world.sequencer.era!.frameRate) + Math.abs(ppm) * 150_000 + SOUND_OFF_NS;
    assert.ok(Math.abs(offNs) <= most, `track ${track} is ${offNs / 1e6} ms off, more than ${most / 1e6}`);
  };
  const source = new DriftingSource({
    clock,
    startTicks:
      random.next() < 0.5 ? 2 ** clock.wrapBits - random.int(1, 100) * clock.timescale : random.int(0, 2 ** 31),
    fps,
    gopFrames: fps * random.int(1, 4),
    bFrames: random.int(0, 3),
    audio,
    ppm,
    audioPpm: random.next() < 0.5 ? 0 : random.int(-2000, 2001),
    delaySeconds: network(random, random.next() * 60, random.next() * 45),
  });
  const lossRate = random.next() < 0.5 ? 0 : random.next() * 0.05;
  world.attach(clock);
  world.sequencer.event(tracksEvent(videoTrack(rate(fps)), ...(audio ? [audio] : [])));
  const most = (1e-3 * seconds * fps) / 1 + 2;
  const before = world.drifts;
  for (let at = 0; at < seconds; ) {
    const { atSeconds, unit } = source.next();
    world.passTo(world.bornMs + atSeconds * 1000);
    if (random.next() < lossRate) world.sequencer.event({ kind: "loss", track: unit.track, detail: "sim" });
    else world.sequencer.event(unit);
    if (random.next() < 0.002) world.clock.stepUtc((random.next() - 0.5) * 7_200_000);
    at = atSeconds;
  }
  assert.ok(world.drifts - before <= most, `${world.drifts - before} steps in ${seconds} s`);
}

function run(seed: number): void {
  const random = seededRandom(seed);
  const world = new World(LADDERS[seed % LADDERS.length]!, 1_800_000_000_000_000_000n + BigInt(random.int(0, 2 ** 31)));
  for (let round = random.int(1, 4); round > 0; round -= 1) {
    stay(random, world);
    if (random.next() < 0.7) world.sequencer.detach(random.next() < 0.3);
    else world.restart(1200 + random.next() * 2000);
    if (random.next() < 0.5) world.clock.stepUtc((random.next() - 0.5) * 7_200_000);
    world.passTo(world.clock.monotonicMs() + random.next() * 9000);
  }
  world.sequencer.end("lost");
}

const seeds = process.env.SEED
  ? [Number(process.env.SEED)]
  : Array.from({ length: isSoak ? 1000 : 150 }, (_, i) => i + 1);

test(`${seeds.length} drifting sources that come and go on a host whose clock is set`, () => {
  for (const seed of seeds) {
    try {
      run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
