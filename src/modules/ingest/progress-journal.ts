// How far a session has come, on disk, once a second for as long as it lasts. Only the newest record counts, so they do
// not stand among the decisions, which are all kept: they go into files of their own, and a new file replaces the one
// before it. In one file a channel that never ends would grow by 8 MB a day, and be read through at each start.
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Journal, JournalFolder } from "#platform/journal/journal.ts";
import type { TimeMark } from "./session-time.ts";

const FOLDER = "progress/";
/** Of one file: ten minutes, about 60 KB. */
const RECORDS_MAX = 600;

/** How far a session had come: positions and frames below were handed out. And its time then, null in older journals. */
export type Progress = Readonly<{
  position: number;
  era: number;
  frame: number;
  newestNs: bigint;
  time: TimeMark | null;
}>;

export class ProgressJournal {
  readonly #folder: JournalFolder;
  readonly #session: string;
  readonly #log: Log;
  #journal: Journal | null = null;
  #records = 0;
  #writing: Promise<void> | null = null;
  #isFailing = false;
  #isClosed = false;

  constructor(deps: { folder: JournalFolder; session: string; log: Log }) {
    this.#folder = deps.folder;
    this.#session = deps.session;
    this.#log = deps.log;
  }

  /** Left out while the one before is being written, and when the disk refuses it: it will be told again. */
  tell(progress: Progress): void {
    if (this.#isClosed) return;
    this.#writing ??= this.#write(progress).finally(() => (this.#writing = null));
  }

  /** Resolves when the newest is on disk, or cannot be brought there now. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await this.#journal?.close();
  }

  /** @throws PlatformError journal.failed */
  async remove(): Promise<void> {
    await this.close();
    for (const name of await filesOf(this.#folder, this.#session)) await this.#folder.remove(name);
  }

  async #write(progress: Progress): Promise<void> {
    try {
      const isNew = this.#journal === null || this.#records >= RECORDS_MAX;
      const before = isNew ? await this.#turn() : [];
      await this.#journal!.append(print(progress));
      this.#records += 1;
      for (const name of before) await this.#folder.remove(name);
      if (this.#isFailing) this.#log.info("journal.works_again", { journal: FOLDER + this.#session });
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (!this.#isFailing) this.#log.error("journal.failed", { journal: FOLDER + this.#session, error });
      this.#isFailing = true;
    }
  }

  /** The next file. @returns those before it, to be removed once it holds something */
  async #turn(): Promise<string[]> {
    const before = await filesOf(this.#folder, this.#session);
    await this.#journal?.close();
    this.#journal = null;
    const number = Math.max(-1, ...before.map(numberOf)) + 1;
    this.#journal = await this.#folder.open(`${FOLDER}${this.#session}/${number}`);
    this.#records = 0;
    return before;
  }
}

/** What an earlier gateway told last of a session; null when it told nothing.
 *  @throws PlatformError journal.failed, media.malformed */
export async function rememberedProgress(folder: JournalFolder, session: string): Promise<Progress | null> {
  let newest: Progress | null = null;
  for (const name of await filesOf(folder, session)) {
    const journal = await folder.open(name);
    try {
      for await (const record of journal.read()) newest = parse(record);
    } finally {
      await journal.close();
    }
  }
  return newest;
}

/** Files of sessions that nothing else is known of. One that cannot be removed is logged and stays.
 *  @param isKnown whether a session has a journal
 *  @throws PlatformError journal.failed when the journals cannot be listed */
export async function removeStrayProgress(
  folder: JournalFolder,
  log: Log,
  isKnown: (session: string) => boolean,
): Promise<void> {
  for (const name of await folder.list()) {
    if (!name.startsWith(FOLDER) || isKnown(name.slice(FOLDER.length, name.lastIndexOf("/")))) continue;
    await folder.remove(name).catch((error) => log.warn("journal.not_removed", { journal: name, error }));
  }
}

/** Oldest first. */
async function filesOf(folder: JournalFolder, session: string): Promise<string[]> {
  const names = (await folder.list()).filter((name) => name.startsWith(`${FOLDER}${session}/`));
  return names.sort((a, b) => numberOf(a) - numberOf(b));
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf("/") + 1));
}

function print({ newestNs, time, ...rest }: Progress): Buffer {
  const told = time && { ...time, taiNs: time.taiNs.toString() };
  return Buffer.from(JSON.stringify({ ...rest, newestNs: newestNs.toString(), time: told }));
}

function parse(record: Uint8Array): Progress {
  try {
    const { newestNs, time = null, ...rest } = JSON.parse(Buffer.from(record).toString("utf8"));
    return { ...rest, newestNs: BigInt(newestNs), time: time && { ...time, taiNs: BigInt(time.taiNs) } };
  } catch (cause) {
    throw new PlatformError("media.malformed", "a record of progress is not JSON", { cause });
  }
}
