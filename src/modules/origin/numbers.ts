// The numbers of a channel's playlists: EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE never go back, whatever
// dies. So what a playlist may show is on disk before it can show it: `listedTo` goes up in blocks ahead of publication,
// and a part never waits for the disk.
import { describe } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import type { SessionNumbers } from "#media/session-log/entries.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";

type Opened = Readonly<{ kind: "open"; session: string; channel: Channel; listedTo: number }> & SessionNumbers;
type Raised = Readonly<{ kind: "raise"; listedTo: number; discontinuities: number }>;
type Closed = Readonly<{ kind: "close"; session: string; lastMsn: number; discontinuities: number }>;
type NumberRecord = Opened | Raised | Closed;

/** Sessions of a channel that are remembered after they ended: enough that none is opened twice. */
const CLOSED_KEPT = 32;
/** A journal of more records is written anew. */
const RECORDS_MAX = 4096;

const PREFIX = "numbers/";

/** One channel's numbers. */
export class ChannelNumbers {
  /** Highest number that a playlist may show. */
  listedTo = -1;
  /** Discontinuities so far, those of the open session included. */
  discontinuities = 0;
  readonly sessions = new Map<string, { opened: Opened; closed: boolean }>();
  readonly #block: number;
  readonly #log: Log;
  readonly #folder: JournalFolder;
  readonly #channel: string;
  #generation: number;
  #journal: Journal;
  #records = 0;
  #raising = false;
  /** The disk refused the last raise. Every part asks for another, so only the first refusal is told. */
  #isFailing = false;

  private constructor(
    folder: JournalFolder,
    channel: string,
    generation: number,
    journal: Journal,
    block: number,
    log: Log,
  ) {
    this.#folder = folder;
    this.#channel = channel;
    this.#generation = generation;
    this.#journal = journal;
    this.#block = block;
    this.#log = log;
  }

  /** @throws PlatformError journal.failed */
  static async open(folder: JournalFolder, channel: string, block: number, log: Log): Promise<ChannelNumbers> {
    const names = (await folder.list()).filter((name) => channelOf(name) === channel);
    const generations = names.map((name) => Number(name.slice(name.lastIndexOf("/") + 1))).sort((a, b) => b - a);
    const newest = generations[0] ?? 0;
    const journal = await folder.open(nameOf(channel, newest));
    const numbers = new ChannelNumbers(folder, channel, newest, journal, block, log);
    // A crash while writing anew leaves two: the older is whole, and what the newer says again changes nothing.
    for (const generation of generations.slice(1).reverse()) {
      const older = await folder.open(nameOf(channel, generation));
      for await (const record of older.read()) numbers.#apply(parse(record));
      await older.close();
    }
    for await (const record of journal.read()) numbers.#apply(parse(record));
    if (generations.length > 1) await numbers.#writeAnew();
    for (const generation of generations.slice(1)) await folder.remove(nameOf(channel, generation));
    return numbers;
  }

  /** Numbers for a session, above everything that may have been shown. Durable when it resolves; the same session twice
   *  gives the same answer. @throws PlatformError journal.failed */
  async reserve(session: string, channel: Channel): Promise<SessionNumbers> {
    const known = this.sessions.get(session)?.opened;
    if (known) return { msnBase: known.msnBase, discontinuityBase: known.discontinuityBase };
    if (this.#records > RECORDS_MAX) await this.#writeAnew();
    const msnBase = this.listedTo + 1;
    const record: Opened = {
      kind: "open",
      session,
      channel,
      msnBase,
      discontinuityBase: this.discontinuities,
      listedTo: msnBase + this.#block - 1,
    };
    await this.#append(record);
    return { msnBase, discontinuityBase: record.discontinuityBase };
  }

  /** A playlist is about to show this number. Never waits: numbers are raised half a block early. */
  shown(msn: number, discontinuities: number): void {
    const more = discontinuities > this.discontinuities;
    if (this.#raising || (!more && msn + this.#block / 2 <= this.listedTo)) return;
    this.#raising = true;
    const listedTo = Math.max(this.listedTo, msn + this.#block);
    this.#append({ kind: "raise", listedTo, discontinuities: Math.max(discontinuities, this.discontinuities) })
      .then(
        () => {
          if (this.#isFailing) this.#log.info("numbers are raised again", { listedTo });
          this.#isFailing = false;
        },
        (error) => {
          if (!this.#isFailing)
            this.#log.error("numbers cannot be raised", { code: "journal.failed", reason: describe(error) });
          this.#isFailing = true;
        },
      )
      .finally(() => {
        this.#raising = false;
      });
  }

  /** The session is over, and this is the last number it showed: the next one begins right after it. */
  async close(session: string, lastMsn: number, discontinuities: number): Promise<void> {
    if (this.sessions.get(session)?.closed !== false) return;
    await this.#append({ kind: "close", session, lastMsn, discontinuities });
  }

  async end(): Promise<void> {
    await this.#journal.close();
  }

  async #append(record: NumberRecord): Promise<void> {
    await this.#journal.append(Buffer.from(JSON.stringify(record)));
    this.#records += 1;
    this.#apply(record);
  }

  #apply(record: NumberRecord): void {
    if (record.kind === "raise") {
      this.listedTo = Math.max(this.listedTo, record.listedTo);
      this.discontinuities = Math.max(this.discontinuities, record.discontinuities);
    } else if (record.kind === "open") {
      this.listedTo = Math.max(this.listedTo, record.listedTo);
      this.discontinuities = Math.max(this.discontinuities, record.discontinuityBase);
      this.sessions.set(record.session, { opened: record, closed: false });
      for (const id of this.sessions.keys()) if (this.sessions.size > CLOSED_KEPT) this.sessions.delete(id);
    } else {
      const session = this.sessions.get(record.session);
      if (session) session.closed = true;
      // Only the newest session's end says how far the channel has come.
      if (session && [...this.sessions.keys()].at(-1) === record.session) {
        this.listedTo = record.lastMsn;
        this.discontinuities = record.discontinuities;
      }
    }
  }

  /** The same state in fewer records, in the journal of the next generation. */
  async #writeAnew(): Promise<void> {
    const next = this.#generation + 1;
    const journal = await this.#folder.open(nameOf(this.#channel, next));
    const records: NumberRecord[] = [...this.sessions.values()].flatMap(({ opened, closed }) => {
      const { listedTo: lastMsn, discontinuities } = this;
      return closed ? [opened, { kind: "close", session: opened.session, lastMsn, discontinuities }] : [opened];
    });
    records.push({ kind: "raise", listedTo: this.listedTo, discontinuities: this.discontinuities });
    for (const record of records) await journal.append(Buffer.from(JSON.stringify(record)));
    const old = nameOf(this.#channel, this.#generation);
    await this.#journal.close();
    this.#journal = journal;
    this.#generation = next;
    this.#records = records.length;
    await this.#folder.remove(old);
  }
}

/** Channels that have numbers. */
export async function channelsWithNumbers(folder: JournalFolder): Promise<string[]> {
  const channels = (await folder.list()).map(channelOf).filter((channel) => channel !== null);
  return [...new Set(channels)];
}

function nameOf(channel: string, generation: number): string {
  return `${PREFIX}${channel}/${generation}`;
}

function channelOf(name: string): string | null {
  return /^numbers\/([^/]+)\/\d+$/.exec(name)?.[1] ?? null;
}

function parse(record: Uint8Array): NumberRecord {
  return JSON.parse(Buffer.from(record).toString("utf8")) as NumberRecord;
}
