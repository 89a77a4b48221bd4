import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type SimClock, simClock } from "#base/clock.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import { indexAt, perSecond, rate, timeOf } from "#media/time/rate.ts";
import { utcToTai } from "#media/time/tai.ts";
import { Sequencer } from "./sequencer.ts";
import { CheckedLog } from "./testing/checked-log.ts";
import {
  audioTrack,
  FLV_CLOCK,
  type SourceSettings,
  sourceUnits,
  type Timed,
  TS_CLOCK,
  tracksEvent,
  videoTrack,
} from "./testing/source.ts";

const channel: Channel = { ...channelDefaults, name: "cam", origin: "auto" };

class Bench {
  readonly clock: SimClock = simClock();
  readonly log = new CheckedLog();
  readonly notes: string[] = [];
  readonly sequencer = new Sequencer({
    clock: this.clock,
    channel,
    sink: this.log,
    note: (event) => this.notes.push(event),
  });

  attach(clock: DemuxClock = FLV_CLOCK, ...events: DemuxEvent[]): void {
    this.sequencer.attach(clock);
    for (const event of events) this.sequencer.event(event);
  }

  /** Time passes, with a tick every 50 ms. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left));
      this.sequencer.tick();
    }
  }

  /** Units at their own pace. */
  send(units: readonly Timed[]): void {
    const startMs = this.clock.monotonicMs();
    for (const { seconds, unit } of units) {
      const dueMs = startMs + seconds * 1000;
      if (dueMs > this.clock.monotonicMs()) this.pass(dueMs - this.clock.monotonicMs());
      this.sequencer.event(unit);
    }
  }

  stream(settings: SourceSettings): void {
    this.send(sourceUnits(settings));
  }

  get nowNs(): bigint {
    return utcToTai(this.clock.utcNs());
  }
}

test("anchors the first key frame on the grid, less than half a frame from its arrival", () => {
  const bench = new Bench();
  bench.clock.advance(12_345.678);
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(30_000, 1001)), audioTrack(44_100)));
  const arrivedNs = bench.nowNs;
  bench.stream({ seconds: 3, fps: 30_000 / 1001, sampleRate: 44_100, startTicks: 4_294_966_000 });
  const [era] = bench.log.of("era");
  const [anchor] = bench.log.of("anchor");
  assert.deepEqual(
    bench.log.entries.slice(0, 4).map(({ kind }) => kind),
    ["tracks", "era", "anchor", "unit"],
  );
  assert.equal(anchor!.timeNs, timeOf(era!.rate, era!.frame));
  const offNs = anchor!.timeNs - arrivedNs;
  assert.ok(offNs <= 17_000_000n && offNs >= -17_000_000n, `${offNs} ns off`);
  const slots = bench.log.units(0).map(({ index }) => index);
  assert.deepEqual(
    slots,
    Array.from({ length: 90 }, (_, i) => era!.frame + i),
  ); // over the 32-bit wrap, in spite of ms
  const samples = bench.log.units(1).map(({ index }) => index);
  for (const [i, index] of samples.entries()) assert.equal(index, samples[0]! + i * 1024);
  assert.equal(samples.length, Math.ceil((3 * 44_100) / 1024));
  assert.equal(bench.sequencer.state, "live");
  assert.equal(bench.sequencer.counters.droppedUnits, 0);
});

test("B-frames keep decode order; slots follow presentation times", () => {
  const bench = new Bench();
  bench.attach(TS_CLOCK, tracksEvent(videoTrack(rate(25)), audioTrack()));
  bench.stream({ seconds: 2, bFrames: 2, clock: TS_CLOCK, startTicks: 2 ** 33 - 45_000 });
  const { frame } = bench.log.of("era")[0]!;
  const units = bench.log.units(0);
  assert.deepEqual(
    units.slice(0, 7).map(({ index }) => index - frame),
    [0, 3, 1, 2, 6, 4, 5],
  );
  assert.ok(units.every(({ decodeNs }, i) => i === 0 || decodeNs >= units[i - 1]!.decodeNs));
  assert.equal(units[0]!.timeNs - units[0]!.decodeNs, 40_000_000n);
});

test("without a declared rate it is measured before anything is decided", () => {
  for (const [fps, text] of [
    [25, "25/1"],
    [30, "30/1"],
    [24_000 / 1001, "24000/1001"],
    [50, "50/1"],
    [60_000 / 1001, "60000/1001"],
    [27, "25/1"],
    [12, "10/1"],
  ] as const) {
    const bench = new Bench();
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(null), audioTrack()));
    bench.stream({ seconds: 2, fps, clock: TS_CLOCK, bFrames: 2, gopFrames: 24 });
    const [era] = bench.log.of("era");
    assert.equal(`${era!.rate.num}/${era!.rate.den}`, text, `${fps}`);
    assert.equal(bench.log.of("era").length, 1);
    assert.ok(Math.abs(perSecond(era!.sourceRate) - fps) < fps * 0.005);
    assert.ok(bench.log.units(0).length > fps, "what waited is in the log");
  }
});

test("a declared rate that lies is replaced at the next segment boundary, once", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(50)), audioTrack()));
  bench.stream({ seconds: 8, fps: 25, bFrames: 2 });
  const [first, second, ...more] = bench.log.of("era");
  assert.deepEqual(more, []);
  assert.deepEqual([first!.rate, second!.rate], [rate(50), rate(25)]);
  assert.equal(second!.previousEnd! % first!.segmentFrames, 0);
  assert.ok(second!.previousEnd! - first!.frame <= first!.segmentFrames + 25);
  assert.equal(timeOf(rate(50), second!.previousEnd!), timeOf(rate(25), second!.frame));
  assert.equal(bench.log.units(0).length, 200, "no picture is lost on the way");
  assert.ok(bench.notes.includes("ingest.rate_corrected"));
});

test("a rate that is only a little off, or uneven, is not corrected", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(30)), audioTrack()));
  const uneven = sourceUnits({ seconds: 4, fps: 30, gopFrames: 30 }).filter((_, i) => i % 7 !== 3);
  bench.send(uneven);
  assert.equal(bench.log.of("era").length, 1);
});

test("audio only is cut on the 25 grid, video only has no audio rendition", () => {
  const radio = new Bench();
  radio.attach(FLV_CLOCK, tracksEvent(audioTrack(44_100)));
  radio.stream({ seconds: 2, kinds: "audio", sampleRate: 44_100 });
  const [era] = radio.log.of("era");
  assert.deepEqual([era!.rate, era!.segmentFrames, era!.renditions.length], [rate(25), 50, 1]);
  radio.sequencer.end("publisher");
  const span = radio.log.of("end")[0]!.frame - era!.frame;
  assert.ok(span === 50 || span === 51, `${span} frames of 2 s`);

  const silent = new Bench();
  silent.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(25))));
  silent.stream({ seconds: 1, kinds: "video" });
  assert.ok(silent.log.of("era")[0]!.renditions.every(({ kind }) => kind === "video"));
});

test("announced audio is waited for one second; later it opens an era of its own", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, { kind: "tracks", tracks: [videoTrack()], complete: false });
  bench.send(sourceUnits({ seconds: 0.9, kinds: "video" }));
  assert.equal(bench.log.entries.length, 0);
  const later = sourceUnits({ seconds: 8 })
    .filter(({ seconds, unit }) => seconds >= 0.9 && (unit.track === 0 || seconds > 3))
    .map(({ seconds, unit }) => ({ seconds: seconds - 0.9, unit }));
  const split = later.findIndex(({ unit }) => unit.track === 1);
  bench.send(later.slice(0, split));
  bench.sequencer.event(tracksEvent(videoTrack(), audioTrack()));
  const rest = later.slice(split);
  bench.send(rest.map(({ seconds, unit }) => ({ seconds: seconds - rest[0]!.seconds, unit })));
  const eras = bench.log.of("era");
  assert.deepEqual(
    eras.map(({ renditions }) => renditions.some(({ kind }) => kind === "audio")),
    [false, true],
  );
  assert.equal(eras[1]!.previousEnd, eras[1]!.frame);
  assert.equal(bench.log.units(0).length, 200);
});

test("a picture that comes late into an audio session opens an era at its key frame", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(audioTrack()));
  const units = sourceUnits({ seconds: 6, gopFrames: 50 });
  bench.send(units.filter(({ seconds, unit }) => seconds < 3 && unit.track === 1));
  bench.sequencer.event(tracksEvent(videoTrack(), audioTrack()));
  bench.send(units.filter(({ seconds }) => seconds >= 3).map((timed) => ({ ...timed, seconds: timed.seconds - 3 })));
  const eras = bench.log.of("era");
  assert.equal(eras.length, 2);
  assert.ok(bench.log.units(0)[0]!.randomAccess);
  assert.equal(bench.log.units(0)[0]!.index, eras[1]!.frame);
});

test("silence: holes as time passes, part by part, then by whole segments; the return goes on in the same grid", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 3 });
  const last = bench.log.next;
  bench.sequencer.detach(false);
  assert.equal(bench.sequencer.state, "interrupted");
  bench.pass(7000);
  const holes = bench.log.of("hole");
  const { segmentFrames, partFrames } = bench.log.of("era")[0]!;
  assert.equal(holes[0]!.from, last);
  for (const [i, hole] of holes.entries()) {
    if (i > 0) assert.equal(hole.from, holes[i - 1]!.to, "contiguous");
    const isWhole = hole.from % segmentFrames === 0;
    assert.equal(isWhole ? hole.to - hole.from : (hole.to % segmentFrames) % partFrames, isWhole ? segmentFrames : 0);
  }
  assert.ok(holes.at(-1)!.to <= indexAt(rate(25), bench.nowNs));
  assert.ok(holes.at(-1)!.to > indexAt(rate(25), bench.nowNs) - segmentFrames - 1);

  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const expected = indexAt(rate(25), bench.nowNs);
  bench.stream({ seconds: 2, startTicks: 777_000 });
  const returned = bench.log.units(0).find(({ index }) => index > last)!;
  assert.equal(returned.index, expected);
  assert.ok(returned.randomAccess);
  assert.equal(bench.log.of("hole").at(-1)!.to, returned.index);
  assert.equal(bench.log.of("era").length, 1);
  assert.equal(bench.log.of("splice").length, 0);
  assert.equal(bench.sequencer.counters.returns, 1);
  assert.equal(bench.sequencer.state, "live");
});

test("a clean goodbye logs no hole before the publisher is back or the session ends", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 2 });
  const { next } = bench.log;
  bench.sequencer.detach(true);
  bench.pass(2500);
  assert.equal(bench.log.of("hole").length, 0);
  bench.sequencer.end("publisher");
  assert.deepEqual(bench.log.of("end"), [{ kind: "end", frame: next, reason: "publisher" }]);
});

test("a stalled connection: what was on its way too long is dropped, the clock stays", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 12 });
  bench.send(units.filter(({ seconds }) => seconds < 3));
  bench.pass(3400);
  assert.equal(bench.sequencer.state, "interrupted");
  const decided = bench.log.next;
  for (const { seconds, unit } of units) if (seconds >= 3 && seconds < 6.4) bench.sequencer.event(unit); // the burst
  bench.send(
    units.filter(({ seconds }) => seconds >= 6.4).map((timed) => ({ ...timed, seconds: timed.seconds - 6.4 })),
  );
  assert.equal(bench.sequencer.state, "live");
  const { frame } = bench.log.of("era")[0]!;
  const slots = bench.log.units(0).map(({ index }) => index - frame);
  assert.deepEqual(
    slots.slice(0, 75),
    Array.from({ length: 75 }, (_, i) => i),
  );
  assert.equal(slots[75], Math.ceil((decided - frame) / 25) * 25, "the first key frame that is not past");
  assert.equal(slots.at(-1), 299);
  assert.equal(bench.log.of("anchor").length, 1);
  assert.ok(decided - frame > 75);
  assert.equal(bench.log.of("hole").at(-1)!.to - frame, slots[75]);
});

test("a pause of this process is no silence of the publisher: what waited in the socket fills it", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 12 });
  bench.send(units.filter(({ seconds }) => seconds < 3));
  bench.clock.advance(6000); // a machine that was frozen: no tick, and then the first
  bench.sequencer.tick();
  for (const { seconds, unit } of units) if (seconds >= 3 && seconds < 9) bench.sequencer.event(unit);
  bench.send(units.filter(({ seconds }) => seconds >= 9).map((timed) => ({ ...timed, seconds: timed.seconds - 9 })));
  assert.equal(bench.log.of("hole").length, 0);
  assert.equal(bench.log.units(0).length, 300);
  bench.pass(2000);
  assert.equal(bench.sequencer.state, "interrupted", "and a silence that follows is one");
});

test("a paused encoder whose clock stood still is tied anew after a second", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 8 });
  bench.send(units.filter(({ seconds }) => seconds < 3));
  bench.pass(5000);
  bench.send(units.filter(({ seconds }) => seconds >= 3).map((timed) => ({ ...timed, seconds: timed.seconds - 3 })));
  assert.equal(bench.log.of("anchor").length, 2);
  const [, again] = bench.log.of("anchor");
  const late = bench.nowNs - again!.timeNs;
  assert.ok(late < 5_000_000_000n && late > 3_000_000_000n);
  assert.equal(bench.sequencer.state, "live");
});

test("time stamps that jump make a splice with a discontinuity at the next frame from now", () => {
  for (const jumpTicks of [-2_000_000, 50_000_000]) {
    const bench = new Bench();
    bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    bench.stream({ seconds: 2, startTicks: 10_000_000 });
    const { next } = bench.log;
    bench.stream({ seconds: 2, startTicks: 10_000_000 + jumpTicks });
    const [splice, ...more] = bench.log.of("splice");
    assert.deepEqual(more, []);
    assert.equal(splice!.discontinuity, true);
    assert.ok(splice!.frame >= next && splice!.frame <= next + 1);
    const after = bench.log.units(0).filter(({ index }) => index >= splice!.frame);
    assert.equal(after.length, 50);
    assert.equal(bench.log.of("hole").length, 0);
  }
});

test("time stamps that stand still are dropped, and in the end refused", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  bench.stream({ seconds: 2, kinds: "video" });
  const stuck = sourceUnits({ seconds: 2, kinds: "video" }).at(-1)!.unit;
  for (let i = 0; i < 300; i += 1) {
    bench.pass(40);
    bench.sequencer.event(stuck);
    if (bench.sequencer.fault()) break;
  }
  assert.ok(["ingest.garbage", "ingest.no_key_frame"].includes(bench.sequencer.fault()!.code));
  assert.equal(bench.log.units(0).length, 50);
  assert.ok(bench.sequencer.counters.droppedUnits > 200);
});

test("no key frame, no data, nothing that can be taken: a fault with its code", () => {
  const noKey = new Bench();
  noKey.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  noKey.send(sourceUnits({ seconds: 11, kinds: "video", gopFrames: 1000 }).slice(1));
  assert.equal(noKey.sequencer.fault()?.code, "ingest.no_key_frame");
  assert.equal(noKey.log.entries.length, 0);

  const silent = new Bench();
  silent.attach();
  silent.pass(9900);
  assert.equal(silent.sequencer.fault(), null);
  silent.pass(200);
  assert.equal(silent.sequencer.fault()?.code, "ingest.no_data");

  const foreign = new Bench();
  foreign.attach(TS_CLOCK, { kind: "unsupported", what: "MPEG-2 video on PID 256" });
  foreign.pass(1100);
  assert.equal(foreign.sequencer.fault()?.code, "ingest.unsupported_codec");
});

test("loss marks pictures damaged until the next instant refresh, and one audio frame", () => {
  const bench = new Bench();
  bench.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 3, clock: TS_CLOCK });
  bench.send(units.filter(({ seconds }) => seconds < 1.5));
  bench.sequencer.event({ kind: "loss", track: null, detail: "test" });
  bench.send(
    units.filter(({ seconds }) => seconds >= 1.5).map((timed) => ({ ...timed, seconds: timed.seconds - 1.5 })),
  );
  const damaged = bench.log.units(0).map((unit) => unit.damaged);
  assert.deepEqual(
    damaged,
    Array.from({ length: 75 }, (_, i) => i >= 38 && i < 50),
  );
  assert.equal(bench.log.units(1).filter((unit) => unit.damaged).length, 1);
});

test("audio runs through jitter, leaves a gap for lost samples, drops samples sent twice", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(audioTrack()));
  const units = sourceUnits({ seconds: 6, kinds: "audio" });
  const jittered = units.map(({ seconds, unit }, i) => {
    const shift = (i % 3) * 15 + (i > 200 ? -200 : 0);
    return { seconds, unit: { ...unit, ptsTicks: unit.ptsTicks + 400 + shift, dtsTicks: unit.dtsTicks + 400 + shift } };
  });
  bench.send(jittered.filter((_, i) => i < 100 || i >= 110));
  const indices = bench.log.units(1).map(({ index }) => index);
  const steps = indices.slice(1).map((index, i) => index - indices[i]!);
  assert.equal(steps.filter((step) => step !== 1024).length, 1);
  const gap = steps.find((step) => step !== 1024)!;
  assert.ok(Math.abs(gap - 11 * 1024) <= 2000, `${gap}`);
  assert.ok(bench.sequencer.counters.droppedUnits >= 7 && bench.sequencer.counters.droppedUnits <= 11);
});

test("a track more than a second behind another is dropped and counted", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 6 });
  const late = units
    .map((timed) => (timed.unit.track === 1 ? { ...timed, seconds: timed.seconds + 1.5 } : timed))
    .sort((a, b) => a.seconds - b.seconds);
  bench.send(late);
  assert.equal(bench.log.units(0).length, 150);
  assert.ok(bench.log.units(1).length < 50, "only what came after the last picture caught up");
  assert.ok(bench.sequencer.counters.droppedUnits > 200);
});

test("parameters that change in mid-stream are told; the ladder stays", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 4 });
  bench.send(units.filter(({ seconds }) => seconds < 2));
  bench.sequencer.event(tracksEvent(videoTrack(rate(25), 640, 360), audioTrack()));
  bench.send(units.filter(({ seconds }) => seconds >= 2).map((timed) => ({ ...timed, seconds: timed.seconds - 2 })));
  assert.equal(bench.log.of("tracks").length, 2);
  assert.equal(bench.log.of("era").length, 1);
  assert.equal(bench.log.units(0).length, 100);
});

test("a publisher that returns with another rate or other tracks opens an era", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 2 });
  bench.sequencer.detach(false);
  bench.pass(3000);
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(30)), audioTrack()));
  bench.stream({ seconds: 2, fps: 30, gopFrames: 30 });
  bench.sequencer.detach(false);
  bench.pass(500);
  bench.attach(FLV_CLOCK, tracksEvent(audioTrack()));
  bench.stream({ seconds: 2, kinds: "audio" });
  assert.deepEqual(
    bench.log.of("era").map((era) => [perSecond(era.rate), era.renditions.length]),
    [
      [25, 4],
      [30, 4],
      [25, 1],
    ],
  );
  assert.equal(bench.log.units(0).length, 110);
});

test("a session that its process lost goes on above the last known frame", () => {
  const before = new Bench();
  before.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  before.stream({ seconds: 3 });
  const { era, nextFrame: next, newestNs, tracks, anchorNs } = before.sequencer;
  const log = new CheckedLog();
  for (const entry of before.log.entries) if (entry.kind !== "unit") log.append(entry);
  const { time } = before.sequencer;
  before.clock.advance(4000);
  const output = { side: { era: era!, next }, timeline: new Timeline() };
  for (const entry of log.entries) if (entry.kind !== "unit") output.timeline.apply(entry);
  const restored = { output, newestNs, tracks, anchorNs: anchorNs!, time };
  const sequencer = new Sequencer({ clock: before.clock, channel, sink: log, restored });
  sequencer.tick();
  assert.equal(log.of("hole")[0]!.from, next);
  sequencer.attach(FLV_CLOCK);
  sequencer.event(tracksEvent(videoTrack(), audioTrack()));
  for (const { unit } of sourceUnits({ seconds: 1 })) sequencer.event(unit);
  assert.equal(log.units(0)[0]!.index, indexAt(rate(25), before.nowNs));
  assert.equal(log.units(0).length, 25);
});

test("a clock or parameters that change all the time are followed for a while, then refused", () => {
  const jumpy = new Bench();
  jumpy.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  for (let i = 0; i < 200 && !jumpy.sequencer.fault(); i += 1) {
    jumpy.stream({ seconds: 0.2, kinds: "video", startTicks: ((i * 7919) % 100) * 1_000_000 });
  }
  assert.equal(jumpy.sequencer.fault()?.code, "ingest.garbage");
  assert.ok(jumpy.log.of("splice").length < 60, `${jumpy.log.of("splice").length} splices`);

  const restless = new Bench();
  restless.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  for (const [i, timed] of sourceUnits({ seconds: 4, kinds: "video" }).entries()) {
    restless.sequencer.event(tracksEvent(videoTrack(rate(25), i % 2 === 0 ? 640 : 1280)));
    restless.sequencer.event(timed.unit);
    restless.pass(40);
  }
  assert.equal(restless.sequencer.fault()?.code, "ingest.garbage");
  assert.ok(restless.log.of("tracks").length < 60);
});

test("a recording sent as fast as the line goes is refused once it is a minute ahead", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  for (const { unit } of sourceUnits({ seconds: 50, kinds: "video" })) bench.sequencer.event(unit);
  assert.equal(bench.sequencer.fault(), null);
  for (const { unit } of sourceUnits({ seconds: 20, kinds: "video", startTicks: 50_000 })) bench.sequencer.event(unit);
  assert.equal(bench.sequencer.fault()?.code, "ingest.too_fast");
});

test("a picture whose presentation lies hours after its decoding is dropped, and the others go on", () => {
  const bench = new Bench();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.send(
    sourceUnits({ seconds: 3 }).map((timed, i) =>
      i === 60 ? { ...timed, unit: { ...timed.unit, ptsTicks: timed.unit.ptsTicks + 8_000_000 } } : timed,
    ),
  );
  assert.equal(bench.sequencer.counters.droppedUnits, 1);
  assert.ok(bench.log.units(0).length >= 74);
  assert.equal(bench.sequencer.state, "live");
});
