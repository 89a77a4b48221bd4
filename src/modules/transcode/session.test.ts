// What comes out of a worker, looked at as a player and an origin would: every frame at its place, each segment whole,
// and the right picture in it.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Entry, EraOpened, Positioned } from "#media/session-log/entries.ts";
import { rate, timeOf } from "#media/time/rate.ts";
import { audioFramesOf } from "#media/time/segmentation.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound, psnr } from "#platform/av/testing/decode.ts";
import { makeVideo, scenePlanes } from "#platform/av/testing/source.ts";
import { makeAudio } from "#platform/av/testing/source-audio.ts";
import { runSession } from "./session.ts";
import { bytesOf, partsOf, R25, RUNG, SIZE, shownFrames, videoOf } from "./testing/look.ts";
import { runOver, segmentsOf, timelineOf } from "./testing/runs.ts";
import { audioRung, buildLog, firstFrameOf, memorySink, sourceOfLog } from "./testing/session-log.ts";

const av = nodeAv();

test("parts are whole, in order, cut by the timeline in picture and sound, and say what they hold", async () => {
  const log = buildLog({
    video: await makeVideo(videoOf()),
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 376 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
    splice: 63,
  });
  const sink = await runOver(av, log);
  const timeline = timelineOf(log);
  const expected = { v90: [] as unknown[], audio: [] as unknown[] };
  for (const segment of segmentsOf(log)) {
    const starts = timeline.partStarts(segment);
    for (const [i, start] of starts.entries()) {
      const end = starts[i + 1] ?? segment.end;
      const lastOfSegment = end === segment.end;
      expected.v90.push({ startTicks: start, segmentStartTicks: segment.start, lastOfSegment });
      const first = audioFramesOf(R25, segment.start, segment.end, 48_000).start;
      const frames = audioFramesOf(R25, start, end, 48_000);
      expected.audio.push({ startTicks: frames.start * 1024, segmentStartTicks: first * 1024, lastOfSegment });
    }
  }
  for (const track of ["v90", "audio"] as const)
    assert.deepEqual(
      partsOf(sink, track).map(({ startTicks, segmentStartTicks, lastOfSegment }) => ({
        startTicks,
        segmentStartTicks,
        lastOfSegment,
      })),
      expected[track],
    );
  assert.ok(
    expected.v90.some((part, i) => i > 0 && (part as { startTicks: number }).startTicks === firstFrameOf(R25) + 63),
  );
  assert.deepEqual([...sink.ended].toSorted(), ["audio/0", "v90/0"]);
  const pictures = await decodePictures(bytesOf(sink, "v90"));
  assert.deepEqual(
    pictures.filter(({ key }) => key).map(({ ticks }) => ticks),
    segmentsOf(log).map(({ start }) => start),
  );
  const sound = await decodeSound(bytesOf(sink, "audio"));
  assert.ok(sound.every(({ ticks }, i) => i === 0 || ticks === sound[i - 1]!.ticks + 1024));
  // The newest frame of a part arrived 20 ms after its decode time.
  for (const { startTicks, newestArrivedNs } of partsOf(sink, "v90")) {
    const sinceNs = newestArrivedNs - timeOf(R25, startTicks);
    assert.ok(sinceNs >= 20_000_000n && sinceNs <= 340_000_000n, `${sinceNs}`);
  }
});

test("a hole: held frame and silence in the open segment, gaps, then the first real picture", async () => {
  const settings = videoOf({ gopFrames: 10 });
  const log = buildLog({
    video: await makeVideo(settings),
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 376 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
    hole: [57, 147],
  });
  const first = firstFrameOf(R25);
  const sink = await runOver(av, log);
  const shown = await shownFrames(sink, settings);
  const timeline = timelineOf(log);
  let gaps = 0;
  for (let frame = first; frame < first + 200; frame += 1) {
    const segment = timeline.segmentAt(0, frame)!;
    if (timeline.isGap(segment)) {
      gaps += 1;
      assert.equal(shown.has(frame), false, "nothing of a gap is made");
      continue;
    }
    const hidden = frame >= first + 57 && frame < first + 150;
    const opens = timeline.segmentAt(0, first + 56)!.ordinal === segment.ordinal;
    assert.equal(shown.get(frame), hidden ? (opens ? 56 : 150) : frame - first, `frame ${frame - first}`);
  }
  assert.ok(gaps >= 50);
  const silent = (from: number, to: number, samples: readonly { ticks: number; samples: Float32Array }[]) =>
    samples
      .filter(({ ticks }) => ticks > (first + from) * 1920 && ticks + 1024 < (first + to) * 1920)
      .map(({ samples: plane }) => Math.max(...plane.map(Math.abs)));
  const sound = await decodeSound(bytesOf(sink, "audio"));
  const opening = timeline.segmentAt(0, first + 56)!;
  const inHole = silent(61, opening.end - first, sound);
  assert.ok(inHole.length > 10 && inHole.every((peak) => peak < 0.001));
  assert.ok(silent(5, 56, sound).every((peak) => peak > 0.2));
});

test("held frames of a hole go out as it is told, not when the publisher returns", async () => {
  const log = buildLog({
    video: await makeVideo(videoOf({ gopFrames: 10 })),
    audio: null,
    rate: R25,
    size: SIZE,
    renditions: [RUNG],
    hole: [57, 147],
  });
  const told = log.findIndex(({ entry }) => entry.kind === "unit" && entry.index >= firstFrameOf(R25) + 147);
  const sink = memorySink();
  let whenReturned = 0;
  const source = sourceOfLog(log, {
    pause: async () => {
      served += 1;
      if (served !== told) return;
      // The publisher returns only when the open segment is complete, or never: then the parts below are not there.
      for (const end = performance.now() + 10_000; !isComplete() && performance.now() < end; ) await sleep(5);
      whenReturned = sink.parts.length;
    },
  });
  let served = 0;
  const open = timelineOf(log).segmentAt(0, firstFrameOf(R25) + 56)!;
  const isComplete = () => sink.parts.some((part) => part.segmentStartTicks === open.start && part.lastOfSegment);
  const deps = { clock: systemClock(), log: silentLog, av, source, sinks: [sink], session: "s", onProgress: () => {} };
  await runSession(deps, new AbortController().signal);
  const last = sink.parts.findIndex((part) => part.segmentStartTicks === open.start && part.lastOfSegment);
  assert.ok(last >= 0 && last < whenReturned, `${last} of ${whenReturned}`);
});

test("the source may change its size and sample rate: the output stays, and goes on", async () => {
  const one = videoOf({ frames: 100, bFrames: 1 });
  const two = videoOf({ frames: 100, width: 240, height: 136 });
  const settings = { rate: R25, size: SIZE, renditions: [RUNG, audioRung] };
  const a = buildLog({
    ...settings,
    video: await makeVideo(one),
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 188 }),
  });
  const b = buildLog({
    ...settings,
    size: { width: 240, height: 136 },
    video: await makeVideo(two),
    audio: await makeAudio({ sampleRate: 44_100, channels: 1, frames: 172 }),
    audioFormat: { sampleRate: 44_100, channels: 1 },
  });
  const shiftNs = timeOf(R25, 100);
  const tail = b.slice(4).map(({ entry }): Entry => shifted(entry, 100, shiftNs));
  const entries: Entry[] = [
    ...a.slice(0, -1).map(({ entry }) => entry),
    b.find(({ entry }) => entry.kind === "tracks")!.entry,
    ...tail,
  ];
  const sink = await runOver(
    av,
    entries.map((entry, position) => ({ position, entry })),
  );
  const pictures = await decodePictures(bytesOf(sink, "v90"));
  assert.equal(pictures.length, 200);
  const likeness = pictures.map(({ luma }, i) => (i < 100 ? psnr(luma, scenePlanes(one, i).y) : 0));
  assert.ok(likeness.slice(0, 100).every((db) => db > 28));
  const sound = await decodeSound(bytesOf(sink, "audio"));
  assert.ok(sound.every(({ ticks }, i) => i === 0 || ticks === sound[i - 1]!.ticks + 1024));
  const loud = sound.slice(10, -10).filter(({ samples }) => Math.max(...samples) > 0.2).length;
  assert.ok(loud > sound.length - 26, `${loud} of ${sound.length} frames have sound`);
});

function shifted(entry: Entry, frames: number, ns: bigint): Entry {
  if (entry.kind === "end") return { ...entry, frame: entry.frame + frames };
  if (entry.kind !== "unit") return entry;
  const samples = Math.round((frames / 25) * 44_100);
  const index = entry.index + (entry.track === 1 ? frames : samples);
  return { ...entry, index, timeNs: entry.timeNs + ns, decodeNs: entry.decodeNs + ns, arrivedNs: entry.arrivedNs + ns };
}

test("a later era has its own init, grid and names, and ends the one before on its boundary", async () => {
  const settings = videoOf({ bFrames: 2 });
  const log = buildLog({ video: await makeVideo(settings), audio: null, rate: R25, size: SIZE, renditions: [RUNG] });
  const first = firstFrameOf(R25);
  const boundary = Math.ceil((first + 80) / 50) * 50;
  const r50 = rate(50);
  const opened = log.find(({ entry }) => entry.kind === "era")!.entry as EraOpened;
  const era: EraOpened = {
    ...opened,
    era: 1,
    rate: r50,
    frame: boundary * 2,
    previousEnd: boundary,
    segmentFrames: 100,
    partFrames: 15,
  };
  const entries: Entry[] = [];
  let isOpen = false;
  for (const { entry } of log) {
    const frame = entry.kind === "unit" ? entry.index : 0;
    if (!isOpen && entry.kind === "unit" && frame >= boundary) {
      entries.push(era);
      isOpen = true;
    }
    if (entry.kind === "end") entries.push({ ...entry, frame: entry.frame * 2 });
    else entries.push(entry.kind === "unit" && isOpen && frame >= boundary ? { ...entry, index: frame * 2 } : entry);
  }
  const sink = await runOver(
    av,
    entries.map((entry, position) => ({ position, entry })),
  );
  const before = await shownFrames(sink, settings, 0);
  assert.deepEqual(
    [...before.keys()],
    Array.from({ length: boundary - first }, (_, i) => first + i),
  );
  assert.ok([...before].every(([frame, source]) => frame - first === source));
  const after = await shownFrames(sink, settings, 1);
  assert.equal(after.size, (first + 200 - boundary) * 2);
  assert.ok([...after].every(([frame, source]) => Math.floor(frame / 2) - first === source));
  assert.deepEqual([...sink.ended].toSorted(), ["v90/0", "v90/1"]);
});

test("a log whose beginning is gone: whole segments from where it can be made, equal to the reference's", async () => {
  const log = buildLog({
    video: await makeVideo(videoOf()),
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 376 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
  });
  const reference = await runOver(av, log);
  const cut = log.findIndex(
    ({ entry }) =>
      entry.kind === "unit" && entry.track === 1 && entry.randomAccess && entry.index > firstFrameOf(R25) + 30,
  );
  const rest = log.filter(({ entry, position }) => entry.kind !== "unit" || position >= cut);
  const sink = await runOver(av, rest, {
    source: {
      entries: async function* () {
        yield* rest;
      },
    },
  });
  assert.ok(sink.parts.length > 10 && sink.parts.length < reference.parts.length);
  for (const part of sink.parts) {
    const same = reference.parts.find(
      ({ track, startTicks }) => track === part.track && startTicks === part.startTicks,
    );
    assert.ok(same && Buffer.from(same.bytes).equals(part.bytes));
  }
  const segment = segmentsOf(log).find(({ start }) => start === partsOf(sink, "v90")[0]!.startTicks);
  assert.ok(segment, "it begins with a segment");
});

test("a picture that stands still while the sound goes on does not hold the sound back", async () => {
  const video = await makeVideo(videoOf({ gopFrames: 50 }));
  const log = buildLog({
    video: { ...video, units: video.units.filter(({ frame }) => frame < 60 || frame >= 150) },
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 376 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
  });
  const end = log.at(-1)!;
  const full = [
    ...log.slice(0, -1),
    { ...end, entry: { kind: "end", frame: firstFrameOf(R25) + 200, reason: "publisher" } } as Positioned<Entry>,
  ];
  const order: string[] = [];
  const sink = memorySink(null, ({ track, startTicks }) => order.push(`${track} ${startTicks}`));
  const source = sourceOfLog(full, {
    pause: async () => {
      await new Promise(setImmediate);
    },
  });
  const deps = { clock: systemClock(), log: silentLog, av, source, sinks: [sink], session: "s", onProgress: () => {} };
  await runSession(deps, new AbortController().signal);
  const shown = await shownFrames(sink, videoOf());
  for (let i = 60; i < 150; i += 1) assert.equal(shown.get(firstFrameOf(R25) + i), 59, `frame ${i}`);
  assert.equal(shown.get(firstFrameOf(R25) + 150), 150);
  // Sound of frame 100 was sent before the picture came back.
  const audioAt = order.findIndex(
    (name) => name.startsWith("audio") && Number(name.split(" ")[1]) >= (firstFrameOf(R25) + 100) * 1920,
  );
  const videoAt = order.findIndex((name) => name === `v90 ${partHolding(full, firstFrameOf(R25) + 150)}`);
  assert.ok(audioAt >= 0 && audioAt < videoAt);
});

function partHolding(log: readonly Positioned<Entry>[], frame: number): number {
  const timeline = timelineOf(log);
  return timeline.partStarts(timeline.segmentAt(0, frame)!).findLast((start) => start <= frame)!;
}
