// What a track says about its display and its language, in the boxes' own spelling.
import type { Rotation } from "#media/session-log/entries.ts";
import { u32 } from "./box.ts";

const ONE = 0x1_0000;

/** The matrix of tkhd and mvhd: turns a picture clockwise about its corner and moves it back to where it was.
 *  @param width @param height 16.16 fixed point, before the turn
 *  Source: ISO/IEC 14496-12, 8.2.2 and 8.3.2 */
export function displayMatrix(rotation: Rotation, width: number, height: number): Buffer {
  const [a, b, c, d, x, y] = {
    0: [ONE, 0, 0, ONE, 0, 0],
    90: [0, ONE, -ONE, 0, height, 0],
    180: [-ONE, 0, 0, -ONE, width, height],
    270: [0, -ONE, ONE, 0, 0, width],
  }[rotation] as [number, number, number, number, number, number];
  return u32(a >>> 0, b >>> 0, 0, c >>> 0, d >>> 0, 0, x >>> 0, y >>> 0, 0x4000_0000);
}

const UNDETERMINED = "und";

/** Three letters of five bits. @param language ISO 639-2; anything else is "und" Source: ISO/IEC 14496-12, 8.4.2 */
export function languageCode(language: string = UNDETERMINED): number {
  const letters = /^[a-z]{3}$/.test(language) ? language : UNDETERMINED;
  return [...letters].reduce((code, letter) => code * 32 + letter.charCodeAt(0) - 0x60, 0);
}
