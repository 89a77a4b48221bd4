// A UTC instant as black and white cells: what is drawn and what is looked for, in one place.
// Two rows of 32 cells. A row is white, black, 29 data cells, and a last cell that names the row (white: the upper). The
// white and black ones give the levels that this very row is judged by, so changed contrast or range does not matter.
// The 58 data cells are 42 bits of milliseconds (good until the year 2109) and a CRC of 16 bits: of random pictures one
// in 65 536 that also has the four fixed cells right would pass.

export const ROWS = 2;
export const CELLS_PER_ROW = 32;
const DATA_PER_ROW = CELLS_PER_ROW - 3;
const TIME_BITS = 42;
const CRC_BITS = 16;

/** First instant that does not fit, ms. */
export const UTC_MS_END = 2 ** TIME_BITS;

/** True = white. @param utcMs whole milliseconds, 0 to UTC_MS_END - 1 */
export function encodeCells(utcMs: number): boolean[][] {
  const bits = bitsOf(BigInt(utcMs), TIME_BITS);
  const data = [...bits, ...bitsOf(BigInt(crc16(bits)), CRC_BITS)];
  return Array.from({ length: ROWS }, (_, row) => [
    true,
    false,
    ...data.slice(row * DATA_PER_ROW, (row + 1) * DATA_PER_ROW),
    row === 0,
  ]);
}

/** @param cells ROWS rows of CELLS_PER_ROW @returns null when these are not the cells of an instant */
export function decodeCells(cells: readonly (readonly boolean[])[]): number | null {
  const framed = cells.every((row, index) => row[0] && !row[1] && row[CELLS_PER_ROW - 1] === (index === 0));
  if (!framed) return null;
  const data = cells.flatMap((row) => row.slice(2, CELLS_PER_ROW - 1));
  const time = data.slice(0, TIME_BITS);
  return crc16(time) === numberOf(data.slice(TIME_BITS)) ? numberOf(time) : null;
}

function bitsOf(value: bigint, count: number): boolean[] {
  return Array.from({ length: count }, (_, bit) => ((value >> BigInt(count - 1 - bit)) & 1n) === 1n);
}

function numberOf(bits: readonly boolean[]): number {
  return bits.reduce((value, bit) => value * 2 + (bit ? 1 : 0), 0);
}

/** CRC-16 with polynomial 0x1021 and initial value 0xffff over bits, most significant first.
 *  Source: ITU-T V.41, annex (the polynomial) */
function crc16(bits: readonly boolean[]): number {
  let crc = 0xffff;
  for (const bit of bits) {
    const carry = ((crc >> 15) & 1) !== (bit ? 1 : 0);
    crc = (crc << 1) & 0xffff;
    if (carry) crc ^= 0x1021;
  }
  return crc;
}
