// What the names that playlists give to media stand for now. Media is named by its era and its start, a part by its number
// behind that; names are never used for other bytes, so each is its own ETag.
import type { Session } from "./session.ts";
import type { Track } from "./track.ts";

/** Bytes to be served, with their media type and a name that is unique for them. */
export type NamedMedia = Readonly<{ bytes: Buffer; type: string; name: string }>;

export function initNamed(session: Session, track: Track, era: number): NamedMedia | null {
  const init = track.inits.get(era);
  return init ? named(session, track, `init-${era}`, init.bytes) : null;
}

/** Never a segment that is still growing, or lost. @param key "ERA-START" */
export function segmentNamed(session: Session, track: Track, key: string): NamedMedia | null {
  const [era, startTicks] = key.split("-").map(Number) as [number, number];
  const bytes = track.find(era, startTicks)?.bytes;
  return bytes ? named(session, track, key, bytes) : null;
}

/** @param key "ERA-START.NUMBER"
 *  @returns "hinted" when it is the one that comes next; null when it is not there and will not be */
export function partNamed(session: Session, track: Track, key: string): NamedMedia | "hinted" | null {
  const [era, startTicks, number] = key.split(/[-.]/).map(Number) as [number, number, number];
  const { growing } = track;
  const isGrowing = growing?.segment.era === era && growing.startTicks === startTicks;
  const parts = isGrowing ? growing.parts : (track.find(era, startTicks)?.parts ?? []);
  const bytes = parts[number]?.bytes;
  if (bytes) return named(session, track, key, bytes);
  const next = track.nextPart();
  const isNext = next?.era === era && next.segmentStartTicks === startTicks && next.number === number;
  return isNext && session.outcome === null ? "hinted" : null;
}

function named(session: Session, track: Track, key: string, bytes: Buffer): NamedMedia {
  return { bytes, type: `${track.kind}/mp4`, name: `${session.id}-${track.name}-${key}` };
}
