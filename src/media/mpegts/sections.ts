// Program specific information: which programs there are (PAT), and which elementary streams make one (PMT).
// A section counts only when its checksum is right: a wrong PID map would turn sound into pictures.
import { PACKET_BYTES } from "./packets.ts";

const SECTION_BYTES_MAX = 1024;
const HEADER_BYTES = 8;
const CRC_BYTES = 4;
const TABLE = { programs: 0, streams: 2 } as const;

/** Puts the sections of one PID together.
 *  Source: ISO/IEC 13818-1, 2.4.4.1 and 2.4.4.2 */
export class SectionReader {
  readonly #section: (section: Buffer) => void;
  readonly #broken: () => void;
  readonly #repeated: () => void;
  #held: Buffer | null = null;
  #last: Buffer = Buffer.alloc(0);

  /** @param section called with each complete section that differs from the one before
   *  @param broken called for a section with a wrong checksum or of an impossible size
   *  @param repeated called for each that is the same as the one before */
  constructor(section: (section: Buffer) => void, broken: () => void, repeated: () => void = () => {}) {
    this.#section = section;
    this.#broken = broken;
    this.#repeated = repeated;
  }

  /** The payload of one packet. */
  push(payload: Buffer, begins: boolean): void {
    if (!begins) {
      if (this.#held) this.#held = this.#read(Buffer.concat([this.#held, payload]));
      return;
    }
    const pointer = payload[0] ?? PACKET_BYTES;
    if (pointer + 1 > payload.length) {
      this.#broken();
      return;
    }
    if (this.#held && pointer > 0) this.#read(Buffer.concat([this.#held, payload.subarray(1, 1 + pointer)]));
    this.#held = this.#read(payload.subarray(1 + pointer));
  }

  /** A packet is missing: what is half read never becomes whole. */
  lose(): void {
    this.#held = null;
  }

  /** Hand on the complete sections. @returns the begun one (a copy), or null */
  #read(bytes: Buffer): Buffer | null {
    let at = 0;
    while (at < bytes.length && bytes[at] !== 0xff) {
      if (at + 3 > bytes.length) return Buffer.from(bytes.subarray(at));
      const end = at + 3 + (bytes.readUInt16BE(at + 1) & 0xfff);
      if (end - at > SECTION_BYTES_MAX) {
        this.#broken();
        return null;
      }
      if (end > bytes.length) return Buffer.from(bytes.subarray(at));
      this.#whole(bytes.subarray(at, end));
      at = end;
    }
    return null;
  }

  #whole(section: Buffer): void {
    if (section.equals(this.#last)) {
      this.#repeated(); // ten times a second
      return;
    }
    if (section.length < HEADER_BYTES + CRC_BYTES || crc32(section) !== 0) {
      this.#broken();
      return;
    }
    this.#last = Buffer.from(section);
    if (section[5]! & 1) this.#section(this.#last); // current_next_indicator: others are of the future
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  return crc >>> 0;
});

/** Zero over a section with its checksum. Source: ISO/IEC 13818-1, annex A */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = ((crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ byte]!) >>> 0;
  return crc;
}

/** Program number to the PID of its map, in the order of the table; null when it is no PAT.
 *  Source: ISO/IEC 13818-1, 2.4.4.4 */
export function parsePrograms(section: Buffer): { version: number; pids: ReadonlyMap<number, number> } | null {
  if (section[0] !== TABLE.programs) return null;
  const pids = new Map<number, number>();
  for (let at = HEADER_BYTES; at + 4 <= section.length - CRC_BYTES; at += 4) {
    const program = section.readUInt16BE(at);
    if (program !== 0) pids.set(program, section.readUInt16BE(at + 2) & 0x1fff); // 0 is the network information
  }
  return { version: (section[5]! >> 1) & 0x1f, pids };
}

export type ElementaryStream = Readonly<{ type: number; pid: number; descriptors: readonly Descriptor[] }>;
export type Descriptor = Readonly<{ tag: number; data: Buffer }>;
export type ProgramMap = Readonly<{ program: number; clockPid: number; streams: readonly ElementaryStream[] }>;

/** Null when it is no PMT or runs over its end. Source: ISO/IEC 13818-1, 2.4.4.9 */
export function parseProgramMap(section: Buffer): ProgramMap | null {
  const end = section.length - CRC_BYTES;
  if (section[0] !== TABLE.streams || end < 12) return null;
  const streams: ElementaryStream[] = [];
  let at = 12 + (section.readUInt16BE(10) & 0xfff);
  while (at + 5 <= end) {
    const infoEnd = at + 5 + (section.readUInt16BE(at + 3) & 0xfff);
    if (infoEnd > end) return null;
    const pid = section.readUInt16BE(at + 1) & 0x1fff;
    streams.push({ type: section[at]!, pid, descriptors: readDescriptors(section.subarray(at + 5, infoEnd)) });
    at = infoEnd;
  }
  return { program: section.readUInt16BE(3), clockPid: section.readUInt16BE(8) & 0x1fff, streams };
}

/** One that runs over the end is left out, with all behind it. */
function readDescriptors(bytes: Buffer): Descriptor[] {
  const descriptors: Descriptor[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + bytes[at + 1]!;
    if (end > bytes.length) break;
    descriptors.push({ tag: bytes[at]!, data: bytes.subarray(at + 2, end) });
    at = end;
  }
  return descriptors;
}
