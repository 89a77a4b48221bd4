// The session log in bytes, as it goes from the gateway to its readers: a header, then records.
// Units have fixed binary fields (a stream brings a hundred a second, and their payload is never copied to be sent);
// decisions are JSON. Two records are no entries: "idle" shows a silent log from a dead connection, "failure" says why a
// stream that had begun stops, which HTTP has no status for any more.
//
//   header   7 bytes "CTYSLOG", u8 version
//   record   u32 bytes that follow, u8 kind, then by kind (all big-endian):
//     unit      u8 flags, u16 track, u64 position, i64 index, i64 timeNs, i64 decodeNs, i64 arrivedNs, payload
//     decision  u64 position, JSON
//     idle      nothing
//     failure   u8 length of the code, code, message
import { assert } from "#base/assert.ts";
import { type ErrorCode, isErrorCode, PlatformError } from "#base/errors.ts";
import { decodeDecision, encodeDecision } from "./decision-json.ts";
import type { Decision, Positioned, Unit } from "./entries.ts";

const SESSION_LOG_VERSION = 2;

/** A unit may not be larger: above what RTMP can carry in one message (2^24 - 1 bytes). */
export const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024;

export type LogRecord =
  | Readonly<{ kind: "entry"; at: Positioned }>
  | Readonly<{ kind: "idle" }>
  | Readonly<{ kind: "failure"; code: ErrorCode | "internal"; message: string }>;

const MAGIC = Buffer.from("CTYSLOG", "latin1");
const HEADER_BYTES = MAGIC.length + 1;
const LENGTH_BYTES = 4;

const UNIT = 1;
const DECISION = 2;
const IDLE = 3;
const FAILURE = 4;

/** After the length: kind, flags, track, position, index, three instants. */
const UNIT_FIXED_BYTES = 1 + 1 + 2 + 8 + 8 + 3 * 8;
const DECISION_FIXED_BYTES = 1 + 8;
const RECORD_BYTES_MAX = UNIT_FIXED_BYTES + PAYLOAD_BYTES_MAX;

const RANDOM_ACCESS = 1;
const DAMAGED = 2;
const FLAGS = RANDOM_ACCESS | DAMAGED;

export function encodeHeader(): Buffer {
  return Buffer.concat([MAGIC, Buffer.from([SESSION_LOG_VERSION])]);
}

/** One entry as pieces to be written one after the other; the last is the unit's own payload, not a copy. */
export function encodeEntry({ position, entry }: Positioned): Buffer[] {
  return entry.kind === "unit" ? encodeUnit(position, entry) : [encodeDecisionRecord(position, entry)];
}

export function encodeIdle(): Buffer {
  return Buffer.from([0, 0, 0, 1, IDLE]);
}

/** @param error what a PlatformError carries; a defect is "internal", its text stays in the log */
export function encodeFailure(error: unknown): Buffer {
  const ours = error instanceof PlatformError;
  const code = Buffer.from(ours ? error.code : "internal");
  const message = Buffer.from(ours ? error.message : "See the log.");
  const head = Buffer.from([0, 0, 0, 0, FAILURE, code.length]);
  head.writeUInt32BE(2 + code.length + message.length);
  return Buffer.concat([head, code, message]);
}

function encodeUnit(position: number, unit: Unit): Buffer[] {
  const { payload } = unit;
  assert.ok(payload.byteLength <= PAYLOAD_BYTES_MAX, `a unit of ${payload.byteLength} bytes`);
  const head = Buffer.allocUnsafe(LENGTH_BYTES + UNIT_FIXED_BYTES);
  head.writeUInt32BE(UNIT_FIXED_BYTES + payload.byteLength, 0);
  head.writeUInt8(UNIT, 4);
  head.writeUInt8((unit.randomAccess ? RANDOM_ACCESS : 0) | (unit.damaged ? DAMAGED : 0), 5);
  head.writeUInt16BE(unit.track, 6);
  head.writeBigUInt64BE(BigInt(position), 8);
  head.writeBigInt64BE(BigInt(unit.index), 16);
  head.writeBigInt64BE(unit.timeNs, 24);
  head.writeBigInt64BE(unit.decodeNs, 32);
  head.writeBigInt64BE(unit.arrivedNs, 40);
  return [head, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)];
}

function encodeDecisionRecord(position: number, decision: Decision): Buffer {
  const json = encodeDecision(decision);
  assert.ok(DECISION_FIXED_BYTES + json.length <= RECORD_BYTES_MAX, `a ${decision.kind} of ${json.length} bytes`);
  const record = Buffer.allocUnsafe(LENGTH_BYTES + DECISION_FIXED_BYTES + json.length);
  record.writeUInt32BE(DECISION_FIXED_BYTES + json.length, 0);
  record.writeUInt8(DECISION, 4);
  record.writeBigUInt64BE(BigInt(position), 5);
  record.set(json, LENGTH_BYTES + DECISION_FIXED_BYTES);
  return record;
}

/** Takes the bytes in whatever pieces they arrive. Holds at most one unfinished record.
 *  Payloads are views of what was pushed where a record lies in one piece of it: do not reuse pushed buffers. */
export class EntryReader {
  #awaits: "header" | "length" | "record" = "header";
  /** Bytes of what is awaited; those that came so far are in `#part` (null: none yet). */
  #bytes = HEADER_BYTES;
  #part: Buffer | null = null;
  #filled = 0;

  /** @returns the records that these bytes complete, in order
   *  @throws PlatformError media.unsupported for another version, media.malformed for anything else that is not ours; the
   *  reader is of no use afterwards */
  push(bytes: Uint8Array): LogRecord[] {
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const records: LogRecord[] = [];
    let at = 0;
    while (at < input.length) {
      const step = Math.min(this.#bytes - this.#filled, input.length - at);
      const piece = input.subarray(at, at + step);
      at += step;
      const part = step === this.#bytes ? piece : this.#gather(piece);
      if (part !== null) this.#complete(part, records);
    }
    return records;
  }

  /** True when the bytes so far end with a whole record. */
  get atBorder(): boolean {
    return this.#awaits === "length" && this.#filled === 0;
  }

  /** @returns what is awaited, once it is all there */
  #gather(piece: Buffer): Buffer | null {
    this.#part ??= Buffer.allocUnsafeSlow(this.#bytes);
    this.#part.set(piece, this.#filled);
    this.#filled += piece.length;
    if (this.#filled < this.#bytes) return null;
    const part = this.#part;
    this.#part = null;
    this.#filled = 0;
    return part;
  }

  #complete(part: Buffer, records: LogRecord[]): void {
    if (this.#awaits === "length") {
      this.#awaits = "record";
      this.#bytes = recordBytes(part);
      return;
    }
    if (this.#awaits === "header") checkHeader(part);
    else records.push(decodeRecord(part));
    this.#awaits = "length";
    this.#bytes = LENGTH_BYTES;
  }
}

function checkHeader(header: Buffer): void {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed("it does not begin as one");
  const version = header[MAGIC.length]!;
  if (version !== SESSION_LOG_VERSION)
    throw new PlatformError(
      "media.unsupported",
      `Session log of version ${version}; this build reads ${SESSION_LOG_VERSION}: run the same build on both ends.`,
    );
}

function recordBytes(length: Buffer): number {
  const bytes = length.readUInt32BE(0);
  if (bytes === 0 || bytes > RECORD_BYTES_MAX) throw malformed(`a record of ${bytes} bytes`);
  return bytes;
}

function decodeRecord(record: Buffer): LogRecord {
  switch (record[0]) {
    case UNIT:
      return { kind: "entry", at: decodeUnit(record) };
    case DECISION: {
      if (record.length <= DECISION_FIXED_BYTES) throw malformed("a decision is cut short");
      const entry = decodeDecision(record.subarray(DECISION_FIXED_BYTES));
      return { kind: "entry", at: { position: safeNumber(record.readBigUInt64BE(1)), entry } };
    }
    case IDLE:
      if (record.length !== 1) throw malformed("an idle record holds something");
      return { kind: "idle" };
    case FAILURE:
      return decodeFailure(record);
    default:
      throw malformed(`record kind ${record[0]}`);
  }
}

function decodeUnit(record: Buffer): Positioned<Unit> {
  if (record.length < UNIT_FIXED_BYTES) throw malformed("a unit is cut short");
  const flags = record.readUInt8(1);
  if ((flags & ~FLAGS) !== 0) throw malformed(`unit flags ${flags}`);
  const entry: Unit = {
    kind: "unit",
    track: record.readUInt16BE(2),
    index: safeNumber(record.readBigInt64BE(12)),
    timeNs: record.readBigInt64BE(20),
    decodeNs: record.readBigInt64BE(28),
    randomAccess: (flags & RANDOM_ACCESS) !== 0,
    damaged: (flags & DAMAGED) !== 0,
    arrivedNs: record.readBigInt64BE(36),
    payload: record.subarray(UNIT_FIXED_BYTES),
  };
  return { position: safeNumber(record.readBigUInt64BE(4)), entry };
}

function decodeFailure(record: Buffer): LogRecord {
  const codeEnd = 2 + (record[1] ?? 0);
  if (record.length < codeEnd || record.length < 2) throw malformed("a failure is cut short");
  const code = record.toString("utf8", 2, codeEnd);
  const message = record.toString("utf8", codeEnd);
  return { kind: "failure", code: isErrorCode(code) ? code : "internal", message };
}

function safeNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw malformed(`the number ${value}`);
  return number;
}

function malformed(what: string): PlatformError {
  return new PlatformError("media.malformed", `These bytes are no session log: ${what}.`);
}
