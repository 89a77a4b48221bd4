// A sink that remembers what it was given, and what stands in the boxes of it.
import { assert } from "#base/assert.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { boxesIn, descend, only } from "#media/cmaf/read-box.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { CmafSink, LogSource } from "#media/session-log/maker-ports.ts";
import type { MadePart } from "../part-maker.ts";
import { packageSession } from "../session.ts";

export type Recorded = Readonly<{ name: string; era: number; init: Buffer; parts: MadePart[] }>;

export function recordingSink(from: EraFrame | null): CmafSink & { tracks: Recorded[] } {
  const tracks: Recorded[] = [];
  return {
    tracks,
    nextFrame: async () => from,
    track(name, _kind, era, init) {
      const parts: MadePart[] = [];
      tracks.push({ name, era, init: Buffer.from(init), parts });
      return { push: (part) => void parts.push(part), end: () => {} };
    },
    drained: async () => {},
    close: () => {},
  };
}

/** Everything a packager makes of a log, by rendition and era. */
export async function packaged(
  entries: readonly Positioned<Entry>[],
  from: EraFrame | null = null,
): Promise<Map<string, Recorded>> {
  const sink = recordingSink(from);
  const source: LogSource = {
    async *entries() {
      yield* entries;
    },
  };
  const deps = { clock: systemClock(), log: silentLog, source, sinks: [sink], session: "s1", onProgress: () => {} };
  await packageSession(deps, new AbortController().signal);
  return new Map(sink.tracks.map((track) => [`${track.name} ${track.era}`, track]));
}

export type ReadSample = Readonly<{ decode: number; duration: number; offset: number; bytes: Buffer; sync: boolean }>;

/** The samples of a chunk, read by other means than they are written. Source: ISO/IEC 14496-12, 8.8 */
export function samplesOf(part: Uint8Array): ReadSample[] {
  const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  const moof = only(bytes, 0, bytes.length, "moof");
  const traf = descend(bytes, moof, "traf");
  const [tfhd, tfdt, trun] = ["tfhd", "tfdt", "trun"].map((type) => descend(bytes, traf, type).body) as [
    number,
    number,
    number,
  ];
  const headFlags = bytes.readUInt32BE(tfhd) & 0xffffff;
  let at = tfhd + 8;
  const defaultDuration = headFlags & 0x8 ? bytes.readUInt32BE(at) : 0;
  if (headFlags & 0x8) at += 4;
  const defaultFlags = headFlags & 0x20 ? bytes.readUInt32BE(at) : 0;
  const flags = bytes.readUInt32BE(trun) & 0xffffff;
  const count = bytes.readUInt32BE(trun + 4);
  at = trun + 8;
  let dataAt = moof.body - 8 + bytes.readInt32BE(at);
  at += 4;
  const firstFlags = flags & 0x4 ? bytes.readUInt32BE(at) : null;
  if (flags & 0x4) at += 4;
  let decode = Number(bytes.readBigUInt64BE(tfdt + 4));
  const samples: ReadSample[] = [];
  for (let i = 0; i < count; i += 1) {
    const duration = flags & 0x100 ? bytes.readUInt32BE(at) : defaultDuration;
    if (flags & 0x100) at += 4;
    const size = bytes.readUInt32BE(at);
    at += 4;
    const own = flags & 0x400 ? bytes.readUInt32BE(at) : i === 0 && firstFlags !== null ? firstFlags : defaultFlags;
    if (flags & 0x400) at += 4;
    const offset = flags & 0x800 ? bytes.readInt32BE(at) : 0;
    if (flags & 0x800) at += 4;
    samples.push({ decode, duration, offset, bytes: bytes.subarray(dataAt, dataAt + size), sync: !(own & 0x1_0000) });
    decode += duration;
    dataAt += size;
  }
  const ends = boxesIn(bytes, 0, bytes.length).at(-1)!;
  assert.ok(ends.type === "mdat" && ends.end === dataAt, "the samples fill the chunk");
  return samples;
}
