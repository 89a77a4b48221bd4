// Media as the origin holds it, and its form in the journal. A record's media bytes are the segment itself, in the same
// memory that is served: written once, copied once.
import { PlatformError } from "#base/errors.ts";
import { nsToTicks, ticksToNs } from "#media/time/rate.ts";

export type HeldPart = Readonly<{
  startTicks: number;
  durationTicks: number;
  /** A decoder can begin in it. */
  independent: boolean;
  /** Null when it was lost. */
  bytes: Buffer | null;
}>;

/** A segment that is whole, or known never to be. */
export type HeldSegment = Readonly<{
  ordinal: number;
  msn: number;
  era: number;
  startTicks: number;
  durationTicks: number;
  timescale: number;
  /** First sample, TAI ns. */
  startNs: bigint;
  /** Where all renditions of this ordinal end: the video boundary, TAI ns. */
  boundaryNs: bigint;
  discontinuity: boolean;
  /** Over the channel's sessions, its own not counted. */
  discontinuitiesBefore: number;
  targetDurationSeconds: number;
  partTargetMs: number;
  /** Log position of the newest decision that was known when it was sealed. */
  logPosition: number;
  /** Nothing of it may be fetched as a segment; parts that came before the loss still can. */
  gap: boolean;
  parts: readonly HeldPart[];
  bytes: Buffer | null;
}>;

export type SegmentHead = Omit<HeldSegment, "parts" | "bytes">;

/** The first of `left` segments behind another of which nothing is known but that they were.
 *  @param untilNs where they end together; null: nothing follows */
export function gapAfter(last: HeldSegment, untilNs: bigint | null, left: number): SegmentHead {
  const { timescale } = last;
  const startTicks = last.startTicks + last.durationTicks;
  const spanTicks = untilNs === null ? 0 : Math.floor((nsToTicks(untilNs, timescale) - startTicks) / left);
  const durationTicks = untilNs === null ? last.targetDurationSeconds * timescale : Math.max(1, spanTicks);
  return {
    ...last,
    ordinal: last.ordinal + 1,
    msn: last.msn + 1,
    startTicks,
    durationTicks,
    startNs: ticksToNs(startTicks, timescale),
    boundaryNs: untilNs === null ? last.boundaryNs : ticksToNs(startTicks + durationTicks, timescale),
    discontinuity: false,
    discontinuitiesBefore: last.discontinuitiesBefore + (last.discontinuity ? 1 : 0),
    gap: true,
  };
}

type SizedPart = Omit<HeldPart, "bytes"> & Readonly<{ length: number }>;

/** Put a segment together. @returns the segment, and its journal record, which shares its memory */
export function sealSegment(name: string, head: SegmentHead, parts: readonly HeldPart[]) {
  const kept = head.gap ? [] : parts; // a gap's early parts are not worth a place on disk
  const sized = kept.map(({ bytes, ...part }): SizedPart => ({ ...part, length: bytes!.byteLength }));
  const header = { kind: "segment", name, ...head, startNs: String(head.startNs), parts: sized };
  const record = encodeRecord(
    { ...header, boundaryNs: String(head.boundaryNs) },
    kept.map((part) => part.bytes!),
  );
  const mediaAt = 4 + record.readUInt32BE();
  const segment: HeldSegment = head.gap ? { ...head, parts, bytes: null } : view(head, sized, record, mediaAt);
  return { segment, record };
}

/** The segment whose media lies in `record` from `at` on. */
function view(head: SegmentHead, sized: readonly SizedPart[], record: Buffer, at: number): HeldSegment {
  let from = at;
  const parts = sized.map(({ length, ...part }) => {
    const bytes = record.subarray(from, from + length);
    from += length;
    return { ...part, bytes };
  });
  return { ...head, parts, bytes: record.subarray(at) };
}

/** What a journal of media holds. */
export type MediaRecord =
  | Readonly<{ kind: "segment"; name: string; segment: HeldSegment }>
  | Readonly<{ kind: "init"; name: string; era: number; bytes: Buffer }>
  | Readonly<{ kind: "note"; note: unknown }>;

/** A record of JSON, with bytes behind it, in one allocation. */
export function encodeRecord(header: object, pieces: readonly Uint8Array[] = []): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const mediaBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const record = Buffer.allocUnsafeSlow(4 + text.byteLength + mediaBytes);
  record.writeUInt32BE(text.byteLength);
  text.copy(record, 4);
  let at = 4 + text.byteLength;
  for (const piece of pieces) {
    record.set(piece, at);
    at += piece.byteLength;
  }
  return record;
}

/** @throws PlatformError journal.failed when it is none of ours: the journal's own sums were right, so another build's */
export function decodeRecord(bytes: Uint8Array): MediaRecord {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const at = 4 + record.readUInt32BE(0);
    const header = JSON.parse(record.toString("utf8", 4, at));
    if (header.kind === "init") return { kind: "init", name: header.name, era: header.era, bytes: record.subarray(at) };
    if (header.kind !== "segment") return { kind: "note", note: header };
    const { kind: _, name, parts, ...rest } = header;
    const head: SegmentHead = { ...rest, startNs: BigInt(rest.startNs), boundaryNs: BigInt(rest.boundaryNs) };
    const segment: HeldSegment = head.gap ? { ...head, parts: [], bytes: null } : view(head, parts, record, at);
    return { kind: "segment", name, segment };
  } catch (cause) {
    throw new PlatformError("journal.failed", "A record of the media journal cannot be read by this build.", { cause });
  }
}
