// AC-3 and E-AC-3: the head of a sync frame, and the dac3 and dec3 records made of it.
// A unit of E-AC-3 is what lasts as long as an AC-3 frame (1536 samples) of the first independent substream, with all
// substreams that go with it: that is what a decoder wants at once, and what a sample of an MP4 file is.
// Source: ETSI TS 102 366, 4.3 and 4.4 (AC-3), E.1.2 and E.1.3 (E-AC-3), annex F (records)
import { PlatformError } from "#base/errors.ts";
import type { AudioSyntax, FrameHead } from "./audio-syntax.ts";
import { BitReader } from "./bits.ts";

const SYNC = 0x0b77;
const HEAD_BYTES = 8;
const BLOCK_SAMPLES = 256;
const UNIT_SAMPLES = 6 * BLOCK_SAMPLES;
/** bsid: up to 8 is AC-3; 9 and 10 are AC-3 at lower rates; 11 to 16 E-AC-3. */
const BSID = { ac3Max: 8, lowRateMax: 10, eac3Max: 16 } as const;
const DEPENDENT = 1;
const CHANNELS = [2, 1, 2, 3, 3, 4, 4, 5] as const;
const SAMPLE_RATES = [48_000, 44_100, 32_000] as const;
const KBITS = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640] as const;

export type DolbyFrame = Readonly<{
  codec: "ac3" | "eac3";
  frameBytes: number;
  sampleRate: number;
  samples: number;
  /** fscod, bsid, bsmod, acmod, lfeon: as the records repeat them. */
  rateCode: number;
  version: number;
  mode: number;
  channelMode: number;
  lowFrequency: 0 | 1;
  /** AC-3: bit_rate_code. */
  bitRateCode: number;
  /** E-AC-3: of which kind, and its number. */
  dependent: boolean;
  substream: number;
}>;

/** Null when no sync frame begins there. @param bytes at least 8 from `at` on */
export function parseDolby(bytes: Buffer, at: number): DolbyFrame | null {
  if (bytes.readUInt16BE(at) !== SYNC) return null;
  const version = bytes[at + 5]! >> 3;
  if (version <= BSID.lowRateMax) return parseAc3(bytes, at, version);
  return version <= BSID.eac3Max ? parseEac3(bytes, at, version) : null;
}

function parseAc3(bytes: Buffer, at: number, version: number): DolbyFrame | null {
  const rateCode = bytes[at + 4]! >> 6;
  const sizeCode = bytes[at + 4]! & 0x3f;
  const rate = SAMPLE_RATES[rateCode];
  const kbits = KBITS[sizeCode >> 1];
  if (rate === undefined || kbits === undefined) return null;
  const word = bytes.readUInt16BE(at + 6);
  const channelMode = word >> 13;
  const mixBits =
    (channelMode & 1 && channelMode !== 1 ? 2 : 0) + (channelMode & 4 ? 2 : 0) + (channelMode === 2 ? 2 : 0);
  const words = rate === 44_100 ? Math.floor((320 * kbits) / 147) + (sizeCode & 1) : (kbits * 96_000) / rate;
  return {
    codec: "ac3",
    frameBytes: words * 2,
    sampleRate: rate >> Math.max(0, version - BSID.ac3Max),
    samples: UNIT_SAMPLES,
    rateCode,
    version,
    mode: bytes[at + 5]! & 7,
    channelMode,
    lowFrequency: ((word >> (12 - mixBits)) & 1) as 0 | 1,
    bitRateCode: sizeCode >> 1,
    dependent: false,
    substream: 0,
  };
}

function parseEac3(bytes: Buffer, at: number, version: number): DolbyFrame | null {
  const [second, fourth] = [bytes.readUInt16BE(at + 2), bytes[at + 4]!];
  const type = second >> 14;
  const rateCode = fourth >> 6;
  const blocksCode = (fourth >> 4) & 3;
  const isLow = rateCode === 3;
  const rate = isLow ? SAMPLE_RATES[blocksCode] : SAMPLE_RATES[rateCode];
  if (type === 3 || rate === undefined) return null;
  const blocks = isLow ? 6 : [1, 2, 3, 6][blocksCode]!;
  return {
    codec: "eac3",
    frameBytes: ((second & 0x7ff) + 1) * 2,
    sampleRate: isLow ? rate / 2 : rate,
    samples: blocks * BLOCK_SAMPLES,
    rateCode,
    version,
    mode: 0, // stands behind mixing data; all that is broadcast is "complete main"
    channelMode: (fourth >> 1) & 7,
    lowFrequency: (fourth & 1) as 0 | 1,
    bitRateCode: 0,
    dependent: type === DEPENDENT,
    substream: (second >> 11) & 7,
  };
}

/** chanmap of a dependent substream; 0 when it has none. Source: E.1.3.1.8 */
function channelMap(frame: Buffer): number {
  const bits = new BitReader(frame.subarray(0, 16));
  bits.skip(36);
  const channelMode = bits.bits(3);
  bits.skip(11); // lfeon, bsid, dialnorm
  if (bits.flag()) bits.skip(8);
  if (channelMode === 0) {
    bits.skip(5);
    if (bits.flag()) bits.skip(8);
  }
  return bits.flag() ? bits.bits(16) : 0;
}

/** What a chanmap of a dependent substream adds beyond 5.1: [its bit from the top, channels, bit of chan_loc].
 *  Source: tables E.1.4 and F.6.1 */
const EXTRA_LOCATIONS = [
  [5, 2, 0],
  [6, 2, 1],
  [7, 1, 2],
  [8, 1, 3],
  [9, 2, 4],
  [10, 2, 5],
  [11, 2, 6],
  [12, 1, 7],
  [14, 1, 8],
] as const;

/** Body of the dac3 box. Source: F.4 */
function buildAc3Config(frame: DolbyFrame): Buffer {
  const { rateCode, version, mode, channelMode, lowFrequency, bitRateCode } = frame;
  const word =
    (rateCode << 22) | (version << 17) | (mode << 14) | (channelMode << 11) | (lowFrequency << 10) | (bitRateCode << 5);
  const out = Buffer.allocUnsafeSlow(3);
  out.writeUIntBE(word, 0, 3);
  return out;
}

type Independent = { frame: DolbyFrame; dependents: number; locations: number; extraChannels: number };

/** The sync frames of a unit, taken together. @throws PlatformError media.malformed */
function readProgram(unit: Buffer): { program: Independent[]; bytes: number } {
  const program: Independent[] = [];
  let at = 0;
  while (at + HEAD_BYTES <= unit.length) {
    const frame = parseDolby(unit, at);
    if (!frame) break;
    const last = program.at(-1);
    if (!frame.dependent && !program.some((other) => other.frame.substream === frame.substream))
      program.push({ frame, dependents: 0, locations: 0, extraChannels: 0 });
    else if (frame.dependent && last && last.frame.substream === program.length - 1)
      addDependent(last, unit.subarray(at));
    at += frame.frameBytes;
  }
  if (program.length === 0) throw new PlatformError("media.malformed", "E-AC-3: no independent substream");
  return { program, bytes: at };
}

function addDependent(to: Independent, frame: Buffer): void {
  const map = channelMap(frame);
  to.dependents = Math.min(15, to.dependents + 1);
  for (const [fromTop, channels, location] of EXTRA_LOCATIONS) {
    if (!((map >> (15 - fromTop)) & 1) || (to.locations >> location) & 1) continue;
    to.locations |= 1 << location;
    to.extraChannels += channels;
  }
}

/** Body of the dec3 box. Source: F.6 */
function buildEac3Config(program: readonly Independent[], kbits: number): Buffer {
  const head = (Math.min(0x1fff, kbits) << 3) | (program.length - 1);
  const parts = [Buffer.of(head >> 8, head & 0xff)];
  for (const { frame, dependents, locations } of program) {
    const { rateCode, version, mode, channelMode, lowFrequency } = frame;
    const high = (rateCode << 14) | (version << 9) | (mode << 4) | (channelMode << 1) | lowFrequency;
    const low = dependents > 0 ? [(dependents << 1) | (locations >> 8), locations & 0xff] : [0];
    parts.push(Buffer.of(high >> 8, high & 0xff, ...low));
  }
  return Buffer.concat(parts);
}

const channelsOf = ({ channelMode, lowFrequency }: DolbyFrame) => CHANNELS[channelMode]! + lowFrequency;

export const DOLBY: AudioSyntax = {
  name: "AC-3",
  firstByte: SYNC >> 8,
  read(bytes, at): FrameHead | null | "more" {
    if (at + HEAD_BYTES > bytes.length) return "more";
    const frame = parseDolby(bytes, at);
    if (!frame || frame.frameBytes < HEAD_BYTES) return null;
    const isMain = !frame.dependent && frame.substream === 0;
    return {
      skipBytes: 0,
      frameBytes: frame.frameBytes,
      sampleRate: frame.sampleRate,
      samples: isMain ? frame.samples : 0,
      unitSamples: UNIT_SAMPLES,
      mayGrow: frame.codec === "eac3",
      key: (frame.codec === "ac3" ? 1 << 20 : 0) | frame.sampleRate,
    };
  },
  describe(unit) {
    const first = unit.length >= HEAD_BYTES ? parseDolby(unit, 0) : null;
    if (!first) throw new PlatformError("media.malformed", "AC-3: no sync frame");
    const { codec, sampleRate } = first;
    if (codec === "ac3") {
      const config = buildAc3Config(first);
      return { codec, config, sampleRate, channels: channelsOf(first), samplesPerUnit: UNIT_SAMPLES };
    }
    const { program, bytes } = readProgram(unit);
    const kbits = Math.round((bytes * 8 * sampleRate) / UNIT_SAMPLES / 1000);
    const channels = channelsOf(program[0]!.frame) + program[0]!.extraChannels;
    return { codec, config: buildEac3Config(program, kbits), sampleRate, channels, samplesPerUnit: UNIT_SAMPLES };
  },
};
