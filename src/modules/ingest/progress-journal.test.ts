import { strict as assert } from "node:assert";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { jsonLog, silentLog } from "#base/log.ts";
import { memoryJournals } from "#platform/journal/drivers/memory.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import { type Progress, ProgressJournal, rememberedProgress, removeStrayProgress } from "./progress-journal.ts";

const at = (n: number): Progress => ({
  position: n,
  era: 0,
  frame: 10 * n,
  newestNs: 1_800_000_000_000_000_000n + BigInt(n),
  time: { taiNs: 1_800_000_000_000_000_007n + BigInt(n), host: { boot: "a", ms: n } },
});

/** Tell it, and let the write happen. */
async function tell(journal: ProgressJournal, progress: Progress): Promise<void> {
  journal.tell(progress);
  for (let i = 0; i < 20; i += 1) await turn();
}

async function recordsIn(folder: JournalFolder): Promise<number> {
  let records = 0;
  for (const name of await folder.list()) {
    const journal = await folder.open(name);
    records += (await Array.fromAsync(journal.read())).length;
  }
  return records;
}

test("a session of any length leaves the newest record, and no more of the others than one file holds", async () => {
  const folder = memoryJournals();
  const journal = new ProgressJournal({ folder, session: "s1", log: silentLog });
  let most = 0;
  for (let n = 0; n < 2000; n += 1) {
    await tell(journal, at(n));
    if (n % 100 === 0) most = Math.max(most, await recordsIn(folder));
  }
  assert.ok(most > 400 && most <= 601, `${most} records`);
  assert.ok((await recordsIn(folder)) <= 601);
  assert.deepEqual(await rememberedProgress(folder, "s1"), at(1999));
  await journal.close();
});

test("the next gateway goes on in a file of its own; what went before goes when that one holds something", async () => {
  const folder = memoryJournals();
  const first = new ProgressJournal({ folder, session: "s1", log: silentLog });
  await tell(first, at(1));
  const second = new ProgressJournal({ folder, session: "s1", log: silentLog });
  assert.deepEqual(await folder.list(), ["progress/s1/0"]);
  await tell(second, at(2));
  assert.deepEqual(await folder.list(), ["progress/s1/1"]);
  assert.deepEqual(await rememberedProgress(folder, "s1"), at(2));
  assert.equal(await rememberedProgress(folder, "s2"), null);
  await second.remove();
  assert.deepEqual(await folder.list(), []);
});

test("a disk that fails loses nothing that was there, says so once, and is used again", async () => {
  let isFull = false;
  const folder = memoryJournals({ fails: () => isFull });
  const lines: string[] = [];
  const log = jsonLog("info", {}, (line) => lines.push(line));
  const before = new ProgressJournal({ folder, session: "s1", log });
  await tell(before, at(1));
  isFull = true;
  const journal = new ProgressJournal({ folder, session: "s1", log });
  for (const n of [2, 3, 4]) await tell(journal, at(n));
  assert.deepEqual(await rememberedProgress(folder, "s1"), at(1));
  assert.equal(lines.filter((line) => line.includes("journal.failed")).length, 1);
  isFull = false;
  await tell(journal, at(5));
  assert.deepEqual(await rememberedProgress(folder, "s1"), at(5));
  assert.ok(lines.at(-1)!.includes("journal.works_again"));
  await journal.remove();
  assert.deepEqual(await folder.list(), []);
});

test("files of sessions that have no journal are removed", async () => {
  const folder = memoryJournals();
  for (const session of ["known", "stray"]) {
    const journal = new ProgressJournal({ folder, session, log: silentLog });
    await tell(journal, at(1));
    await journal.close();
  }
  await removeStrayProgress(folder, silentLog, (session) => session === "known");
  assert.deepEqual(await folder.list(), ["progress/known/0"]);
});
