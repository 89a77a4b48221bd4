// Parameter sets by hand, so that tests can say what a stream declares without an encoder that happens to declare it.

export class BitWriter {
  #bits = "";

  u(value: number, count: number): this {
    if (count > 0) this.#bits += value.toString(2).padStart(count, "0").slice(-count);
    return this;
  }

  ue(value: number): this {
    const code = (value + 1).toString(2);
    this.#bits += "0".repeat(code.length - 1) + code;
    return this;
  }

  se(value: number): this {
    return this.ue(value > 0 ? 2 * value - 1 : -2 * value);
  }

  /** As they are, the last byte filled up with zeros. */
  bytes(): Buffer {
    const padded = this.#bits.padEnd(Math.ceil(this.#bits.length / 8) * 8, "0");
    return Buffer.from((padded.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
  }

  /** With rbsp_stop_one_bit, and with emulation prevention. */
  nal(): Buffer {
    const bits = `${this.#bits}1`;
    const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0");
    const bytes: number[] = [];
    let zeros = 0;
    for (const octet of padded.match(/.{8}/g)!) {
      const byte = Number.parseInt(octet, 2);
      if (zeros >= 2 && byte <= 3) {
        bytes.push(3);
        zeros = 0;
      }
      bytes.push(byte);
      zeros = byte === 0 ? zeros + 1 : 0;
    }
    return Buffer.from(bytes);
  }
}

export type SpsOptions = {
  profile?: number;
  id?: number;
  widthBlocks?: number;
  heightUnits?: number;
  framesOnly?: boolean;
  chromaFormat?: number;
  bitDepth?: number;
  scalingLists?: boolean;
  orderType?: 0 | 1 | 2;
  crop?: readonly [left: number, right: number, top: number, bottom: number];
  aspect?: readonly [num: number, den: number] | number;
  timing?: readonly [unitsInTick: number, timeScale: number];
  hrd?: boolean;
  reorder?: number;
};

export function h264Sps(options: SpsOptions = {}): Buffer {
  const { profile = 77, id = 0, widthBlocks = 10, heightUnits = 6, framesOnly = true, chromaFormat = 1 } = options;
  const { bitDepth = 8, orderType = 2, crop, aspect, timing, hrd, reorder } = options;
  const out = new BitWriter().u(0x67, 8).u(profile, 8).u(0, 8).u(30, 8).ue(id);
  if (profile >= 100) {
    out.ue(chromaFormat);
    if (chromaFormat === 3) out.u(0, 1);
    out
      .ue(bitDepth - 8)
      .ue(bitDepth - 8)
      .u(0, 1)
      .u(options.scalingLists ? 1 : 0, 1);
    if (options.scalingLists) {
      out.u(1, 1);
      for (let i = 0; i < 16; i += 1) out.se(i === 0 ? 8 : -1); // 16, 15, ... 1
      out.u(1, 1).se(-8); // use the default
      for (let i = 2; i < (chromaFormat === 3 ? 12 : 8); i += 1) out.u(0, 1);
    }
  }
  out.ue(0).ue(orderType);
  if (orderType === 0) out.ue(2);
  if (orderType === 1) out.u(0, 1).se(-1).se(2).ue(2).se(3).se(-3);
  out
    .ue(1)
    .u(0, 1)
    .ue(widthBlocks - 1)
    .ue(heightUnits - 1)
    .u(framesOnly ? 1 : 0, 1);
  if (!framesOnly) out.u(1, 1);
  out.u(1, 1).u(crop ? 1 : 0, 1);
  for (const offset of crop ?? []) out.ue(offset);
  const usability = aspect !== undefined || timing || hrd || reorder !== undefined;
  out.u(usability ? 1 : 0, 1);
  if (!usability) return out.nal();
  out.u(aspect === undefined ? 0 : 1, 1);
  if (typeof aspect === "number") out.u(aspect, 8);
  else if (aspect) out.u(255, 8).u(aspect[0], 16).u(aspect[1], 16);
  out.u(1, 1).u(1, 1).u(1, 1).u(5, 3).u(1, 1).u(1, 1).u(0x010101, 24).u(1, 1).ue(0).ue(0);
  out.u(timing ? 1 : 0, 1);
  if (timing) out.u(timing[0], 32).u(timing[1], 32).u(1, 1);
  for (let i = 0; i < 2; i += 1) {
    out.u(hrd ? 1 : 0, 1);
    if (hrd) out.ue(1).u(0x12, 8).ue(100).ue(100).u(1, 1).ue(200).ue(200).u(1, 1).u(0xabcde, 20);
  }
  if (hrd) out.u(0, 1);
  out.u(1, 1).u(reorder === undefined ? 0 : 1, 1);
  if (reorder !== undefined) out.u(1, 1).ue(0).ue(0).ue(16).ue(16).ue(reorder).ue(4);
  return out.nal();
}

export function h264Pps(id = 0, spsId = 0): Buffer {
  return new BitWriter().u(0x68, 8).ue(id).ue(spsId).u(0, 2).ue(0).ue(0).ue(0).u(0, 3).se(0).se(0).se(0).u(0, 3).nal();
}

export type SliceOptions = {
  idr?: boolean;
  firstBlock?: number;
  /** slice_type: 0 P, 1 B, 2 I. */
  type?: number;
  ppsId?: number;
  frameNum?: number;
  /** Only with a parameter set that allows fields; undefined writes no field flags. */
  field?: "frame" | "top" | "bottom";
  idrId?: number;
  /** Distinguishes payloads. */
  tail?: number;
};

/** A slice as far as its header tells pictures apart; for parameter sets of orderType 2 and 4 bits of frame_num. */
export function h264Slice(options: SliceOptions = {}): Buffer {
  const {
    idr = false,
    firstBlock = 0,
    type = idr ? 2 : 0,
    ppsId = 0,
    frameNum = 0,
    field,
    idrId = 0,
    tail = 0xa5,
  } = options;
  const out = new BitWriter()
    .u(idr ? 0x65 : 0x41, 8)
    .ue(firstBlock)
    .ue(type)
    .ue(ppsId)
    .u(frameNum, 4);
  if (field) out.u(field === "frame" ? 0 : 1, 1);
  if (field === "top" || field === "bottom") out.u(field === "bottom" ? 1 : 0, 1);
  if (idr) out.ue(idrId);
  return out.u(tail, 8).u(0x5a5a5a, 24).nal();
}
