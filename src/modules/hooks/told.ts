// What customers have been told about each session, and what they must be told now. Derived from whole states: after a
// restart the same look at the same sessions says nothing twice, and what happened meanwhile is said then.
import type { StreamEventType } from "./types.ts";

export type SeenSession = Readonly<{
  id: string;
  channel: string;
  tenant: string;
  state: "starting" | "live" | "interrupted" | "ending" | "ended" | "failed";
  protocol: string;
  remote: string;
  endReason: string | null;
}>;

/** Last event of a session, and how many it had. */
export type Told = Readonly<{ type: StreamEventType; count: number; channel: string; tenant: string }>;

export type News = Readonly<{ session: string; told: Told; seen: SeenSession | null }>;

/** @param gone whether a session that is not among `sessions` is over (the gateway has been heard) */
export function newsOf(sessions: readonly SeenSession[], told: ReadonlyMap<string, Told>, gone: boolean): News[] {
  const news: News[] = [];
  const say = (seen: SeenSession | null, session: string, type: StreamEventType, before: Told | undefined) => {
    const { channel, tenant } = seen ?? before!;
    news.push({ session, seen, told: { type, count: (before?.count ?? 0) + 1, channel, tenant } });
  };
  for (const seen of sessions) {
    const before = told.get(seen.id);
    const type = typeOf(seen.state, before?.type ?? null);
    if (type !== null) say(seen, seen.id, type, before);
  }
  const ids = new Set(sessions.map(({ id }) => id));
  if (gone)
    for (const [session, before] of told)
      if (!ids.has(session) && !isOver(before.type)) say(null, session, "stream.ended", before);
  return news;
}

export const isOver = (type: StreamEventType): boolean => type === "stream.ended" || type === "stream.failed";

function typeOf(state: SeenSession["state"], before: StreamEventType | null): StreamEventType | null {
  if (before !== null && isOver(before)) return null;
  if (state === "live" || state === "ending") {
    if (before === null) return "stream.started";
    return before === "stream.interrupted" && state === "live" ? "stream.resumed" : null;
  }
  if (state === "interrupted") return before === null || before === "stream.interrupted" ? null : "stream.interrupted";
  if (state === "failed") return "stream.failed";
  // One that ended before its first picture never was a stream.
  return state === "ended" && before !== null ? "stream.ended" : null;
}
