// Just enough of ISO base media to judge CMAF init segments and chunks.

export type Init = {
  kind: "video" | "audio";
  codec: string;
  timescale: number;
  width: number;
  height: number;
  /** From the sequence parameter set; null for audio and HEVC. */
  codedSize: { width: number; height: number } | null;
};

export type Chunk = { startTicks: number; durationTicks: number; firstIsSync: boolean; samples: number };

type Box = { type: string; start: number; end: number };

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

function need(bytes: Buffer, path: string, within?: Box): Box {
  let box = within ?? { type: "file", start: 0, end: bytes.length };
  for (const type of path.split("/")) {
    const next = boxes(bytes, box.start, box.end).find((b) => b.type === type);
    if (!next) throw new Error(`no ${type} box`);
    box = next;
  }
  return box;
}

export function parseInit(bytes: Buffer): Init {
  need(bytes, "ftyp");
  need(bytes, "moov/mvex/trex");
  const mdhd = need(bytes, "moov/trak/mdia/mdhd");
  const timescale = bytes.readUInt32BE(mdhd.start + (bytes[mdhd.start] === 1 ? 20 : 12));
  const stsd = need(bytes, "moov/trak/mdia/minf/stbl/stsd");
  const [entry] = boxes(bytes, stsd.start + 8, stsd.end);
  if (!entry) throw new Error("no sample entry");
  if (entry.type === "avc1" || entry.type === "hvc1") {
    const width = bytes.readUInt16BE(entry.start + 24);
    const height = bytes.readUInt16BE(entry.start + 26);
    const inner = { ...entry, start: entry.start + 78 };
    if (entry.type === "hvc1") {
      need(bytes, "hvcC", inner);
      return { kind: "video", codec: "hvc1", timescale, width, height, codedSize: null };
    }
    const avcC = need(bytes, "avcC", inner);
    const codec = `avc1.${bytes.toString("hex", avcC.start + 1, avcC.start + 4)}`;
    const spsLength = bytes.readUInt16BE(avcC.start + 6);
    const codedSize = spsSize(bytes.subarray(avcC.start + 8, avcC.start + 8 + spsLength));
    return { kind: "video", codec, timescale, width, height, codedSize };
  }
  if (entry.type === "mp4a") {
    const esds = need(bytes, "esds", { ...entry, start: entry.start + 28 });
    return {
      kind: "audio",
      codec: `mp4a.40.${audioObjectType(bytes.subarray(esds.start + 4, esds.end))}`,
      timescale,
      width: 0,
      height: 0,
      codedSize: null,
    };
  }
  throw new Error(`sample entry ${entry.type}`);
}

/** ES_Descriptor -> DecoderConfigDescriptor -> DecoderSpecificInfo (ISO/IEC 14496-1, 7.2.6). */
function audioObjectType(esds: Buffer): number {
  const at = esds.indexOf(Buffer.from([0x05])); // the only 5 that starts a descriptor here follows tag 4
  for (let i = Math.max(0, at); i < esds.length - 2; i += 1) {
    if (esds[i] !== 0x05) continue;
    let j = i + 1;
    while (esds[j]! & 0x80) j += 1;
    const type = esds[j + 1]! >> 3;
    if (type >= 1 && type <= 42) return type;
  }
  throw new Error("no decoder specific info");
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

/** Picture size of an H.264 SPS, cropping applied (ITU-T H.264, 7.3.2.1.1). */
function spsSize(sps: Buffer): { width: number; height: number } {
  const plain = Buffer.from(sps.toString("latin1").replaceAll("\x00\x00\x03", "\x00\x00"), "latin1");
  let bit = 8;
  const u = (count: number) => {
    let value = 0;
    for (let i = 0; i < count; i += 1, bit += 1) value = value * 2 + ((plain[bit >> 3]! >> (7 - (bit & 7))) & 1);
    return value;
  };
  const ue = () => {
    let zeros = 0;
    while (u(1) === 0 && zeros < 32) zeros += 1;
    return 2 ** zeros - 1 + u(zeros);
  };
  const se = () => {
    const k = ue();
    return k % 2 ? (k + 1) / 2 : -k / 2;
  };
  const skipScalingList = (size: number) => {
    if (u(1) === 0) return;
    for (let i = 0, last = 8, next = 8; i < size; i += 1, last = next || last)
      if (next) next = (last + se() + 256) % 256;
  };
  const profile = u(8);
  u(16);
  ue();
  let chroma = 1;
  if ([100, 110, 122, 244, 44, 83, 86, 118, 128].includes(profile)) {
    chroma = ue();
    if (chroma === 3) u(1);
    ue();
    ue();
    u(1);
    const lists = u(1) === 1 ? (chroma === 3 ? 12 : 8) : 0;
    for (let list = 0; list < lists; list += 1) skipScalingList(list < 6 ? 16 : 64);
  }
  ue();
  const orderType = ue();
  if (orderType === 0) ue();
  else if (orderType === 1) {
    u(1);
    se();
    se();
    for (let count = ue(); count > 0; count -= 1) se();
  }
  ue();
  u(1);
  const width = (ue() + 1) * 16;
  const mapUnits = ue() + 1;
  const frameOnly = u(1);
  if (!frameOnly) u(1);
  u(1);
  const height = mapUnits * 16 * (2 - frameOnly);
  const crop = u(1) ? [ue(), ue(), ue(), ue()] : [0, 0, 0, 0];
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (2 - frameOnly);
  return { width: width - (crop[0]! + crop[1]!) * unitX, height: height - (crop[2]! + crop[3]!) * unitY };
}
