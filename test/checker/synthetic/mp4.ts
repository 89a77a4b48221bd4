// Real boxes around samples that nothing decodes: what the checker looks at, and no more.

const box = (type: string, ...parts: Buffer[]): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + parts.reduce((sum, part) => sum + part.length, 0), 0);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, ...parts]);
};
const full = (type: string, version: number, flags: number, ...parts: Buffer[]) =>
  box(type, u32((version << 24) | flags), ...parts);
const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, i * 4);
  return bytes;
};
const u64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const zeros = (count: number) => Buffer.alloc(count);

/** A 320x180 baseline stream of x264: its avcC record, made with Debian's ffmpeg. */
const AVCC = Buffer.from("0142c00cffe100196742c00cd901419f9f011000000300100000030280f142a48001000568cb83cb20", "hex");
export const VIDEO = { codec: "avc1.42c00c", width: 320, height: 180, timescale: 20, rate: 20 };
export const AUDIO = { codec: "mp4a.40.2", timescale: 48_000 };

export function syntheticInit(kind: "video" | "audio", size: { width: number; height: number } = VIDEO): Buffer {
  const timescale = kind === "video" ? VIDEO.timescale : AUDIO.timescale;
  const dims = Buffer.alloc(4);
  dims.writeUInt16BE(size.width, 0);
  dims.writeUInt16BE(size.height, 2);
  const avc1 = box("avc1", zeros(24), dims, zeros(50), box("avcC", AVCC));
  const esds = full(
    "esds",
    0,
    0,
    Buffer.from("0319000200041140150000000001f4000001f400050211900601 02".replaceAll(" ", ""), "hex"),
  );
  const mp4a = box("mp4a", zeros(28), esds);
  const stsd = full("stsd", 0, 0, u32(1), kind === "video" ? avc1 : mp4a);
  const mdia = box("mdia", full("mdhd", 0, 0, u32(0, 0, timescale, 0, 0)), box("minf", box("stbl", stsd)));
  const matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);
  const tkhd = full("tkhd", 0, 7, u32(0, 0, 1, 0, 0, 0, 0, 0, 0), matrix, u32(size.width << 16, size.height << 16));
  const trex = full("trex", 0, 0, u32(1, 1, 0, 0, 0));
  return Buffer.concat([
    box("ftyp", Buffer.from("iso6\0\0\0\0cmfc", "latin1")),
    box("moov", box("trak", tkhd, mdia), box("mvex", trex)),
  ]);
}

export type SyntheticChunk = {
  startTicks: number;
  durations: number[];
  sync: boolean;
  sampleBytes: number;
  baseIsMoof?: boolean;
};

export function syntheticChunk(chunk: SyntheticChunk): Buffer {
  const tfhd = full("tfhd", 0, chunk.baseIsMoof === false ? 0 : 0x020000, u32(1));
  const tfdt = full("tfdt", 1, 0, u64(chunk.startTicks));
  const samples = chunk.durations.map((duration, i) =>
    u32(duration, chunk.sampleBytes, i === 0 && chunk.sync ? 0x02000000 : 0x01010000),
  );
  const trun = full("trun", 0, 0x000701, u32(chunk.durations.length, 0), ...samples);
  const payload = Buffer.alloc(chunk.sampleBytes * chunk.durations.length, chunk.startTicks & 0xff);
  return Buffer.concat([box("moof", full("mfhd", 0, 0, u32(1)), box("traf", tfhd, tfdt, trun)), box("mdat", payload)]);
}
