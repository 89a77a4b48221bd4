// What should happen next, from whole states alone: no event, no memory of its own. So it is right after a restart of
// control, after a lost message and after a doubled one, and a test can ask it anything without a mock.
//
// The rules: each session that needs media made has one worker; a session takes a warm worker if there is one, else one
// is started for it; a worker serves one session in its life; what broke is replaced at once, then ever more slowly; a
// session whose workers keep breaking is given up; idle workers are kept to `warmMin`.
import type { GatewaySession } from "#modules/ingest/types.ts";
import type { OriginSession } from "#modules/origin/types.ts";
import type { Running } from "#platform/placement/placement.ts";
import { backoff, FAILURES_MAX, POOL_BACKOFF_MS, SESSION_BACKOFF_MS } from "./backoff.ts";
import { type PackagerAction, type PackagerState, planPackagers } from "./plan-packagers.ts";
import { planSources, type SourceState } from "./plan-sources.ts";
import { sortWorkers, type WorkerState } from "./plan-workers.ts";

/** Instants kept of one row of failures. */
export const FAILURES_KEPT_MAX = 16;
/** A taken warm worker is replaced this much later: starting one takes most of a core for a second, and just then the
 *  session's first part is made. */
const REPLACE_WARM_AFTER_MS = 3000;
/** An ended session whose origin does not get complete is not worked on longer than this. */
const DRAIN_LIMIT_MS = 60_000;

export type SessionState = Pick<GatewaySession, "id" | "channel" | "state" | "anchorNs" | "needs">;

/** What control itself remembers of a session. */
export type SessionNote = Readonly<{
  /** When it was first seen as ended, monotonic ms. */
  endedMs: number | null;
  failed: boolean;
  /** Its workers' failures since the newest part, oldest first, monotonic ms. */
  failuresMs: readonly number[];
}>;

export type World = Readonly<{
  nowMs: number;
  sessions: readonly SessionState[];
  /** Per origin what it holds; null while it cannot be heard. */
  origins: readonly (readonly Pick<OriginSession, "id" | "state">[] | null)[];
  /** `sinceMs` on control's own clock. */
  running: readonly Running[];
  workers: readonly WorkerState[];
  packagers: readonly PackagerState[];
  notes: ReadonlyMap<string, SessionNote>;
  /** Failures of workers without a session. */
  poolFailuresMs: readonly number[];
  /** Packagers that broke. */
  packagerFailuresMs: readonly number[];
  /** Some channel copies, or a session does. */
  copies: boolean;
  /** When a session last took a warm worker. */
  lastTakenMs: number | null;
  warmMin: number;
  /** Workers that another control started (this one was restarted): each may hold a session, and will say so soon. */
  strangers: ReadonlySet<string>;
  /** Those that we run ourselves. */
  sources: readonly SourceState[];
  /** Ids that were never used: the same number gives the same id within one pass. */
  freshId: (ordinal: number) => string;
  freshPackagerId: (ordinal: number) => string;
}>;

/** Why a worker goes. The first two are as it should be. */
export type Why = "done" | "surplus" | "failed" | "left" | "lost" | "stuck" | "mute";

export type Action =
  /** Its workers kept breaking: end it. */
  | Readonly<{ do: "fail"; session: string }>
  /** An origin that lost the session (it was restarted) is told again. */
  | Readonly<{ do: "reopen"; origin: number; session: string }>
  | Readonly<{ do: "assign"; worker: string; session: string }>
  | Readonly<{ do: "release"; worker: string; why: Why }>
  /** `charged`: the sessions that suffered from it. */
  | Readonly<{ do: "remove"; id: string; why: Why; charged: readonly string[] }>
  | Readonly<{ do: "start"; id: string }>
  | PackagerAction
  | Readonly<{ do: "start-source"; id: string }>
  | Readonly<{ do: "remove-source"; id: string; failed: boolean }>;

/** Pure: the same world gives the same actions in the same order. What brings pictures back soonest comes first. */
export function plan(world: World): Action[] {
  const unfinished = world.sessions.filter((session) => isUnfinished(world, session));
  const needed = unfinished.filter((session) => needsWorker(world, session));
  const copied = unfinished.filter((session) => needsPackager(world, session));
  const neededIds = new Set(needed.map(({ id }) => id));
  const sorted = sortWorkers(world, neededIds);
  const waiting = needed.filter(({ id }) => !sorted.held.has(id)).map(({ id }) => id);
  const broken = sorted.broken.map(({ id, why, session }) => {
    const charged = session === null ? waiting : neededIds.has(session) ? [session] : [];
    return { do: "remove", id, why, charged, pooled: session === null } as const;
  });
  const pool = planPool(world, waiting, sorted, broken);
  return [
    ...[...stillRunning(world), ...pool.fail].map((session): Action => ({ do: "fail", session })),
    ...reopenings(world, unfinished),
    ...pool.assign,
    ...planPackagers(world, copied),
    ...sorted.release.map((entry): Action => ({ do: "release", ...entry })),
    ...broken.map(({ pooled: _, ...action }): Action => action),
    ...[...sorted.finished, ...pool.surplus].map(({ id, why }): Action => ({ do: "remove", id, why, charged: [] })),
    ...pool.start.map((id): Action => ({ do: "start", id })),
    ...planSources(world),
  ];
}

/** Is there media of this session still to be made? */
function isUnfinished(world: Pick<World, "origins" | "notes" | "nowMs">, session: SessionState): boolean {
  const note = world.notes.get(session.id);
  if (note?.failed) return false;
  if (session.state !== "ended") return true;
  if (session.anchorNs === null) return false; // it ended before its first frame
  if (note && note.endedMs !== null && world.nowMs - note.endedMs > DRAIN_LIMIT_MS) return false;
  const states = world.origins.map((list) => list?.find(({ id }) => id === session.id)?.state ?? null);
  return states.some((state) => state === null || state === "open");
}

/** What it needs may change in the middle (copied pictures are encoded from now on): who has begun to make its media
 *  finishes that. */
function needsWorker({ workers }: World, { id, needs }: SessionState): boolean {
  return needs.worker || workers.some(({ session, frame }) => session === id && frame !== null);
}

function needsPackager({ packagers }: World, { id, needs }: SessionState): boolean {
  const begun = ({ sessions }: PackagerState) =>
    sessions.some(({ session, phase, frame }) => session === id && phase !== "leaving" && frame !== null);
  return needs.packager || packagers.some(begun);
}

/** Given up, and the gateway has not heard of it yet. */
function stillRunning({ sessions, notes }: World): string[] {
  return sessions.filter(({ id, state }) => state !== "ended" && notes.get(id)?.failed).map(({ id }) => id);
}

function reopenings(world: World, needed: readonly SessionState[]): Action[] {
  return world.origins.flatMap((list, origin) => {
    if (list === null) return [];
    const known = new Set(list.map(({ id }) => id));
    return needed.filter(({ id }) => !known.has(id)).map(({ id }): Action => ({ do: "reopen", origin, session: id }));
  });
}

/** Hands idle workers to waiting sessions, starts what is missing, lets go of what is too much.
 *  @param broken found in this pass: not in the world's failures yet, but they count */
function planPool(
  world: World,
  waiting: readonly string[],
  { idle, coming }: Readonly<{ idle: readonly string[]; coming: readonly string[] }>,
  broken: readonly Readonly<{ charged: readonly string[]; pooled: boolean }>[],
) {
  const { nowMs, warmMin } = world;
  const free = [...idle];
  const soon = coming.filter((id) => !world.strangers.has(id));
  const fail: string[] = [];
  const assign: Action[] = [];
  const start: string[] = [];
  const now = (count: number) => Array.from({ length: count }, () => nowMs);
  const poolFailuresMs = [...world.poolFailuresMs, ...now(broken.filter(({ pooled }) => pooled).length)];
  const poolReady = backoff(poolFailuresMs, POOL_BACKOFF_MS, nowMs).over;
  const startOne = () => start.push(world.freshId(start.length));
  let unheard = coming.length - soon.length; // they may hold what seems to wait
  let held = 0; // sessions that wait out their back-off: what is there is kept for them

  for (const session of waiting) {
    const fresh = now(broken.filter(({ charged }) => charged.includes(session)).length);
    const failuresMs = [...(world.notes.get(session)?.failuresMs ?? []), ...fresh];
    const { failures, over } = backoff(failuresMs, SESSION_BACKOFF_MS, nowMs);
    if (failures >= FAILURES_MAX) fail.push(session);
    else if (unheard > 0) unheard -= 1;
    else if (!over) held += 1;
    else if (free.length > 0) assign.push({ do: "assign", worker: free.shift()!, session });
    else if (soon.length > 0) soon.shift();
    else if (poolReady) startOne();
  }

  const spare = free.length + soon.length + unheard - held;
  const tookLately =
    assign.length > 0 || (world.lastTakenMs !== null && nowMs - world.lastTakenMs < REPLACE_WARM_AFTER_MS);
  if (poolReady && !tookLately) for (let missing = warmMin - Math.max(0, spare); missing > 0; missing -= 1) startOne();
  const excess = Math.min(free.length + soon.length, Math.max(0, spare - unheard - warmMin));
  const surplus = [...free, ...soon].slice(free.length + soon.length - excess); // the youngest go
  return { fail, assign, start, surplus: surplus.map((id) => ({ id, why: "surplus" as const })) };
}
