// Journals as files, one per name. A record is acknowledged after fdatasync; appends that wait at the same time share
// one, so a hundred decisions cost as many disk flushes as one.
// After a failed write the file is cut back to its last acknowledged record before anything is written again: else a
// later, shorter record could be followed by the rest of the failed one, which would then pass for a record.
// Opening writes nothing: the header goes out with the first record. So a disk without space costs what is appended to
// it, and never the reading of what is there.
import { constants, type Dirent } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { assert } from "#base/assert.ts";
import { PlatformError } from "#base/errors.ts";
import type { Journal, JournalFolder } from "../journal.ts";
import { assertJournalName } from "./name.ts";
import { FRAME_BYTES, frame, HEADER, headerOf, scan, writeAll } from "./record-file.ts";

const SUFFIX = ".journal";

/** Records of one flush; each is two pieces of one writev. */
const BATCH_RECORDS_MAX = 256;

/** What may wait for a slow disk. Beyond it appends are refused: the disk has been away for too long. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;

/** @param path the folder; made when the first journal is */
export function fileJournals(path: string): JournalFolder {
  const folder = resolve(path);
  const openNames = new Set<string>();
  const pathOf = (name: string) => join(folder, ...name.split("/")) + SUFFIX;
  return {
    async open(name) {
      assertJournalName(name);
      assert.ok(!openNames.has(name), `journal ${name} is open already: two writers would overwrite each other`);
      openNames.add(name);
      try {
        return await openJournal(name, pathOf(name), () => openNames.delete(name));
      } catch (cause) {
        openNames.delete(name);
        throw failed(`Cannot open journal ${name}`, cause);
      }
    },
    async list() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
        if (cause.code === "ENOENT") return [] as Dirent[];
        throw failed(`Cannot list the journals in ${folder}`, cause);
      });
      return entries
        .filter((entry) => entry.isFile() && entry.name.endsWith(SUFFIX))
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).slice(0, -SUFFIX.length))
        .map((path) => path.split(sep).join("/"))
        .sort();
    },
    async remove(name) {
      assertJournalName(name);
      await rm(pathOf(name), { force: true }).catch((cause) => {
        throw failed(`Cannot remove journal ${name}`, cause);
      });
    },
  };
}

async function openJournal(name: string, path: string, onClose: () => void): Promise<FileJournal> {
  const handle = await openOrCreate(path);
  try {
    const header = await headerOf(handle);
    if (header === "foreign")
      throw new PlatformError("journal.failed", `${path} is no journal of this build: move it away.`);
    const { size } = await handle.stat();
    const end = header === "new" ? 0 : await endOfRecords(handle, size);
    if (end < size) {
      await handle.truncate(end);
      await handle.sync();
    }
    return new FileJournal(name, handle, end, onClose);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT } = constants;
  try {
    return await open(path, O_RDWR);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const folder = dirname(path);
  const firstMade = await mkdir(folder, { recursive: true });
  const handle = await open(path, O_RDWR | O_CREAT, 0o600);
  try {
    // A file whose folder was not flushed is gone after a power cut, however well the file itself was.
    const top = firstMade === undefined ? folder : dirname(resolve(firstMade));
    for (let at = folder; ; at = dirname(at)) {
      await syncFolder(at);
      if (at === top) break;
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function endOfRecords(handle: FileHandle, size: number): Promise<number> {
  const records = scan(handle, size);
  for (;;) {
    const step = await records.next();
    if (step.done) return step.value;
  }
}

type Waiting = Readonly<{ pieces: readonly Uint8Array[]; resolve: () => void; reject: (error: Error) => void }>;

class FileJournal implements Journal {
  readonly #name: string;
  readonly #handle: FileHandle;
  readonly #onClose: () => void;
  /** Where the last acknowledged record ends; 0 while there is no header either. */
  #end: number;
  /** Bytes beyond `#end` may be in the file. */
  #torn = false;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | null = null;
  #closed = false;

  constructor(name: string, handle: FileHandle, end: number, onClose: () => void) {
    this.#name = name;
    this.#handle = handle;
    this.#end = end;
    this.#onClose = onClose;
  }

  async append(record: Uint8Array): Promise<void> {
    if (this.#closed) throw new PlatformError("journal.failed", `Journal ${this.#name} is closed.`);
    const bytes = FRAME_BYTES + record.byteLength;
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX)
      throw new PlatformError("journal.failed", `Journal ${this.#name}: the disk does not keep up; try again later.`);
    const pieces = [frame(record), record];
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pieces, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async *read(): AsyncGenerator<Uint8Array> {
    const end = this.#end; // what is acknowledged by now; later records are not awaited
    if (end === 0) return;
    const records = scan(this.#handle, end);
    for (;;) {
      const step = await records.next().catch((cause) => {
        throw failed(`Cannot read journal ${this.#name}`, cause);
      });
      if (!step.done) yield step.value;
      else if (step.value === end) return;
      else throw new PlatformError("journal.failed", `Journal ${this.#name} is damaged at byte ${step.value}.`);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    this.#onClose();
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    await null; // appends of the same turn share the first flush too
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_RECORDS_MAX);
      const pieces = batch.flatMap((waiting) => waiting.pieces);
      const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
      try {
        await this.#commit(this.#end === 0 ? [HEADER, ...pieces] : pieces);
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        const error = failed(`Cannot append to journal ${this.#name}`, cause);
        for (const { reject } of batch) reject(error);
      }
      this.#waitingBytes -= bytes;
    }
    this.#flushing = null;
  }

  async #commit(pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#torn) await this.#cutBack();
    this.#torn = true;
    try {
      await writeAll(this.#handle, pieces, this.#end);
      await this.#handle.datasync();
    } catch (error) {
      await this.#cutBack().catch(() => {}); // it stays torn: the next append tries again, and fails if it cannot
      throw error;
    }
    this.#torn = false;
    this.#end += pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  }

  async #cutBack(): Promise<void> {
    await this.#handle.truncate(this.#end);
    this.#torn = false;
  }
}

function failed(what: string, cause: unknown): Error {
  if (cause instanceof PlatformError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === undefined) return cause as Error; // a defect, not the disk
  const hint = code === "ENOSPC" || code === "EDQUOT" ? "; free some space" : "";
  return new PlatformError("journal.failed", `${what}: ${message}${hint}.`, { cause });
}
