// How a session ends, and what must not disturb it while it runs: repeated tracks, other codecs, spoiled payloads.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { TracksKnown } from "#media/session-log/entries.ts";
import { rate } from "#media/time/rate.ts";
import type { Av } from "#platform/av/av.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound } from "#platform/av/testing/decode.ts";
import { makeVideo } from "#platform/av/testing/source.ts";
import { makeAudio } from "#platform/av/testing/source-audio.ts";
import { runSession, type TranscodeProgress } from "./session.ts";
import { bytesOf, partsOf, R25, RUNG, SIZE, shownFrames, videoOf } from "./testing/look.ts";
import { runOver } from "./testing/runs.ts";
import { audioRung, buildLog, firstFrameOf, memorySink, sourceOfLog, videoRung } from "./testing/session-log.ts";

const av = nodeAv();

test("ends: abort lets go, a log that stops is an error, so is an encoder that fails", async () => {
  const log = buildLog({
    video: await makeVideo(videoOf({ frames: 100 })),
    audio: null,
    rate: R25,
    size: SIZE,
    renditions: [RUNG],
  });
  const told: TranscodeProgress[] = [];
  const deps = {
    clock: systemClock(),
    log: silentLog,
    av,
    sinks: [memorySink()],
    session: "s",
    onProgress: (p: TranscodeProgress) => told.push(p),
  };
  const abort = new AbortController();
  let served = 0;
  const endless = sourceOfLog(log, {
    pause: async () => {
      served += 1;
      if (served === 60) abort.abort();
    },
  });
  await runSession({ ...deps, source: endless }, abort.signal);
  await assert.rejects(runSession({ ...deps, source: sourceOfLog(log.slice(0, 50)) }, new AbortController().signal), {
    code: "network.unreachable",
  });
  let opened = 0;
  const failing: Av = {
    ...av,
    openVideoEncoder(settings) {
      opened += 1;
      return opened < 3 ? av.openVideoEncoder(settings) : Promise.reject(new PlatformError("av.failed", "no memory"));
    },
  };
  await assert.rejects(runSession({ ...deps, av: failing, source: sourceOfLog(log) }, new AbortController().signal), {
    code: "av.failed",
  });
  await runSession({ ...deps, source: sourceOfLog(log) }, new AbortController().signal);
  assert.equal(told.at(-1)!.phase, "draining");
  assert.equal(told.at(-1)!.encodedFrames, 100);
});

test("tracks that are told again do not disturb what runs", async () => {
  const log = buildLog({
    video: await makeVideo(videoOf({ frames: 100 })),
    audio: await makeAudio({ sampleRate: 48_000, channels: 2, frames: 188 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
  });
  const reference = await runOver(av, log);
  const tracks = log[1]!.entry as TracksKnown;
  const copy: TracksKnown = {
    kind: "tracks",
    tracks: tracks.tracks.map((track) => ({ ...track, config: new Uint8Array(track.config) })),
  };
  const entries = log.flatMap(({ entry }, i) => (i > 10 && i % 20 === 0 ? [copy, entry] : [entry]));
  const sink = await runOver(
    av,
    entries.map((entry, position) => ({ position, entry })),
  );
  assert.deepEqual(
    sink.parts.map(({ bytes }) => Buffer.from(bytes)),
    reference.parts.map(({ bytes }) => Buffer.from(bytes)),
  );
});

test("H.265 comes out as H.264, each frame in its slot", async () => {
  const settings = videoOf({ codec: "hevc", frames: 75, bFrames: 2 });
  const log = buildLog({ video: await makeVideo(settings), audio: null, rate: R25, size: SIZE, renditions: [RUNG] });
  const shown = await shownFrames(await runOver(av, log), settings);
  assert.deepEqual(
    [...shown],
    Array.from({ length: 75 }, (_, i) => [firstFrameOf(R25) + i, i]),
  );
});

test("captions are kept, once each, also where pictures are repeated", async () => {
  const source = rate(15);
  const video = await makeVideo(videoOf({ rate: source, frames: 60, captions: true }));
  const count = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces).toString("latin1").split("GA94").length - 1;
  assert.equal(count(video.units.map(({ payload }) => payload)), 60);
  const log = buildLog({
    video,
    audio: null,
    rate: R25,
    sourceRate: source,
    size: SIZE,
    renditions: [RUNG, videoRung(180)],
  });
  const sink = await runOver(av, log);
  for (const track of ["v90", "v180"]) {
    assert.equal((await decodePictures(bytesOf(sink, track))).length, 100);
    assert.equal(count(bytesOf(sink, track)), 60);
  }
});

test("fuzz: whatever the payloads hold, every slot is shown and every sample sounds or is silent", async () => {
  const video = await makeVideo(videoOf({ frames: 100, gopFrames: 10, bFrames: 2 }));
  const audio = await makeAudio({ sampleRate: 48_000, channels: 2, frames: 188 });
  const log = buildLog({ video, audio, rate: R25, size: SIZE, renditions: [RUNG, audioRung] });
  for (const seed of [1, 2, 3, 4]) {
    const random = seededRandom(seed);
    const spoiled = log.map(({ position, entry }) => {
      if (entry.kind !== "unit" || random.next() < 0.5) return { position, entry };
      const payload = new Uint8Array(entry.payload);
      const flips = random.int(1, 30);
      for (let i = 0; i < flips; i += 1) payload[random.int(0, payload.length)]! ^= 1 << random.int(0, 8);
      return {
        position,
        entry: { ...entry, damaged: true, payload: payload.slice(0, random.int(0, payload.length + 1)) },
      };
    });
    const sink = await runOver(av, spoiled);
    assert.equal((await decodePictures(bytesOf(sink, "v90"))).length, 100, `seed ${seed}`);
    const sound = await decodeSound(bytesOf(sink, "audio"));
    assert.equal(sound.length, partsOf(sink, "audio").length > 0 ? 188 : 0, `seed ${seed}`);
  }
});
