// Goal: whatever the publisher, the origin's acknowledgements and any number of readers do, in any order, each reader
// sees exactly what was appended, in order, from a start that is enough for what it asked; it is cut off only when its
// next entry has left the ring; and the ring stays within its bound.
// Method: seeded steps against a plain array of everything ever appended. Replay: SEED=17 node --test <this file>
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PlatformError } from "#base/errors.ts";
import { type Random, seededRandom } from "#base/random.ts";
import type { Entry, Unit } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import type { LogReader } from "./log-reader.ts";
import { SessionLog } from "./session-log.ts";
import { TestSource } from "./testing/source.ts";

const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 200 }, (_, i) => i + 1);
const STEPS = 400;
const AUDIO_UNIT_NS = 21_333_333n;
const RATES = [rate(25), rate(30_000, 1001), rate(60), rate(24_000, 1001)];

type Follower = { reader: LogReader; next: number; cut: boolean; decisionsOnly: boolean };

class World {
  readonly random: Random;
  readonly bytesMax: number;
  readonly log: SessionLog;
  readonly source: TestSource;
  readonly appended: Entry[] = [];
  readonly followers: Follower[] = [];
  storedFrame: number;
  overflowed = false;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    const pick = <T>(values: readonly T[]) => values[this.random.int(0, values.length)]!;
    this.bytesMax = pick([30_000, 200_000, 100_000_000]);
    this.log = new SessionLog({
      session: "s",
      bytesMax: this.bytesMax,
      keepNs: pick([0n, 500_000_000n, 12_000_000_000n]),
    });
    const video = this.random.next() < 0.9;
    const audio = !video || this.random.next() < 0.8;
    this.source = new TestSource({ seed, video, audio, rate: pick(RATES), gopFrames: pick([1, 5, 25, 60, 1000]) });
    this.storedFrame = this.source.firstFrame;
    this.append(...this.source.opening());
  }

  append(...entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.log.append(entry);
      this.appended.push(entry);
      assert.ok(this.log.bytes <= this.bytesMax, "the bound in bytes");
      assert.equal(this.log.next, this.appended.length);
      if (this.log.bytes + 4000 > this.bytesMax) this.overflowed = true;
    }
  }

  step(): void {
    const chance = this.random.next();
    if (chance < 0.55) this.append(...this.source.step());
    else if (chance < 0.56) this.append(this.source.resumeAt(this.source.frame + this.random.int(1, 200)));
    else if (chance < 0.57) this.append({ kind: "splice", frame: this.source.frame, discontinuity: true });
    else if (chance < 0.62) this.acknowledge();
    else if (chance < 0.66) this.open();
    else if (chance < 0.97) this.read();
    else this.leave();
  }

  acknowledge(): void {
    this.storedFrame = this.random.int(this.storedFrame, this.source.frame + 1);
    this.log.storedThrough(timeOf(this.source.rate, this.storedFrame));
    this.openAt(this.storedFrame, !this.overflowed); // what is not stored can still be made
  }

  open(): void {
    const kind = this.random.int(0, 4);
    if (kind === 0) this.openFrom(this.random.int(0, this.log.next + 1));
    else if (kind === 1) this.openAt(this.random.int(this.source.firstFrame, this.source.frame + 100), false);
    else if (kind === 2) this.follow(this.log.openReader("first"), 0, false);
    else this.follow(this.log.openReader({ position: 0 }, { decisionsOnly: true }), 0, true);
  }

  openFrom(position: number): void {
    const gone = position < this.log.first;
    try {
      const reader = this.log.openReader({ position });
      assert.ok(!gone);
      assert.equal(reader.position, position);
      this.follow(reader, position, false);
    } catch (error) {
      assert.ok(gone && error instanceof PlatformError && error.code === "log.position_gone", String(error));
    }
  }

  openAt(frame: number, mustBeHeld: boolean): void {
    const instant = timeOf(this.source.rate, frame);
    const isVideo = (entry: Entry): entry is Unit => entry.kind === "unit" && entry.track === 0;
    const video = this.appended.findLastIndex((e) => isVideo(e) && e.randomAccess && e.index <= frame - 2);
    const audio = this.appended.findIndex(
      (e) => e.kind === "unit" && e.track === 1 && e.timeNs + AUDIO_UNIT_NS > instant - 8n * AUDIO_UNIT_NS,
    );
    const least = Math.min(...[video, audio].filter((position) => position >= 0));
    try {
      const reader = this.log.openReader({ era: 0, frame });
      const late = "the start is late enough to hold all that the frame is made from";
      if (Number.isFinite(least) && (video >= 0 || !this.appended.some(isVideo)))
        assert.ok(reader.position <= least, late);
      this.follow(reader, 0, false);
    } catch (error) {
      assert.ok(error instanceof PlatformError && error.code === "log.position_gone", String(error));
      assert.ok(!mustBeHeld, `frame ${frame} is not stored and cannot be made any more`);
    }
  }

  follow(reader: LogReader, next: number, decisionsOnly: boolean): void {
    this.followers.push({ reader, next, cut: false, decisionsOnly });
  }

  read(): void {
    const follower = this.followers[this.random.int(0, this.followers.length)];
    if (follower) this.poll(follower, this.random.next() < 0.3 ? 100_000 : this.random.int(1, 30));
  }

  poll(follower: Follower, most: number): void {
    const { reader, decisionsOnly } = follower;
    for (let i = 0; i < most; i += 1) {
      const needed = reader.position;
      try {
        const at = reader.poll();
        if (at === null) {
          if (!decisionsOnly && !reader.done) assert.equal(needed, this.log.next, "only at the end it has nothing");
          return;
        }
        assert.equal(at.entry, this.appended[at.position], "what was appended there");
        const skipped = this.appended.slice(follower.next, at.position);
        const onlyDecisions = decisionsOnly || at.position <= needed;
        assert.ok(onlyDecisions && skipped.every(decisionsOnly ? isUnit : (e) => isUnit(e)), "no decision is skipped");
        if (!decisionsOnly && isUnit(at.entry)) assert.equal(at.position, needed, "units without holes");
        follower.next = at.position + 1;
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        assert.equal(error.code, "log.reader_too_slow");
        assert.ok(!decisionsOnly && needed < this.log.first, "cut off only when its next entry is gone");
        follower.cut = true;
        return;
      }
    }
  }

  leave(): void {
    const place = this.random.int(0, this.followers.length + 1);
    const [follower] = this.followers.splice(place, 1);
    follower?.reader.close();
  }

  finish(): void {
    this.append(this.source.end());
    for (const follower of this.followers) {
      this.poll(follower, Number.MAX_SAFE_INTEGER);
      if (!follower.cut) assert.ok(follower.reader.done && follower.next === this.appended.length, "read to the end");
    }
    assert.equal(this.log.readers, 0);
  }
}

const isUnit = (entry: Entry) => entry.kind === "unit";

test("readers, eviction and acknowledgements in any order", () => {
  const met = { evicted: 0, cut: 0, finished: 0 };
  for (const seed of seeds) {
    try {
      const world = new World(seed);
      for (let i = 0; i < STEPS; i += 1) world.step();
      world.finish();
      if (world.log.first > 0) met.evicted += 1;
      met.cut += world.followers.filter(({ cut }) => cut).length;
      met.finished += world.followers.filter(({ cut }) => !cut).length;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  if (seeds.length > 1)
    assert.ok(met.evicted > 50 && met.cut > 50 && met.finished > 50, `the storm is one: ${JSON.stringify(met)}`);
});
