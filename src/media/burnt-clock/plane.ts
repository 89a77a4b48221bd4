// Drawing on one plane of 8-bit samples: filled boxes and dotted text, clipped at the borders. Rows are filled whole, so
// a full screen of boxes costs well under a millisecond.
import { GLYPH_COLUMNS, GLYPH_ROWS, glyph } from "./font.ts";

export type Plane = Readonly<{ bytes: Uint8Array; stride: number; width: number; height: number }>;

/** In samples; left and top are in, left + width and top + height are out. */
export type Box = Readonly<{ left: number; top: number; width: number; height: number }>;

export function fillBox(plane: Plane, box: Box, value: number): void {
  const left = Math.max(0, box.left);
  const right = Math.min(plane.width, box.left + box.width);
  if (left >= right) return;
  const bottom = Math.min(plane.height, box.top + box.height);
  for (let row = Math.max(0, box.top); row < bottom; row += 1)
    plane.bytes.fill(value, row * plane.stride + left, row * plane.stride + right);
}

/** Width of a text at that size of a dot, without the gap after its last character. */
export function textWidth(text: string, dot: number): number {
  return Math.max(0, text.length * (GLYPH_COLUMNS + 1) - 1) * dot;
}

export function textHeight(dot: number): number {
  return GLYPH_ROWS * dot;
}

/** @param dot samples per dot of the font, in both directions */
export function drawText(plane: Plane, left: number, top: number, dot: number, text: string, value: number): void {
  [...text].forEach((character, position) => {
    const bitRows = glyph(character);
    const start = left + position * (GLYPH_COLUMNS + 1) * dot;
    bitRows.forEach((bits, row) => {
      for (let column = 0; column < GLYPH_COLUMNS; column += 1)
        if (bits & (1 << (GLYPH_COLUMNS - 1 - column)))
          fillBox(plane, { left: start + column * dot, top: top + row * dot, width: dot, height: dot }, value);
    });
  });
}
