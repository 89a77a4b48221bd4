// Sessions whose pictures are copied. What holds for every log is checked by CheckedLog as it is written.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Channel } from "#media/channel.ts";
import { type AudioTrack, INTERLEAVE_MAX_NS } from "#media/session-log/entries.ts";
import { rate, rateText, timeOf } from "#media/time/rate.ts";
import { ROUNDING_MS } from "./plan-era.ts";
import { Bench } from "./testing/bench.ts";
import { audioTrack, FLV_CLOCK, sourceUnits, type Timed, TS_CLOCK, tracksEvent, videoTrack } from "./testing/source.ts";

const passthrough = (more: Partial<Channel> = {}) => new Bench({ ladder: "passthrough", ...more });
const NTSC = rate(30_000, 1001);

const frames = (bench: Bench) => bench.log.of("boundary").map(({ frame }) => frame);
const lengths = (bench: Bench, unit: number) =>
  frames(bench)
    .slice(1)
    .map((frame, i) => (frame - frames(bench)[i]!) / unit);

/** Random access points that refer to what was before. */
const opened = (units: readonly Timed[], from = 0): Timed[] =>
  units.map((timed) =>
    timed.seconds >= from && timed.unit.track === 0 && timed.unit.randomAccess
      ? { ...timed, unit: { ...timed.unit, payload: Uint8Array.of(0, 0, 0, 5, 0x41, 0x9a, 0x21, 0x6c, 0x40) } }
      : timed,
  );

test("RTMP's milliseconds do not show: pictures lie on the frames of the rate, segments on every second key frame", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(NTSC), audioTrack()));
  bench.stream({ seconds: 10, fps: 30_000 / 1001, gopFrames: 30, bFrames: 2, startTicks: 4_294_966_000 });
  const [era] = bench.log.of("era");
  assert.deepEqual(
    [era!.mode, era!.rate, era!.frameRate, era!.segmentFrames, era!.partFrames],
    ["source", rate(90_000), NTSC, 60 * 3003, 10 * 3003],
  );
  assert.deepEqual([era!.targetDurationSeconds, era!.partTargetMs], [10, 368]); // 16 frames of 1024 samples
  assert.deepEqual(
    era!.renditions.map(({ name }) => name),
    ["vcopy", "acopy"],
  );
  assert.deepEqual(lengths(bench, 3003), [60, 60, 60, 60]);
  const units = bench.log.units(0);
  const shown = units.map(({ index }) => index).sort((a, b) => a - b);
  assert.deepEqual(
    shown,
    units.map((_, i) => shown[0]! + i * 3003),
  );
  const decoded = units.map(({ decodeNs }) => decodeNs);
  assert.deepEqual(
    decoded,
    units.map((_, i) => timeOf(era!.rate, shown[0]! - 3003 + i * 3003)),
  );
  assert.equal(shown[0]! % 3003, 0, "the first lies on the frame grid of the epoch");
});

test("any pattern of key frames: a segment begins at the first at or after each nominal length", () => {
  const gops = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      gops,
      fc.constantFrom(1, 2, 3.2),
      fc.integer({ min: 0, max: 3 }),
      (pattern, segmentSeconds, bFrames) => {
        const keys = new Set<number>();
        let at = 0;
        for (const gop of pattern) {
          keys.add(at);
          at += gop;
        }
        const units = sourceUnits({ seconds: at / 25, kinds: "video", gopFrames: 1000, bFrames: 0, clock: TS_CLOCK });
        const [idr, slice] = [units[0]!.unit.payload, units[1]?.unit.payload];
        const patterned = units.map(({ seconds, unit }, i) => {
          const randomAccess = keys.has(i);
          const ptsTicks = unit.ptsTicks + bFrames * 3600;
          return { seconds, unit: { ...unit, ptsTicks, randomAccess, payload: randomAccess ? idr : slice! } };
        });
        const bench = passthrough({ segmentSeconds });
        bench.attach(TS_CLOCK, tracksEvent(videoTrack(rate(25))));
        bench.send(patterned);
        bench.pass(2500); // a stream that is over before it was measured is taken as declared
        const expected: number[] = [0];
        const nominal = Math.round(segmentSeconds * 25);
        for (const key of [...keys].slice(1))
          if (Math.floor(key / nominal) > Math.floor(expected.at(-1)! / nominal)) expected.push(key);
        const first = frames(bench)[0]!;
        const found = bench.log.of("boundary").filter(({ frame }) => bench.log.units(0).some((u) => u.index === frame));
        assert.deepEqual(
          found.map(({ frame }) => (frame - first) / 3600),
          expected,
        );
        assert.equal(bench.log.units(0).length, units.length);
      },
    ),
    { numRuns: 60 },
  );
});

test("stamps that are doubled or jittered: every picture is kept, each on a tick of its own", () => {
  const spoil = fc.array(fc.constantFrom("same", "early", "late", "none"), { minLength: 100, maxLength: 100 });
  fc.assert(
    fc.property(spoil, fc.constantFrom(TS_CLOCK, FLV_CLOCK), fc.integer({ min: 0, max: 3 }), (how, clock, bFrames) => {
      const bench = passthrough();
      bench.attach(clock, tracksEvent(videoTrack(rate(25))));
      const frame = clock.timescale / 25;
      const units = sourceUnits({ seconds: 8, kinds: "video", clock, bFrames, startTicks: clock.timescale });
      const spoiled = units.map((timed, i) => {
        const kind = i < 20 || i % 4 === 0 ? "none" : how[i % 100]!;
        const { unit } = units[Math.max(0, i - 1)]!;
        const shift = { same: 0, early: -frame / 2, late: frame / 2, none: 0 }[kind];
        const { ptsTicks, dtsTicks } = kind === "same" ? unit : timed.unit;
        const dts = Math.max(0, dtsTicks + Math.min(0, shift));
        return { ...timed, unit: { ...timed.unit, ptsTicks: Math.max(dts, ptsTicks + shift), dtsTicks: dts } };
      });
      bench.send(spoiled);
      assert.equal(bench.log.units(0).length, units.length);
      assert.equal(bench.sequencer.counters.damagedUnits, 0);
    }),
    { numRuns: 40 },
  );
});

test("a clock that stands still is not followed for ever", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack()));
  bench.stream({ seconds: 2, kinds: "video" });
  const stuck = sourceUnits({ seconds: 2, kinds: "video" }).at(-1)!.unit;
  for (let i = 0; i < 300 && !bench.sequencer.fault(); i += 1) {
    bench.pass(40);
    bench.sequencer.event(stuck);
  }
  assert.ok(bench.sequencer.fault());
  assert.equal(bench.log.units(0).length, 53);
});

test("a rate that varies: times are kept as they are, and each segment is one part", () => {
  const bench = passthrough({ segmentSeconds: 1 });
  bench.attach(TS_CLOCK, tracksEvent(videoTrack(rate(60)), audioTrack()));
  const even = sourceUnits({ seconds: 20, fps: 60, gopFrames: 60, clock: TS_CLOCK });
  const isKept = (i: number) => i % 60 === 0 || (i * 7919) % 13 < 4;
  let picture = -1;
  const units = even.filter(({ unit }) => {
    if (unit.track === 1) return true;
    picture += 1;
    return isKept(picture);
  });
  bench.send(units);
  const [era, ...more] = bench.log.of("era");
  assert.deepEqual(more, []);
  assert.deepEqual(era!.rate, rate(90_000));
  assert.ok(era!.partFrames > era!.targetDurationSeconds * 90_000);
  assert.equal(era!.partTargetMs, era!.targetDurationSeconds * 1000 + ROUNDING_MS, "what EXTINF may round down");
  assert.equal(bench.log.units(0).length, units.filter(({ unit }) => unit.track === 0).length);
  assert.equal(bench.log.of("boundary").length, 20);
});

test("a declared rate that lies is measured before anything is decided: one era", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(50)), audioTrack()));
  bench.stream({ seconds: 5, fps: 25 });
  assert.deepEqual(
    bench.log.of("era").map(({ frameRate }) => frameRate),
    [rate(25)],
  );
});

test("the declared key frame distance sets the target duration", () => {
  const targets = [
    [2, 2, 2],
    [1, 2, 2],
    [1.92, 2, 4],
    [0.5, 2, 2],
    [4, 2, 4],
    [2.5, 2, 3],
  ] as const;
  for (const [gopSeconds, segmentSeconds, target] of targets) {
    const bench = passthrough({ gopSeconds, segmentSeconds });
    bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    bench.stream({ seconds: 1 });
    assert.equal(bench.log.of("era")[0]!.targetDurationSeconds, target, `${gopSeconds}`);
  }
});

test("key frames that are too far apart are refused, or encoded from then on", () => {
  const refused = passthrough({ gopSeconds: 2 });
  refused.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  refused.stream({ seconds: 4, gopFrames: 250 });
  assert.equal(refused.sequencer.fault()?.code, "ingest.gop_too_long");
  assert.ok(refused.log.units(0).length < 70, "nothing more is taken");

  const encoded = passthrough({ copyFallback: "transcode" });
  encoded.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  encoded.stream({ seconds: 14, gopFrames: 1000, bFrames: 2 });
  assert.equal(encoded.sequencer.fault(), null);
  const [copied, grid, ...more] = encoded.log.of("era");
  assert.deepEqual([copied!.mode, grid!.mode, more.length], ["source", "grid", 0]);
  assert.ok(grid!.renditions.every((rendition) => !rendition.copied));
  assert.equal(grid!.targetDurationSeconds, copied!.targetDurationSeconds);
  assert.equal(encoded.log.units(0).length, 350);
  assert.ok(encoded.notes.includes("ingest.encoded_instead"));
});

test("pictures that stop while sound goes on: the segment ends where it must, whatever becomes of the publisher", () => {
  const all = sourceUnits({ seconds: 20, gopFrames: 50 });
  const units = all.filter(({ seconds, unit }) => unit.track === 1 || seconds < 5.5);
  for (const soundSeconds of [6.2, 7.3, 7.4, 8.1, 9.6, 20])
    for (const after of ["lost", "clean", "ended", "back", "transcode"] as const) {
      const copyFallback = after === "transcode" ? after : "refuse";
      const bench = passthrough({ gopSeconds: 2, copyFallback });
      bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
      bench.sendPart(units, 0, soundSeconds);
      const isTooLong = soundSeconds > 7.35 && after !== "transcode";
      assert.equal(bench.sequencer.fault()?.code, isTooLong ? "ingest.gop_too_long" : undefined, `${soundSeconds}`);
      if (after !== "ended") bench.sequencer.detach(after === "clean");
      if (after !== "ended") bench.pass(7000);
      if (after === "back") {
        bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
        bench.stream({ seconds: 5, gopFrames: 50 });
        assert.equal(bench.sequencer.fault(), null);
      }
      bench.sequencer.end("lost");
      const [era] = bench.log.of("era");
      const [, , third, fourth] = bench.log.of("boundary");
      assert.equal((third!.frame - era!.frame) / era!.rate.num, 4);
      if (!fourth) continue; // sound that ended in time
      const until = bench.log.entries.indexOf(fourth);
      const heard = bench.log.units(1).filter((unit) => bench.log.entries.indexOf(unit) < until);
      const sureNs = heard.at(-1)!.timeNs - INTERLEAVE_MAX_NS;
      assert.ok(timeOf(era!.rate, fourth.frame) >= sureNs, "no boundary where readers are already");
    }
});

test("open groups of pictures: known at the opening, and later on", () => {
  const atOnce = passthrough();
  atOnce.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  atOnce.send(opened(sourceUnits({ seconds: 4, clock: TS_CLOCK })));
  assert.equal(atOnce.sequencer.fault()?.code, "ingest.open_gop");
  assert.equal(atOnce.log.entries.length, 0);

  const later = passthrough();
  later.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  later.send(opened(sourceUnits({ seconds: 8, clock: TS_CLOCK }), 0.5));
  assert.equal(later.sequencer.fault()?.code, "ingest.open_gop");
  assert.equal(later.log.units(0).length, 76, "the second of them where a segment was due");

  const encoded = passthrough({ copyFallback: "transcode" });
  encoded.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  encoded.send(opened(sourceUnits({ seconds: 6, clock: TS_CLOCK })));
  assert.deepEqual(
    encoded.log.of("era").map(({ mode }) => mode),
    ["grid"],
  );
  assert.ok(encoded.log.units(0).length >= 100);
});

test("other random access points between key frames do no harm", () => {
  const bench = passthrough();
  bench.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 8, clock: TS_CLOCK });
  const mixed = opened(units).map((timed, i) => (Math.round(timed.seconds) % 2 === 0 ? units[i]! : timed));
  bench.send(mixed);
  assert.equal(bench.sequencer.fault(), null);
  assert.deepEqual(lengths(bench, 90_000), [2, 2, 2]);
});

test("a publisher that is away: a boundary where it stopped, whole gaps as time passes, a boundary where it goes on", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 3 });
  const last = Math.max(...bench.log.units(0).map(({ index }) => index));
  bench.sequencer.detach(false);
  bench.pass(1500);
  assert.equal(bench.log.of("hole").length, 0);
  bench.pass(5500);
  const holes = bench.log.of("hole");
  assert.deepEqual(
    holes.map(({ from, to }) => [from - last, to - last]),
    [1, 3, 5].map((start) => [start * 90_000, (start + 2) * 90_000].map((ticks) => ticks - 90_000 + 3600)),
  );
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 4, startTicks: 777_000 });
  const returned = bench.log.units(0).find(({ index }) => index > last)!;
  assert.equal(bench.log.of("hole").at(-1)!.to, returned.index);
  assert.equal(bench.log.of("era").length, 1);
  const boundary = bench.log.of("boundary").find(({ frame }) => frame === returned.index)!;
  assert.equal(boundary.discontinuity, false);
  const { timeline } = bench.log;
  const gaps = Array.from({ length: boundary.ordinal }, (_, ordinal) => timeline.isGap(timeline.segment(ordinal)!));
  assert.deepEqual(gaps, [false, false, true, true, true, true]);
});

test("a short absence is no hole: the last picture stands until the next", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 3 });
  bench.sequencer.detach(true);
  bench.pass(300);
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  bench.stream({ seconds: 3, startTicks: 5 });
  assert.equal(bench.log.of("hole").length, 0);
  assert.equal(bench.log.units(0).length, 150);
});

test("stamps that jump: with a key frame a discontinuity, within a group of pictures from the next key frame on", () => {
  for (const [from, lost] of [
    [4, 0],
    [4.2, 20],
  ] as const) {
    const bench = passthrough();
    bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    const units = sourceUnits({ seconds: 8 });
    bench.sendPart(units, 0, from);
    const jump = (timed: Timed): Timed => ({
      ...timed,
      unit: { ...timed.unit, ptsTicks: timed.unit.ptsTicks + 5e7, dtsTicks: timed.unit.dtsTicks + 5e7 },
    });
    bench.sendPart(units.map(jump), from, 8);
    const cuts = bench.log.of("boundary").filter(({ discontinuity }) => discontinuity);
    assert.equal(cuts.length, 2);
    assert.equal(bench.log.units(0).length, 200 - lost);
    assert.equal(bench.log.of("splice").length, 0);
  }
});

test("pictures of other parameters: a new era at the key frame that brings them, its tracks right before", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 6 });
  bench.sendPart(units, 0, 3);
  bench.sequencer.event(tracksEvent(videoTrack(rate(25), 640, 360), audioTrack()));
  bench.sendPart(units, 3, 6);
  const [first, second, ...more] = bench.log.of("era");
  assert.deepEqual(more, []);
  assert.equal(second!.frame, first!.frame + 3 * 90_000);
  assert.equal(second!.previousEnd, second!.frame);
  const at = bench.log.entries.indexOf(second!);
  assert.deepEqual(
    bench.log.entries.slice(at - 1, at + 2).map(({ kind }) => kind),
    ["tracks", "era", "boundary"],
  );
  assert.equal(bench.log.units(0).length, 150);
  assert.equal(bench.log.of("boundary").at(-1)!.discontinuities, 2);
});

test("pictures of another codec, from another sender's clock or after a hole: they begin an era all the same", () => {
  const idr = Uint8Array.of(0, 0, 0, 5, 0x26, 1, 0xaf, 8, 0x40);
  const slice = Uint8Array.of(0, 0, 0, 5, 2, 1, 0xaf, 8, 0x40);
  for (const awayMs of [0, 1500, 5000]) {
    const bench = passthrough();
    const hevc = tracksEvent({ ...videoTrack(), codec: "hevc" }, audioTrack());
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    bench.stream({ seconds: 3, clock: TS_CLOCK, startTicks: 900_000 });
    bench.pass(awayMs);
    bench.sequencer.event(hevc);
    const units = sourceUnits({ seconds: 3, clock: TS_CLOCK }).map(({ seconds, unit }) => {
      const payload = unit.track === 1 ? unit.payload : unit.randomAccess ? idr : slice;
      return { seconds, unit: { ...unit, payload } };
    });
    bench.send(units);
    assert.equal(bench.log.units(0).length, 150, `${awayMs}`);
    assert.deepEqual([bench.log.of("era").length, bench.sequencer.state], [2, "live"]);
  }
});

test("pictures of other parameters that declare another rate: their era has it from its first part on", () => {
  for (const [declared, fps] of [
    [rate(30), 30],
    [rate(25), 25],
    [null, 25],
  ] as const) {
    const bench = passthrough();
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(rate(25)), audioTrack()));
    bench.stream({ seconds: 3, clock: TS_CLOCK });
    bench.sequencer.event(tracksEvent(videoTrack(declared, 640, 360), audioTrack()));
    bench.stream({ seconds: 5, fps, gopFrames: fps, clock: TS_CLOCK, startTicks: 270_000 });
    const [, second, ...more] = bench.log.of("era");
    assert.deepEqual([second!.frameRate, more], [rate(fps), []]);
  }
});

test("tracks that are told one by one: no era of sound alone begins before the pictures are known, or will not be", () => {
  const units = sourceUnits({ seconds: 8, clock: TS_CLOCK });
  const other = videoTrack(rate(25), 640, 360);
  const names = (bench: Bench) => bench.log.of("era").map((era) => era.renditions.map(({ name }) => name).join());
  const told = (later: boolean, complete: boolean) => {
    const bench = passthrough();
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    bench.sendPart(units, 0, 3);
    bench.sequencer.event({ kind: "tracks", tracks: [audioTrack()], complete });
    const sound = units.filter(({ unit, seconds }) => unit.track === 1 && seconds >= 3);
    bench.sendPart(sound, 3, later ? 3.2 : 8);
    if (later) {
      bench.sequencer.event(tracksEvent(other, audioTrack()));
      bench.stream({ seconds: 3, clock: TS_CLOCK, startTicks: 3.2 * 90_000 });
    }
    return bench;
  };
  assert.deepEqual(names(told(true, false)), ["vcopy,acopy", "vcopy,acopy"]);
  assert.deepEqual(names(told(false, true)), ["vcopy,acopy", "acopy"]);
  assert.deepEqual(names(told(false, false)), ["vcopy,acopy", "acopy"]);
});

test("sound of other parameters: a new era at the next key frame, and none of it before", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(), audioTrack()));
  const units = sourceUnits({ seconds: 6 });
  bench.sendPart(units, 0, 2.5);
  bench.sequencer.event(tracksEvent(videoTrack(), audioTrack(44_100)));
  bench.sendPart(units, 2.5, 6);
  const second = bench.log.of("era")[1]!;
  assert.equal(second.frame - bench.log.of("era")[0]!.frame, 3 * 90_000);
  const before = bench.log.entries.slice(0, bench.log.entries.indexOf(second));
  const sound = before.filter((entry) => entry.kind === "unit" && entry.track === 1);
  assert.equal(sound.length, Math.ceil((2.5 * 48_000) / 1024));
  assert.equal(bench.log.units(0).length, 150);
});

test("where only the picture is copied, sound may change as it likes", () => {
  const mp2: AudioTrack = { ...audioTrack(), codec: "mp2", samplesPerUnit: 1152 };
  const bench = new Bench({ ladder: [{ copy: true }, { height: 360 }] });
  bench.attach(TS_CLOCK, tracksEvent(videoTrack(), mp2));
  bench.sendPart(sourceUnits({ seconds: 6, clock: TS_CLOCK }), 0, 2);
  assert.deepEqual(
    bench.log.of("era")[0]!.renditions.map(({ name }) => name),
    ["vcopy", "v360", "a128"],
  );
  bench.sequencer.event(tracksEvent(videoTrack(), { ...mp2, channels: 1 }));
  bench.sendPart(sourceUnits({ seconds: 6, clock: TS_CLOCK }), 2, 4);
  assert.equal(bench.log.of("era").length, 1);
  assert.equal(bench.log.of("tracks").length, 2);
});

test("several sizes: those that begin where the largest does are copied too, others left out", () => {
  const small = { ...videoTrack(rate(25), 640, 360), track: 2 };
  const aside = { ...videoTrack(rate(25), 320, 180), track: 3 };
  const bench = passthrough();
  bench.attach(TS_CLOCK, tracksEvent(small, videoTrack(), aside, audioTrack()));
  const units = sourceUnits({ seconds: 8, clock: TS_CLOCK, bFrames: 1 });
  const other = (track: number, shift: number) =>
    units.flatMap((timed) =>
      timed.unit.track === 0 ? [{ ...timed, seconds: timed.seconds + shift, unit: { ...timed.unit, track } }] : [],
    );
  const late = other(3, 0).map((timed, i) => {
    const from = units.filter(({ unit }) => unit.track === 0)[(i + 12) % 200]!.unit;
    return { ...timed, unit: { ...timed.unit, randomAccess: from.randomAccess, payload: from.payload } };
  });
  // The small picture comes a little before the large one, always.
  bench.send([...other(2, -0.001), ...units, ...late].sort((a, b) => a.seconds - b.seconds));
  const [era] = bench.log.of("era");
  assert.deepEqual(
    era!.renditions.map(({ name }) => name),
    ["vcopy", "vcopy-2", "acopy"],
  );
  assert.ok(bench.notes.includes("ingest.track_left_out"));
  assert.equal(bench.log.units(0).length, 200);
  assert.equal(bench.log.units(2).length, 200);
  assert.equal(bench.log.units(3).length, 0);
  for (const { frame } of bench.log.of("boundary")) {
    const at = bench.log.entries.findIndex((entry) => entry.kind === "boundary" && entry.frame === frame);
    const own = bench.log.entries.findIndex(
      (entry) => entry.kind === "unit" && entry.track === 2 && entry.index === frame,
    );
    assert.ok(own > at, "after the boundary");
  }
});

test("sound that runs seconds ahead of coming pictures is held, and lost by nobody", () => {
  for (const ladder of ["auto", "passthrough"] as const) {
    const bench = new Bench({ ladder });
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(), audioTrack()));
    const units = sourceUnits({ seconds: 12, clock: TS_CLOCK });
    const ahead = units
      .map((timed) => (timed.unit.track === 1 ? { ...timed, seconds: Math.max(0, timed.seconds - 2.5) } : timed))
      .sort((a, b) => a.seconds - b.seconds);
    bench.send(ahead);
    assert.equal(bench.sequencer.counters.droppedUnits, 0, ladder);
    assert.equal(bench.log.units(0).length, 300);
  }
});

test("sound alone is cut at its nominal lengths, at the frame that begins nearest", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(audioTrack(44_100)));
  bench.stream({ seconds: 9, kinds: "audio", sampleRate: 44_100 });
  const [era] = bench.log.of("era");
  assert.deepEqual([era!.mode, era!.rate, era!.targetDurationSeconds], ["source", rate(90_000), 2]);
  assert.deepEqual(lengths(bench, 90_000), [2, 2, 2, 2]);
  for (const { frame } of bench.log.of("boundary").slice(1)) {
    const at = bench.log.entries.findIndex((entry) => entry.kind === "boundary" && entry.frame === frame);
    const next = bench.log.entries[at + 1]!;
    assert.ok(next.kind === "unit");
    const offNs = next.timeNs - timeOf(era!.rate, frame);
    assert.ok(offNs >= -11_609_978n && offNs <= 11_609_978n, `${offNs} ns off`);
  }
});

test("a picture that comes late into copied sound begins an era", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(audioTrack()));
  const units = sourceUnits({ seconds: 6, gopFrames: 50 });
  bench.send(units.filter(({ seconds, unit }) => seconds < 3 && unit.track === 1));
  bench.sequencer.event(tracksEvent(videoTrack(), audioTrack()));
  bench.sendPart(units, 3, 6);
  assert.deepEqual(
    bench.log.of("era").map(({ mode, renditions }) => [mode, renditions.length]),
    [
      ["source", 1],
      ["source", 2],
    ],
  );
});

test("pictures that come at another rate later on: a new era; a rate that fills the parts evenly as well changes nothing", () => {
  const every = (n: number, from: number) => {
    let picture = -1;
    return (timed: Timed) => {
      if (timed.unit.track === 0) picture += 1;
      return timed.unit.track === 1 || timed.seconds < from || picture % n === 0;
    };
  };
  const units = sourceUnits({ seconds: 30, fps: 60, gopFrames: 60, clock: TS_CLOCK });
  for (const [n, rates] of [
    [2, ["60"]],
    [3, ["60", "20"]],
  ] as const) {
    const bench = passthrough();
    bench.attach(TS_CLOCK, tracksEvent(videoTrack(rate(60)), audioTrack()));
    bench.send(units.filter(every(n, 5)));
    assert.deepEqual(
      bench.log.of("era").map(({ frameRate }) => rateText(frameRate)),
      rates,
    );
    assert.equal(bench.log.of("tracks").length, 1);
  }
});

test("a rate that begins to vary: each segment is one part from then on", () => {
  const bench = passthrough();
  bench.attach(FLV_CLOCK, tracksEvent(videoTrack(rate(30)), audioTrack()));
  let picture = -1;
  const units = sourceUnits({ seconds: 20, fps: 30, gopFrames: 30 }).filter(({ seconds, unit }) => {
    if (unit.track === 1) return true;
    picture += 1;
    return seconds < 5 || picture % 30 === 0 || (picture * 7919) % 13 < 6;
  });
  bench.send(units);
  const eras = bench.log.of("era");
  assert.deepEqual(
    eras.map((era) => era.partFrames > era.segmentFrames),
    [false, true],
  );
  assert.equal(bench.log.units(0).length, units.filter(({ unit }) => unit.track === 0).length);
});
