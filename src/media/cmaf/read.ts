// CMAF as it arrives on a connection: pieces of any size in; init segments and whole chunks out, each in memory of its own.
// Why whole chunks: a part is served at link speed or not at all, so nothing downstream can use half of one.
import { PlatformError } from "#base/errors.ts";
import { producedUtcNs } from "./producer-time.ts";
import { boxAt, shown } from "./read-box.ts";
import { type ChunkFacts, parseMoof } from "./read-chunk.ts";
import { type CmafInit, parseInit } from "./read-init.ts";
import { isSegmentEnd } from "./segment-end.ts";

export type CmafEvent =
  | Readonly<{ kind: "init"; init: CmafInit; bytes: Buffer }>
  /** [styp] [emsg] [sidx] moof mdat, as sent. A prft is taken out and told: it says when, and two senders of the same
   *  media say different times. `producedUtcNs` is null when there was none. Taken out and told as well: that it is the
   *  last of its segment (segment-end.ts). */
  | Readonly<{
      kind: "chunk";
      facts: ChunkFacts;
      startsSegment: boolean;
      endsSegment: boolean;
      producedUtcNs: bigint | null;
      bytes: Buffer;
    }>;

/** Largest boxes taken. A second of 4K at 60 Mb/s is 7.5 MB; heads are far below their bound in any real stream. */
const MDAT_BYTES_MAX = 16 * 1024 * 1024;
const HEAD_BYTES_MAX = 256 * 1024;

/** Boxes that may stand before a moof, and belong to its chunk. */
const BEFORE_MOOF = new Set(["styp", "emsg", "sidx"]);
/** Boxes that say nothing to an origin. */
const IGNORED = new Set(["free", "skip", "mfra", "prft", "uuid"]);

export class CmafReader {
  /** The newest init segment, or the one handed in: chunks are read against it. */
  init: CmafInit | null;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Bytes that must be there before another look makes sense. */
  #wanted = 8;
  /** Where the box after those already looked at begins; they belong to one init segment or chunk. */
  #next = 0;
  #moof: number | null = null;
  #startsSegment = false;
  #endsSegment = false;
  #producedUtcNs: bigint | null = null;

  constructor(init: CmafInit | null = null) {
    this.init = init;
  }

  /** @param bytes any piece; kept until its chunk is whole
   *  @throws PlatformError media.truncated, media.malformed, media.unsupported; origin.init_missing for a chunk before
   *  any init segment. After a throw the reader is of no more use. */
  push(bytes: Buffer): CmafEvent[] {
    this.#pieces.push(bytes);
    this.#held += bytes.byteLength;
    const events: CmafEvent[] = [];
    while (this.#held >= this.#wanted) {
      const event = this.#look();
      if (event) events.push(event);
    }
    return events;
  }

  /** The sender is done. @throws PlatformError media.truncated when it stopped inside of something */
  end(): void {
    if (this.#held > 0) throw new PlatformError("media.truncated", `the stream ended ${this.#held} bytes into a chunk`);
  }

  /** One box further, when it is whole. */
  #look(): CmafEvent | null {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [bytes];
    const at = this.#next;
    const size = declaredSize(bytes, at);
    if (size === null) {
      this.#wanted = at + 16;
      return null;
    }
    const type = bytes.toString("latin1", at + 4, at + 8);
    this.#check(type, size);
    if (bytes.byteLength < at + size) {
      this.#wanted = at + size;
      return null;
    }
    return this.#take(bytes, type, at, at + size);
  }

  #check(type: string, size: number): void {
    const most = type === "mdat" ? MDAT_BYTES_MAX : HEAD_BYTES_MAX;
    if (size > most)
      throw new PlatformError("media.malformed", `box ${shown(type)} of ${size} bytes; ${most} is the most`);
    const known = IGNORED.has(type) || ["ftyp", "moov", "moof", "mdat"].includes(type) || BEFORE_MOOF.has(type);
    if (!known) throw new PlatformError("media.malformed", `box ${shown(type)} does not belong in a CMAF stream`);
    if (this.#moof !== null && type !== "mdat")
      throw new PlatformError("media.malformed", `box ${shown(type)} after a moof, where its mdat belongs`);
    if (this.#moof === null && type === "mdat") throw new PlatformError("media.malformed", "an mdat without its moof");
    if (this.#next + size > MDAT_BYTES_MAX + 4 * HEAD_BYTES_MAX)
      throw new PlatformError("media.malformed", "too many boxes before a moof");
  }

  #take(bytes: Buffer, type: string, at: number, end: number): CmafEvent | null {
    this.#next = end;
    this.#wanted = end + 8;
    if (type === "moov") {
      const init = parseInit(bytes.subarray(0, end));
      this.init = init;
      return { kind: "init", init, bytes: this.#cut(bytes, 0, end) };
    }
    if (type === "moof") {
      if (this.init === null) throw new PlatformError("origin.init_missing", "a chunk came before any init segment");
      this.#moof = at;
    } else if (type === "styp") this.#startsSegment = true;
    else if (type === "mdat") return this.#chunk(bytes, at, end);
    else if (IGNORED.has(type)) {
      const view = boxAt(bytes, at, end);
      if (type === "prft") this.#producedUtcNs = producedUtcNs(bytes, view);
      else if (isSegmentEnd(bytes, view)) this.#endsSegment = true;
      this.#cut(bytes, at, end);
    }
    return null;
  }

  #chunk(bytes: Buffer, mdatAt: number, end: number): CmafEvent {
    const moof = boxAt(bytes, this.#moof!, mdatAt);
    const dataBytes = end - boxAt(bytes, mdatAt, end).body;
    const facts = parseMoof(bytes, moof, dataBytes, this.init!);
    const told = { startsSegment: this.#startsSegment, endsSegment: this.#endsSegment };
    const producedUtcNs = this.#producedUtcNs;
    this.#producedUtcNs = null;
    this.#endsSegment = false;
    return { kind: "chunk", facts, ...told, producedUtcNs, bytes: this.#cut(bytes, 0, end) };
  }

  /** Take [from, end) out as a copy; what was before `from` stays and waits for what it belongs to. */
  #cut(bytes: Buffer, from: number, end: number): Buffer {
    const out = Buffer.allocUnsafeSlow(end - from);
    bytes.copy(out, 0, from, end);
    const rest = bytes.subarray(end);
    this.#pieces = from > 0 ? [Buffer.concat([bytes.subarray(0, from), rest])] : rest.byteLength > 0 ? [rest] : [];
    this.#held = from + rest.byteLength;
    this.#next = from;
    this.#wanted = from + 8;
    if (from === 0) {
      this.#moof = null;
      this.#startsSegment = false;
    }
    return out;
  }
}

/** Whole size of the box at `at`, or null when its 64-bit size is not there yet. */
function declaredSize(bytes: Buffer, at: number): number | null {
  const size = bytes.readUInt32BE(at);
  if (size === 1) {
    if (bytes.byteLength < at + 16) return null;
    const large = bytes.readBigUInt64BE(at + 8);
    if (large < 16n || large > BigInt(Number.MAX_SAFE_INTEGER))
      throw new PlatformError("media.malformed", `a box of ${large} bytes`);
    return Number(large);
  }
  if (size < 8)
    throw new PlatformError("media.malformed", `a box of ${size} bytes; boxes without an end are not taken`);
  return size;
}
