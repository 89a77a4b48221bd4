// The track alone, without HTTP or a disk, in `source` mode: whatever order chunks and decisions come in, the same comes out.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PlatformError } from "#base/errors.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Decision, EraOpened } from "#media/session-log/entries.ts";
import { Timeline } from "#media/session-log/timeline.ts";
import type { HeldSegment } from "./held.ts";
import { planFor } from "./plan-for.ts";
import { audio, video } from "./testing/harness.ts";
import { COPIED_VIDEO, copiedAudio, type MadePart, SourceMedia, START_TICK, TICKS } from "./testing/source-media.ts";
import { Track } from "./track.ts";

const CELL = 30_000;
const AUDIO = copiedAudio("a1");
const RENDITIONS: readonly Rendition[] = [
  COPIED_VIDEO,
  AUDIO,
  copiedAudio("a2", { samplesPerUnit: 1536, codec: "ac3" }),
  copiedAudio("a3", { samplesPerUnit: 120, codec: "opus" }),
  video("v360", 360),
  audio,
];

const ERA: EraOpened = {
  kind: "era",
  era: 0,
  mode: "source",
  rate: { num: TICKS, den: 1 },
  frameRate: { num: 30, den: 1 },
  frame: START_TICK,
  previousEnd: null,
  segmentFrames: 2 * TICKS,
  partFrames: CELL,
  partTargetMs: 360,
  targetDurationSeconds: 4,
  sourceRate: { num: 30, den: 1 },
  renditions: RENDITIONS,
};

function boundary(media: SourceMedia, ordinal: number): Decision {
  const frame = media.boundaries[ordinal]!;
  return { kind: "boundary", frame, ordinal, discontinuity: ordinal === 0, discontinuities: ordinal === 0 ? 0 : 1 };
}

/** Pictures at uneven distances, key frames 1 to 3 s apart. */
function someMedia(random: Random, segments: number): SourceMedia {
  const frames: number[] = [];
  const boundaries: number[] = [];
  let tick = START_TICK;
  for (let i = 0; i <= segments; i += 1) {
    boundaries.push(tick);
    const end = tick + random.int(TICKS, 3 * TICKS);
    while (tick < end) {
      frames.push(tick);
      tick += random.int(1500, 12_000);
    }
  }
  return new SourceMedia(frames, boundaries, CELL, random.int(0, 1024), 0.96 + 0.08 * random.next());
}

/** A track, its log, and what was sealed. Chunks whose place the log has not told yet are kept, as a request would be. */
class Bench {
  readonly timeline = new Timeline();
  readonly track: Track;
  readonly sealed: HeldSegment[] = [];
  differs = 0;
  refused = 0;
  #waiting: MadePart[] = [];
  readonly #rendition: Rendition;

  constructor(rendition: Rendition) {
    this.#rendition = rendition;
    const host = {
      timeline: this.timeline,
      logPosition: () => 0,
      oldestKnown: () => 0,
      aheadBytesMax: 1e9,
      published: () => {},
      sealed: (_: Track, segment: HeldSegment) => void this.sealed.push(segment),
    };
    this.track = new Track(rendition.name, rendition.kind, host, 0, 0);
    this.say({
      kind: "session",
      session: "s",
      channel: "c",
      tenant: "main",
      msnBase: 0,
      discontinuityBase: 0,
      openedNs: 0n,
      traceparent: "",
    });
    this.say(ERA);
  }

  say(decision: Decision): void {
    this.timeline.apply(decision);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.track.advance();
    for (const part of waiting) this.send(part);
  }

  /** @param silent without the box that says it is the last of its segment */
  send(part: MadePart, silent = false): void {
    const plan = planFor(this.timeline, ERA, this.#rendition.name)!;
    const claim = { startTicks: part.start, durationTicks: part.duration, startsSegment: part.first };
    const placed = plan.place(claim);
    if (placed === null) {
      this.#waiting.push(part);
      return;
    }
    const { startTicks, durationTicks, startsSegment } = claim;
    const held = { startTicks, durationTicks, independent: part.first, bytes: part.bytes };
    const arrived = { era: 0, part: held, startsSegment, endsSegment: part.last && !silent, producedNs: null };
    const taken = this.track.take(arrived, placed === "gone" ? "gone" : placed.segment);
    if (taken === "differs") this.differs += 1;
    this.track.advance();
  }

  /** The same bytes, said to lie elsewhere. @returns 1 when they were refused at once */
  sendWrong(part: MadePart, random: Random): number {
    const off = random.int(1, part.duration - 1) * (random.next() < 0.5 ? 1 : -1);
    const wrong = { ...part, start: part.start + off, first: random.next() < 0.3, last: random.next() < 0.3 };
    const waiting = this.#waiting.length;
    try {
      this.send(wrong);
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "api.bad_request", `${error}`);
      return 1;
    }
    this.#waiting.length = waiting; // its request would be given up
    return 0;
  }

  get waiting(): number {
    return this.#waiting.length;
  }
}

/** Two lists as one, each in its own order. */
function riffled<T>(random: Random, a: readonly T[], b: readonly T[]): T[] {
  const [left, right] = [[...a], [...b]];
  const out: T[] = [];
  while (left.length + right.length > 0)
    out.push((right.length === 0 || (left.length > 0 && random.next() < 0.5) ? left : right).shift()!);
  return out;
}

test("source mode: any order of chunks and decisions, with copies, gives the same segments, contiguous, from boundary to boundary", () => {
  const property = fc.property(fc.integer(), fc.constantFrom(...RENDITIONS), fc.nat(3), (seed, rendition, mess) => {
    const random = seededRandom(seed);
    const media = someMedia(random, 6);
    const bench = new Bench(rendition);
    const parts = Array.from({ length: media.segments }, (_, i) => media.parts(rendition, i)).flat();
    const sent = parts.flatMap((part) => (random.next() < 0.2 ? [part, part] : [part]));
    if (mess > 0) for (let i = 0; i < 4 * mess; i += 1) swap(sent, random.int(0, sent.length), random);
    const sends = sent.map((part) => () => bench.send(part, mess === 3 && random.next() < 0.3));
    const says = media.boundaries.map((_, i) => () => bench.say(boundary(media, i)));
    for (const act of riffled(random, sends, says)) act();
    assert.deepEqual([bench.differs, bench.waiting, bench.track.isStuck], [0, 0, false]);
    assert.equal(bench.sealed.length, media.segments - (bench.track.growing ? 1 : 0));
    // Only the last may hang: without its box, and with nothing behind it, sound cannot know that it is over.
    if (mess < 3 || rendition.kind === "video") assert.equal(bench.sealed.length, media.segments);
    for (const segment of bench.sealed) {
      const made = media.parts(rendition, segment.ordinal);
      assert.deepEqual(segment.bytes, Buffer.concat(made.map(({ bytes }) => bytes)));
      assert.deepEqual([segment.startTicks, segment.parts.length, segment.gap], [made[0]!.start, made.length, false]);
      assert.equal(segment.startTicks + segment.durationTicks, made.at(-1)!.start + made.at(-1)!.duration);
    }
  });
  fc.assert(property, { numRuns: 400, seed: 6 });
});

function swap<T>(list: T[], at: number, random: Random): void {
  const to = Math.min(list.length - 1, at + random.int(1, 12));
  [list[at], list[to]] = [list[to]!, list[at]!];
}

test("source mode: what fits nowhere is refused, or waits within its bound; what is right comes out all the same", () => {
  const property = fc.property(fc.integer(), fc.constantFrom(...RENDITIONS), (seed, rendition) => {
    const random = seededRandom(seed);
    const media = someMedia(random, 5);
    const bench = new Bench(rendition);
    let refused = 0;
    for (let ordinal = 0; ordinal < media.segments; ordinal += 1) {
      bench.say(boundary(media, ordinal));
      for (const part of media.parts(rendition, ordinal)) {
        bench.send(part);
        for (let i = random.int(0, 3); i > 0; i -= 1) refused += bench.sendWrong(part, random);
      }
    }
    bench.say({ kind: "end", frame: media.boundaries[media.segments]!, reason: "publisher" });
    for (let i = 0; i < 20; i += 1) {
      bench.track.giveUpMissing(); // as a timer does
      bench.track.advance();
    }
    assert.ok(bench.track.finished, "nothing waits for ever");
    const whole = bench.sealed.filter((segment) => !segment.gap);
    assert.ok(refused + bench.differs > 0);
    for (const segment of whole) {
      const made = media.parts(rendition, segment.ordinal);
      assert.deepEqual(segment.bytes, Buffer.concat(made.map(({ bytes }) => bytes)));
    }
    assert.equal(whole.length, media.segments);
  });
  fc.assert(property, { numRuns: 200, seed: 12 });
});
