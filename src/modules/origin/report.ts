// What the origin tells others about a session: control (whole states) and senders (where to go on).
import type { LiveChannel } from "./channel.ts";
import type { Session } from "./session.ts";
import type { Track } from "./track.ts";
import type { OriginSession } from "./types.ts";

type Place = Readonly<{ era: number; frame: number }>;

export function snapshotOf(session: Session, channel: LiveChannel): OriginSession {
  const era = session.era?.era ?? 0;
  return {
    id: session.id,
    channel: channel.name,
    state: session.state,
    renditions: [...session.tracks.values()].map((track) => {
      const place = track.inits.size === 0 ? null : placeOf(session, track);
      const nextFrame = place === null || place.era === era ? (place?.frame ?? null) : session.era!.frame;
      return { name: track.name, nextFrame, ...track.counters };
    }),
    copiesThatDiffer: session.copiesThatDiffer,
    waiters: session === channel.newest ? channel.waiters : 0,
    firstPartNs: session.firstPartNs,
    lastPartNs: session.lastPartNs,
  };
}

/** First frame that is not there, per rendition and over all; null where the origin has nothing. */
export function nextOf(session: Session) {
  const places = [...session.tracks.values()].map((track) => [track, placeOf(session, track)] as const);
  const hasAny = places.some(([track]) => track.hasMedia);
  const first = places
    .map(([, place]) => place)
    .filter((place) => place !== null)
    .sort((a, b) => a.era - b.era || a.frame - b.frame)[0];
  return {
    session: session.id,
    channel: session.channel.name,
    state: session.state,
    next: hasAny ? (first ?? null) : null,
    renditions: Object.fromEntries(places.map(([track, place]) => [track.name, track.hasMedia ? place : null])),
  };
}

function placeOf(session: Session, track: Track): Place | null {
  const slot = track.nextSlot();
  if (slot) return { era: slot.segment.era, frame: slot.frame };
  const { end, era } = session.timeline;
  return end && era ? { era: era.era, frame: end.frame } : null;
}
