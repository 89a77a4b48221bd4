// The demo channel's moving picture: colour bars, a ramp, a dot that goes round once a second (a lost or a doubled frame
// shows), a box that goes to and fro, the channel's name and the burnt-in clock.
// Cheap by design: what stands still is drawn once, what moves lies where there is no colour, so that a frame costs a few
// copied rows of luma (0.3 ms at 720p) and the chroma planes never change.
import { drawClock } from "#media/burnt-clock/draw.ts";
import { clockLayout } from "#media/burnt-clock/layout.ts";
import { type Box, drawText, fillBox, type Plane, textHeight, textWidth } from "#media/burnt-clock/plane.ts";

/** 8-bit 4:2:0 without padding, limited range, BT.709. */
export type Planes = Readonly<{ y: Uint8Array; u: Uint8Array; v: Uint8Array }>;

const BLACK = 16;
const GROUND = 30;
const WHITE = 235;
const NEUTRAL = 128;
/** White, yellow, cyan, green, magenta, red, blue at 75 %, as red, green, blue. */
const BARS = [
  [0.75, 0.75, 0.75],
  [0.75, 0.75, 0],
  [0, 0.75, 0.75],
  [0, 0.75, 0],
  [0.75, 0, 0.75],
  [0.75, 0, 0],
  [0, 0, 0.75],
] as const;

export class DemoPicture {
  readonly width: number;
  readonly height: number;
  readonly #still: Planes;
  readonly #moving: Planes;
  readonly #dotBox: Box;
  readonly #slideBox: Box;

  /** @param width even, at least 320 @param height even, at least 180 @param name shown in the upper left corner */
  constructor(width: number, height: number, name: string) {
    this.width = width;
    this.height = height;
    const { text, dot } = clockLayout(width, height);
    const side = text.height;
    const margin = Math.floor((text.left - side) / 2);
    this.#dotBox = { left: margin, top: text.top, width: side, height: side };
    const right = text.left + text.width;
    const slideMargin = 6 * dot;
    this.#slideBox = {
      left: right + slideMargin,
      top: text.top,
      width: width - right - 2 * slideMargin,
      height: side,
    };
    this.#still = this.#drawStill(name, dot);
    this.#moving = { y: this.#still.y.slice(), u: this.#still.u, v: this.#still.v };
  }

  /** The planes are used again by the next call.
   *  @param utcMs what the clock shows, whole ms @param frame its number */
  draw(utcMs: number, frame: number): Planes {
    const plane = this.#plane(this.#moving.y);
    this.#restore(this.#dotBox);
    this.#restore(this.#slideBox);
    drawDot(plane, this.#dotBox, utcMs);
    drawSlide(plane, this.#slideBox, utcMs);
    drawClock(plane.bytes, plane.stride, plane.width, plane.height, utcMs, frame);
    return this.#moving;
  }

  #plane(bytes: Uint8Array): Plane {
    return { bytes, stride: this.width, width: this.width, height: this.height };
  }

  #restore({ left, top, width, height }: Box): void {
    for (let row = top; row < top + height; row += 1) {
      const at = row * this.width + left;
      this.#moving.y.set(this.#still.y.subarray(at, at + width), at);
    }
  }

  #drawStill(name: string, dot: number): Planes {
    const { width, height } = this;
    const size = (width / 2) * (height / 2);
    const planes = {
      y: new Uint8Array(width * height).fill(GROUND),
      u: new Uint8Array(size).fill(NEUTRAL),
      v: new Uint8Array(size).fill(NEUTRAL),
    };
    const y = this.#plane(planes.y);
    const chroma = (bytes: Uint8Array): Plane => ({ bytes, stride: width / 2, width: width / 2, height: height / 2 });
    const paint = (box: Box, colour: readonly [number, number, number]) => {
      const half = { left: box.left / 2, top: box.top / 2, width: box.width / 2, height: box.height / 2 };
      fillBox(y, box, colour[0]);
      fillBox(chroma(planes.u), half, colour[1]);
      fillBox(chroma(planes.v), half, colour[2]);
    };
    const barsHeight = even(height * 0.58);
    BARS.forEach((rgb, index) => {
      const left = even((index * width) / BARS.length);
      const right = index === BARS.length - 1 ? width : even(((index + 1) * width) / BARS.length);
      paint({ left, top: 0, width: right - left, height: barsHeight }, yuvOf(rgb));
    });
    const rampHeight = even(height * 0.05);
    for (let column = 0; column < width; column += 1) {
      const level = BLACK + Math.round(((WHITE - BLACK) * column) / (width - 1));
      fillBox(y, { left: column, top: barsHeight, width: 1, height: rampHeight }, level);
    }
    const letter = Math.max(1, Math.floor(dot * 0.6));
    const margin = even(4 * dot);
    const label = {
      left: margin,
      top: margin,
      width: even(textWidth(name, letter) + 6 * letter),
      height: even(textHeight(letter) + 6 * letter),
    };
    paint(label, [BLACK, NEUTRAL, NEUTRAL]);
    drawText(y, label.left + 3 * letter, label.top + 3 * letter, letter, name, WHITE);
    return planes;
  }
}

/** Once round in a second, at the top on the full second, on a ring of twelve marks. */
function drawDot(plane: Plane, box: Box, utcMs: number): void {
  const centre = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  const radius = box.width * 0.42;
  const square = (turn: number, size: number, value: number) => {
    const x = centre.x + radius * Math.sin(turn * 2 * Math.PI);
    const y = centre.y - radius * Math.cos(turn * 2 * Math.PI);
    const side = Math.max(2, Math.round(box.width * size));
    fillBox(plane, { left: Math.round(x - side / 2), top: Math.round(y - side / 2), width: side, height: side }, value);
  };
  for (let mark = 0; mark < 12; mark += 1) square(mark / 12, 0.03, 90);
  square((utcMs % 1000) / 1000, 0.12, WHITE);
}

/** To and fro once in four seconds, evenly. */
function drawSlide(plane: Plane, box: Box, utcMs: number): void {
  const size = Math.max(2, Math.round(box.height * 0.4));
  const phase = (utcMs % 4000) / 2000;
  const way = Math.max(0, box.width - size) * (phase < 1 ? phase : 2 - phase);
  const top = box.top + Math.round((box.height - size) / 2);
  fillBox(plane, { left: box.left, top: top + size + 4, width: box.width, height: 2 }, 90);
  fillBox(plane, { left: box.left + Math.round(way), top, width: size, height: size }, 180);
}

function even(value: number): number {
  return 2 * Math.round(value / 2);
}

/** @param rgb 0 to 1 @returns 8-bit limited range. Source: ITU-R BT.709, items 3.2 to 3.4 and 4.6 */
function yuvOf([red, green, blue]: readonly [number, number, number]): readonly [number, number, number] {
  const luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const u = (blue - luma) / 1.8556;
  const v = (red - luma) / 1.5748;
  return [Math.round(16 + 219 * luma), Math.round(128 + 224 * u), Math.round(128 + 224 * v)];
}
