// Just enough of ISO base media to judge CMAF init segments and chunks.
import { boxes, need } from "./boxes.ts";
import { type Entry, readEntry } from "./sample-entries.ts";

export type Init = Entry & {
  kind: "video" | "audio";
  timescale: number;
  /** The matrix of tkhd lays the picture on its side. */
  onItsSide: boolean;
};

export type Chunk = { startTicks: number; durationTicks: number; firstIsSync: boolean; samples: number };

export function parseInit(bytes: Buffer): Init {
  need(bytes, "ftyp");
  need(bytes, "moov/mvex/trex");
  const mdhd = need(bytes, "moov/trak/mdia/mdhd");
  const timescale = bytes.readUInt32BE(mdhd.start + (bytes[mdhd.start] === 1 ? 20 : 12));
  const stsd = need(bytes, "moov/trak/mdia/minf/stbl/stsd");
  const [entry] = boxes(bytes, stsd.start + 8, stsd.end);
  if (!entry) throw new Error("no sample entry");
  const tkhd = need(bytes, "moov/trak/tkhd");
  const matrix = tkhd.start + (bytes[tkhd.start] === 1 ? 52 : 40);
  const onItsSide = bytes.readInt32BE(matrix) === 0 && bytes.readInt32BE(matrix + 4) !== 0;
  const read = readEntry(bytes, entry);
  return { ...read, kind: read.width > 0 ? "video" : "audio", timescale, onItsSide };
}

/** Every moof + mdat pair of a part or a segment, as one stretch. */
export function parseChunks(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (const box of boxes(bytes)) {
    if (box.type !== "moof") continue;
    const trafs = boxes(bytes, box.start, box.end).filter((b) => b.type === "traf");
    if (trafs.length !== 1) throw new Error(`${trafs.length} track fragments in one chunk`);
    const traf = trafs[0]!;
    const tfhd = need(bytes, "tfhd", traf);
    const flags = bytes.readUIntBE(tfhd.start + 1, 3);
    if (!(flags & 0x020000)) throw new Error("tfhd without default-base-is-moof");
    let at = tfhd.start + 8;
    if (flags & 0x01) at += 8;
    if (flags & 0x02) at += 4;
    const defaultDuration = flags & 0x08 ? bytes.readUInt32BE(at) : 0;
    if (flags & 0x08) at += 4;
    if (flags & 0x10) at += 4;
    const defaultFlags = flags & 0x20 ? bytes.readUInt32BE(at) : 0;
    const tfdt = need(bytes, "tfdt", traf);
    const startTicks =
      bytes[tfdt.start] === 1 ? Number(bytes.readBigUInt64BE(tfdt.start + 4)) : bytes.readUInt32BE(tfdt.start + 4);
    let durationTicks = 0;
    let samples = 0;
    let firstFlags = defaultFlags;
    for (const trun of boxes(bytes, traf.start, traf.end).filter((b) => b.type === "trun")) {
      const trunFlags = bytes.readUIntBE(trun.start + 1, 3);
      const count = bytes.readUInt32BE(trun.start + 4);
      let p = trun.start + 8;
      if (trunFlags & 0x01) p += 4;
      if (trunFlags & 0x04) {
        if (samples === 0) firstFlags = bytes.readUInt32BE(p);
        p += 4;
      }
      for (let i = 0; i < count; i += 1) {
        durationTicks += trunFlags & 0x100 ? bytes.readUInt32BE(p) : defaultDuration;
        if (trunFlags & 0x100) p += 4;
        if (trunFlags & 0x200) p += 4;
        if (trunFlags & 0x400) {
          if (samples === 0 && i === 0 && !(trunFlags & 0x04)) firstFlags = bytes.readUInt32BE(p);
          p += 4;
        }
        if (trunFlags & 0x800) p += 4;
      }
      samples += count;
    }
    if (samples === 0) throw new Error("a chunk without samples");
    chunks.push({ startTicks, durationTicks, firstIsSync: (firstFlags & 0x010000) === 0, samples });
  }
  return chunks;
}
