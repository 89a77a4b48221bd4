// Where the burnt-in clock lies, as fractions of the picture: the same place at any size it is scaled to.
import { type Box, textHeight, textWidth } from "./plane.ts";

export type ClockLayout = Readonly<{
  /** The machine's cells: the whole width, so that a cell has 40 x 30 samples at 720p and 20 x 15 at 360p. */
  cells: Box;
  /** Black ground of the people's clock and counter. */
  text: Box;
  /** Samples per dot of the clock's letters. */
  dot: number;
}>;

/** Both boxes have grey chroma to be readable: a drawer of colours leaves them out. */
export function clockLayout(width: number, height: number): ClockLayout {
  const cellsHeight = Math.max(2, 2 * Math.round(height / 24));
  const dot = Math.max(1, Math.floor(Math.min(width / 160, height / 90)));
  const textBoxWidth = textWidth("00:00:00.000", dot) + 4 * dot;
  const textBoxHeight = textHeight(dot) + textHeight(Math.max(1, Math.floor(dot / 2))) + 6 * dot;
  return {
    cells: { left: 0, top: height - cellsHeight, width, height: cellsHeight },
    text: {
      left: Math.max(0, Math.floor((width - textBoxWidth) / 2)),
      top: Math.max(0, height - cellsHeight - textBoxHeight - 4 * dot),
      width: textBoxWidth,
      height: textBoxHeight,
    },
    dot,
  };
}
