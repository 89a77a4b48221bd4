// A stream that was copied and is encoded from some picture on (copyFallback): the new era begins among pictures that refer
// to copied ones, maybe seconds before the next refresh. Viewers see every picture from there on.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Entry, EraOpened, Positioned } from "#media/session-log/entries.ts";
import { timeOf } from "#media/time/rate.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { decodePictures, decodeSound, psnr } from "#platform/av/testing/decode.ts";
import { makeVideo, scenePlanes } from "#platform/av/testing/source.ts";
import { makeAudio } from "#platform/av/testing/source-audio.ts";
import { bytesOf, R25, RUNG, SIZE, videoOf } from "./testing/look.ts";
import { assertSameFrom, runOver, segmentsOf } from "./testing/runs.ts";
import { audioRung, buildLog, digests, type MemorySink } from "./testing/session-log.ts";
import { asSourceLog } from "./testing/source-log.ts";

const av = nodeAv();
const FRAMES = 200;
/** The first encoded picture; refreshes are at 0 and 150. */
const CHANGE = 55;
const SETTINGS = videoOf({ frames: FRAMES, gopFrames: 150, bFrames: 2 });

/** @param sound whether its sound was encoded before as well */
async function fallbackLog(sound: boolean, settings = SETTINGS): Promise<Positioned<Entry>[]> {
  const log = buildLog({
    video: await makeVideo(settings),
    audio: await makeAudio({ codec: "mp2", sampleRate: 48_000, channels: 2, frames: 334 }),
    rate: R25,
    size: SIZE,
    renditions: [RUNG, audioRung],
  });
  const copied = asSourceLog(log, { renditions: sound ? [audioRung] : [] });
  const [grid, source] = [eraOf(log), eraOf(copied)];
  const frame = grid.frame + CHANGE;
  const previousEnd = source.frame + (CHANGE * source.segmentFrames) / grid.segmentFrames;
  // In the order of decoding the era opens at the first picture that is not before it.
  const changeNs = timeOf(grid.rate, frame);
  const at = ({ entry }: Positioned<Entry>) => entry.kind === "unit" && entry.track === 1 && entry.timeNs >= changeNs;
  const entries = [
    ...copied.slice(0, copied.findIndex(at)),
    { entry: { ...grid, era: 1, frame, previousEnd } },
    ...log.slice(log.findIndex(at)),
  ];
  return entries.map(({ entry }, position) => ({ position, entry }));
}

/** The newest. */
function eraOf(log: readonly Positioned<Entry>[]): EraOpened {
  return log.map(({ entry }) => entry).findLast((entry) => entry.kind === "era")!;
}

async function assertAllShown(sink: MemorySink, first: number): Promise<void> {
  const pictures = await decodePictures(bytesOf(sink, "v90", 1));
  assert.deepEqual(
    pictures.map(({ ticks }) => ticks),
    Array.from({ length: FRAMES - CHANGE }, (_, i) => first + i),
  );
  for (const [i, { luma }] of pictures.entries()) {
    const likeness = psnr(luma, scenePlanes(SETTINGS, CHANGE + i).y);
    assert.ok(likeness > 24, `frame ${CHANGE + i}: ${likeness} dB`);
  }
}

for (const sound of [false, true])
  test(`encoded from a picture on that is no refresh, ${sound ? "sound" : "nothing"} encoded before`, async () => {
    const log = await fallbackLog(sound);
    const { frame } = eraOf(log);
    const whole = await runOver(av, log);
    await assertAllShown(whole, frame);
    const heard = await decodeSound(bytesOf(whole, "audio", 1));
    assert.ok(heard.every(({ ticks }, i) => i === 0 || ticks === heard[i - 1]!.ticks + 1024));

    // The worker that is called for the new era makes the same bytes, and so does one that comes later.
    const called = await runOver(av, log, { from: { era: 1, frame } });
    const ofNewEra = [...digests(whole)].filter(([name]) => /^\w+\/1 /.test(name));
    assert.deepEqual(digests(called), new Map(ofNewEra));
    const joinAt = segmentsOf(log).findLast(({ era }) => era === 1)!;
    const joiner = await runOver(av, log, { from: { era: 1, frame: joinAt.start } });
    assert.ok(assertSameFrom(called, joiner, joinAt, log) > 2);
  });

test("open groups of pictures: the log is read from a key frame on that is no refresh, and every picture is shown", async () => {
  const log = await fallbackLog(false, { ...SETTINGS, gopFrames: 50, openGop: true });
  const keys = log.filter(({ entry }) => entry.kind === "unit" && entry.track === 1 && entry.randomAccess);
  const [, second, third] = keys.map(({ position }) => position);
  assert.ok(keys.length === 4 && third! > log.findIndex(({ entry }) => entry.kind === "era" && entry.era === 1));
  const kept = log.filter(({ entry, position }) => entry.kind !== "unit" || position >= second!);
  const { frame } = eraOf(log);
  const called = await runOver(av, kept, { from: { era: 1, frame } });
  await assertAllShown(called, frame);
  assert.deepEqual(digests(called), digests(await runOver(av, log, { from: { era: 1, frame } })));
});
