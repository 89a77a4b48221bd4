// Playlists as views of the sessions: nothing here is kept, all of it can be made again from what the tracks hold.
import type { MediaPlaylist, PlaylistSegment, RenditionReport } from "#media/hls/media-playlist.ts";
import type { Multivariant } from "#media/hls/multivariant.ts";
import { type Rendition, timescaleOf } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { perSecond, ticksToNs } from "#media/time/rate.ts";
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
  const { links, session, track, era, ended } = chain;
  const first = links.find((link) => link.track.listed.length > 0)?.track.listed[0];
  const growing = ended ? null : growingOf(session, track);
  return {
    targetDurationSeconds: chain.targetDurationSeconds,
    partTargetMs: Math.max(era.partTargetMs, ...track.listed.slice(-4).map((segment) => segment.partTargetMs)),
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
  const { durationTicks, timescale, startNs, gap, discontinuity } = segment;
  const parts = segment.parts.map((part, i) => partOf(stem, i, part));
  const map = mapOf(session, track, segment.era);
  const entry = { uri: `${stem}.m4s`, durationTicks, timescale, startNs, gap, discontinuity, map, parts };
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

/** Bits a second that boxes and descriptors add to a track, above its rate cap. */
const OVERHEAD_BITRATE = 24_000;
/** A rung's cap is kept over its buffer; consecutive segments may exceed it by this. */
const CAP_MARGIN = 1.125;

const AUDIO_GROUP = "audio";

/** The newest era of which every rendition can be played; null when there is none. */
export function playableEra(session: Session): EraOpened | null {
  const playable = ({ era, renditions }: EraOpened) =>
    renditions.length > 0 &&
    renditions.every(({ name }) => {
      const track = session.tracks.get(name);
      return track?.hasMedia && track.inits.has(era);
    });
  return session.eras.findLast(playable) ?? null;
}

export function multivariantOf(session: Session, era: EraOpened): Multivariant {
  const of = (name: string) => {
    const track = session.tracks.get(name)!;
    return { track, init: track.inits.get(era.era)!.init, uri: `${name}.m3u8` };
  };
  const audio = era.renditions.filter((rendition) => rendition.kind === "audio");
  const video = era.renditions.filter((rendition) => rendition.kind === "video");
  const audioRates = audio.map((rendition) => rates(of(rendition.name).track, capOf(rendition)));
  const most = (key: "peak" | "mean") => Math.max(0, ...audioRates.map((rate) => rate[key]));
  const audioCodecs = [...new Set(audio.map(({ name }) => of(name).init.codec))];

  const variants = video.map((rendition) => {
    const { name, width, height } = rendition;
    const { track, init, uri } = of(name);
    const { peak, mean } = rates(track, capOf(rendition));
    const bandwidth = peak + most("peak");
    return {
      uri,
      bandwidth,
      averageBandwidth: Math.min(mean + most("mean"), bandwidth),
      codecs: [init.codec, ...audioCodecs],
      video: { width, height, framesPerSecond: perSecond(era.frameRate) },
      audio: audio.length > 0 ? AUDIO_GROUP : null,
    };
  });
  const audioOnly = audio.map((rendition) => {
    const { track, init, uri } = of(rendition.name);
    const { peak, mean } = rates(track, capOf(rendition));
    const averageBandwidth = Math.min(mean, peak);
    return { uri, bandwidth: peak, averageBandwidth, codecs: [init.codec], video: null, audio: null };
  });
  if (video.length === 0) return { variants: audioOnly, audio: [] };
  const media = audio.map(({ name, language, channels }, i) => ({
    group: AUDIO_GROUP,
    name,
    language: language === "und" ? null : language,
    channels,
    uri: `${name}.m3u8`,
    default: i === 0,
  }));
  return { variants, audio: media };
}

/** What an encoder is held to, bit/s; 0 for what is copied. */
function capOf(rendition: Rendition): number {
  if (rendition.copied) return 0;
  return rendition.kind === "video" ? rendition.maxBitrate * CAP_MARGIN : rendition.bitrate;
}

/** Peak: what the cap allows, so that it is the same from the first minute on, or what was measured if that is more. */
function rates(track: Track, cap: number): { peak: number; mean: number } {
  const peak = Math.max(Math.ceil(cap) + OVERHEAD_BITRATE, track.peakBitrate);
  const whole = track.listed.filter((segment) => segment.bytes !== null);
  const seconds = whole.reduce((sum, { durationTicks, timescale }) => sum + durationTicks / timescale, 0);
  const bytes = whole.reduce((sum, segment) => sum + segment.bytes!.byteLength, 0);
  return { peak, mean: seconds > 0 ? Math.ceil((bytes * 8) / seconds) : Math.ceil(cap) };
}
