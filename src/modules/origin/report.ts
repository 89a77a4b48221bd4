// What the origin tells others about a session: control (whole states) and senders (where to go on).
import type { IncomingMessage, ServerResponse } from "node:http";
import { PlatformError } from "#base/errors.ts";
import { compareEraFrames, type EraFrame } from "#media/session-log/era-frame.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import { answerJson, answerProblem } from "#platform/network/http.ts";
import type { LiveChannel } from "./channel.ts";
import type { Session } from "./session.ts";
import type { Track } from "./track.ts";
import type { OriginSession } from "./types.ts";

const SESSIONS = "/internal/origin/sessions/";

export type ReportDeps = Readonly<{ keys: Keys; session: (id: string) => Session | null }>;

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

/** `GET /internal/origin/sessions/ID`: how far a session is stored, for whoever sends it. */
export function handleReport(deps: ReportDeps, request: IncomingMessage, response: ServerResponse): boolean {
  const url = request.url ?? "";
  if (!url.startsWith(SESSIONS) || request.method !== "GET") return false;
  const id = url.slice(SESSIONS.length);
  const answer = async () => {
    const token = bearer(request.headers.authorization);
    if (token === null) throw new PlatformError("api.unauthorized", "A session's token is needed here.");
    const scope = await deps.keys.verify(token);
    if (scope.kind !== "internal" && !(scope.kind === "session" && scope.session === id))
      throw new PlatformError("api.forbidden", `The token is not one of session ${id.slice(0, 64)}.`);
    const session = deps.session(id);
    if (!session) throw new PlatformError("origin.session_unknown", `There is no session ${id.slice(0, 64)}.`);
    answerJson(response, 200, nextOf(session));
  };
  answer().catch((error) => answerProblem(response, error));
  return true;
}

/** Where to go on, per rendition and over all: the start of the first segment that is not whole, since a segment is made
 *  from its start or not at all (the parts of it that are here will come again, the same). Null where the origin has
 *  nothing. */
function nextOf(session: Session) {
  const places = [...session.tracks.values()].map((track) => [track, segmentPlaceOf(session, track)] as const);
  const hasAny = places.some(([track]) => track.hasMedia);
  const first = places
    .map(([, place]) => place)
    .filter((place) => place !== null)
    .sort(compareEraFrames)[0];
  return {
    session: session.id,
    channel: session.channel.name,
    state: session.state,
    next: hasAny ? (first ?? null) : null,
    renditions: Object.fromEntries(places.map(([track, place]) => [track.name, track.hasMedia ? place : null])),
  };
}

/** The start of the first segment that is not whole. */
function segmentPlaceOf(session: Session, track: Track): EraFrame | null {
  const segment = track.nextSegment();
  return segment ? { era: segment.era, frame: segment.start } : endOf(session);
}

/** The first frame that is not there. */
function placeOf(session: Session, track: Track): EraFrame | null {
  const next = track.nextPart();
  return next ? { era: next.era, frame: next.frame } : segmentPlaceOf(session, track);
}

function endOf(session: Session): EraFrame | null {
  const { end, era } = session.timeline;
  return end && era ? { era: era.era, frame: end.frame } : null;
}
