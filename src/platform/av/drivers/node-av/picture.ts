// Counted handles on native frames. A frame's memory lives as long as any handle; a handle that was released is dead and
// says so, where the library would read foreign memory.
import { AV_PIX_FMT_YUV420P, AVCOL_RANGE_JPEG, AVCOL_RANGE_MPEG } from "node-av/constants";
import { Frame } from "node-av/lib";
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import type { Picture } from "../../av.ts";
import { check, present } from "./native.ts";

export class NativePicture implements Picture {
  #frame: Frame | null;
  readonly tag: number;

  /** Takes over the frame. */
  constructor(frame: Frame, tag: number) {
    this.#frame = frame;
    this.tag = tag;
  }

  get width(): number {
    return this.#alive().width;
  }

  get height(): number {
    return this.#alive().height;
  }

  get colour(): Colour {
    const frame = this.#alive();
    return {
      primaries: frame.colorPrimaries,
      transfer: frame.colorTrc,
      matrix: frame.colorSpace,
      fullRange: frame.colorRange === AVCOL_RANGE_JPEG,
    };
  }

  get concealed(): boolean {
    return this.#alive().decodeErrorFlags !== 0;
  }

  share(): Picture {
    return new NativePicture(this.cloneFrame(), this.tag);
  }

  release(): void {
    this.take().free();
  }

  luma(): Uint8Array {
    const frame = this.#alive();
    const { width, height } = frame;
    const stride = frame.linesize[0]!;
    const plane = present(frame.data, "picture data")[0]!;
    const luma = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) luma.set(plane.subarray(row * stride, row * stride + width), row * width);
    return luma;
  }

  /** A frame of the caller's own with the same pixels and its own properties. */
  cloneFrame(): Frame {
    return present(this.#alive().clone(), "memory for a frame");
  }

  /** The frame itself; this handle is dead afterwards. */
  take(): Frame {
    const frame = this.#alive();
    this.#frame = null;
    return frame;
  }

  #alive(): Frame {
    assert.ok(this.#frame, "a picture is used after its release");
    return this.#frame;
  }
}

/** The driver's own pictures are the only ones its machines can take. */
export function native(picture: Picture): NativePicture {
  assert.ok(picture instanceof NativePicture, "a picture of another driver");
  return picture;
}

export function emptyFrame(): Frame {
  const frame = new Frame();
  frame.alloc();
  return frame;
}

/** 8-bit 4:2:0, limited range. */
export function pictureOfPlanes(
  { width, height }: Readonly<{ width: number; height: number }>,
  planes: Readonly<{ y: Uint8Array; u: Uint8Array; v: Uint8Array }>,
  tag: number,
): Picture {
  assert.ok(width % 2 === 0 && height % 2 === 0, "4:2:0 pictures have even sizes");
  const frame = emptyFrame();
  frame.width = width;
  frame.height = height;
  frame.format = AV_PIX_FMT_YUV420P;
  frame.colorRange = AVCOL_RANGE_MPEG;
  check(frame.getBuffer(0), "memory for a picture");
  const data = present(frame.data, "picture data");
  const strides = frame.linesize;
  [planes.y, planes.u, planes.v].forEach((plane, i) => {
    const rowBytes = i === 0 ? width : width / 2;
    const rows = i === 0 ? height : height / 2;
    assert.equal(plane.length, rowBytes * rows, "a plane without padding");
    for (let row = 0; row < rows; row += 1)
      data[i]!.set(plane.subarray(row * rowBytes, (row + 1) * rowBytes), row * strides[i]!);
  });
  return new NativePicture(frame, tag);
}
