// The producer reference time that may stand before a chunk: how the age of its newest frame travels with it.
// Source: ISO/IEC 14496-12, 8.16.5
import { fullBox, joinBoxes, u32, u64 } from "./box.ts";
import type { BoxView } from "./read-box.ts";
import { TRACK_ID } from "./write.ts";

/** Seconds from 1900, where NTP counts from, to 1970. */
const NTP_EPOCH_SECONDS = 2_208_988_800n;
const NS = 1_000_000_000n;
/** The time belongs to the media by a rule of the sender's: here, when the chunk's newest frame reached the gateway. */
const ARBITRARY = 8;
const BYTES_MIN = 20;

/** @param utcNs Unix time in nanoseconds, 1970 to 2104 @param mediaTicks decode time of the chunk's first sample */
export function writeProducerTime(utcNs: bigint, mediaTicks: number): Buffer {
  const fraction = ((utcNs % NS) << 32n) / NS;
  const ntp = Buffer.alloc(8);
  ntp.writeBigUInt64BE(BigInt.asUintN(64, ((utcNs / NS + NTP_EPOCH_SECONDS) << 32n) | fraction));
  return joinBoxes(fullBox("prft", 1, ARBITRARY, u32(TRACK_ID), ntp, u64(mediaTicks)));
}

/** @returns Unix time in nanoseconds, within 1 ns; null when the box is too short to hold one */
export function producedUtcNs(bytes: Buffer, { body, end }: BoxView): bigint | null {
  if (end - body < BYTES_MIN) return null;
  const ntp = bytes.readBigUInt64BE(body + 8);
  const seconds = ntp >> 32n; // wraps in 2036; small numbers are the era after that
  const era = seconds < 0x8000_0000n ? 1n << 32n : 0n;
  return (seconds + era - NTP_EPOCH_SECONDS) * NS + (((ntp & 0xffff_ffffn) * NS) >> 32n);
}
