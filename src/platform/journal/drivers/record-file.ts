// The file form of a journal: a header, then records, each u32 length, u32 CRC-32 of length and bytes, bytes.
// The CRC covers the length, so that a tail of zeros (what some file systems leave after a power cut) is no record.
// The first record that does not check ends the journal: what follows was never acknowledged, because records are
// acknowledged in order.
import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { assert } from "#base/assert.ts";

/** Begins the file; written together with the first record. */
export const HEADER = Buffer.from("CTYJRNL\u0001", "latin1");
export const HEADER_BYTES = HEADER.length;
export const FRAME_BYTES = 8;

/** Larger than any segment; a damaged length must not ask for more memory than this. */
export const RECORD_BYTES_MAX = 256 * 1024 * 1024;

/** Read at least this much at a time. */
const WINDOW_BYTES = 256 * 1024;

/** What goes before the record's bytes. */
export function frame(record: Uint8Array): Buffer {
  assert.ok(record.byteLength <= RECORD_BYTES_MAX, `a journal record of ${record.byteLength} bytes`);
  const head = Buffer.allocUnsafe(FRAME_BYTES);
  head.writeUInt32BE(record.byteLength, 0);
  head.writeUInt32BE(checksum(head, record), 4);
  return head;
}

function checksum(head: Buffer, record: Uint8Array): number {
  return crc32(record, crc32(head.subarray(0, 4)));
}

/** "new": nothing was ever in it (its making may have been cut short). "foreign": not a journal, or of another version. */
export async function headerOf(handle: FileHandle): Promise<"ours" | "new" | "foreign"> {
  const head = Buffer.alloc(HEADER_BYTES);
  const { bytesRead } = await handle.read(head, 0, HEADER_BYTES, 0);
  if (bytesRead === HEADER_BYTES && head.equals(HEADER)) return "ours";
  const unfinished = head.subarray(0, bytesRead);
  return bytesRead < HEADER_BYTES && unfinished.equals(HEADER.subarray(0, bytesRead)) ? "new" : "foreign";
}

/** Whole records from the start on, up to the byte `end`; stops before the first that does not check.
 *  The record is the caller's to keep. @returns where the last whole record ends */
export async function* scan(handle: FileHandle, end: number): AsyncGenerator<Buffer, number> {
  let window = Buffer.alloc(0);
  let windowAt = 0;
  const take = async (at: number, bytes: number): Promise<Buffer | null> => {
    if (at + bytes > windowAt + window.length) {
      window = await readAt(handle, at, Math.min(Math.max(bytes, WINDOW_BYTES), end - at));
      windowAt = at;
    }
    return window.length < bytes + at - windowAt ? null : window.subarray(at - windowAt, at - windowAt + bytes);
  };
  let at = HEADER_BYTES;
  while (at + FRAME_BYTES <= end) {
    const head = await take(at, FRAME_BYTES);
    const bytes = head?.readUInt32BE(0) ?? 0;
    if (head === null || bytes > RECORD_BYTES_MAX || at + FRAME_BYTES + bytes > end) return at;
    const expected = head.readUInt32BE(4);
    const length = Buffer.from(head.subarray(0, 4));
    const record = await take(at + FRAME_BYTES, bytes);
    if (record === null || checksum(length, record) !== expected) return at;
    at += FRAME_BYTES + bytes;
    yield bytes < WINDOW_BYTES ? Buffer.from(record) : record; // a small one must not keep the window alive
  }
  return at;
}

/** @returns fewer bytes than asked for only at the end of the file */
async function readAt(handle: FileHandle, at: number, bytes: number): Promise<Buffer<ArrayBuffer>> {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Write all pieces one after the other; a short write (the disk is filling up) is followed by another. */
export async function writeAll(handle: FileHandle, pieces: readonly Uint8Array[], at: number): Promise<void> {
  let left = pieces.filter((piece) => piece.byteLength > 0);
  let position = at;
  while (left.length > 0) {
    let { bytesWritten } = await handle.writev(left, position);
    position += bytesWritten;
    let whole = 0;
    while (whole < left.length && bytesWritten >= left[whole]!.byteLength) bytesWritten -= left[whole++]!.byteLength;
    left = left.slice(whole);
    if (bytesWritten > 0) left[0] = left[0]!.subarray(bytesWritten);
  }
}
