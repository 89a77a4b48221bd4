// Goal: what is copied is the source, sample for sample, at its own times, cut by the law; and whoever joins makes the
// same bytes. Method: logs from seeds (synthetic-log.ts). Replay: SEED=17 node --test src/modules/packager/session.test.ts
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Random, seededRandom } from "#base/random.ts";
import { silentAac } from "#media/codec/aac-silence.ts";
import type { AudioTrack, Boundary, Entry, EraOpened, Positioned, Track, Unit } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import { packaged, type Recorded, samplesOf } from "./testing/recording.ts";
import { type EraShape, SyntheticLog } from "./testing/synthetic-log.ts";

const JOINS = 20;
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 60 }, (_, i) => i + 1);

const RATES = [rate(25), rate(30), rate(30_000, 1001), rate(24_000, 1001), rate(50), rate(10)];

function anyShape(random: Random): EraShape {
  const pick = <T>(values: readonly T[]): T => values[random.int(0, values.length)]!;
  const seconds = random.int(6, 14);
  const codecs = ["aac", "aac", "ac3", "mp3"] as const;
  const isMuted = random.next() < 0.3;
  return {
    seconds,
    frameRate: pick(RATES),
    reorder: pick([0, 1, 2]),
    varies: random.next() < 0.2,
    gop: pick([
      [10, 10],
      [25, 50],
      [3, 90],
    ]),
    sound: Array.from({ length: random.int(0, 3) }, () => ({
      codec: pick(codecs),
      sampleRate: pick([48_000, 44_100]),
    })),
    hole: random.next() < 0.4 ? [2, 2 + random.int(3, 9)] : null,
    mute: isMuted ? [random.int(0, 3), random.int(3, seconds)] : null,
    small: random.next() < 0.3,
  };
}

/** What a log says of one era. */
type EraFacts = {
  era: EraOpened;
  tracks: readonly Track[];
  end: number;
  boundaries: (Boundary & { gap: boolean })[];
  units: Unit[];
};

function erasOf(entries: readonly Positioned<Entry>[]): EraFacts[] {
  const eras: EraFacts[] = [];
  let tracks: readonly Track[] = [];
  for (const { entry } of entries) {
    const open = eras.at(-1);
    if (entry.kind === "tracks") tracks = entry.tracks;
    else if (entry.kind === "era") {
      if (open) open.end = entry.previousEnd!;
      eras.push({ era: entry, tracks, end: 0, boundaries: [], units: [] });
    } else if (entry.kind === "boundary") open!.boundaries.push({ ...entry, gap: false });
    else if (entry.kind === "hole") {
      const last = open!.boundaries.at(-1)!;
      assert.equal(last.frame, entry.from);
      last.gap = true;
    } else if (entry.kind === "unit") open!.units.push(entry);
    else if (entry.kind === "end") open!.end = entry.frame;
  }
  return eras;
}

/** The law, for pictures: who belongs to which boundary, and that every instant is where the source had it. */
function checkPictures(facts: EraFacts, track: number, made: Recorded | undefined): void {
  const { era, boundaries, end } = facts;
  const units = facts.units.filter((unit) => unit.track === track);
  const segments = segmentsOf(made);
  const expected = boundaries.filter(({ gap }) => !gap).map(({ frame }) => frame);
  assert.deepEqual([...segments.keys()], expected, "segments begin at the boundaries");
  let taken = 0;
  for (const [start, parts] of segments) {
    const at = boundaries.findIndex(({ frame }) => frame === start);
    const until = boundaries[at + 1]?.frame ?? end;
    const samples = parts.flat();
    taken = units.findIndex((unit, i) => i >= taken && unit.index === start);
    for (const sample of samples) {
      const unit = units[taken++]!;
      assert.ok(sample.bytes.equals(unit.payload));
      assert.equal(sample.decode + sample.offset, unit.index, "it is shown when it was");
      assert.equal(sample.sync, unit.randomAccess);
      assert.ok(sample.duration >= 1);
    }
    assert.equal(samples[0]!.decode, start);
    assert.equal(samples.at(-1)!.decode + samples.at(-1)!.duration, until, "it lasts until the next boundary");
    assert.ok(taken === units.length || units[taken]!.index >= until, "no picture is left out");
    checkCells(parts, era.partFrames);
  }
}

/** The law, for sound: nearest frames, nothing lost, no gap; where the source has none, silence. */
function checkSound(facts: EraFacts, track: AudioTrack, made: Recorded | undefined): void {
  const { era, boundaries } = facts;
  const units = facts.units.filter((unit) => unit.track === track.track);
  const silence = track.codec === "aac" ? silentAac(track.config) : null;
  const segments = segmentsOf(made);
  const ticksOf = (frame: number) =>
    Number((BigInt(frame) * BigInt(track.sampleRate * era.rate.den) * 1000n) / BigInt(era.rate.num)) / 1000;
  const wanted = boundaries.filter(({ gap }) => !gap);
  if (silence) assert.equal(segments.size, wanted.length, "each segment has sound");
  let last: { end: number; ordinal: number } | null = null;
  for (const [start, parts] of segments) {
    const boundary = wanted.reduce((best, one) =>
      Math.abs(ticksOf(one.frame) - start) < Math.abs(ticksOf(best.frame) - start) ? one : best,
    );
    const off = Math.abs(ticksOf(boundary.frame) - start);
    assert.ok(off <= track.samplesPerUnit * 1.06, `a segment begins ${off} samples from its boundary`);
    const samples = parts.flat();
    for (const { index } of units) {
      const nearer = Math.abs(ticksOf(boundary.frame) - index) < off - 0.01;
      assert.ok(!nearer, "a frame is nearer to the boundary than the one it begins with");
    }
    if (last !== null && last.ordinal === boundary.ordinal - 1)
      assert.equal(start, last.end, "no gap between segments");
    last = { ordinal: boundary.ordinal, end: samples.at(-1)!.decode + samples.at(-1)!.duration };
    const until = ticksOf(boundaries.find(({ ordinal }) => ordinal > boundary.ordinal)?.frame ?? facts.end);
    for (const sample of samples) {
      if (silence !== null && sample.bytes.equals(silence)) continue;
      const unit = units.find(({ index, payload }) => index >= sample.decode && sample.bytes.equals(payload))!;
      if (silence) assert.equal(unit.index, sample.decode);
      if (silence) assert.ok(sample.duration <= 2.5 * track.samplesPerUnit, `a frame lasts ${sample.duration}`);
    }
    const own = units.filter(
      ({ index }) => index >= start + track.samplesPerUnit && index < Math.min(last!.end, until),
    );
    const told = samples.filter(({ bytes }) => silence === null || !bytes.equals(silence));
    assert.ok(told.length >= own.length, "no frame is left out");
    checkCells(parts, Math.floor((era.partFrames * track.sampleRate * era.rate.den) / era.rate.num));
  }
}

/** By start of the segment: samples by part; contiguous inside. */
function segmentsOf(made: Recorded | undefined) {
  const segments = new Map<number, ReturnType<typeof samplesOf>[]>();
  let isOver = true;
  for (const { startTicks, segmentStartTicks, bytes, lastOfSegment } of made?.parts ?? []) {
    const samples = samplesOf(bytes);
    assert.equal(samples[0]!.decode, startTicks);
    assert.equal(startTicks === segmentStartTicks, isOver, "a segment begins after the last part of another");
    assert.equal(Buffer.from(bytes).toString("latin1", 4, 8), isOver ? "styp" : "moof");
    const parts = segments.get(segmentStartTicks) ?? [];
    const before = parts.at(-1)?.at(-1);
    if (before) assert.equal(before.decode + before.duration, startTicks, "no gap between parts");
    parts.push(samples);
    segments.set(segmentStartTicks, parts);
    isOver = lastOfSegment;
  }
  assert.ok(isOver, "the last segment is closed");
  return segments;
}

function checkCells(parts: ReturnType<typeof samplesOf>[], cell: number): void {
  const start = parts[0]![0]!.decode;
  const cells = parts.map((samples) => new Set(samples.map(({ decode }) => Math.floor((decode - start) / cell))));
  for (const own of cells) assert.equal(own.size, 1, "a part is a cell");
  const numbers = cells.map((own) => [...own][0]!);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
    "each cell once, in order",
  );
}

/** From where a gateway lets read for a segment: its newest random access point before it, and sound before that. */
function joining(entries: readonly Positioned<Entry>[], facts: EraFacts, frame: number, extra: number) {
  const targetNs = timeOf(facts.era.rate, frame);
  const isStart = ({ entry }: Positioned<Entry>) =>
    entry.kind === "unit" && entry.track === 1 && entry.randomAccess && entry.timeNs < targetNs;
  const picture = entries.findLastIndex(isStart);
  const sound = entries.findIndex(
    ({ entry }) => entry.kind === "unit" && entry.track >= 10 && entry.timeNs > targetNs - 400_000_000n,
  );
  const start = picture < 0 ? 0 : Math.max(0, Math.min(picture, sound < 0 ? picture : sound) - extra);
  return entries.filter(({ entry }, i) => i >= start || entry.kind !== "unit");
}

for (const seed of seeds)
  test(`copied media is the source's, and the same from everyone, seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const shapes = Array.from({ length: random.int(1, 4) }, () => anyShape(random));
    const { entries } = new SyntheticLog(random, shapes);
    const eras = erasOf(entries);
    const whole = await packaged(entries);
    for (const facts of eras)
      for (const track of facts.tracks) {
        const made = whole.get(`${track.kind}-${track.track} ${facts.era.era}`);
        if (track.kind === "video") checkPictures(facts, track.track, made);
        else checkSound(facts, track, made);
      }
    for (let join = 0; join < JOINS; join += 1) {
      const facts = eras[random.int(0, eras.length)]!;
      // Not where the segment before is a few frames long: what is early is told from its start here.
      const places = facts.boundaries.filter(
        ({ frame }, i, all) => i === 0 || frame - all[i - 1]!.frame > facts.era.rate.num / 5,
      );
      const { frame } = places[random.int(0, places.length)]!;
      const from = { era: facts.era.era, frame };
      const made = await packaged(joining(entries, facts, frame, random.int(0, 200)), from);
      for (const [key, { era, init, parts }] of whole) {
        const track = facts.tracks.find((one) => key.startsWith(`${one.kind}-${one.track} `));
        const early = (start: number) => era < from.era || (era === from.era && isBefore(start, facts, track!));
        const expected = parts.filter(({ segmentStartTicks }) => !early(segmentStartTicks));
        const joined = made.get(key);
        assert.deepEqual(summary(joined?.parts ?? []), summary(expected), `${key} joined at ${frame}`);
        if (joined) assert.deepEqual(joined.init, init);
      }
      function isBefore(start: number, { era }: EraFacts, track: Track): boolean {
        if (track.kind === "video") return start < frame;
        const boundary = Number((BigInt(frame) * BigInt(track.sampleRate * era.rate.den)) / BigInt(era.rate.num));
        return start < boundary - 1.3 * track.samplesPerUnit; // in short segments and at the rim of silence
      }
    }
  });

const summary = (parts: Recorded["parts"]) =>
  parts.map(({ bytes, newestArrivedNs: _, ...rest }) => ({ ...rest, bytes: Buffer.from(bytes).toString("base64") }));
