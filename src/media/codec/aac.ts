// AAC: the configuration of a decoder (AudioSpecificConfig) and the ADTS header that carries the same facts in MPEG-TS.
import { PlatformError } from "#base/errors.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import { BitReader } from "./bits.ts";

export const OBJECT = { main: 1, lc: 2, ltp: 4, sbr: 5, ps: 29 } as const;

/** By samplingFrequencyIndex. Source: ISO/IEC 14496-3, table 1.18 */
const SAMPLE_RATES: readonly number[] = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350,
];

/** By channelConfiguration; 0 says "see the program config element". Source: ISO/IEC 14496-3, table 1.19 */
const CHANNELS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0];

const SAMPLE_RATE_MAX = 192_000;

export type AacConfig = Readonly<{
  /** audioObjectType: what codec strings show, 2 for LC, 5 and 29 for explicitly signalled HE-AAC. */
  objectType: number;
  /** What a decoder puts out: with explicit SBR the doubled rate; without it (also implicit SBR) the core's. */
  sampleRate: number;
  channels: number;
  samplesPerUnit: number;
}>;

/** @throws PlatformError media.truncated, media.malformed, media.unsupported
 *  Source: ISO/IEC 14496-3, 1.6.2.1 and 4.4.1 */
export function parseAacConfig(config: Uint8Array): AacConfig {
  return readAacConfig(new BitReader(config)).config;
}

/** The same where it is a part of something else; what it may have behind its core configuration is not read. */
export function readAacConfig(bits: BitReader): { config: AacConfig; describesChannels: boolean } {
  const objectType = readObjectType(bits);
  const coreRate = readSampleRate(bits);
  const configuration = bits.bits(4);
  const explicit = objectType === OBJECT.sbr || objectType === OBJECT.ps;
  const sampleRate = explicit ? readSampleRate(bits) : coreRate;
  if (sampleRate !== coreRate && sampleRate !== 2 * coreRate)
    throw new PlatformError("media.malformed", `AAC: spectral band replication from ${coreRate} to ${sampleRate} Hz`);
  const coreType = explicit ? readObjectType(bits) : objectType;
  if (coreType !== OBJECT.main && coreType !== OBJECT.lc && coreType !== OBJECT.ltp)
    throw new PlatformError("media.unsupported", `AAC object type ${coreType}`);
  const coreSamples = bits.flag() ? 960 : 1024;
  if (bits.flag()) bits.skip(14);
  bits.skip(1);
  const coreChannels = configuration === 0 ? readProgramChannels(bits) : CHANNELS[configuration]!;
  if (coreChannels === 0) throw new PlatformError("media.unsupported", `AAC channel configuration ${configuration}`);
  const channels = objectType === OBJECT.ps ? 2 : coreChannels;
  const samplesPerUnit = explicit ? (coreSamples * sampleRate) / coreRate : coreSamples;
  return { config: { objectType, sampleRate, channels, samplesPerUnit }, describesChannels: configuration === 0 };
}

function readObjectType(bits: BitReader): number {
  const type = bits.bits(5);
  return type === 31 ? 32 + bits.bits(6) : type;
}

function readSampleRate(bits: BitReader): number {
  const index = bits.bits(4);
  const sampleRate = index === 15 ? bits.bits(24) : SAMPLE_RATES[index];
  if (sampleRate === undefined || sampleRate < 1000 || sampleRate > SAMPLE_RATE_MAX)
    throw new PlatformError("media.malformed", `AAC sample rate ${sampleRate ?? `index ${index}`}`);
  return sampleRate;
}

/** Channels of a program_config_element. Source: ISO/IEC 14496-3, table 4.2 */
function readProgramChannels(bits: BitReader): number {
  bits.skip(10);
  const [front, side, back, lfe] = [bits.bits(4), bits.bits(4), bits.bits(4), bits.bits(2)];
  bits.skip(7);
  for (const mixdownBits of [4, 4, 3]) if (bits.flag()) bits.skip(mixdownBits);
  let channels = lfe;
  for (let i = front + side + back; i > 0; i -= 1) {
    channels += bits.flag() ? 2 : 1;
    bits.skip(4);
  }
  return channels;
}

/** The two bytes that say LC at a rate of the table. @throws PlatformError media.unsupported
 *  @param objectType 1 to 4, as ADTS can say it */
export function buildAacConfig(objectType: number, sampleRate: number, channels: number): Buffer {
  const index = SAMPLE_RATES.indexOf(sampleRate);
  const configuration = channels === 8 ? 7 : channels;
  if (index < 0 || configuration < 1 || configuration > 7 || channels === 7)
    throw new PlatformError("media.unsupported", `AAC with ${channels} channels at ${sampleRate} Hz`);
  const word = (objectType << 11) | (index << 7) | (configuration << 3);
  return Buffer.of(word >> 8, word & 0xff);
}

/** The same for explicitly signalled SBR: the core runs at half the rate. @throws PlatformError media.unsupported */
export function buildHeAacConfig(sampleRate: number, channels: number, parametricStereo = false): Buffer {
  const core = SAMPLE_RATES.indexOf(sampleRate / 2);
  const output = SAMPLE_RATES.indexOf(sampleRate);
  const configuration = parametricStereo ? 1 : channels === 8 ? 7 : channels;
  if (core < 0 || output < 0 || configuration < 1 || configuration > 7 || channels === 7)
    throw new PlatformError("media.unsupported", `HE-AAC with ${channels} channels at ${sampleRate} Hz`);
  const type = parametricStereo ? OBJECT.ps : OBJECT.sbr;
  const word = type * 2 ** 27 + core * 2 ** 23 + configuration * 2 ** 19 + output * 2 ** 15 + OBJECT.lc * 2 ** 10;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(word);
  return bytes;
}

/** @throws PlatformError media.truncated, media.malformed, media.unsupported */
export function aacTrack(track: number, config: Uint8Array, language = "und"): AudioTrack {
  const { sampleRate, channels, samplesPerUnit } = parseAacConfig(config);
  return { track, kind: "audio", codec: "aac", config, sampleRate, channels, samplesPerUnit, language };
}

export type AdtsHeader = Readonly<{
  headerBytes: 7 | 9;
  /** Header included. */
  frameBytes: number;
  objectType: number;
  sampleRate: number;
  /** 0 when the stream describes its channels in a program config element. */
  channels: number;
  /** Raw data blocks in the frame: 1 in practice. */
  blocks: number;
}>;

export const ADTS_HEADER_BYTES = 7;

/** @returns null when no ADTS frame can begin there. @param bytes at least ADTS_HEADER_BYTES from `at` on
 *  Source: ISO/IEC 14496-3, 1.A.2.2 */
export function parseAdts(bytes: Buffer, at: number): AdtsHeader | null {
  if (bytes[at] !== 0xff || (bytes[at + 1]! & 0xf6) !== 0xf0) return null;
  const word = bytes.readUInt32BE(at + 2);
  const sampleRate = SAMPLE_RATES[(word >>> 26) & 15];
  const frameBytes = (word >>> 5) & 0x1fff;
  const headerBytes = bytes[at + 1]! & 1 ? 7 : 9;
  if (sampleRate === undefined || frameBytes <= headerBytes) return null;
  const channels = CHANNELS[(word >>> 22) & 7]!;
  const blocks = (bytes[at + 6]! & 3) + 1;
  return { headerBytes, frameBytes, objectType: (word >>> 30) + 1, sampleRate, channels, blocks };
}
