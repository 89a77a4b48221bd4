// Supplemental enhancement information, as far as it changes what a stream is: where decoding may start, how the picture
// is to be turned, and that a stream which declares an SDR curve is really HLG. Broken messages say nothing: nothing
// else depends on them. Source: ITU-T H.264, 7.3.2.3 and annex D; ITU-T H.265, 7.3.5 and annex D
import { PlatformError } from "#base/errors.ts";
import type { Rotation } from "#media/session-log/entries.ts";
import { BitReader, unescapeNal } from "./bits.ts";

/** payloadType: the same in both standards. */
const TYPE = { recoveryPoint: 6, displayOrientation: 47, preferredTransfer: 147 } as const;

export type Sei = {
  /** Pictures from here on come out right even when decoding starts here. */
  recoveryPoint: boolean;
  /** Null when it says nothing. */
  rotation: Rotation | null;
  /** preferred_transfer_characteristics; null when it says nothing. */
  preferredTransfer: number | null;
};

export const NO_SEI: Readonly<Sei> = Object.freeze({ recoveryPoint: false, rotation: null, preferredTransfer: null });

/** @param headerBytes of the NAL unit: 1 in H.264, 2 in H.265 */
export function readSei(nal: Buffer, headerBytes: 1 | 2): Readonly<Sei> {
  const bytes = unescapeNal(nal);
  const found: Sei = { ...NO_SEI };
  let at = headerBytes;
  while (at + 2 < bytes.length) {
    let type = 0;
    for (; bytes[at] === 0xff; at += 1) type += 255;
    type += bytes[at] ?? 0;
    at += 1;
    let size = 0;
    for (; bytes[at] === 0xff; at += 1) size += 255;
    size += bytes[at] ?? 0;
    at += 1;
    const payload = bytes.subarray(at, at + size);
    if (type === TYPE.recoveryPoint) found.recoveryPoint = true;
    else if (type === TYPE.displayOrientation) found.rotation = readRotation(payload) ?? found.rotation;
    else if (type === TYPE.preferredTransfer) found.preferredTransfer = payload[0] ?? null;
    at += size;
  }
  return found;
}

/** Display orientation, rounded to quarter turns. A mirrored picture cannot be told by a rotation: both flips together
 *  are half a turn, one alone is left out. Source: ITU-T H.264, D.1.27; ITU-T H.265, D.2.17 */
function readRotation(payload: Buffer): Rotation | null {
  try {
    const bits = new BitReader(payload);
    if (bits.flag()) return 0; // cancelled
    const flips = bits.bits(2);
    const anticlockwise = bits.bits(16) / 65_536;
    const quarters = Math.round((1 - anticlockwise) * 4) + (flips === 3 ? 2 : 0);
    return ((quarters % 4) * 90) as Rotation;
  } catch (error) {
    if (error instanceof PlatformError) return null;
    throw error;
  }
}
