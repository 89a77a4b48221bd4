// The checker is judged as well: silent on an origin that keeps every rule, and right about each rule that is broken.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { runChecker } from "./checker.ts";
import { type Code, RULES } from "./findings.ts";
import { FAULTS, type Fault } from "./synthetic/faults.ts";
import { MSN_BASE, PARTS_PER_SEGMENT, type PlaylistModel, startSynthetic } from "./synthetic/origin.ts";

const RELOADS = 22;
const RELOADS_LONG = 60;
/** Servers and checkers share this process: more at once would be late by themselves. */
const AT_ONCE = 24;

async function findingsOf(fault: Omit<Fault, "causes"> | null, reloads: number): Promise<string[]> {
  const origin = await startSynthetic(fault);
  try {
    const report = await runChecker({ url: origin.url, reloads });
    return report.findings.map(({ code, detail, url }) => `${code}: ${detail} (${url})`);
  } finally {
    await origin.close();
  }
}

test("an origin that keeps every rule: no finding", async () => {
  assert.deepEqual(await findingsOf(null, RELOADS_LONG), []);
});

test("a hint that nobody could make true, since a discontinuity came in its place: no finding", async () => {
  const unforeseen = (model: PlaylistModel) => {
    const [msn, partsBefore] = [MSN_BASE + 16, 16 * PARTS_PER_SEGMENT];
    if (model.published > partsBefore)
      for (const segment of [...model.segments, model.open]) segment.discontinuity ||= segment.msn === msn;
    else if (model.published === partsBefore) model.hints = [model.hints[0]!.replace(".p.", ".q.")];
  };
  assert.deepEqual(await findingsOf({ playlist: unforeseen }, RELOADS), []);
});

test("no hint before a discontinuity, behind which nobody knows where sound begins; and no parts before it", async () => {
  const unnamed = (model: PlaylistModel) => {
    const [msn, partsBefore] = [MSN_BASE + 16, 16 * PARTS_PER_SEGMENT];
    if (model.published === partsBefore) model.hints = [];
    if (model.published <= partsBefore) return;
    for (const segment of [...model.segments, model.open]) segment.discontinuity ||= segment.msn === msn;
    for (const segment of model.segments) if (segment.msn < msn) segment.parts = [];
  };
  assert.deepEqual(await findingsOf({ playlist: unnamed }, RELOADS), []);
});

test("a stream that has ended and lists no parts: sound may begin a frame beside the pictures all the same", async () => {
  const over = (model: PlaylistModel) => {
    model.segments = model.segments.slice(0, 3).map((segment) => ({ ...segment, parts: [] }));
    model.open.parts = [];
    model.hints = [];
    model.reports = [];
    model.ended = true;
  };
  assert.deepEqual(await findingsOf({ playlist: over }, 2), []);
});

test("each planted fault is found", { concurrency: AT_ONCE }, async (suite) => {
  const planted = new Set(Object.values(FAULTS).map(({ causes }) => causes));
  assert.deepEqual(
    (Object.keys(RULES) as Code[]).filter((code) => !planted.has(code)),
    [],
    "each rule is proven by a fault",
  );
  const all = Object.entries(FAULTS).map(([name, fault]) =>
    suite.test(`${name}: ${fault.causes}`, async () => {
      const found = await findingsOf(fault, fault.long ? RELOADS_LONG : RELOADS);
      assert.ok(
        found.some((line) => line.startsWith(`${fault.causes}:`)),
        `not found among:\n${found.join("\n")}`,
      );
    }),
  );
  await Promise.all(all);
});
