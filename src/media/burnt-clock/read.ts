// Finds the burnt-in clock again after scaling, coding and noise. It imports nothing but the code of the cells, so that
// it runs in Node on a luma plane and, bundled, in a browser on a canvas.
import { CELLS_PER_ROW, decodeCells, ROWS } from "./code.ts";

/** Brightness of a sample, 0 to 255; 0 <= x < width, 0 <= y < height. */
export type LumaAt = (x: number, y: number) => number;

/** Per cell so many points in each direction, over its middle half: a mean forgives noise, the border is left to blur. */
const POINTS = 4;
/** White and black of a row must differ by this much, or there is no clock. */
const CONTRAST_MIN = 40;

/** @returns Unix time in ms that was burnt in, or null when the picture holds no (readable) clock */
export function readClock(luma: LumaAt, width: number, height: number): number | null {
  if (width < CELLS_PER_ROW * 2 || height < 48) return null;
  const cells: boolean[][] = [];
  for (let row = 0; row < ROWS; row += 1) {
    const levels = Array.from({ length: CELLS_PER_ROW }, (_, column) => cellLevel(luma, width, height, row, column));
    const contrast = levels[0]! - levels[1]!;
    if (contrast < CONTRAST_MIN) return null;
    cells.push(levels.map((level) => level - levels[1]! > contrast / 2));
  }
  return decodeCells(cells);
}

/** The strip's height is 1/12 of the picture's; after scaling not a whole number, hence no use of the drawer's boxes. */
function cellLevel(luma: LumaAt, width: number, height: number, row: number, column: number): number {
  const cellWidth = width / CELLS_PER_ROW;
  const cellHeight = height / 24;
  let sum = 0;
  for (let i = 0; i < POINTS; i += 1)
    for (let j = 0; j < POINTS; j += 1) {
      const x = (column + 0.25 + (i + 0.5) / (2 * POINTS)) * cellWidth;
      const y = height - (ROWS - row - 0.25 - (j + 0.5) / (2 * POINTS)) * cellHeight;
      sum += luma(Math.min(width - 1, Math.floor(x)), Math.min(height - 1, Math.floor(y)));
    }
  return sum / (POINTS * POINTS);
}

/** Luma of RGBA pixels, as a canvas gives them. Source: ITU-R BT.709, item 3.2 */
export function lumaOfRgba(pixels: Uint8ClampedArray, width: number): LumaAt {
  return (x, y) => {
    const at = (y * width + x) * 4;
    return 0.2126 * pixels[at]! + 0.7152 * pixels[at + 1]! + 0.0722 * pixels[at + 2]!;
  };
}
