// The demo source as a process, publishing to a server that looks at what it gets: times, key pictures, the picture's own
// clock, a connection that breaks, and its end.
import { strict as assert } from "node:assert";
import { type ChildProcess, fork } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readClock } from "#media/burnt-clock/read.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";
import { type RtmpSink, rtmpSink } from "../publish/testing/rtmp-sink.ts";

const ENTRY = fileURLToPath(new URL("./demo-source.ts", import.meta.url));

function start(url: string): ChildProcess {
  const env = { ...process.env, CONTINUITY_PUBLISH_URL: url, CONTINUITY_LOG_LEVEL: "silent" };
  return fork(ENTRY, [], { env, execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once("exit", resolve));
const video = (sink: RtmpSink) => sink.units().filter((unit) => unit.track === 0);

test("it publishes real-time pictures with their own clock, comes back after a cut, and ends cleanly", async () => {
  const sink = await rtmpSink();
  const child = start(sink.url);
  const gone = ended(child);
  try {
    await sink.until(() => video(sink).length >= 75, 20_000);
    const first = video(sink).slice(0, 75);
    assert.deepEqual(sink.troubles(), []);
    const [picture, sound] = sink.tracks();
    assert.ok(picture?.kind === "video" && picture.width === 1280 && picture.height === 720);
    assert.ok(sound?.kind === "audio" && sound.sampleRate === 48_000 && sound.channels === 2);
    checkTimes(first.map((unit) => unit.ptsTicks));
    const keys = first.filter((unit) => unit.randomAccess).map((unit) => Math.round(unit.ptsTicks / 1000));
    assert.deepEqual(keys, [0, 1, 2], "a key picture each second");
    await checkClock(picture.config, first.slice(30, 60));
    checkSound(sink);

    sink.cut();
    const before = video(sink).length;
    await sink.until(() => sink.publishers() === 2 && video(sink).length > before + 5, 10_000);
    const again = video(sink)[before]!;
    assert.ok(again.randomAccess && again.ptsTicks === 0, "a new connection begins at 0 with a key picture");

    child.kill("SIGTERM");
    await sink.until(() => sink.cleanEnds() === 1, 5000);
    assert.equal(await gone, 0);
  } finally {
    child.kill("SIGKILL");
    await gone;
    await sink.close();
  }
});

test("it ends when whoever started it is gone", async () => {
  const sink = await rtmpSink();
  const child = start(sink.url);
  const gone = ended(child);
  try {
    await sink.until(() => video(sink).length > 0, 20_000);
    child.disconnect();
    assert.equal(await gone, 0);
    await sink.until(() => sink.cleanEnds() === 1, 5000);
  } finally {
    child.kill("SIGKILL");
    await gone;
    await sink.close();
  }
});

/** Steps are whole frames: 33 or 34 ms, or a multiple where a busy machine left pictures out. */
function checkTimes(times: number[]): void {
  times.slice(1).forEach((time, i) => {
    const frames = ((time - times[i]!) * 30) / 1000;
    assert.ok(frames > 0.9 && Math.abs(frames - Math.round(frames)) < 0.05, `step of ${time - times[i]!} ms`);
  });
}

/** What is burnt in goes up with the presentation times, as the pictures were drawn when they were due. */
async function checkClock(
  config: Uint8Array,
  units: readonly { payload: Uint8Array; ptsTicks: number }[],
): Promise<void> {
  const decoder = await nodeAv().openVideoDecoder({ codec: "h264", config, reorders: false });
  let offsetMs: number | null = null;
  let pictures = 0;
  for (const { payload, ptsTicks } of units)
    for (const picture of await decoder.decode({ payload, tag: ptsTicks })) {
      const luma = picture.luma();
      const utcMs = readClock((x, y) => luma[y * 1280 + x]!, 1280, 720);
      assert.ok(utcMs !== null, `no clock in the picture at ${picture.tag}`);
      offsetMs ??= utcMs - picture.tag;
      assert.ok(Math.abs(utcMs - picture.tag - offsetMs) < 500, `clock ${utcMs} at ${picture.tag}`);
      pictures += 1;
      picture.release();
    }
  await decoder.close();
  assert.equal(pictures, units.length);
  assert.ok(Math.abs(Date.now() - offsetMs! - units.at(-1)!.ptsTicks) < 5000, "UTC of now");
}

/** Sound goes along with the picture: whole frames without a hole, never more than a quarter of a second behind. */
function checkSound(sink: RtmpSink): void {
  const units = sink.units();
  const sounds = units.filter((unit) => unit.track === 1).map((unit) => unit.ptsTicks);
  assert.ok(sounds.length > 60);
  sounds.slice(1).forEach((time, i) => {
    assert.ok(Math.abs(time - sounds[i]! - 1024 / 48) <= 1, `sound step of ${time - sounds[i]!} ms`);
  });
  let newest = 0;
  for (const { track, ptsTicks } of units)
    if (track === 1) newest = ptsTicks;
    else assert.ok(ptsTicks - newest < 250, `sound is ${ptsTicks - newest} ms behind`);
}
