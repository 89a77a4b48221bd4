// The H.264 level a rendition declares. It is part of the CODECS attribute and of the encoder's settings, so it is computed
// here once, from what the level limits: picture size, macroblock rate, bit rate and the buffer.
import { perSecond, type Rate } from "#media/time/rate.ts";

type Level = Readonly<{
  levelIdc: number;
  macroblocksPerSecondMax: number;
  frameMacroblocksMax: number;
  dpbMacroblocksMax: number;
  /** Baseline and Main, kbit/s and kbit; High has 1.25 times both. */
  kbitsPerSecondMax: number;
  bufferKbitsMax: number;
}>;

const level = (
  levelIdc: number,
  macroblocksPerSecondMax: number,
  frameMacroblocksMax: number,
  dpbMacroblocksMax: number,
  kbitsPerSecondMax: number,
  bufferKbitsMax: number,
): Level => ({
  levelIdc,
  macroblocksPerSecondMax,
  frameMacroblocksMax,
  dpbMacroblocksMax,
  kbitsPerSecondMax,
  bufferKbitsMax,
});

/** Source: ITU-T H.264, table A-1 (MaxMBPS, MaxFS, MaxDpbMbs, MaxBR, MaxCPB); level 1b is left out. */
const LEVELS: readonly Level[] = [
  level(10, 1_485, 99, 396, 64, 175),
  level(11, 3_000, 396, 900, 192, 500),
  level(12, 6_000, 396, 2_376, 384, 1_000),
  level(13, 11_880, 396, 2_376, 768, 2_000),
  level(20, 11_880, 396, 2_376, 2_000, 2_000),
  level(21, 19_800, 792, 4_752, 4_000, 4_000),
  level(22, 20_250, 1_620, 8_100, 4_000, 4_000),
  level(30, 40_500, 1_620, 8_100, 10_000, 10_000),
  level(31, 108_000, 3_600, 18_000, 14_000, 14_000),
  level(32, 216_000, 5_120, 20_480, 20_000, 20_000),
  level(40, 245_760, 8_192, 32_768, 20_000, 25_000),
  level(41, 245_760, 8_192, 32_768, 50_000, 62_500),
  level(42, 522_240, 8_704, 34_816, 50_000, 62_500),
  level(50, 589_824, 22_080, 110_400, 135_000, 135_000),
  level(51, 983_040, 36_864, 184_320, 240_000, 240_000),
  level(52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
  level(60, 4_177_920, 139_264, 696_320, 240_000, 240_000),
  level(61, 8_355_840, 139_264, 696_320, 480_000, 480_000),
  level(62, 16_711_680, 139_264, 696_320, 800_000, 800_000),
];

export type LevelNeeds = Readonly<{
  /** Coded size in pixels. */
  width: number;
  height: number;
  rate: Rate;
  profile: "baseline" | "main" | "high";
  /** bit/s, and bits of the buffer. */
  maxBitrate: number;
  bufferBits: number;
  /** Reference pictures the encoder keeps. */
  references: number;
}>;

/** The lowest level that allows all of it; the highest when none does.
 *  @returns level_idc: 31 for level 3.1 */
export function levelIdcFor(needs: LevelNeeds): number {
  const across = Math.ceil(needs.width / 16);
  const down = Math.ceil(needs.height / 16);
  const macroblocks = across * down;
  const factor = needs.profile === "high" ? 1_250 : 1_000;
  const fits = (candidate: Level): boolean =>
    macroblocks <= candidate.frameMacroblocksMax &&
    across * across <= 8 * candidate.frameMacroblocksMax && // A.3.1, f and g: no side longer than sqrt(8 x MaxFS)
    down * down <= 8 * candidate.frameMacroblocksMax &&
    macroblocks * perSecond(needs.rate) <= candidate.macroblocksPerSecondMax &&
    macroblocks * needs.references <= candidate.dpbMacroblocksMax &&
    needs.maxBitrate <= candidate.kbitsPerSecondMax * factor &&
    needs.bufferBits <= candidate.bufferKbitsMax * factor;
  return (LEVELS.find(fits) ?? LEVELS.at(-1)!).levelIdc;
}
