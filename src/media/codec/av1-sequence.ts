// The sequence header of AV1 and the configuration record (av1C) made of it.
// Source: AV1 Bitstream & Decoding Process Specification, 5.5; AV1 Codec ISO Media File Format Binding, 2.3
import { PlatformError } from "#base/errors.ts";
import type { Rate } from "#media/time/rate.ts";
import { joinObus, OBU, type Obu, splitObus } from "./av1.ts";
import { BitReader } from "./bits.ts";
import { type Colour, declaredRate, UNSPECIFIED_COLOUR } from "./vui.ts";

export type Av1Sequence = Readonly<{
  profile: number;
  /** Of the first operating point. */
  level: number;
  tier: 0 | 1;
  reducedStill: boolean;
  width: number;
  height: number;
  bitDepth: 8 | 10 | 12;
  monochrome: boolean;
  subsamplingX: 0 | 1;
  subsamplingY: 0 | 1;
  chromaPosition: number;
  colour: Colour;
  declaredRate: Rate | null;
}>;

const RECORD_BYTES = 4;
const SELECT = 2;
const SRGB = { primaries: 1, transfer: 13, matrix: 0 } as const;

/** @param payload of a sequence header unit @throws PlatformError media.truncated, media.malformed */
export function parseSequence(payload: Buffer): Av1Sequence {
  const bits = new BitReader(payload);
  const profile = bits.bits(3);
  if (profile > 2) throw new PlatformError("media.malformed", `AV1 profile ${profile}`);
  bits.skip(1);
  const reducedStill = bits.flag();
  const point = reducedStill
    ? { level: bits.bits(5), tier: 0 as const, declaredRate: null }
    : readOperatingPoints(bits);
  const size = readSize(bits, reducedStill);
  skipTools(bits, reducedStill);
  return { profile, ...point, reducedStill, ...size, ...readColourConfig(bits, profile) };
}

function readOperatingPoints(bits: BitReader): { level: number; tier: 0 | 1; declaredRate: Rate | null } {
  let rate: Rate | null = null;
  let delayBits = 0;
  if (bits.flag()) {
    const [unitsInTick, timeScale] = [bits.bits(32), bits.bits(32)];
    if (bits.flag()) rate = declaredRate(unitsInTick * (bits.ue("num_ticks_per_picture_minus_1") + 1), timeScale, 1);
    if (bits.flag()) {
      delayBits = bits.bits(5) + 1;
      bits.skip(42);
    }
  }
  const withDisplayDelay = bits.flag();
  const count = bits.bits(5) + 1;
  let first: { level: number; tier: 0 | 1 } | null = null;
  for (let i = 0; i < count; i += 1) {
    bits.skip(12);
    const level = bits.bits(5);
    const tier = level > 7 ? (bits.bits(1) as 0 | 1) : 0;
    first ??= { level, tier };
    if (delayBits > 0 && bits.flag()) bits.skip(2 * delayBits + 1);
    if (withDisplayDelay && bits.flag()) bits.skip(4);
  }
  return { ...first!, declaredRate: rate };
}

function readSize(bits: BitReader, reducedStill: boolean): { width: number; height: number } {
  const [widthBits, heightBits] = [bits.bits(4) + 1, bits.bits(4) + 1];
  const size = { width: bits.bits(widthBits) + 1, height: bits.bits(heightBits) + 1 };
  if (!reducedStill && bits.flag()) bits.skip(7);
  return size;
}

function skipTools(bits: BitReader, reducedStill: boolean): void {
  bits.skip(3);
  if (!reducedStill) {
    bits.skip(4);
    const hasOrder = bits.flag();
    if (hasOrder) bits.skip(2);
    const screenContent = bits.flag() ? SELECT : bits.bits(1);
    if (screenContent > 0 && !bits.flag()) bits.skip(1);
    if (hasOrder) bits.skip(3);
  }
  bits.skip(3);
}

type ColourConfig = Pick<
  Av1Sequence,
  "bitDepth" | "monochrome" | "subsamplingX" | "subsamplingY" | "chromaPosition" | "colour"
>;

/** Source: 5.5.2 */
function readColourConfig(bits: BitReader, profile: number): ColourConfig {
  const high = bits.flag();
  const bitDepth = high ? (profile === 2 && bits.flag() ? 12 : 10) : 8;
  const monochrome = profile !== 1 && bits.flag();
  const codes = bits.flag()
    ? { primaries: bits.bits(8), transfer: bits.bits(8), matrix: bits.bits(8) }
    : UNSPECIFIED_COLOUR;
  const { primaries, transfer, matrix } = codes;
  const of = (fullRange: boolean): Colour => ({ primaries, transfer, matrix, fullRange });
  const isRgb = primaries === SRGB.primaries && transfer === SRGB.transfer && matrix === SRGB.matrix;
  if (monochrome)
    return { bitDepth, monochrome, subsamplingX: 1, subsamplingY: 1, chromaPosition: 0, colour: of(bits.flag()) };
  if (isRgb) return { bitDepth, monochrome, subsamplingX: 0, subsamplingY: 0, chromaPosition: 0, colour: of(true) };
  const colour = of(bits.flag());
  const [subsamplingX, subsamplingY] = readSubsampling(bits, profile, bitDepth);
  const chromaPosition = subsamplingX && subsamplingY ? bits.bits(2) : 0;
  return { bitDepth, monochrome, subsamplingX, subsamplingY, chromaPosition, colour };
}

function readSubsampling(bits: BitReader, profile: number, bitDepth: number): [0 | 1, 0 | 1] {
  if (profile === 0) return [1, 1];
  if (profile === 1) return [0, 0];
  if (bitDepth < 12) return [1, 0];
  const x = bits.bits(1) as 0 | 1;
  return [x, x ? (bits.bits(1) as 0 | 1) : 0];
}

/** The record with the sequence header in it. The same header gives the same bytes.
 *  @throws PlatformError media.truncated, media.malformed */
export function buildAv1Config(header: Obu): Buffer {
  const sequence = parseSequence(header.bytes.subarray(header.payloadAt));
  const { profile, level, tier, bitDepth, monochrome, subsamplingX, subsamplingY, chromaPosition } = sequence;
  const flags =
    (tier << 7) |
    (bitDepth > 8 ? 0x40 : 0) |
    (bitDepth === 12 ? 0x20 : 0) |
    (monochrome ? 0x10 : 0) |
    (subsamplingX << 3) |
    (subsamplingY << 2) |
    chromaPosition;
  return Buffer.concat([Buffer.of(0x81, (profile << 5) | level, flags, 0), joinObus([header])]);
}

/** The sequence header in a record; null when it has none (it then comes in the stream).
 *  @throws PlatformError media.truncated, media.malformed */
export function sequenceOfConfig(record: Uint8Array): Obu | null {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < RECORD_BYTES) throw new PlatformError("media.truncated", `av1C of ${bytes.length} bytes`);
  if (bytes[0] !== 0x81) throw new PlatformError("media.malformed", `av1C version byte ${bytes[0]}`);
  return splitObus(bytes.subarray(RECORD_BYTES)).find(({ type }) => type === OBU.sequenceHeader) ?? null;
}

/** Of a record that has its sequence header, as ours have. @throws PlatformError media.truncated, media.malformed */
export function parseAv1Config(record: Uint8Array): Av1Sequence {
  const header = sequenceOfConfig(record);
  if (!header) throw new PlatformError("media.malformed", "av1C without a sequence header");
  return parseSequence(header.bytes.subarray(header.payloadAt));
}
