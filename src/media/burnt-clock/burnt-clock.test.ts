import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "#base/random.ts";
import { decodeCells, encodeCells, UTC_MS_END } from "./code.ts";
import { drawClock } from "./draw.ts";
import { clockLayout } from "./layout.ts";
import { lumaOfRgba, readClock } from "./read.ts";

type Picture = { bytes: Uint8Array; width: number; height: number };

/** The clock over a picture that is anything but quiet. */
function picture(utcMs: number, width: number, height: number, seed = 1): Picture {
  const random = seededRandom(seed);
  const bytes = Uint8Array.from({ length: width * height }, () => 16 + Math.floor(random.next() * 219));
  drawClock(bytes, width, width, height, utcMs, 4711);
  return { bytes, width, height };
}

const read = ({ bytes, width, height }: Picture) => readClock((x, y) => bytes[y * width + x]!, width, height);

/** Each output sample is the mean of what it covers, as a good scaler gives. */
function scaled(source: Picture, width: number, height: number): Picture {
  const bytes = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const [x0, x1] = span(x, width, source.width);
      const [y0, y1] = span(y, height, source.height);
      let sum = 0;
      for (let v = y0; v < y1; v += 1) for (let u = x0; u < x1; u += 1) sum += source.bytes[v * source.width + u]!;
      bytes[y * width + x] = sum / ((x1 - x0) * (y1 - y0));
    }
  return { bytes, width, height };
}

function span(at: number, size: number, sourceSize: number): [number, number] {
  const from = Math.floor((at * sourceSize) / size);
  return [from, Math.max(from + 1, Math.floor(((at + 1) * sourceSize) / size))];
}

function altered(source: Picture, change: (value: number, x: number, y: number) => number): Picture {
  const { width, height } = source;
  const bytes = new Uint8ClampedArray(width * height);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = change(source.bytes[i]!, i % width, Math.floor(i / width));
  return { bytes: new Uint8Array(bytes.buffer), width, height };
}

function blurred(source: Picture, radius: number): Picture {
  const { bytes, width, height } = source;
  return altered(source, (_, x, y) => {
    let sum = 0;
    let count = 0;
    for (let v = Math.max(0, y - radius); v <= Math.min(height - 1, y + radius); v += 1)
      for (let u = Math.max(0, x - radius); u <= Math.min(width - 1, x + radius); u += 1) {
        sum += bytes[v * width + u]!;
        count += 1;
      }
    return sum / count;
  });
}

const NOW = 1_795_570_000_123;

test("any instant is read back from its cells", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: UTC_MS_END - 1 }), (utcMs) => {
      assert.equal(decodeCells(encodeCells(utcMs)), utcMs);
    }),
  );
});

test("one or two wrong cells are noticed", () => {
  const flip = (cells: boolean[][], at: number) => (cells[at >> 5]![at & 31] = !cells[at >> 5]![at & 31]);
  for (let first = 0; first < 64; first += 1) {
    const cells = encodeCells(NOW);
    flip(cells, first);
    assert.equal(decodeCells(cells), null, `cell ${first}`);
    for (let second = first + 1; second < 64; second += 1) {
      flip(cells, second);
      assert.equal(decodeCells(cells), null, `cells ${first} and ${second}`);
      flip(cells, second);
    }
  }
});

test("a drawn clock is read at every usual size, and after scaling to another", () => {
  for (const [width, height] of [
    [1920, 1080],
    [1280, 720],
    [854, 480],
    [640, 360],
    [426, 240],
  ] as const)
    assert.equal(read(picture(NOW, width, height)), NOW, `${width}x${height}`);
  const source = picture(NOW, 1280, 720);
  for (const [width, height] of [
    [854, 480],
    [640, 360],
    [426, 240],
    [320, 180],
    [333, 187],
    [160, 90],
  ] as const)
    assert.equal(read(scaled(source, width, height)), NOW, `scaled to ${width}x${height}`);
});

test("noise, blur, low contrast and full range do not hide it", () => {
  const small = scaled(picture(NOW, 1280, 720), 640, 360);
  const random = seededRandom(7);
  assert.equal(read(altered(small, (value) => value + (random.next() - 0.5) * 160)), NOW, "noise");
  assert.equal(read(blurred(small, 4)), NOW, "blur");
  assert.equal(read(altered(small, (value) => 100 + value / 4)), NOW, "contrast");
  assert.equal(read(altered(small, (value) => ((value - 16) * 255) / 219)), NOW, "full range");
});

test("a picture without a clock has none, and a torn one is not taken for another time", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 300; round += 1) {
    const bytes = Uint8Array.from({ length: 128 * 72 }, () => Math.floor(random.next() * 256));
    assert.equal(read({ bytes, width: 128, height: 72 }), null);
  }
  assert.equal(read({ bytes: new Uint8Array(640 * 360), width: 640, height: 360 }), null);
  const { cells } = clockLayout(640, 360);
  const upper = picture(NOW, 640, 360);
  const lower = picture(NOW + 10_000, 640, 360);
  upper.bytes.set(lower.bytes.subarray((cells.top + cells.height / 2) * 640), (cells.top + cells.height / 2) * 640);
  assert.equal(read(upper), null);
});

test("too small a picture is not read, and nothing is drawn outside of it", () => {
  assert.equal(
    readClock(() => 255, 40, 40),
    null,
  );
  const bytes = new Uint8Array(64 * 48 + 100).fill(7);
  drawClock(bytes.subarray(0, 64 * 48), 64, 64, 48, NOW, 1);
  assert.ok(bytes.subarray(64 * 48).every((value) => value === 7));
});

test("a stride wider than the picture stays untouched", () => {
  const stride = 700;
  const bytes = new Uint8Array(stride * 360).fill(7);
  drawClock(bytes, stride, 640, 360, NOW, 1);
  for (let row = 0; row < 360; row += 1)
    assert.ok(bytes.subarray(row * stride + 640, (row + 1) * stride).every((value) => value === 7));
  assert.equal(
    readClock((x, y) => bytes[y * stride + x]!, 640, 360),
    NOW,
  );
});

test("pixels of a canvas are read as well", () => {
  const { bytes, width, height } = picture(NOW, 640, 360);
  const rgba = new Uint8ClampedArray(width * height * 4);
  bytes.forEach((value, i) => {
    rgba.set([value, value, value, 255], i * 4);
  });
  assert.equal(readClock(lumaOfRgba(rgba, width), width, height), NOW);
});
