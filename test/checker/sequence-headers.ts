// What a video's own sequence header says of the picture: its size and its transfer characteristic. Written from the
// standards, for the checker alone.
import { Bits, unescaped } from "./bits.ts";

export type Picture = {
  width: number;
  height: number;
  /** transfer_characteristics (ITU-T H.273); 2 when it does not say. */
  transfer: number;
};

const UNSPECIFIED = 2;

/** ITU-T H.264, 7.3.2.1.1 and E.1.1. @param sps with its NAL header */
export function h264Picture(sps: Buffer): Picture {
  const bits = new Bits(unescaped(sps));
  bits.skip(8);
  const profile = bits.u(8);
  bits.skip(16);
  bits.ue();
  let chroma = 1;
  if ([100, 110, 122, 244, 44, 83, 86, 118, 128].includes(profile)) {
    chroma = bits.ue();
    if (chroma === 3) bits.skip(1);
    bits.ue();
    bits.ue();
    bits.skip(1);
    const lists = bits.flag() ? (chroma === 3 ? 12 : 8) : 0;
    for (let list = 0; list < lists; list += 1) skipScalingList(bits, list < 6 ? 16 : 64);
  }
  bits.ue();
  const orderType = bits.ue();
  if (orderType === 0) bits.ue();
  else if (orderType === 1) {
    bits.skip(1);
    bits.se();
    bits.se();
    for (let count = bits.ue(); count > 0; count -= 1) bits.se();
  }
  bits.ue();
  bits.skip(1);
  const width = (bits.ue() + 1) * 16;
  const mapUnits = bits.ue() + 1;
  const frameOnly = bits.flag();
  if (!frameOnly) bits.skip(1);
  bits.skip(1);
  const fields = frameOnly ? 1 : 2;
  const crop = croppedBy(bits, chroma === 1 || chroma === 2 ? 2 : 1, (chroma === 1 ? 2 : 1) * fields);
  return { width: width - crop.width, height: mapUnits * 16 * fields - crop.height, transfer: transferOf(bits) };
}

function skipScalingList(bits: Bits, size: number): void {
  if (!bits.flag()) return;
  for (let i = 0, last = 8, next = 8; i < size; i += 1, last = next || last)
    if (next) next = (last + bits.se() + 256) % 256;
}

function croppedBy(bits: Bits, unitX: number, unitY: number): { width: number; height: number } {
  const [left, right, top, bottom] = bits.flag() ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : [0, 0, 0, 0];
  return { width: (left + right) * unitX, height: (top + bottom) * unitY };
}

/** From vui_parameters_present_flag on; H.264 and H.265 begin their VUI alike. */
function transferOf(bits: Bits): number {
  if (!bits.flag()) return UNSPECIFIED;
  if (bits.flag() && bits.u(8) === 255) bits.skip(32);
  if (bits.flag()) bits.skip(1);
  if (!bits.flag()) return UNSPECIFIED;
  bits.skip(4);
  if (!bits.flag()) return UNSPECIFIED;
  bits.skip(8);
  return bits.u(8);
}

/** ITU-T H.265, 7.3.2.2.1 and E.2.1. @param sps with its NAL header */
export function hevcPicture(sps: Buffer): Picture {
  const bits = new Bits(unescaped(sps));
  bits.skip(16 + 4);
  const layers = bits.u(3);
  bits.skip(1);
  skipProfileTierLevel(bits, layers);
  bits.ue();
  const chroma = bits.ue();
  if (chroma === 3) bits.skip(1);
  const [width, height] = [bits.ue(), bits.ue()];
  const crop = croppedBy(bits, chroma === 1 || chroma === 2 ? 2 : 1, chroma === 1 ? 2 : 1);
  bits.ue();
  bits.ue();
  const orderBits = bits.ue() + 4;
  for (let i = bits.flag() ? 0 : layers; i <= layers; i += 1) for (let n = 0; n < 3; n += 1) bits.ue();
  for (let n = 0; n < 6; n += 1) bits.ue();
  if (bits.flag() && bits.flag()) skipHevcScalingLists(bits);
  bits.skip(2);
  if (bits.flag()) {
    bits.skip(8);
    bits.ue();
    bits.ue();
    bits.skip(1);
  }
  skipReferenceSets(bits);
  if (bits.flag()) for (let count = bits.ue(); count > 0; count -= 1) bits.skip(orderBits + 1);
  bits.skip(2);
  return { width: width - crop.width, height: height - crop.height, transfer: transferOf(bits) };
}

/** ITU-T H.265, 7.3.3 */
function skipProfileTierLevel(bits: Bits, layers: number): void {
  bits.skip(96);
  const there = Array.from({ length: layers }, () => [bits.flag(), bits.flag()] as const);
  if (layers > 0) bits.skip(2 * (8 - layers));
  for (const [profile, level] of there) bits.skip((profile ? 88 : 0) + (level ? 8 : 0));
}

/** ITU-T H.265, 7.3.4 */
function skipHevcScalingLists(bits: Bits): void {
  for (let size = 0; size < 4; size += 1)
    for (let matrix = 0; matrix < 6; matrix += size === 3 ? 3 : 1) {
      if (!bits.flag()) {
        bits.ue();
        continue;
      }
      if (size > 1) bits.se();
      for (let i = 0; i < Math.min(64, 16 << (2 * size)); i += 1) bits.se();
    }
}

/** ITU-T H.265, 7.3.7 */
function skipReferenceSets(bits: Bits): void {
  let before = 0;
  const sets = Math.min(64, bits.ue());
  for (let set = 0; set < sets; set += 1) {
    if (set > 0 && bits.flag()) {
      bits.skip(1);
      bits.ue();
      let count = 0;
      for (let j = 0; j <= before; j += 1) if (bits.flag() || bits.flag()) count += 1;
      before = count;
      continue;
    }
    const count = Math.min(32, bits.ue() + bits.ue());
    for (let i = 0; i < count; i += 1) {
      bits.ue();
      bits.skip(1);
    }
    before = count;
  }
}

/** AV1 Bitstream & Decoding Process Specification, 5.5. @param obus of av1C; null when it holds no sequence header */
export function av1Picture(obus: Buffer): Picture | null {
  for (let at = 0; at < obus.length; ) {
    const head = obus[at]!;
    let next = at + (head & 4 ? 2 : 1);
    let size = obus.length - next;
    if (head & 2) {
      size = 0;
      for (let shift = 0; shift < 56; shift += 7) {
        const byte = obus[next++] ?? 0;
        size += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) break;
      }
    }
    if (((head >> 3) & 15) === 1) return sequenceOf(new Bits(obus.subarray(next, next + size)));
    at = next + size;
  }
  return null;
}

function sequenceOf(bits: Bits): Picture {
  const profile = bits.u(3);
  bits.skip(1);
  const reduced = bits.flag();
  if (reduced) bits.skip(5);
  else skipOperatingPoints(bits);
  const [widthBits, heightBits] = [bits.u(4) + 1, bits.u(4) + 1];
  const [width, height] = [bits.u(widthBits) + 1, bits.u(heightBits) + 1];
  if (!reduced && bits.flag()) bits.skip(7);
  bits.skip(3);
  if (!reduced) {
    bits.skip(4);
    const orderHints = bits.flag();
    if (orderHints) bits.skip(2);
    const screen = bits.flag() ? 2 : bits.u(1);
    if (screen > 0 && !bits.flag()) bits.skip(1);
    if (orderHints) bits.skip(3);
  }
  bits.skip(3);
  if (bits.flag() && profile === 2) bits.skip(1);
  if (profile !== 1) bits.skip(1);
  if (!bits.flag()) return { width, height, transfer: UNSPECIFIED };
  bits.skip(8);
  return { width, height, transfer: bits.u(8) };
}

function skipOperatingPoints(bits: Bits): void {
  let delayBits = 0;
  if (bits.flag()) {
    bits.skip(64);
    if (bits.flag()) bits.ue();
    if (bits.flag()) {
      delayBits = bits.u(5) + 1;
      bits.skip(42);
    }
  }
  const displayDelay = bits.flag();
  for (let points = bits.u(5); points >= 0; points -= 1) {
    bits.skip(12);
    if (bits.u(5) > 7) bits.skip(1);
    if (delayBits > 0 && bits.flag()) bits.skip(2 * delayBits + 1);
    if (displayDelay && bits.flag()) bits.skip(4);
  }
}
