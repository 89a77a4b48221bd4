// What remuxing alone costs: `npm run bench:packager`. One session of 2 Mbit/s, 30 pictures a second with B-frames and
// AAC, through packageSession() into sinks that keep nothing. No sockets: the bench of fifty streams counts those.
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { CmafSink, LogSource } from "#media/session-log/maker-ports.ts";
import { packageSession } from "#modules/packager/session.ts";
import { SyntheticLog } from "#modules/packager/testing/synthetic-log.ts";

const SECONDS = 300;
const ROUNDS = 5;
/** 30 pictures and 47 frames of sound a second. */
const PICTURE_BYTES = 7_800;
const SOUND_BYTES = 340;
const GOAL_CPU_SECONDS = 0.005;

const { entries } = new SyntheticLog(seededRandom(1), [
  {
    seconds: SECONDS,
    frameRate: { num: 30, den: 1 },
    reorder: 2,
    varies: false,
    gop: [60, 60],
    sound: [{ codec: "aac", sampleRate: 48_000 }],
    hole: null,
    mute: null,
    small: false,
  },
]);
const sized = entries.map((at) => {
  if (at.entry.kind !== "unit") return at;
  const payload = Buffer.alloc(at.entry.track === 1 ? PICTURE_BYTES : SOUND_BYTES);
  payload.set(at.entry.payload.subarray(0, 5)); // the head of its NAL unit
  payload.writeUInt32BE(payload.length - 4);
  return { ...at, entry: { ...at.entry, payload } };
});

let [bytes, parts] = [0, 0];
const sink: CmafSink = {
  nextFrame: async () => null,
  track: () => ({
    push(part) {
      bytes += part.bytes.byteLength;
      parts += 1;
    },
    end() {},
  }),
  drained: async () => {},
  close() {},
};
const source: LogSource = {
  async *entries() {
    yield* sized;
  },
};

const costs: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  [bytes, parts] = [0, 0];
  const before = process.cpuUsage();
  const deps = { clock: systemClock(), log: silentLog, source, sinks: [sink], session: "s1", onProgress: () => {} };
  await packageSession(deps, new AbortController().signal);
  const { user, system } = process.cpuUsage(before);
  costs.push((user + system) / 1e6 / SECONDS);
}
const median = costs.toSorted((a, b) => a - b)[ROUNDS >> 1]!;
const report = {
  cpuSecondsPerStreamSecond: median,
  goal: GOAL_CPU_SECONDS,
  megabitsPerSecond: (bytes * 8) / SECONDS / 1e6,
  partsPerSecond: parts / SECONDS,
};
if (process.argv.includes("--json")) console.log(JSON.stringify(report));
else
  console.log(
    `${(median * 1000).toFixed(3)} ms of CPU for a second of ${report.megabitsPerSecond.toFixed(2)} Mbit/s in ` +
      `${report.partsPerSecond.toFixed(1)} parts (goal: ${GOAL_CPU_SECONDS * 1000} ms)`,
  );
process.exitCode = median <= GOAL_CPU_SECONDS ? 0 : 1;
