// Fragmented MP4 of strangers, read for its samples. The origin's reader (read.ts) keeps chunks as they are and so must be
// strict; this one only wants what is in them: whatever boxes stand between, however data is addressed, samples lie in
// the mdat behind their moof in the order of the runs.
import { PlatformError } from "#base/errors.ts";
import { type BoxView, boxAt, boxesIn, descend, need, only, safeU64, shown, versionAndFlags } from "./read-box.ts";
import { type CmafInit, parseInit, type SampleDefaults } from "./read-init.ts";

export type FragmentSample = Readonly<{
  /** Ticks of the track's timescale; pts with the edit list applied. */
  dtsTicks: number;
  ptsTicks: number;
  sync: boolean;
  /** A view of the fragment's memory. */
  bytes: Buffer;
}>;

/** What an init segment says besides its track's own parameters. */
export type FragmentInit = Readonly<{
  init: CmafInit;
  /** ISO 639-2/T; "und" when it does not say. */
  language: string;
  /** Ticks that presentation begins after the media's zero (edit list). */
  presentationDelayTicks: number;
}>;

export type FragmentEvent =
  | Readonly<{ kind: "init"; init: FragmentInit; bytes: Buffer }>
  | Readonly<{ kind: "fragment"; samples: readonly FragmentSample[]; endTicks: number; lastOfTrack: boolean }>;

const MDAT_BYTES_MAX = 32 * 1024 * 1024;
const HEAD_BYTES_MAX = 1024 * 1024;
/** Samples of one fragment: 20 s at 120 pictures a second, or 50 s of sound. */
const SAMPLES_MAX = 2400;
const NON_SYNC_FLAG = 0x1_0000;

export class FragmentReader {
  /** The newest init segment, or the one handed in. */
  init: FragmentInit | null;
  #pieces: Buffer[] = [];
  #held = 0;
  #wanted = 8;
  #moof: Buffer | null = null;
  #lastOfTrack = false;

  constructor(init: FragmentInit | null = null) {
    this.init = init;
  }

  /** @param bytes any piece, kept until its box is whole
   *  @throws PlatformError media.truncated, media.malformed, media.unsupported; origin.init_missing for a fragment before
   *  any init segment. After a throw the reader is of no more use. */
  push(bytes: Buffer): FragmentEvent[] {
    this.#pieces.push(bytes);
    this.#held += bytes.byteLength;
    const events: FragmentEvent[] = [];
    while (this.#held >= this.#wanted) {
      const event = this.#box();
      if (event) events.push(event);
    }
    return events;
  }

  /** @throws PlatformError media.truncated when the sender stopped inside of a box */
  end(): void {
    if (this.#held > 0) throw new PlatformError("media.truncated", `it ended ${this.#held} bytes into a box`);
    if (this.#moof !== null) throw new PlatformError("media.truncated", "it ended between a moof and its mdat");
  }

  #box(): FragmentEvent | null {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [bytes];
    const size = declaredBytes(bytes);
    if (size === null) {
      this.#wanted = 16;
      return null;
    }
    const type = bytes.toString("latin1", 4, 8);
    const most = type === "mdat" ? MDAT_BYTES_MAX : HEAD_BYTES_MAX;
    if (size > most) throw new PlatformError("media.malformed", `box ${shown(type)} of ${size} bytes; ${most} at most`);
    if (bytes.byteLength < size) {
      this.#wanted = size;
      return null;
    }
    const rest = bytes.subarray(size);
    this.#pieces = rest.byteLength > 0 ? [rest] : [];
    this.#held = rest.byteLength;
    this.#wanted = 8;
    return this.#take(type, bytes.subarray(0, size));
  }

  #take(type: string, bytes: Buffer): FragmentEvent | null {
    if (type === "moov") {
      this.init = readInit(bytes);
      return { kind: "init", init: this.init, bytes: Buffer.from(bytes) };
    }
    if (type === "styp" || type === "ftyp")
      this.#lastOfTrack ||= type === "styp" && bytes.includes("lmsg", 8, "latin1");
    else if (type === "moof") {
      if (this.init === null)
        throw new PlatformError("origin.init_missing", "A fragment came before any init segment.");
      this.#moof = bytes;
    } else if (type === "mdat" && this.#moof !== null) {
      const view = boxAt(bytes, 0, bytes.byteLength);
      const { samples, endTicks } = samplesOf(this.#moof, bytes.subarray(view.body), this.init!);
      const lastOfTrack = this.#lastOfTrack;
      this.#moof = null;
      this.#lastOfTrack = false;
      return { kind: "fragment", samples, endTicks, lastOfTrack };
    }
    return null;
  }
}

/** Whole size of the box that begins the bytes, or null when its 64-bit size is not there yet. */
function declaredBytes(bytes: Buffer): number | null {
  const size = bytes.readUInt32BE(0);
  if (size === 1) return bytes.byteLength < 16 ? null : Math.max(16, safeU64(bytes, 8, "a box's size"));
  if (size < 8)
    throw new PlatformError("media.malformed", `a box of ${size} bytes; boxes without an end are not taken`);
  return size;
}

function readInit(bytes: Buffer): FragmentInit {
  const init = parseInit(bytes);
  const moov = only(bytes, 0, bytes.byteLength, "moov");
  const trak = descend(bytes, moov, "trak");
  return {
    init,
    language: languageOf(bytes, descend(bytes, trak, "mdia", "mdhd")),
    presentationDelayTicks: editDelayOf(bytes, trak),
  };
}

/** Source: ISO/IEC 14496-12, 8.4.2.3: three letters of five bits, each 0x60 below its ASCII code */
function languageOf(bytes: Buffer, mdhd: BoxView): string {
  const at = mdhd.body + (versionAndFlags(bytes, mdhd).version === 1 ? 32 : 20);
  need(mdhd, at + 2 - mdhd.body);
  const packed = bytes.readUInt16BE(at);
  const text = [10, 5, 0].map((shift) => String.fromCharCode(((packed >> shift) & 31) + 0x60)).join("");
  return /^[a-z]{3}$/.test(text) ? text : "und";
}

/** Where in the media the first edit that is not empty begins. Source: ISO/IEC 14496-12, 8.6.6 */
function editDelayOf(bytes: Buffer, trak: BoxView): number {
  const edts = boxesIn(bytes, trak.body, trak.end).find((view) => view.type === "edts");
  const elst = edts && boxesIn(bytes, edts.body, edts.end).find((view) => view.type === "elst");
  if (!elst) return 0;
  const { version } = versionAndFlags(bytes, elst);
  need(elst, 8);
  const rowBytes = version === 1 ? 20 : 12;
  const rows = Math.min(bytes.readUInt32BE(elst.body + 4), Math.floor((elst.end - elst.body - 8) / rowBytes));
  for (let i = 0; i < rows; i += 1) {
    const at = elst.body + 8 + i * rowBytes;
    const mediaTicks = version === 1 ? Number(bytes.readBigInt64BE(at + 8)) : bytes.readInt32BE(at + 4);
    if (mediaTicks >= 0) return Number.isSafeInteger(mediaTicks) ? mediaTicks : 0;
  }
  return 0;
}

/** Source: ISO/IEC 14496-12, 8.8.7, 8.8.8 and 8.8.12 */
function samplesOf(
  moof: Buffer,
  data: Buffer,
  { init, presentationDelayTicks }: FragmentInit,
): { samples: FragmentSample[]; endTicks: number } {
  const outer = boxAt(moof, 0, moof.byteLength);
  const traf = only(moof, outer.body, outer.end, "traf");
  const boxes = boxesIn(moof, traf.body, traf.end);
  const tfhd = only(moof, traf.body, traf.end, "tfhd");
  const defaults = readDefaults(moof, tfhd, init.defaults);
  const tfdt = only(moof, traf.body, traf.end, "tfdt");
  const isLong = versionAndFlags(moof, tfdt).version === 1;
  need(tfdt, isLong ? 12 : 8);
  let dtsTicks = isLong ? safeU64(moof, tfdt.body + 4, "tfdt") : moof.readUInt32BE(tfdt.body + 4);
  const samples: FragmentSample[] = [];
  let at = 0;
  for (const view of boxes.filter(({ type }) => type === "trun"))
    for (const row of readRun(moof, view, defaults)) {
      if (samples.length >= SAMPLES_MAX)
        throw new PlatformError("media.malformed", `more than ${SAMPLES_MAX} samples in a fragment`);
      if (at + row.bytes > data.byteLength)
        throw new PlatformError("media.malformed", `samples run over an mdat of ${data.byteLength} bytes`);
      samples.push({
        dtsTicks,
        ptsTicks: dtsTicks + row.offsetTicks - presentationDelayTicks,
        sync: (row.flags & NON_SYNC_FLAG) === 0,
        bytes: data.subarray(at, at + row.bytes),
      });
      at += row.bytes;
      dtsTicks += row.durationTicks;
    }
  if (!Number.isSafeInteger(dtsTicks))
    throw new PlatformError("media.malformed", `a fragment that ends at ${dtsTicks}`);
  return { samples, endTicks: dtsTicks };
}

function readDefaults(bytes: Buffer, view: BoxView, trex: SampleDefaults): SampleDefaults {
  const { flags } = versionAndFlags(bytes, view);
  let at = view.body + 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
  const next = (bit: number, otherwise: number) => {
    if (!(flags & bit)) return otherwise;
    need(view, at + 4 - view.body);
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const durationTicks = next(0x8, trex.durationTicks);
  const size = next(0x10, trex.bytes);
  return { durationTicks, bytes: size, flags: next(0x20, trex.flags) };
}

type Row = { durationTicks: number; bytes: number; flags: number; offsetTicks: number };

function readRun(bytes: Buffer, view: BoxView, defaults: SampleDefaults): Row[] {
  const { version, flags } = versionAndFlags(bytes, view);
  need(view, 8);
  const count = bytes.readUInt32BE(view.body + 4);
  const rowBytes = 4 * [0x100, 0x200, 0x400, 0x800].filter((bit) => flags & bit).length;
  let at = view.body + 8 + (flags & 0x1 ? 4 : 0);
  const firstFlags = flags & 0x4 ? at : null;
  if (firstFlags !== null) at += 4;
  if (count > SAMPLES_MAX) throw new PlatformError("media.malformed", `${count} samples in a run`);
  need(view, at - view.body + rowBytes * count);
  const field = (bit: number, otherwise: number) => (flags & bit ? bytes.readUInt32BE((at += 4) - 4) : otherwise);
  return Array.from({ length: count }, (_, i) => {
    const durationTicks = field(0x100, defaults.durationTicks);
    const size = field(0x200, defaults.bytes);
    const own = field(0x400, defaults.flags);
    const offset = field(0x800, 0);
    return {
      durationTicks,
      bytes: size,
      flags: i === 0 && firstFlags !== null ? bytes.readUInt32BE(firstFlags) : own,
      offsetTicks: version === 0 ? offset : offset | 0, // signed from version 1 on
    };
  });
}
