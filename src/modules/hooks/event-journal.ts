// What events are on their way, on disk: a record for each change, and now and then a journal anew with what still counts.
// A disk that refuses is told to the log and stops nobody: what it lacks is made good when it takes records again.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";
import type { Told } from "./told.ts";
import type { StreamEvent } from "./types.ts";

const FOLDER = "hooks/";
/** Records of a journal before it is written anew with what still counts. */
const RECORDS_MAX = 5000;
/** After a disk refused: it costs as much as there is to keep. */
const MEND_MS = 5000;

export type Entry =
  | Readonly<{ kind: "event"; event: StreamEvent; targets: readonly string[]; at: number }>
  | Readonly<{ kind: "done"; id: string; target: string }>
  | Readonly<{ kind: "told"; session: string; told: Told }>;

export type EventJournalDeps = Readonly<{
  clock: Clock;
  log: Log;
  journals: JournalFolder;
  /** What still counts. */
  counting: () => Entry[];
}>;

export class EventJournal {
  readonly #deps: EventJournalDeps;
  #journal: Journal | null = null;
  /** Journals that a new one replaces. */
  #former: readonly string[] = [];
  #generation = 0;
  #records = 0;
  /** Of the records, those that were there when the journal was begun. */
  #kept = 0;
  /** Something could not be written into it. */
  #lacks = false;
  /** When that is tried to be made good, at the earliest. */
  #mendMs = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Records for the next write. */
  #unwritten: Uint8Array[] = [];

  constructor(deps: EventJournalDeps) {
    this.#deps = deps;
  }

  /** @param restore is given each entry that an earlier process left, in order
   *  @throws PlatformError journal.failed when they cannot be read (a disk that takes no more is no reason) */
  async open(restore: (entry: Entry) => void): Promise<void> {
    const { journals } = this.#deps;
    const generationOf = (name: string) => Number(name.slice(FOLDER.length)) || 0;
    const names = (await journals.list()).filter((name) => name.startsWith(FOLDER));
    for (const name of names.sort((a, b) => generationOf(a) - generationOf(b))) {
      this.#generation = generationOf(name);
      const journal = await journals.open(name);
      for await (const record of journal.read()) restore(parse(record));
      await journal.close();
    }
    this.#former = names;
    this.#enqueue(() => this.#compact()); // a full disk must not keep control from starting
    await this.#writing;
  }

  /** Entries that wait for the disk. */
  get waiting(): number {
    return this.#unwritten.length;
  }

  write(entry: Entry): void {
    this.#unwritten.push(Buffer.from(JSON.stringify(entry)));
    if (this.#unwritten.length === 1) this.#enqueue(() => this.#writeAll());
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#journal?.close();
  }

  /** All that wait, so that they share a flush of the disk. */
  async #writeAll(): Promise<void> {
    const records = this.#unwritten;
    this.#unwritten = [];
    if (this.#lacks && this.#deps.clock.monotonicMs() >= this.#mendMs) return this.#compact(); // these as well
    const journal = this.#journal;
    if (journal) await Promise.all(records.map((record) => journal.append(record)));
    this.#records += records.length;
    if (this.#records - this.#kept > RECORDS_MAX && !this.#lacks) await this.#compact();
  }

  /** One after the other; a disk that refuses is told, and never stops the sending. */
  #enqueue(write: () => Promise<void>): void {
    this.#writing = this.#writing.then(async () => {
      try {
        await write();
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        this.#lacks = true;
        this.#mendMs = this.#deps.clock.monotonicMs() + MEND_MS;
        this.#deps.log.error("hooks.event_not_kept", { error }); // it is sent all the same
      }
    });
  }

  /** What still counts, in a journal of its own; then those before it go. */
  async #compact(): Promise<void> {
    const { journals } = this.#deps;
    const before = this.#journal;
    this.#generation += 1;
    const name = `${FOLDER}${this.#generation}`;
    const journal = await journals.open(name);
    const entries = this.#deps.counting();
    try {
      await Promise.all(entries.map((entry) => journal.append(Buffer.from(JSON.stringify(entry)))));
    } catch (error) {
      await journal.close();
      await journals.remove(name);
      throw error;
    }
    const replaced = this.#former;
    this.#journal = journal;
    this.#former = [name];
    this.#records = this.#kept = entries.length;
    this.#lacks = false;
    await before?.close();
    for (const former of replaced) await journals.remove(former);
  }
}

function parse(record: Uint8Array): Entry {
  try {
    return JSON.parse(Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString("utf8")) as Entry;
  } catch (cause) {
    throw new PlatformError("journal.failed", "a record of the hooks' journal is not JSON", { cause });
  }
}
