// TAI inside, UTC at the edges. One table decides the difference, so every process of one build agrees about it even
// when the host's own table is old.

/** Seconds of TAI - UTC from each instant (Unix seconds, UTC) on. Before 1972 the first value is used.
 *  Source: IERS Bulletin C 70 (July 2025): no leap second announced after 2017-01-01. */
const LEAP_SECONDS: readonly (readonly [fromUnixSeconds: number, taiMinusUtc: number])[] = [
  [63_072_000, 10],
  [78_796_800, 11],
  [94_694_400, 12],
  [126_230_400, 13],
  [157_766_400, 14],
  [189_302_400, 15],
  [220_924_800, 16],
  [252_460_800, 17],
  [283_996_800, 18],
  [315_532_800, 19],
  [362_793_600, 20],
  [394_329_600, 21],
  [425_865_600, 22],
  [489_024_000, 23],
  [567_993_600, 24],
  [631_152_000, 25],
  [662_688_000, 26],
  [709_948_800, 27],
  [741_484_800, 28],
  [773_020_800, 29],
  [820_454_400, 30],
  [867_715_200, 31],
  [915_148_800, 32],
  [1_136_073_600, 33],
  [1_230_768_000, 34],
  [1_341_100_800, 35],
  [1_435_708_800, 36],
  [1_483_228_800, 37],
];

const NS = 1_000_000_000n;

/** @param utcNs Unix time in nanoseconds @returns TAI nanoseconds since 1970-01-01T00:00:00 TAI */
export function utcToTai(utcNs: bigint): bigint {
  return utcNs + offsetWhere((from) => utcNs >= BigInt(from) * NS);
}

/** Inside a leap second (23:59:60) UTC text has no name of its own here: it repeats second 59, as Unix time does.
 *  @param taiNs TAI nanoseconds @returns Unix time in nanoseconds */
export function taiToUtc(taiNs: bigint): bigint {
  return taiNs - offsetWhere((from, offset) => taiNs >= (BigInt(from) + BigInt(offset) - 1n) * NS); // its own second is in
}

/** TAI as ISO 8601 UTC text with milliseconds (rounded down), for EXT-X-PROGRAM-DATE-TIME and the API. */
export function taiToIso(taiNs: bigint): string {
  const utcMs = taiToUtc(taiNs) / 1_000_000n;
  return new Date(Number(utcMs)).toISOString();
}

function offsetWhere(applies: (fromUnixSeconds: number, offset: number) => boolean): bigint {
  for (let i = LEAP_SECONDS.length - 1; i >= 0; i -= 1) {
    const [from, offset] = LEAP_SECONDS[i]!;
    if (applies(from, offset)) return BigInt(offset) * NS;
  }
  return BigInt(LEAP_SECONDS[0]![1]) * NS;
}
