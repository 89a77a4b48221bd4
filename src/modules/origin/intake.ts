// What a sender may put into a session: an init segment that is what the log announced, and chunks that are exactly its
// parts. What the log has not said yet is waited for, within a bound: senders and we read it over different lines.
import { PlatformError } from "#base/errors.ts";
import type { CmafEvent } from "#media/cmaf/read.ts";
import type { CmafInit } from "#media/cmaf/read-init.ts";
import { type Rendition, timescaleOf } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { utcToTai } from "#media/time/tai.ts";
import type { Placed } from "./plan.ts";
import { planFor } from "./plan-for.ts";
import { renditionOf } from "./planned-parts.ts";
import type { Session } from "./session.ts";

/** Where a sender says its media belongs. */
export type Place = Readonly<{ track: string; era: number }>;

export type Chunk = Omit<Extract<CmafEvent, { kind: "chunk" }>, "kind">;

/** The segment a chunk went into (null: what it begins with is not here yet, or not any more), and whether it is on disk
 *  already, with all before it. */
export type Took = Readonly<{ segmentStartTicks: number | null; stored: boolean }>;

/** Keep an init segment; an equal one again is no news.
 *  @throws PlatformError media.unsupported, media.malformed, origin.copy_differs, origin.session_unknown,
 *  api.bad_request */
export async function takeInit(session: Session, place: Place, init: CmafInit, bytes: Buffer): Promise<void> {
  const { track: name, era: number } = place;
  const era = await session.onceLogged(() => session.eras.find((known) => known.era === number) ?? null);
  if (!era) throw unknownEra(session, number);
  const rendition = renditionOf(era, name);
  if (!rendition) throw new PlatformError("api.bad_request", `Era ${number} has no rendition ${name}.`);
  checkInit(era, rendition, init);
  const track = session.tracks.get(name) ?? session.addTrack(name, rendition.kind, 0);
  const known = track.inits.get(number);
  if (!known) track.inits.set(number, { bytes, init });
  else if (!known.bytes.equals(bytes)) {
    session.alarm(name, `init segment of era ${number}`);
    throw new PlatformError("origin.copy_differs", `Era ${number} of ${name} has another init segment already.`);
  }
}

function checkInit(era: EraOpened, rendition: Rendition, init: CmafInit): void {
  const { name } = rendition;
  if (init.kind !== rendition.kind || init.codecName !== rendition.codec)
    throw new PlatformError("media.unsupported", `${name} is ${rendition.codec}, this init segment is ${init.codec}.`);
  const timescale = timescaleOf(rendition, era.rate);
  if (init.timescale !== timescale)
    throw new PlatformError("media.malformed", `${name} has timescale ${timescale}, not ${init.timescale}.`);
  if (rendition.kind === "video" && (init.width !== rendition.width || init.height !== rendition.height))
    throw new PlatformError("media.malformed", `${name} is not of ${init.width} x ${init.height}.`);
}

/** Keep one chunk, publish what can be.
 *  @throws PlatformError api.bad_request when it is no part, media.malformed, origin.init_missing, origin.busy,
 *  origin.session_unknown, api.conflict after the end */
export async function takeChunk(session: Session, { track: name, era }: Place, chunk: Chunk): Promise<Took> {
  const track = session.tracks.get(name);
  if (!track?.inits.has(era))
    throw new PlatformError("origin.init_missing", `Send the init segment of era ${era} of ${name} first.`);
  const { facts, startsSegment, endsSegment, producedUtcNs, bytes } = chunk;
  const { baseDecodeTicks: startTicks, durationTicks, firstSync: independent } = facts;
  const placed = await placeOf(session, name, era, chunk);
  const segment = placed === "gone" ? "gone" : placed.segment;
  if (placed !== "gone" && placed.first && !independent)
    throw new PlatformError("media.malformed", `The segment at ${startTicks} does not begin with a sync sample.`);
  if (session.outcome !== null && segment !== "gone" && segment.ordinal >= track.nextOrdinal)
    throw new PlatformError("api.conflict", `Session ${session.id} is ${session.outcome}; nothing is added to it.`);
  const producedNs = producedUtcNs === null ? null : utcToTai(producedUtcNs);
  const part = { startTicks, durationTicks, independent, bytes };
  const taken = track.take({ era, part, startsSegment, endsSegment, producedNs }, segment);
  if (taken === "differs") session.alarm(name, `part at ${startTicks}`);
  else if (taken === "new" || endsSegment) session.advance();
  if (placed === "gone") return { segmentStartTicks: null, stored: true };
  const { ordinal } = placed.segment;
  return {
    segmentStartTicks: placed.segmentStartTicks ?? track.startOf(ordinal),
    stored: track.isStored(ordinal),
  };
}

async function placeOf(session: Session, name: string, number: number, chunk: Chunk): Promise<Placed | "gone"> {
  const { baseDecodeTicks: startTicks, durationTicks } = chunk.facts;
  const { startsSegment } = chunk;
  const eraNow = () => session.timeline.eras().find((known) => known.era === number);
  const placed = await session.onceLogged(() => {
    const era = eraNow();
    const plan = session.isCaughtUp && era ? planFor(session.timeline, era, name) : null;
    return plan?.place({ startTicks, durationTicks, startsSegment }) ?? null;
  });
  if (placed) return placed;
  if (!session.isCaughtUp || !eraNow()) throw unknownEra(session, number);
  const what = `${durationTicks} ticks at ${startTicks}${startsSegment ? ", beginning a segment" : ""}`;
  throw new PlatformError("api.bad_request", `${name} has no such part in era ${number}: ${what}.`);
}

/** Not the sender's fault as long as the log may still say it. */
function unknownEra(session: Session, era: number): PlatformError {
  if (session.timeline.end !== null || session.outcome !== null)
    return new PlatformError("api.bad_request", `Session ${session.id} ended without an era ${era}.`);
  return new PlatformError("origin.session_unknown", `Era ${era} of session ${session.id} is not known here yet.`);
}
