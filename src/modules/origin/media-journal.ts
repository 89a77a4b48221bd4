// Finished segments on disk: one folder per session, one file per stretch of its segments (all renditions), so that what
// no longer counts is removed as a file and nothing is ever rewritten.
// Each file stands alone: it begins with what is needed to understand it, and has the init segments its segments use.
import { describe } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Channel } from "#media/channel.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";
import { decodeRecord, encodeRecord, type HeldSegment } from "./held.ts";

/** What a session is, apart from its media. */
export type SessionNote = Readonly<{
  kind: "session";
  session: string;
  channel: Channel;
  msnBase: number;
  discontinuityBase: number;
  eras: readonly EraOpened[];
}>;

/** How it ended. */
export type EndNote = Readonly<{
  kind: "end";
  state: "complete" | "abandoned";
  lastMsn: number;
  discontinuities: number;
  /** UTC ns, as text. */
  endedUtcNs: string;
}>;

type Stretch = { journal: Promise<Journal>; erasNoted: number; inits: Set<string>; writing: number; done: boolean };

/** Stretches of one session being written. */
export class MediaJournal {
  readonly #folder: JournalFolder;
  readonly #log: Log;
  readonly #session: string;
  readonly #stretchSegments: number;
  readonly #note: () => SessionNote;
  readonly #init: (name: string, era: number) => Buffer | null;
  readonly #stretches = new Map<number, Stretch>();
  readonly #closing = new Map<number, Promise<void>>();
  /** On disk, written by this process or one before it. */
  readonly #known = new Set<number>();

  constructor(deps: {
    folder: JournalFolder;
    log: Log;
    session: string;
    stretchSegments: number;
    note: () => SessionNote;
    init: (name: string, era: number) => Buffer | null;
    known: Iterable<number>;
  }) {
    this.#folder = deps.folder;
    this.#log = deps.log;
    this.#session = deps.session;
    this.#stretchSegments = deps.stretchSegments;
    this.#note = deps.note;
    this.#init = deps.init;
    for (const stretch of deps.known) this.#known.add(stretch);
  }

  /** Resolves when the segment is on disk. @throws PlatformError journal.failed; it may be tried again */
  async save(name: string, segment: HeldSegment, record: Buffer): Promise<void> {
    const init = segment.gap ? null : this.#init(name, segment.era);
    await this.#write(Math.floor(segment.ordinal / this.#stretchSegments), record, init && { name, segment, init });
  }

  /** @throws PlatformError journal.failed */
  async saveEnd(note: EndNote, lastOrdinal: number): Promise<void> {
    await this.#write(Math.max(0, Math.floor(lastOrdinal / this.#stretchSegments)), encodeRecord(note), null);
  }

  async #write(
    number: number,
    record: Buffer,
    own: { name: string; segment: HeldSegment; init: Buffer } | null,
  ): Promise<void> {
    const stretch = this.#stretch(number);
    stretch.writing += 1;
    try {
      const journal = await stretch.journal;
      const note = this.#note();
      const appends: Promise<void>[] = [];
      if (note.eras.length > stretch.erasNoted || stretch.erasNoted < 0) {
        stretch.erasNoted = note.eras.length;
        appends.push(journal.append(encodeRecord(note)));
      }
      const key = own && `${own.name}/${own.segment.era}`;
      if (own && key && !stretch.inits.has(key)) {
        stretch.inits.add(key);
        const header = { kind: "init", name: own.name, era: own.segment.era };
        appends.push(journal.append(encodeRecord(header, [own.init])));
      }
      appends.push(journal.append(record));
      await Promise.all(appends);
    } catch (error) {
      stretch.erasNoted = -1; // whatever did not get there is written again with the next one
      stretch.inits.clear();
      throw error;
    } finally {
      stretch.writing -= 1;
      this.#closeIfDone(number, stretch);
    }
  }

  #stretch(number: number): Stretch {
    const open = this.#stretches.get(number);
    if (open) return open;
    const closed = this.#closing.get(number) ?? Promise.resolve();
    const journal = closed.then(() => this.#folder.open(nameOf(this.#session, number)));
    const stretch: Stretch = { journal, erasNoted: -1, inits: new Set(), writing: 0, done: false };
    this.#stretches.set(number, stretch);
    this.#known.add(number);
    journal.catch(() => this.#stretches.delete(number)); // the writer has the error; the next write opens again
    return stretch;
  }

  /** Nothing below this ordinal will be written any more. */
  writtenThrough(ordinal: number): void {
    for (const [number, stretch] of this.#stretches) {
      if ((number + 1) * this.#stretchSegments > ordinal) continue;
      stretch.done = true;
      this.#closeIfDone(number, stretch);
    }
  }

  #closeIfDone(number: number, stretch: Stretch): void {
    if (!stretch.done || stretch.writing > 0 || this.#stretches.get(number) !== stretch) return;
    this.#stretches.delete(number);
    const closing = stretch.journal
      .then((journal) => journal.close())
      .catch((error) => this.#log.warn("journal not closed", { reason: describe(error) }))
      .finally(() => this.#closing.delete(number));
    this.#closing.set(number, closing);
  }

  /** Remove stretches that lie wholly below this ordinal. */
  async removeBelow(ordinal: number): Promise<void> {
    for (const number of [...this.#known]) {
      if ((number + 1) * this.#stretchSegments > ordinal || this.#stretches.has(number)) continue;
      await this.#remove(number);
    }
  }

  /** Remove all of it. Call `close` first. */
  async removeAll(): Promise<void> {
    for (const number of [...this.#known]) await this.#remove(number);
  }

  async #remove(number: number): Promise<void> {
    await this.#closing.get(number);
    await this.#folder.remove(nameOf(this.#session, number));
    this.#known.delete(number);
  }

  async close(): Promise<void> {
    const stretches = [...this.#stretches.values()];
    this.#stretches.clear();
    for (const stretch of stretches) await (await stretch.journal.catch(() => null))?.close();
    await Promise.all(this.#closing.values());
  }
}

export type StoredSession = {
  note: SessionNote;
  end: EndNote | null;
  /** By rendition, ascending, each ordinal once. */
  segments: Map<string, HeldSegment[]>;
  inits: { name: string; era: number; bytes: Buffer }[];
  stretches: number[];
};

/** All sessions with media on disk. What cannot be read is logged and left alone. */
export async function readStoredSessions(folder: JournalFolder, log: Log): Promise<StoredSession[]> {
  const found = new Map<string, number[]>();
  for (const name of await folder.list()) {
    const match = /^segments\/([^/]+)\/(\d+)$/.exec(name);
    if (match) found.set(match[1]!, [...(found.get(match[1]!) ?? []), Number(match[2])]);
  }
  const sessions: StoredSession[] = [];
  for (const [session, numbers] of found) {
    const stretches = numbers.sort((a, b) => a - b);
    try {
      const stored = await readSession(folder, session, stretches);
      if (stored) sessions.push(stored);
      else for (const number of stretches) await folder.remove(nameOf(session, number)); // nothing in it was acknowledged
    } catch (error) {
      log.error("stored session unreadable", { session, code: "journal.failed", reason: describe(error) });
    }
  }
  return sessions;
}

async function readSession(folder: JournalFolder, session: string, stretches: number[]): Promise<StoredSession | null> {
  let note: SessionNote | null = null;
  let end: EndNote | null = null;
  const byName = new Map<string, Map<number, HeldSegment>>();
  const inits = new Map<string, { name: string; era: number; bytes: Buffer }>();
  for (const number of stretches) {
    const journal = await folder.open(nameOf(session, number));
    try {
      for await (const bytes of journal.read()) {
        const record = decodeRecord(bytes);
        if (record.kind === "init") inits.set(`${record.name}/${record.era}`, record);
        else if (record.kind === "note") {
          const value = record.note as SessionNote | EndNote;
          if (value.kind === "session") note = value;
          else end = value;
        } else {
          const segments = byName.get(record.name) ?? new Map<number, HeldSegment>();
          byName.set(record.name, segments.set(record.segment.ordinal, record.segment));
        }
      }
    } finally {
      await journal.close();
    }
  }
  if (note === null) return null;
  const segments = new Map([...byName].map(([name, list]) => [name, contiguousEnd([...list.values()])]));
  return { note, end, segments, inits: [...inits.values()], stretches };
}

/** The newest run without holes in its numbers: a segment whose predecessor is not stored cannot be listed behind it. */
function contiguousEnd(segments: HeldSegment[]): HeldSegment[] {
  const sorted = segments.sort((a, b) => a.ordinal - b.ordinal);
  const from = sorted.findLastIndex((segment, i) => i > 0 && sorted[i - 1]!.ordinal + 1 !== segment.ordinal);
  return from < 0 ? sorted : sorted.slice(from);
}

export async function removeStoredSession(folder: JournalFolder, stored: StoredSession): Promise<void> {
  for (const number of stored.stretches) await folder.remove(nameOf(stored.note.session, number));
}

function nameOf(session: string, stretch: number): string {
  return `segments/${session}/${stretch}`;
}
