// A clock burnt into the picture, for eyes and for machines: whoever sees a frame knows when it was drawn, whatever
// happened to it on the way. The difference to the viewer's own clock is the latency from glass to glass.
import { CELLS_PER_ROW, encodeCells, ROWS } from "./code.ts";
import { clockLayout } from "./layout.ts";
import { drawText, fillBox, type Plane, textHeight, textWidth } from "./plane.ts";

/** Limited range: 16 and 235. */
const BLACK = 16;
const WHITE = 235;

/** Draws the cells along the lower border and, in a black box above them, HH:MM:SS.mmm (UTC) and a frame counter.
 *  @param yPlane luma, 8 bits a sample, limited range
 *  @param stride bytes from one row to the next
 *  @param utcMs Unix time, whole ms, 0 to 2^42 - 1
 *  @param frame shown as it is; left out when null */
export function drawClock(
  yPlane: Uint8Array,
  stride: number,
  width: number,
  height: number,
  utcMs: number,
  frame: number | null = null,
): void {
  const plane = { bytes: yPlane, stride, width, height };
  drawCells(plane, utcMs);
  const { text, dot } = clockLayout(width, height);
  const clock = new Date(utcMs).toISOString().slice(11, 23);
  fillBox(plane, text, BLACK);
  const top = text.top + 2 * dot;
  drawText(plane, text.left + Math.floor((text.width - textWidth(clock, dot)) / 2), top, dot, clock, WHITE);
  if (frame === null) return;
  const counter = `#${frame}`;
  const small = Math.max(1, Math.floor(dot / 2));
  const left = text.left + Math.floor((text.width - textWidth(counter, small)) / 2);
  drawText(plane, left, top + textHeight(dot) + 2 * dot, small, counter, WHITE);
}

function drawCells(plane: Plane, utcMs: number): void {
  const { cells } = clockLayout(plane.width, plane.height);
  // Borders are rounded from fractions, as the reader does: at widths that 32 does not divide no cell drifts away.
  const column = (index: number) => cells.left + Math.round((index * cells.width) / CELLS_PER_ROW);
  const line = (index: number) => cells.top + Math.round((index * cells.height) / ROWS);
  encodeCells(utcMs).forEach((row, y) => {
    row.forEach((white, x) => {
      const box = { left: column(x), top: line(y), width: column(x + 1) - column(x), height: line(y + 1) - line(y) };
      fillBox(plane, box, white ? WHITE : BLACK);
    });
  });
}
