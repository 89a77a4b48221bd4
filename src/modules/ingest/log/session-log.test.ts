import { strict as assert } from "node:assert";
import { test } from "node:test";
import { PAYLOAD_BYTES_MAX } from "#media/session-log/codec.ts";
import type { Entry, Positioned, Unit } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import type { LogReader } from "./log-reader.ts";
import { SessionLog } from "./session-log.ts";
import { START_NS, TestSource } from "./testing/source.ts";

const SECOND_NS = 1_000_000_000n;
const AUDIO_UNIT_NS = 21_333_334n;
/** What the encoder (4 frames), the resampler and the decoder (5 units) of a worker begin with. */
const AUDIO_PRE_ROLL_NS = 291_000_000n + 6n * AUDIO_UNIT_NS;

function openLog(options: Partial<ConstructorParameters<typeof SessionLog>[0]> = {}): SessionLog {
  return new SessionLog({ session: "s1", bytesMax: 50_000_000, keepNs: 12n * SECOND_NS, ...options });
}

/** What there is to read now. */
function readAll(reader: LogReader): Positioned[] {
  const read: Positioned[] = [];
  for (let at = reader.poll(); at !== null; at = reader.poll()) read.push(at);
  return read;
}

const isVideoStart = (entry: Entry) => entry.kind === "unit" && entry.track === 0 && entry.randomAccess;
const isAudio = (entry: Entry): entry is Unit => entry.kind === "unit" && entry.track === 1;
const positions = (entries: readonly Positioned[]) => entries.map(({ position }) => position);

/** Appends the opening and that many frames. @returns everything appended, by position */
function fill(log: SessionLog, source: TestSource, frames: number): Entry[] {
  const appended: Entry[] = source.opening();
  for (let i = 0; i < frames; i += 1) appended.push(...source.step());
  for (const [position, entry] of appended.entries()) assert.equal(log.append(entry), position);
  return appended;
}

test("a reader from the first entry sees everything, then what comes, then the end", async () => {
  const log = openLog();
  const source = new TestSource();
  const appended = fill(log, source, 30);
  const reader = log.openReader("first");
  const seen: Entry[] = [];
  const reading = (async () => {
    for await (const { position, entry } of reader) {
      assert.equal(position, seen.length);
      seen.push(entry);
    }
  })();
  for (const entry of [...source.step(), source.end()]) {
    appended.push(entry);
    log.append(entry);
    await null;
  }
  await reading;
  assert.deepEqual(seen, appended);
  assert.ok(log.ended && reader.done);
  assert.equal(log.readers, 0);
});

test("nothing is evicted before it is stored", () => {
  const log = openLog({ keepNs: 0n });
  fill(log, new TestSource(), 3000);
  assert.equal(log.first, 0);
});

test("what is stored is evicted, but not the newest keepNs", () => {
  const log = openLog();
  const source = new TestSource();
  fill(log, source, 3000);
  log.storedThrough(timeOf(source.rate, source.frame));
  const oldest = log.at(log.first).entry as Unit;
  const newest = timeOf(source.rate, source.frame - 1);
  assert.ok(isVideoStart(oldest));
  assert.ok(newest - oldest.timeNs >= 12n * SECOND_NS, "at least keepNs");
  assert.ok(newest - oldest.timeNs <= 17n * SECOND_NS, "and not much more");
});

test("an earlier storedThrough changes nothing; a publisher away loses nothing", () => {
  const log = openLog({ keepNs: SECOND_NS });
  const source = new TestSource();
  fill(log, source, 600);
  log.storedThrough(timeOf(source.rate, source.firstFrame + 300));
  const { first } = log;
  log.storedThrough(timeOf(source.rate, source.firstFrame + 100));
  log.append(source.resumeAt(source.frame + 100_000));
  assert.equal(log.first, first);
});

for (const gopFrames of [1, 7, 60, 250])
  for (const seed of [1, 2, 3])
    test(`what a frame is made from is held until it is stored: GOP of ${gopFrames}, seed ${seed}`, () => {
      const log = openLog({ keepNs: 0n });
      const source = new TestSource({ gopFrames, seed, rate: rate(30_000, 1001) });
      const appended = fill(log, source, 900);
      for (let frame = source.firstFrame; frame < source.frame; frame += 30) {
        const instant = timeOf(source.rate, frame);
        log.storedThrough(instant);
        const read = readAll(log.openReader({ era: 0, frame }));
        const audioFrom = appended.findIndex(
          (e) => isAudio(e) && e.timeNs + AUDIO_UNIT_NS > instant - AUDIO_PRE_ROLL_NS,
        );
        const video = appended.findLastIndex((e) => isVideoStart(e) && (e as Unit).index <= frame - 2);
        const start = video < 0 ? 0 : Math.min(video, audioFrom);
        const expected = [...appended.entries()].filter(([at, entry]) => at >= start || entry.kind !== "unit");
        assert.deepEqual(
          positions(read),
          expected.map(([at]) => at),
          `frame ${frame - source.firstFrame}`,
        );
      }
      assert.ok(gopFrames > 100 || log.first > 500, "eviction took place");
    });

test("audio alone: from the pre-roll of the frame on", () => {
  const log = openLog({ keepNs: 0n });
  const source = new TestSource({ video: false, rate: rate(25) });
  const appended = fill(log, source, 500);
  const frame = source.firstFrame + 300;
  const instant = timeOf(source.rate, frame);
  log.storedThrough(instant);
  assert.ok(log.first > 300);
  const read = readAll(log.openReader({ era: 0, frame })).filter(({ entry }) => isAudio(entry));
  const expected = appended.findIndex((e) => isAudio(e) && e.timeNs + AUDIO_UNIT_NS > instant - AUDIO_PRE_ROLL_NS);
  assert.equal(read[0]!.position, expected);
});

test("video alone", () => {
  const log = openLog({ keepNs: 0n });
  const source = new TestSource({ audio: false });
  fill(log, source, 500);
  const frame = source.firstFrame + 300;
  log.storedThrough(timeOf(source.rate, frame));
  const units = readAll(log.openReader({ era: 0, frame })).filter(({ entry }) => entry.kind === "unit");
  assert.equal((units[0]!.entry as Unit).index, source.firstFrame + 240);
});

test("a frame inside a hole starts at the last random access point before the hole", () => {
  const log = openLog();
  const source = new TestSource();
  fill(log, source, 100);
  const hole = source.frame + 50;
  log.append(source.resumeAt(source.frame + 600));
  for (let i = 0; i < 10; i += 1) for (const entry of source.step()) log.append(entry);
  const read = readAll(log.openReader({ era: 0, frame: hole }));
  const first = read.find(({ entry }) => isVideoStart(entry))!;
  assert.equal((first.entry as Unit).index, source.firstFrame + 60);
});

test("a second era is found by its own frames, and what precedes it still by the first's", () => {
  const log = openLog();
  const early = new TestSource({ gopFrames: 30 });
  const appended = fill(log, early, 90);
  const late = new TestSource({ gopFrames: 30, rate: rate(25), seed: 2 });
  late.frame += 75; // 90 frames of 30 = 3 s = 75 frames of 25
  appended.push(late.era(1, early.frame), ...Array.from({ length: 75 }, () => late.step()).flat());
  for (const entry of appended.slice(log.next)) log.append(entry);
  const startOf = (era: number, frame: number) =>
    readAll(log.openReader({ era, frame })).find(({ entry }) => isVideoStart(entry))!.entry as Unit;
  assert.equal(startOf(1, late.firstFrame + 75).timeNs, timeOf(rate(30), early.firstFrame + 60));
  assert.equal(startOf(1, late.firstFrame + 77).index, late.firstFrame + 75);
  assert.equal(startOf(0, early.firstFrame + 45).index, early.firstFrame + 30);
  assert.throws(() => log.openReader({ era: 2, frame: 0 }), { code: "log.position_gone" });
});

test("what is gone is refused, by position and by frame; what is not written yet too", () => {
  const log = openLog({ keepNs: SECOND_NS });
  const source = new TestSource();
  fill(log, source, 900);
  log.storedThrough(timeOf(source.rate, source.frame - 60));
  const { first, next } = log;
  assert.ok(first > 0);
  assert.throws(() => log.openReader({ position: first - 1 }), { code: "log.position_gone" });
  assert.throws(() => log.openReader({ position: next + 1 }), { code: "log.position_gone" });
  assert.throws(() => log.openReader({ era: 0, frame: source.firstFrame + 30 }), { code: "log.position_gone" });
  assert.equal(log.readers, 0);
  assert.deepEqual(positions(readAll(log.openReader({ position: first }))).slice(0, 2), [first, first + 1]);
  assert.deepEqual(readAll(log.openReader({ position: next })), []);
});

test("the first start held is a random access point, after all earlier decisions", () => {
  const log = openLog({ keepNs: SECOND_NS });
  const source = new TestSource();
  fill(log, source, 900);
  log.storedThrough(timeOf(source.rate, source.frame - 60));
  const read = readAll(log.openReader("first"));
  assert.deepEqual(positions(read.slice(0, 4)), [0, 1, 2, 3]);
  assert.ok(isVideoStart(read[4]!.entry));
  assert.equal(read[4]!.position, log.first);
});

test("decisions alone: all of them, from a position, and never cut off", async () => {
  const log = openLog({ bytesMax: 10_000 });
  const source = new TestSource();
  fill(log, source, 10);
  const reader = log.openReader({ position: 2 }, { decisionsOnly: true });
  for (let i = 0; i < 1000; i += 1) for (const entry of source.step()) log.append(entry);
  const hole = log.append(source.resumeAt(source.frame + 10));
  const end = log.append(source.end());
  assert.deepEqual(positions(await Array.fromAsync(reader)), [2, 3, hole, end]);
  assert.equal(log.readersCut, 0);
});

test("the bound in bytes is stronger than what is not stored; whole groups of pictures go", () => {
  const bytesMax = 300_000;
  const log = openLog({ bytesMax });
  const source = new TestSource({ gopFrames: 30 });
  for (const entry of source.opening()) log.append(entry);
  for (let i = 0; i < 3000; i += 1)
    for (const entry of source.step()) {
      log.append(entry);
      assert.ok(log.bytes <= bytesMax);
      if (log.first > 0) assert.ok(isVideoStart(log.at(log.first).entry));
    }
  assert.ok(log.first > 0 && log.bytes > bytesMax / 2);
});

for (const gopFrames of [12, 100_000])
  test(`a group of ${gopFrames} pictures, most of the ring or more, goes unit by unit: close readers stay`, () => {
    const log = openLog({ bytesMax: 50_000 });
    const source = new TestSource({ gopFrames, payloadBytes: 2000 });
    for (const entry of source.opening()) log.append(entry);
    const reader = log.openReader({ position: 0 });
    for (let i = 0; i < 500; i += 1) {
      readAll(reader);
      for (const entry of source.step()) log.append(entry);
      assert.ok(log.bytes <= 50_000 && log.bytes > (i > 100 ? 25_000 : 0));
    }
    readAll(reader);
    assert.deepEqual([reader.position, log.readersCut], [log.next, 0]);
  });

test("a unit larger than the bound is held alone; one larger than the log's form is refused", () => {
  const log = openLog({ bytesMax: 10_000 });
  const source = new TestSource();
  fill(log, source, 5);
  const [unit] = source.step() as [Unit];
  log.append({ ...unit, payload: new Uint8Array(20_000) });
  assert.equal(log.first, log.next - 1);
  const { next } = log;
  assert.throws(() => log.append({ ...unit, payload: new Uint8Array(PAYLOAD_BYTES_MAX + 1) }), {
    code: "media.unsupported",
  });
  assert.equal(log.next, next);
});

test("a slow reader is cut off with a code and counted, others and the publisher are not touched", async () => {
  let changes = 0;
  const log = openLog({ bytesMax: 100_000, onReadersChanged: () => (changes += 1) });
  const source = new TestSource({ gopFrames: 10 });
  fill(log, source, 10);
  const cut: string[] = [];
  const slow = log.openReader("first", { onCut: (error) => cut.push(error.code) });
  const fast = log.openReader("first");
  const idle = log.openReader("first"); // never polled, and waiting for nothing
  slow.poll();
  let read = 0;
  for (let i = 0; i < 600; i += 1) {
    for (const entry of source.step()) log.append(entry);
    read += readAll(fast).length;
  }
  await null;
  assert.deepEqual(cut, ["log.reader_too_slow"]);
  assert.throws(() => slow.poll(), { code: "log.reader_too_slow" });
  await assert.rejects(idle.next(), { code: "log.reader_too_slow" });
  assert.deepEqual([read, log.readers, log.readersCut], [log.next, 1, 2]);
  assert.equal(changes, 5);
});

test("a reader that is closed or left early is released", async () => {
  const log = openLog();
  fill(log, new TestSource(), 5);
  for await (const _ of log.openReader("first")) break;
  const waiting = log.openReader({ position: log.next });
  const next = waiting.next();
  assert.equal(log.readers, 1);
  waiting.close();
  assert.deepEqual(await next, { done: true, value: undefined });
  assert.equal(log.readers, 0);
});

test("a restored log goes on above the old positions; readers go on after what was lost", () => {
  const old = openLog();
  const source = new TestSource();
  fill(old, source, 100);
  const log = openLog({ restored: { decisions: old.decisions(), next: 10_000 } });
  assert.deepEqual([log.first, log.next], [10_000, 10_000]);
  const lost = source.frame - 20;
  const byPosition = log.openReader({ position: 300 });
  assert.equal(log.append(source.resumeAt(source.frame + 300)), 10_000);
  for (const entry of source.step()) log.append(entry);
  assert.equal(readAll(byPosition)[0]!.position, 10_000);
  const byFrame = readAll(log.openReader({ era: 0, frame: lost }));
  assert.deepEqual(positions(byFrame.slice(0, 5)), [0, 1, 2, 3, 10_000]);
  assert.deepEqual(positions(readAll(log.openReader({ position: 2 }, { decisionsOnly: true }))), [2, 3, 10_000]);
  assert.equal((byFrame.find(({ entry }) => isVideoStart(entry))!.entry as Unit).index, source.firstFrame + 400);
});

test("a restored log that has ended gives its decisions and ends", async () => {
  const old = openLog();
  const source = new TestSource();
  fill(old, source, 10);
  const end = old.append(source.end());
  const log = openLog({ restored: { decisions: old.decisions(), next: 500 } });
  assert.ok(log.ended);
  assert.deepEqual(positions(await Array.fromAsync(log.openReader("first"))), [0, 1, 2, 3, end]);
  assert.deepEqual(await Array.fromAsync(log.openReader({ position: 500 })), []);
});

test("mistakes of the sequencer stop the process: after the end, a track nobody announced", () => {
  const log = openLog();
  const source = new TestSource();
  assert.throws(() => log.append(source.step()[0]!), { name: "AssertionError" });
  fill(log, new TestSource(), 1);
  log.append(source.end());
  assert.throws(() => log.append(source.end()), { name: "AssertionError" });
});

test("an instant before the session's first frame evicts nothing", () => {
  const log = openLog({ keepNs: 0n });
  const source = new TestSource();
  fill(log, source, 200);
  log.storedThrough(START_NS - 1n);
  assert.equal(log.first, 0);
});
