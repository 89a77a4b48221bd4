// What every journal driver must do. Each driver's test calls this.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Journal, JournalFolder } from "./journal.ts";

export type JournalsUnderTest = { folder: JournalFolder; close(): Promise<void> };

export async function recordsOf(journal: Journal): Promise<string[]> {
  const records: string[] = [];
  for await (const record of journal.read()) records.push(Buffer.from(record).toString("latin1"));
  return records;
}

export function journalConformance(name: string, create: () => Promise<JournalsUnderTest>): void {
  const using = (title: string, body: (folder: JournalFolder) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const subject = await create();
      try {
        await body(subject.folder);
      } finally {
        await subject.close();
      }
    });

  using("records come back in order, also after it was opened again", async (folder) => {
    const journal = await folder.open("a");
    const expected = ["one", "", "three", "x".repeat(1_000_000)];
    for (const record of expected) await journal.append(Buffer.from(record));
    assert.deepEqual(await recordsOf(journal), expected);
    await journal.close();
    const again = await folder.open("a");
    await again.append(Buffer.from("five"));
    assert.deepEqual(await recordsOf(again), [...expected, "five"]);
    await again.close();
  });

  using("concurrent appends keep the order in which they were called", async (folder) => {
    const journal = await folder.open("a");
    const expected = Array.from({ length: 1000 }, (_, i) => `record ${i}`);
    await Promise.all(expected.map((record) => journal.append(Buffer.from(record))));
    assert.deepEqual(await recordsOf(journal), expected);
    await journal.close();
  });

  using("close waits for what is being appended", async (folder) => {
    const journal = await folder.open("a");
    const appended = journal.append(Buffer.from("last"));
    await journal.close();
    await appended;
    const again = await folder.open("a");
    assert.deepEqual(await recordsOf(again), ["last"]);
    await again.close();
  });

  using("a reader gets what was there when it began, while more is appended", async (folder) => {
    const journal = await folder.open("a");
    for (const record of ["1", "2", "3"]) await journal.append(Buffer.from(record));
    const seen: string[] = [];
    for await (const record of journal.read()) {
      seen.push(Buffer.from(record).toString());
      await journal.append(Buffer.from("more"));
    }
    assert.deepEqual(seen, ["1", "2", "3"]);
    assert.equal((await recordsOf(journal)).length, 6);
    await journal.close();
  });

  using("after close an append is refused with a code", async (folder) => {
    const journal = await folder.open("a");
    await journal.close();
    await journal.close();
    await assert.rejects(journal.append(Buffer.from("late")), { code: "journal.failed" });
  });

  using("names are listed sorted, by their parts, and removed ones are gone", async (folder) => {
    assert.deepEqual(await folder.list(), []);
    for (const name of ["sessions/b", "numbers/news", "sessions/a", "sessions"])
      await (await folder.open(name)).close();
    assert.deepEqual(await folder.list(), ["numbers/news", "sessions", "sessions/a", "sessions/b"]);
    await folder.remove("sessions/a");
    await folder.remove("sessions/nobody");
    await folder.remove("nowhere/nobody");
    assert.deepEqual(await folder.list(), ["numbers/news", "sessions", "sessions/b"]);
  });

  using("a removed journal begins empty", async (folder) => {
    const journal = await folder.open("a");
    await journal.append(Buffer.from("old"));
    await journal.close();
    await folder.remove("a");
    const again = await folder.open("a");
    assert.deepEqual(await recordsOf(again), []);
    await again.close();
  });

  for (const bad of ["", "/", "a/", "/a", "..", "a/../b", ".", "a//b", "a b", "ä", "a\u0000"])
    using(`the name ${JSON.stringify(bad)} is a mistake of the caller`, async (folder) => {
      await assert.rejects(folder.open(bad), { name: "AssertionError" });
      await assert.rejects(folder.remove(bad), { name: "AssertionError" });
    });
}
