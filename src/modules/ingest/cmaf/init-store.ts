// Init segments of third-party senders, on disk: many of them send theirs once, when they begin, and would be of no use to
// us after a restart of ours.
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { type FragmentInit, FragmentReader } from "#media/cmaf/fragments.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";

const FOLDER = "cmaf/";
/** Representations of one channel. */
export const REPRESENTATIONS_MAX = 32;

export type KnownInit = Readonly<{ init: FragmentInit; bytes: Buffer }>;

export class InitStore {
  readonly #folder: JournalFolder;
  readonly #log: Log;
  readonly #name: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: JournalFolder, log: Log, channel: string) {
    this.#folder = folder;
    this.#log = log;
    this.#name = FOLDER + channel;
  }

  /** By representation. What cannot be read is told, and missing. */
  async load(): Promise<Map<string, KnownInit>> {
    const known = new Map<string, KnownInit>();
    if (!(await this.#folder.list()).includes(this.#name)) return known;
    const journal = await this.#folder.open(this.#name);
    try {
      for await (const record of journal.read()) {
        const body = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
        const nameBytes = body.readUInt16BE(0);
        const bytes = body.subarray(2 + nameBytes);
        const [event] = new FragmentReader().push(Buffer.from(bytes));
        if (event?.kind === "init") known.set(body.toString("utf8", 2, 2 + nameBytes), { init: event.init, bytes });
      }
    } catch (error) {
      if (!(error instanceof PlatformError || error instanceof RangeError)) throw error;
      this.#log.error("ingest.cmaf_inits_unreadable", { journal: this.#name, error });
    } finally {
      await journal.close();
    }
    return known;
  }

  /** Instead of what was there. Nobody waits for it: without it a restart costs the sender a restart of its own. */
  save(known: ReadonlyMap<string, KnownInit>): void {
    const records = [...known].map(([name, { bytes }]) => {
      const text = Buffer.from(name);
      return Buffer.concat([Buffer.of(text.length >> 8, text.length & 0xff), text, bytes]);
    });
    this.#writing = this.#writing.then(() => this.#write(records));
  }

  settled(): Promise<void> {
    return this.#writing;
  }

  async #write(records: readonly Buffer[]): Promise<void> {
    try {
      await this.#folder.remove(this.#name);
      const journal = await this.#folder.open(this.#name);
      await Promise.all(records.map((record) => journal.append(record)));
      await journal.close();
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#log.error("ingest.cmaf_inits_unsaved", { journal: this.#name, error });
    }
  }
}
