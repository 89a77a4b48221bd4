// Encoded renditions of a `source` session: pictures at their own ticks, segments and parts where the log's boundaries and
// cells put them, and nothing where nothing is.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { CmafReader } from "#media/cmaf/read.ts";
import type { Boundary, Entry, EraOpened, Positioned, Unit } from "#media/session-log/entries.ts";
import { audioFrameAtOrAfter } from "#media/time/segmentation.ts";
import { partCell } from "#media/time/source-ticks.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound, psnr } from "#platform/av/testing/decode.ts";
import { makeVideo, scenePlanes } from "#platform/av/testing/source.ts";
import { makeAudio } from "#platform/av/testing/source-audio.ts";
import { runSession } from "./session.ts";
import { bytesOf, partsOf, R25, RUNG, SIZE, videoOf } from "./testing/look.ts";
import { runOver } from "./testing/runs.ts";
import { audioRung, buildLog, type MemorySink, memorySink, type Stored, sourceOfLog } from "./testing/session-log.ts";
import { asSourceLog, type SourceLogSettings } from "./testing/source-log.ts";

const av = nodeAv();
const SETTINGS = videoOf({ frames: 200, gopFrames: 20, bFrames: 2 });

async function sourceLog(over: Partial<SourceLogSettings> = {}): Promise<Positioned<Entry>[]> {
  const renditions = [RUNG, audioRung];
  const log = buildLog({
    video: await makeVideo(SETTINGS),
    audio: await makeAudio({ codec: "mp2", sampleRate: 48_000, channels: 2, frames: 334 }),
    rate: R25,
    size: SIZE,
    renditions,
  });
  return asSourceLog(log, { renditions, ...over });
}

function ofKind<K extends Entry["kind"]>(log: readonly Positioned<Entry>[], kind: K): Extract<Entry, { kind: K }>[] {
  return log.map(({ entry }) => entry).filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind);
}

const pictures = (log: readonly Positioned<Entry>[]): Unit[] =>
  ofKind(log, "unit")
    .filter(({ track }) => track === 1)
    .toSorted((a, b) => a.index - b.index);

/** How long a part says it is. */
function durationOf(sink: MemorySink, part: Stored): number {
  const reader = new CmafReader();
  const bytes = Buffer.concat([sink.inits.get(`${part.track}/${part.era}`)!, part.bytes]);
  const chunk = [...reader.push(bytes)].find((event) => event.kind === "chunk");
  assert.ok(chunk?.kind === "chunk");
  assert.equal(chunk.facts.baseDecodeTicks, part.startTicks);
  return chunk.facts.durationTicks;
}

/** Parts of each segment follow each other, the last says so, and the segment ends where the next boundary is. */
function assertContiguous(sink: MemorySink, track: string, starts: readonly number[], end: number): void {
  const parts = partsOf(sink, track);
  for (const [i, start] of starts.entries()) {
    const own = parts.filter(({ segmentStartTicks }) => segmentStartTicks === start);
    let at = start;
    for (const part of own) {
      assert.equal(part.startTicks, at, `${track}: a part follows the one before`);
      at += durationOf(sink, part);
    }
    assert.equal(at, starts[i + 1] ?? end, `${track}: a segment ends where the next begins`);
    assert.deepEqual(
      own.map(({ lastOfSegment }) => lastOfSegment),
      own.map((_, k) => k === own.length - 1),
    );
  }
  assert.equal(parts.length, new Set(parts.map(({ startTicks }) => startTicks)).size);
}

test("each picture once at its own tick, keys at boundaries, parts are cells, sound on its grid", async () => {
  const log = await sourceLog({ laterBy: (frame) => (frame % 4) * 311 });
  const sink = await runOver(av, log);
  const era: EraOpened = ofKind(log, "era")[0]!;
  const boundaries: Boundary[] = ofKind(log, "boundary");
  const units = pictures(log);
  const end = ofKind(log, "end")[0]!.frame;

  const decoded = await decodePictures(bytesOf(sink, "v90"));
  assert.deepEqual(
    decoded.map(({ ticks }) => ticks),
    units.map(({ index }) => index),
  );
  assert.deepEqual(
    decoded.filter(({ key }) => key).map(({ ticks }) => ticks),
    boundaries.map(({ frame }) => frame),
  );
  for (const [i, { luma }] of decoded.entries())
    assert.ok(psnr(luma, scenePlanes(SETTINGS, i).y) > 26, `picture ${i} is the source's`);

  const starts = boundaries.map(({ frame }) => frame);
  assert.ok(starts.length >= 3);
  assertContiguous(sink, "v90", starts, end);
  for (const [i, start] of starts.entries()) {
    const inside = units.filter(({ index }) => index >= start && index < (starts[i + 1] ?? end));
    const firstOfCell = new Map<number, number>();
    for (const { index } of inside) {
      const cell = partCell(start, index, era.partFrames);
      if (!firstOfCell.has(cell)) firstOfCell.set(cell, index);
    }
    assert.deepEqual(
      partsOf(sink, "v90")
        .filter(({ segmentStartTicks }) => segmentStartTicks === start)
        .map(({ startTicks }) => startTicks),
      [...firstOfCell.values()],
    );
  }
  const soundAt = (tick: number) => audioFrameAtOrAfter(era.rate, tick, 48_000) * 1024;
  assertContiguous(sink, "audio", starts.map(soundAt), soundAt(end));
  for (const { startTicks, segmentStartTicks, track } of sink.parts) {
    if (track !== "audio") continue;
    const width = (era.partFrames * 48_000) / era.rate.num;
    const cell = partCell(segmentStartTicks, startTicks, width);
    assert.ok(startTicks === segmentStartTicks || partCell(segmentStartTicks, startTicks - 1024, width) < cell);
  }
  const sound = await decodeSound(bytesOf(sink, "audio"));
  const loud = sound.slice(4, -4).every(({ samples }) => Math.max(...samples) > 0.25);
  assert.ok(loud, "MP2 sounds in AAC from beginning to end");
});

test("while the publisher is away no segment is made, and the last before it is complete when it is known to be", async () => {
  const log = await sourceLog({ away: [47, 171] });
  const told = log.findIndex(({ entry }) => entry.kind === "hole");
  const sink = memorySink();
  const isComplete = () => partsOf(sink, "v90").filter(({ lastOfSegment }) => lastOfSegment).length >= completeBefore;
  const completeBefore = ofKind(log.slice(0, told), "boundary").length - 1; // the last one opens the hole
  let wasComplete = false;
  const source = sourceOfLog(log, {
    pause: async () => {
      served += 1;
      if (served !== told + 1) return;
      for (const end = performance.now() + 10_000; !isComplete() && performance.now() < end; ) await sleep(5);
      wasComplete = isComplete();
    },
  });
  let served = 0;
  const deps = { clock: systemClock(), log: silentLog, av, source, sinks: [sink], session: "s", onProgress: () => {} };
  await runSession(deps, new AbortController().signal);
  assert.ok(wasComplete, "the boundary alone completes it, not the hole a segment later");
  const holes = ofKind(log, "hole");
  const starts = ofKind(log, "boundary").map(({ frame }) => frame);
  const inHole = (tick: number) => holes.some(({ from, to }) => tick >= from && tick < to);
  assert.ok(starts.filter(inHole).length >= 2, "whole segments are missing");
  const made = [...new Set(partsOf(sink, "v90").map(({ segmentStartTicks }) => segmentStartTicks))];
  assert.deepEqual(
    made,
    starts.filter((start) => !inHole(start)),
  );
  const before = starts.filter((start) => start < holes[0]!.from && !inHole(start));
  assertContiguous(sink, "v90", before, holes[0]!.from);
  const era = ofKind(log, "era")[0]!;
  const sounds = [...new Set(partsOf(sink, "audio").map(({ segmentStartTicks }) => segmentStartTicks))];
  assert.deepEqual(
    sounds,
    made.map((tick) => audioFrameAtOrAfter(era.rate, tick, 48_000) * 1024),
  );
});

test("a boundary whose key picture is broken: what can be shown first begins the segment", async () => {
  const log = await sourceLog();
  const { frame } = ofKind(log, "boundary")[1]!;
  const spoiled = log.map(({ position, entry }) => {
    if (entry.kind !== "unit" || entry.track !== 1 || entry.index !== frame) return { position, entry };
    return { position, entry: { ...entry, damaged: true, payload: new Uint8Array(0) } };
  });
  const sink = await runOver(av, spoiled);
  const starts = ofKind(log, "boundary").map((boundary) => boundary.frame);
  assertContiguous(sink, "v90", starts, ofKind(log, "end")[0]!.frame);
  const decoded = await decodePictures(bytesOf(sink, "v90"));
  assert.deepEqual(
    decoded.filter(({ key }) => key).map(({ ticks }) => ticks),
    starts,
  );
});

test("pictures that are only copied are not decoded, and the sound is cut at their boundaries", async () => {
  const log = await sourceLog({ renditions: [audioRung] });
  const blind = { ...av, openVideoDecoder: () => Promise.reject(new Error("nobody asked for pictures")) };
  const sink = await runOver(blind, log);
  const era = ofKind(log, "era")[0]!;
  const soundAt = (tick: number) => audioFrameAtOrAfter(era.rate, tick, 48_000) * 1024;
  assert.deepEqual([...sink.ended], ["audio/0"]);
  const starts = ofKind(log, "boundary").map(({ frame }) => soundAt(frame));
  assertContiguous(sink, "audio", starts, soundAt(ofKind(log, "end")[0]!.frame));
});
