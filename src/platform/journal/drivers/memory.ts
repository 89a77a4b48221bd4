// Journals in memory, for tests and simulations. They live as long as the folder object: a test that drops everything
// else and opens them again has simulated a crash.
import { PlatformError } from "#base/errors.ts";
import type { Journal, JournalFolder } from "../journal.ts";
import { assertJournalName } from "./name.ts";

/** @param options.fails asked at each append: true is a full disk */
export function memoryJournals(options: { fails?: () => boolean } = {}): JournalFolder {
  const journals = new Map<string, Uint8Array[]>();
  return {
    async open(name) {
      assertJournalName(name);
      const records = journals.get(name) ?? [];
      journals.set(name, records);
      return memoryJournal(name, records, options.fails ?? (() => false));
    },
    list: async () => [...journals.keys()].sort(),
    async remove(name) {
      assertJournalName(name);
      journals.delete(name);
    },
  };
}

function memoryJournal(name: string, records: Uint8Array[], fails: () => boolean): Journal {
  let closed = false;
  return {
    async append(record) {
      if (closed) throw new PlatformError("journal.failed", `Journal ${name} is closed.`);
      if (fails()) throw new PlatformError("journal.failed", `Journal ${name} cannot be written: no space is left.`);
      records.push(new Uint8Array(record));
    },
    async *read() {
      for (const record of records.slice()) yield new Uint8Array(record);
    },
    async close() {
      closed = true;
    },
  };
}
