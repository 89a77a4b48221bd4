// A worker that joins at any moment makes the same bytes: init, every part, every segment, picture and sound. Each source
// has one reference run from its beginning, and joiners that get the log as a gateway serves it for their first segment.
// Stalls are put in, and other processes take the CPU, so that work overlaps in other ways than in the reference.
// The short form runs in CI; `PURITY=full` (npm run soak:purity) makes 20 random joins on each, longer source.
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { seededRandom } from "#base/random.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import type { LogSource } from "#media/session-log/maker-ports.ts";
import { SessionLog } from "#modules/ingest/log/session-log.ts";
import { CASES } from "#modules/transcode/testing/cases.ts";
import { assertSameFrom, runOver, segmentsOf } from "#modules/transcode/testing/runs.ts";
import { stalls } from "#modules/transcode/testing/session-log.ts";
import { nodeAv } from "#platform/av/drivers/node-av.ts";

const isFull = process.env.PURITY === "full";
const seconds = isFull ? 30 : 9;
const joins = isFull ? 20 : 2;
const seed = Number(process.env.SEED ?? 1);
const av = nodeAv();
process.env.SVT_LOG = "1"; // the AV1 encoder that makes a source greets at length otherwise
const burners: ChildProcess[] = [];

before(() => {
  if (!isFull) return;
  for (let i = 0; i < 3; i += 1) burners.push(spawn(process.execPath, ["-e", "for(;;);"], { stdio: "ignore" }));
});

after(() => {
  for (const burner of burners) burner.kill("SIGKILL");
});

/** The gateway's own log, which decides where a reader starts. */
function served(log: readonly Positioned<Entry>[], pause: () => Promise<void>): LogSource {
  const held = new SessionLog({ session: "s1", bytesMax: 1e9, keepNs: 1_000_000_000_000n });
  for (const { entry } of log) held.append(entry);
  return {
    async *entries(from, signal) {
      for await (const entry of held.openReader(from ?? "first")) {
        if (signal.aborted) return;
        await pause();
        yield entry;
      }
    },
  };
}

for (const [i, { name, make }] of CASES.entries()) {
  test(`joiners make the bytes of the reference: ${name}`, async () => {
    const log = await make(seconds);
    const reference = await runOver(av, log);
    const segments = segmentsOf(log);
    assert.ok(segments.length >= 3, "there is something to join");
    const random = seededRandom(seed * 1000 + i);
    for (let join = 0; join < joins; join += 1) {
      const segment = segments[random.int(1, segments.length)]!;
      const from = { era: segment.era, frame: segment.start };
      const source = served(log, stalls(seed * 100 + join));
      const joiner = await runOver(av, log, { from, source });
      assert.ok(assertSameFrom(reference, joiner, segment, log) > 3);
    }
  });
}
