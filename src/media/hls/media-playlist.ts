// A media playlist as text: whole, or as a delta update of it.
// Pure on purpose: the same value gives the same text, so a playlist is a view that can be made at any time, and the delta
// is by construction the full text with a run of segments replaced.
// Source: draft-pantos-hls-rfc8216bis-22, 4.4.3 to 4.4.5 and 6.2.5
import { taiToIso } from "#media/time/tai.ts";
import { attributes, millisecondsText, quoted, secondsText } from "./text.ts";

/** EXT-X-VERSION of all our media playlists: EXT-X-SKIP needs 9. */
const VERSION = 9;

/** Multiples of the target duration. */
const PARTS_KEPT = 3;
const SKIP_BOUNDARY = 6;
/** Multiple of the part target. */
const PART_HOLD_BACK = 3;

export type PlaylistPart = Readonly<{
  uri: string;
  durationTicks: number;
  /** A decoder can begin in it. */
  independent: boolean;
  /** It was lost: it is named so that the next part's place is known. */
  gap: boolean;
}>;

/** A segment, whole or still growing. */
export type PlaylistSegment = Readonly<{
  /** Relative to the playlist, as all URIs here. */
  uri: string;
  /** Of the whole segment; for the growing one, of its parts so far. */
  durationTicks: number;
  timescale: number;
  /** First sample, TAI ns. */
  startNs: bigint;
  /** Its media is not there and will not be. */
  gap: boolean;
  discontinuity: boolean;
  /** Init segment; null when none of it was ever seen (a gap in a track that never began). */
  map: string | null;
  /** No part of it is longer. */
  partTargetMs: number;
  parts: readonly PlaylistPart[];
}>;

export type RenditionReport = Readonly<{ uri: string; lastMsn: number; lastPart: number | null }>;

export type MediaPlaylist = Readonly<{
  targetDurationSeconds: number;
  /** Parts that were made for another one are not listed. */
  partTargetMs: number;
  mediaSequence: number;
  discontinuitySequence: number;
  /** Whole segments, oldest first. */
  segments: readonly PlaylistSegment[];
  /** What follows them and is not whole, with at least one part; null when no part of it is there. */
  growing: PlaylistSegment | null;
  /** The part that comes next; null when none is expected. */
  preloadHint: string | null;
  renditionReports: readonly RenditionReport[];
  /** Nothing will be added: then there is no hint, no report and nothing to wait for. */
  ended: boolean;
}>;

/** @param delta replace what is older than the skip boundary, when anything is */
export function writeMediaPlaylist(playlist: MediaPlaylist, delta = false): string {
  const { segments, growing, ended } = playlist;
  const lines = head(playlist);
  const skipped = delta ? skippableSegments(playlist) : 0;
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);

  const partsFrom = firstWithParts(playlist);
  let map = segments.slice(0, skipped).findLast((segment) => segment.map !== null)?.map ?? null;
  for (let i = skipped; i < segments.length; i += 1) {
    const segment = segments[i]!;
    pushSegmentHead(lines, segment, map);
    map = segment.map ?? map;
    if (i >= partsFrom) pushParts(lines, segment);
    if (segment.gap) lines.push("#EXT-X-GAP");
    lines.push(`#EXTINF:${secondsText(segment.durationTicks, segment.timescale)},`, segment.uri);
  }
  if (growing) {
    pushSegmentHead(lines, growing, map);
    pushParts(lines, growing);
  }
  if (ended) lines.push("#EXT-X-ENDLIST");
  else pushTail(lines, playlist);
  lines.push("");
  return lines.join("\n");
}

/** Segments that a delta update leaves out: those that end at or before the skip boundary, counted back from the end of
 *  the last whole segment. 0 when the playlist has ended: then it is always sent in full. */
export function skippableSegments({ segments, ended, targetDurationSeconds }: MediaPlaylist): number {
  if (ended) return 0;
  let left = SKIP_BOUNDARY * targetDurationSeconds;
  for (let i = segments.length - 1; i >= 0; i -= 1) {
    if (left <= 0) return i + 1;
    left -= segments[i]!.durationTicks / segments[i]!.timescale;
  }
  return 0;
}

/** First segment whose parts are listed: it ends within three target durations of the playlist's end, and its parts are as
 *  long as PART-TARGET says of all of them (none longer, none below 85 % of it). A segment's parts go all at once, so that a
 *  part's place in its segment can be counted by whoever reads the list. */
function firstWithParts({ segments, growing, ended, targetDurationSeconds, partTargetMs }: MediaPlaylist): number {
  if (ended) return segments.length;
  let left = PARTS_KEPT * targetDurationSeconds;
  if (growing) left -= growing.durationTicks / growing.timescale;
  for (let i = segments.length - 1; i >= 0; i -= 1) {
    if (left <= 0 || segments[i]!.partTargetMs !== partTargetMs) return i + 1;
    left -= segments[i]!.durationTicks / segments[i]!.timescale;
  }
  return 0;
}

function head(playlist: MediaPlaylist): string[] {
  const { targetDurationSeconds, partTargetMs, ended } = playlist;
  const lines = [
    "#EXTM3U",
    `#EXT-X-VERSION:${VERSION}`,
    "#EXT-X-INDEPENDENT-SEGMENTS",
    `#EXT-X-TARGETDURATION:${targetDurationSeconds}`,
  ];
  if (!ended) {
    const control = {
      "CAN-BLOCK-RELOAD": "YES",
      "CAN-SKIP-UNTIL": millisecondsText(SKIP_BOUNDARY * targetDurationSeconds * 1000),
      "PART-HOLD-BACK": millisecondsText(PART_HOLD_BACK * partTargetMs),
    };
    lines.push(`#EXT-X-SERVER-CONTROL:${attributes(control)}`);
    lines.push(`#EXT-X-PART-INF:PART-TARGET=${millisecondsText(partTargetMs)}`);
  }
  lines.push(`#EXT-X-MEDIA-SEQUENCE:${playlist.mediaSequence}`);
  lines.push(`#EXT-X-DISCONTINUITY-SEQUENCE:${playlist.discontinuitySequence}`);
  return lines;
}

/** What applies to the segment and therefore stands before its first part. */
function pushSegmentHead(lines: string[], segment: PlaylistSegment, mapBefore: string | null): void {
  if (segment.discontinuity) lines.push("#EXT-X-DISCONTINUITY");
  if (segment.map !== null && (segment.map !== mapBefore || segment.discontinuity))
    lines.push(`#EXT-X-MAP:URI=${quoted(segment.map)}`);
  lines.push(`#EXT-X-PROGRAM-DATE-TIME:${taiToIso(segment.startNs)}`);
}

function pushParts(lines: string[], { parts, timescale }: PlaylistSegment): void {
  for (const part of parts) {
    const list = {
      DURATION: secondsText(part.durationTicks, timescale),
      INDEPENDENT: part.independent ? "YES" : null,
      GAP: part.gap ? "YES" : null,
      URI: quoted(part.uri),
    };
    lines.push(`#EXT-X-PART:${attributes(list)}`);
  }
}

function pushTail(lines: string[], { preloadHint, renditionReports }: MediaPlaylist): void {
  if (preloadHint !== null) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI=${quoted(preloadHint)}`);
  for (const report of renditionReports) {
    const list = { URI: quoted(report.uri), "LAST-MSN": report.lastMsn, "LAST-PART": report.lastPart };
    lines.push(`#EXT-X-RENDITION-REPORT:${attributes(list)}`);
  }
}
