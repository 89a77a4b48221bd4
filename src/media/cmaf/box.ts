// ISO base media boxes as nested lists of byte pieces, joined once at the end: sizes are known before the one allocation.

/** Anything that knows its bytes: a piece, or a box around others. */
export type Piece = Uint8Array | Box;
export type Box = Readonly<{ type: string; bytes: number; pieces: readonly Piece[] }>;

/** A box. Source: ISO/IEC 14496-12, 4.2 */
export function box(type: string, ...pieces: readonly Piece[]): Box {
  return { type, pieces, bytes: pieces.reduce((sum, piece) => sum + sizeOf(piece), 8) };
}

/** A box with version and flags. Source: ISO/IEC 14496-12, 4.2 */
export function fullBox(type: string, version: number, flags: number, ...pieces: readonly Piece[]): Box {
  return box(type, u32(version * 0x100_0000 + flags), ...pieces);
}

/** One buffer with the boxes in order. */
export function joinBoxes(...boxes: readonly Box[]): Buffer {
  const out = Buffer.allocUnsafeSlow(boxes.reduce((sum, item) => sum + item.bytes, 0));
  let at = 0;
  for (const item of boxes) at = put(out, at, item);
  return out;
}

function sizeOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.byteLength : piece.bytes;
}

function put(out: Buffer, at: number, piece: Piece): number {
  if (piece instanceof Uint8Array) {
    out.set(piece, at);
    return at + piece.byteLength;
  }
  out.writeUInt32BE(piece.bytes, at);
  out.write(piece.type, at + 4, "latin1");
  return piece.pieces.reduce<number>((next, inner) => put(out, next, inner), at + 8);
}

/** Unsigned bytes; values above 255 are the caller's mistake and are cut. */
export function u8(...values: readonly number[]): Buffer {
  return Buffer.from(values);
}

export function u16(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) out.writeUInt16BE(value, i * 2);
  return out;
}

export function u32(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) out.writeUInt32BE(value, i * 4);
  return out;
}

export function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

/** Four-character codes, one after another. */
export function text(value: string): Buffer {
  return Buffer.from(value, "latin1");
}
