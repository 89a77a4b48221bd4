// What one chunk says about its samples, without touching them.
import { PlatformError } from "#base/errors.ts";
import { type BoxView, boxesIn, need, only, safeU64, versionAndFlags } from "./read-box.ts";
import type { CmafInit, SampleDefaults } from "./read-init.ts";

export type ChunkFacts = Readonly<{
  /** Decode time of the first sample, ticks since the epoch. */
  baseDecodeTicks: number;
  durationTicks: number;
  sampleCount: number;
  /** Decoding can start with the first sample. */
  firstSync: boolean;
}>;

/** More in one chunk is no chunk: 10 s of the shortest Opus frames, 2.5 ms. */
const SAMPLES_MAX = 4000;

const NON_SYNC_FLAG = 0x1_0000;

/** @param bytes what holds the moof @param dataBytes content of the mdat that follows
 *  @throws PlatformError media.truncated, media.malformed, media.unsupported
 *  Source: ISO/IEC 14496-12, 8.8; ISO/IEC 23000-19, 7.3.2.3 */
export function parseMoof(bytes: Buffer, moof: BoxView, dataBytes: number, init: CmafInit): ChunkFacts {
  const traf = only(bytes, moof.body, moof.end, "traf");
  const boxes = boxesIn(bytes, traf.body, traf.end);
  const tfhd = one(boxes, "tfhd");
  const tfdt = one(boxes, "tfdt");
  const defaults = readTfhd(bytes, tfhd, init);
  const runs = boxes.filter((view) => view.type === "trun").map((view) => readTrun(bytes, view, defaults));

  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0);
  const sampleCount = sum((run) => run.sampleCount);
  const sampleBytes = sum((run) => run.bytes);
  if (sampleCount === 0) throw new PlatformError("media.malformed", "a chunk without samples");
  if (sampleBytes !== dataBytes)
    throw new PlatformError("media.malformed", `samples of ${sampleBytes} bytes in an mdat of ${dataBytes}`);
  const durationTicks = sum((run) => run.durationTicks);
  const baseDecodeTicks = readTfdt(bytes, tfdt);
  if (durationTicks === 0 || !Number.isSafeInteger(baseDecodeTicks + durationTicks))
    throw new PlatformError("media.malformed", `a chunk of ${durationTicks} ticks at ${baseDecodeTicks}`);
  return { baseDecodeTicks, durationTicks, sampleCount, firstSync: runs.find((run) => run.sampleCount > 0)!.firstSync };
}

function one(boxes: readonly BoxView[], type: string): BoxView {
  const found = boxes.filter((view) => view.type === type);
  if (found.length !== 1) throw new PlatformError("media.malformed", `${found.length} boxes ${type} where one belongs`);
  return found[0]!;
}

function readTfhd(bytes: Buffer, view: BoxView, init: CmafInit): SampleDefaults {
  const { flags } = versionAndFlags(bytes, view);
  const optional = [0x1, 0x2, 0x8, 0x10, 0x20].filter((bit) => flags & bit);
  need(view, 8 + optional.reduce((sum, bit) => sum + (bit === 0x1 ? 8 : 4), 0));
  const trackId = bytes.readUInt32BE(view.body + 4);
  if (trackId !== init.trackId)
    throw new PlatformError("media.malformed", `a chunk of track ${trackId}, the init segment is of ${init.trackId}`);
  if (flags & 0x1) throw new PlatformError("media.unsupported", "data addressed by file offset (base-data-offset)");
  let at = view.body + 8;
  const next = (bit: number, otherwise: number) => {
    if (!(flags & bit)) return otherwise;
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  next(0x2, 0); // sample description index: there is one
  const durationTicks = next(0x8, init.defaults.durationTicks);
  const size = next(0x10, init.defaults.bytes);
  return { durationTicks, bytes: size, flags: next(0x20, init.defaults.flags) };
}

function readTfdt(bytes: Buffer, view: BoxView): number {
  const { version } = versionAndFlags(bytes, view);
  need(view, version === 1 ? 12 : 8);
  return version === 1 ? safeU64(bytes, view.body + 4, "tfdt") : bytes.readUInt32BE(view.body + 4);
}

type Run = { sampleCount: number; durationTicks: number; bytes: number; firstSync: boolean };

function readTrun(bytes: Buffer, view: BoxView, defaults: SampleDefaults): Run {
  const { flags } = versionAndFlags(bytes, view);
  need(view, 8);
  const sampleCount = bytes.readUInt32BE(view.body + 4);
  if (sampleCount > SAMPLES_MAX)
    throw new PlatformError("media.malformed", `${sampleCount} samples in a chunk; ${SAMPLES_MAX} are the most taken`);
  const rowBytes = 4 * [0x100, 0x200, 0x400, 0x800].filter((bit) => flags & bit).length;
  let at = view.body + 8 + (flags & 0x1 ? 4 : 0);
  const firstFlagsAt = flags & 0x4 ? at : null;
  if (firstFlagsAt !== null) at += 4;
  need(view, at - view.body + rowBytes * sampleCount);

  let firstFlags = firstFlagsAt === null ? null : bytes.readUInt32BE(firstFlagsAt);
  let durationTicks = flags & 0x100 ? 0 : defaults.durationTicks * sampleCount;
  let size = flags & 0x200 ? 0 : defaults.bytes * sampleCount;
  for (let i = 0; i < sampleCount; i += 1) {
    if (flags & 0x100) durationTicks += bytes.readUInt32BE((at += 4) - 4);
    if (flags & 0x200) size += bytes.readUInt32BE((at += 4) - 4);
    if (flags & 0x400) {
      if (i === 0) firstFlags ??= bytes.readUInt32BE(at);
      at += 4;
    }
    if (flags & 0x800) at += 4;
  }
  return { sampleCount, durationTicks, bytes: size, firstSync: ((firstFlags ?? defaults.flags) & NON_SYNC_FLAG) === 0 };
}
