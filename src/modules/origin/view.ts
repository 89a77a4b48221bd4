// Playlists as views of the sessions: nothing here is kept, all of it can be made again from what the tracks hold.
import type { MediaPlaylist, PlaylistSegment, RenditionReport } from "#media/hls/media-playlist.ts";
import { timescaleOf } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { ticksToNs } from "#media/time/rate.ts";
import type { HeldSegment } from "./held.ts";
import { renditionOf } from "./planned-parts.ts";
import type { Session } from "./session.ts";
import type { Track } from "./track.ts";

/** How far a playlist has come. */
export type LiveEdge = Readonly<{
  /** Newest whole segment; null when there is none. */
  lastMsn: number | null;
  lastParts: number;
  lastIsGap: boolean;
  /** Segment whose parts are listed, or would be. */
  nextMsn: number;
  nextParts: number;
}>;

type Link = Readonly<{ session: Session; track: Track }>;

/** One rendition's tracks, session by session, whose numbers join up; the last one is what is live, or was. */
export type Chain = Readonly<{
  links: readonly Link[];
  session: Session;
  track: Track;
  /** The newest era of the session. */
  era: EraOpened;
  targetDurationSeconds: number;
  ended: boolean;
}>;

export function chainOf(sessions: readonly Session[], name: string): Chain | null {
  const at = sessions.findLastIndex((session) => session.tracks.get(name)?.hasMedia);
  const session = sessions[at];
  if (!session) return null;
  const track = session.tracks.get(name)!;
  const links: Link[] = [{ session, track }];
  let first = firstMsn(track);
  for (let i = at - 1; i >= 0; i -= 1) {
    const earlier = sessions[i]!.tracks.get(name);
    if (sessions[i]!.outcome === null || earlier?.listed.at(-1)?.msn !== first - 1) break;
    links.unshift({ session: sessions[i]!, track: earlier });
    first = firstMsn(earlier);
  }
  const era = session.era!; // it has media, so it has an era
  const targets = links.flatMap((link) => link.track.listed.map((segment) => segment.targetDurationSeconds));
  const targetDurationSeconds = Math.max(era.targetDurationSeconds, ...targets);
  return { links, session, track, era, targetDurationSeconds, ended: session.outcome !== null || track.finished };
}

function firstMsn(track: Track): number {
  return track.listed[0]?.msn ?? track.growing!.segment.msn;
}

export function liveEdgeOf({ links, track }: Chain): LiveEdge {
  const last = track.listed.at(-1) ?? links.at(-2)?.track.listed.at(-1);
  const growing = track.growing;
  return {
    lastMsn: last?.msn ?? null,
    lastParts: last?.parts.length ?? 0,
    lastIsGap: last?.gap ?? false,
    nextMsn: growing?.segment.msn ?? (last ? last.msn + 1 : 0),
    nextParts: growing?.parts.length ?? 0,
  };
}

export function playlistOf(chain: Chain): MediaPlaylist {
  const { links, session, track, ended } = chain;
  const first = links.find((link) => link.track.listed.length > 0)?.track.listed[0];
  const growing = ended ? null : growingOf(session, track);
  const newest = links.findLast((link) => link.track.listed.length > 0)?.track.listed.at(-1);
  return {
    targetDurationSeconds: chain.targetDurationSeconds,
    partTargetMs: growing?.partTargetMs ?? newest!.partTargetMs,
    mediaSequence: first?.msn ?? track.growing!.segment.msn,
    discontinuitySequence:
      first?.discontinuitiesBefore ?? session.timeline.discontinuitiesBefore(track.growing!.segment),
    segments: links.flatMap((link) => link.track.listed.map((segment) => segmentOf(link, segment))),
    growing,
    preloadHint: ended ? null : hintOf(session, track),
    renditionReports: ended ? [] : reportsOf(session, track.name),
    ended,
  };
}

/** Listed segments never change, and are listed again with each part. */
const entries = new WeakMap<HeldSegment, PlaylistSegment>();

function segmentOf({ session, track }: Link, segment: HeldSegment): PlaylistSegment {
  const known = entries.get(segment);
  if (known) return known;
  const stem = stemOf(session, track, segment.era, segment.startTicks);
  const { durationTicks, timescale, startNs, gap, discontinuity, partTargetMs } = segment;
  const parts = segment.parts.map((part, i) => partOf(stem, i, part));
  const map = mapOf(session, track, segment.era);
  const uri = `${stem}.m4s`;
  const entry = { uri, durationTicks, timescale, startNs, gap, discontinuity, map, partTargetMs, parts };
  entries.set(segment, entry);
  return entry;
}

function growingOf(session: Session, track: Track): PlaylistSegment | null {
  if (!track.growing) return null;
  const { segment, startTicks, parts } = track.growing;
  const era = session.timeline.eraOf(segment.era);
  const timescale = timescaleOf(renditionOf(era, track.name)!, era.rate);
  const stem = stemOf(session, track, segment.era, startTicks);
  return {
    uri: `${stem}.m4s`,
    durationTicks: parts.reduce((sum, part) => sum + part.durationTicks, 0),
    timescale,
    startNs: ticksToNs(startTicks, timescale),
    gap: false,
    discontinuity: segment.discontinuity,
    map: mapOf(session, track, segment.era),
    partTargetMs: era.partTargetMs,
    parts: parts.map((part, i) => partOf(stem, i, part)),
  };
}

function partOf(stem: string, index: number, part: Track["listed"][number]["parts"][number]) {
  const { durationTicks, independent, bytes } = part;
  return { uri: `${stem}.${index}.m4s`, durationTicks, independent, gap: bytes === null };
}

/** A name that is never used for other bytes: session, rendition, era and start. */
function stemOf(session: Session, track: Track, era: number, startTicks: number): string {
  return `${session.id}/${track.name}/${era}-${startTicks}`;
}

function mapOf(session: Session, track: Track, era: number): string | null {
  return track.inits.has(era) ? `${session.id}/${track.name}/init-${era}.mp4` : null;
}

function hintOf(session: Session, track: Track): string | null {
  const next = track.nextPart();
  return next && `${stemOf(session, track, next.era, next.segmentStartTicks)}.${next.number}.m4s`;
}

function reportsOf(session: Session, own: string): RenditionReport[] {
  const names = (session.era?.renditions ?? []).map(({ name }) => name).filter((name) => name !== own);
  return names.flatMap((name) => {
    const track = session.tracks.get(name);
    if (!track?.hasMedia) return [];
    const { growing } = track;
    if (growing) return [{ uri: `${name}.m3u8`, lastMsn: growing.segment.msn, lastPart: growing.parts.length - 1 }];
    const last = track.listed.at(-1)!;
    const lastPart = last.parts.length > 0 ? last.parts.length - 1 : null;
    return [{ uri: `${name}.m3u8`, lastMsn: last.msn, lastPart }];
  });
}
