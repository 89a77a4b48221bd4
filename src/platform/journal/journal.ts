// An append-only file of records that survives kill -9 and a torn tail. Drivers: file, memory.

export interface Journal {
  /** Resolves when the record is on disk (after fsync; concurrent appends share one). Do not change it before.
   *  @throws PlatformError journal.failed (disk full, read-only, gone); the journal stays usable and may succeed later */
  append(record: Uint8Array): Promise<void>;
  /** All whole records, oldest first. A torn tail (a crash while appending) ends it without an error. */
  read(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Journals by name in one folder. */
export interface JournalFolder {
  /** Open or create. Its torn tail, if any, is cut off first. @param name path-safe: letters, digits, ".", "_", "-", "/" between parts */
  open(name: string): Promise<Journal>;
  /** Names that exist, sorted. */
  list(): Promise<string[]>;
  /** Delete; an unknown name is success. */
  remove(name: string): Promise<void>;
}
