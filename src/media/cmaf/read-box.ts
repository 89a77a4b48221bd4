// Boxes inside a buffer that is wholly there. Lengths come from a stranger: each is checked against what encloses it.
import { PlatformError } from "#base/errors.ts";

/** A box of `bytes`: its content is [body, end). */
export type BoxView = Readonly<{ type: string; start: number; body: number; end: number }>;

/** The box at `at`. @param limit end of what encloses it @throws PlatformError media.truncated, media.malformed */
export function boxAt(bytes: Buffer, at: number, limit: number): BoxView {
  if (at + 8 > limit)
    throw new PlatformError("media.truncated", `box head at ${at}, but only ${limit - at} bytes left`);
  const type = bytes.toString("latin1", at + 4, at + 8);
  const size32 = bytes.readUInt32BE(at);
  let body = at + 8;
  let size = size32;
  if (size32 === 1) {
    if (at + 16 > limit) throw new PlatformError("media.truncated", `64-bit size of box ${shown(type)} is cut off`);
    size = Number(bytes.readBigUInt64BE(at + 8));
    body = at + 16;
  }
  if (size < body - at) throw new PlatformError("media.malformed", `box ${shown(type)} of ${size} bytes`);
  if (at + size > limit)
    throw new PlatformError("media.truncated", `box ${shown(type)} of ${size} bytes in ${limit - at}`);
  return { type, start: at, body, end: at + size };
}

/** Boxes in [from, to), in order. @throws PlatformError media.truncated, media.malformed */
export function boxesIn(bytes: Buffer, from: number, to: number): BoxView[] {
  const boxes: BoxView[] = [];
  for (let at = from; at < to; ) {
    const view = boxAt(bytes, at, to);
    boxes.push(view);
    at = view.end;
  }
  return boxes;
}

/** The only box of that type in [from, to). @throws PlatformError media.malformed when there is none or more than one */
export function only(bytes: Buffer, from: number, to: number, type: string): BoxView {
  const found = boxesIn(bytes, from, to).filter((view) => view.type === type);
  if (found.length !== 1) throw new PlatformError("media.malformed", `${found.length} boxes ${type} where one belongs`);
  return found[0]!;
}

/** Down a path of boxes that each occur once. */
export function descend(bytes: Buffer, from: BoxView, ...path: readonly string[]): BoxView {
  return path.reduce((view, type) => only(bytes, view.body, view.end, type), from);
}

/** At least that many bytes of content. @throws PlatformError media.truncated */
export function need(view: BoxView, count: number): void {
  if (view.end - view.body < count)
    throw new PlatformError("media.truncated", `box ${shown(view.type)} has ${view.end - view.body} of ${count} bytes`);
}

/** A box type fit for a message, whatever its bytes are. */
export function shown(type: string): string {
  return JSON.stringify(type);
}

/** Version and flags of a full box. */
export function versionAndFlags(bytes: Buffer, view: BoxView): { version: number; flags: number } {
  need(view, 4);
  return { version: bytes[view.body]!, flags: bytes.readUIntBE(view.body + 1, 3) };
}

/** An unsigned 64-bit number that a JavaScript number holds exactly. @throws PlatformError media.malformed */
export function safeU64(bytes: Buffer, at: number, what: string): number {
  const value = bytes.readBigUInt64BE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PlatformError("media.malformed", `${what} is ${value}`);
  return Number(value);
}
