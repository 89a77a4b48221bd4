// ISO base media boxes (ISO/IEC 14496-12, 4.2).

export type Box = { type: string; start: number; end: number };

export function boxes(bytes: Buffer, start = 0, end = bytes.length): Box[] {
  const found: Box[] = [];
  for (let at = start; at < end; ) {
    if (at + 8 > end) throw new Error(`a box header is cut off at ${at}`);
    let size = bytes.readUInt32BE(at);
    let head = 8;
    if (size === 1) {
      size = Number(bytes.readBigUInt64BE(at + 8));
      head = 16;
    }
    if (size < head || at + size > end) throw new Error(`box of ${size} bytes at ${at} does not fit`);
    found.push({ type: bytes.toString("latin1", at + 4, at + 8), start: at + head, end: at + size });
    at += size;
  }
  return found;
}

export function need(bytes: Buffer, path: string, within?: Box): Box {
  let box = within ?? { type: "file", start: 0, end: bytes.length };
  for (const type of path.split("/")) {
    const next = boxes(bytes, box.start, box.end).find((b) => b.type === type);
    if (!next) throw new Error(`no ${type} box`);
    box = next;
  }
  return box;
}
