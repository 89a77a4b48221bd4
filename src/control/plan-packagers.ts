// Packagers: processes that each serve many sessions whose tracks are copied. One runs while any channel copies, so that
// the first part of a session waits for no start; more when it is full; none a minute after nobody needs one.
// A packager that breaks takes all of its sessions with it. They go to another at once; those that suffered twice in a row
// without a part in between are suspects, and no process takes two of those: one session that kills whoever packages it
// must not end the others.
import type { Running } from "#platform/placement/placement.ts";
import { backoff, FAILURES_MAX, POOL_BACKOFF_MS, SESSION_BACKOFF_MS } from "./backoff.ts";
import type { Action, SessionState, Why, World } from "./plan.ts";
import { byAge, whyBroken } from "./plan-workers.ts";

/** Sessions of one process: 200 of 2 Mbit/s are a fifth of a core. */
export const SESSIONS_MAX = 200;
/** Failures of one session without a part in between. */
const SUSPECT_FAILURES = 2;
/** How long a packager that has nothing to do stays. */
const IDLE_LIMIT_MS = 60_000;

export type PackagedSession = Readonly<{
  session: string;
  /** given: told, not confirmed. leaving: told to let go of it, not confirmed. */
  phase: "given" | "running" | "draining" | "failed" | "leaving";
  /** Newest frame, on the newest era's grid; null before the first part. */
  frame: number | null;
}>;

/** A packager that said hello. */
export type PackagerState = Readonly<{
  id: string;
  connected: boolean;
  heardMs: number;
  sessions: readonly PackagedSession[];
  /** When it was last needed; its hello, when it never was. */
  busyMs: number;
}>;

export type PackagerAction =
  | Readonly<{ do: "package"; packager: string; session: string }>
  | Readonly<{ do: "drop"; packager: string; session: string; why: Why }>
  | Readonly<{ do: "start-packager"; id: string }>
  /** `charged`: the sessions that suffered from it. `pooled`: it made nothing of any, so the next start waits. */
  | Readonly<{ do: "remove-packager"; id: string; why: Why; charged: readonly string[]; pooled: boolean }>;

type Serving = { id: string; sessions: Map<string, PackagedSession>; suspects: number };

/** @param needed sessions with something to be copied */
export function planPackagers(world: World, needed: readonly SessionState[]): Action[] {
  const neededIds = new Set(needed.map(({ id }) => id));
  const { alive, coming, broken } = sortPackagers(world);
  const lost = broken.flatMap(({ sessions }) => sessions).filter((id) => neededIds.has(id));
  const failed = alive.flatMap(({ sessions }) =>
    sessions.flatMap(({ session, phase }) => (phase === "failed" ? [session] : [])),
  );
  const failuresOf = (id: string) => [
    ...(world.notes.get(id)?.failuresMs ?? []),
    ...[...lost, ...failed].filter((other) => other === id).map(() => world.nowMs),
  ];
  const isSuspect = (id: string) =>
    backoff(failuresOf(id), SESSION_BACKOFF_MS, world.nowMs).failures >= SUSPECT_FAILURES;
  const { held, drop } = sortSessions(alive, neededIds);
  const serving = alive.map(({ id, sessions }): Serving => {
    const suspects = sessions.filter(({ session, phase }) => phase !== "failed" && isSuspect(session)).length;
    return { id, suspects, sessions: new Map(sessions.map((entry) => [entry.session, entry])) };
  });
  const waiting = needed.filter(({ id }) => !held.has(id)).map(({ id }) => id);
  const given = assign(world, waiting, serving, coming, { failuresOf, isSuspect });
  return [
    ...given.fail.map((session): Action => ({ do: "fail", session })),
    ...given.assigned,
    ...drop,
    ...broken.map(({ id, why, sessions, pooled }): Action => {
      const charged = sessions.filter((session) => neededIds.has(session));
      return { do: "remove-packager", id, why, charged, pooled };
    }),
    ...start(world, given.unplaced, alive, coming, broken.filter(({ pooled }) => pooled).length),
    ...tooMuch(world, alive, given.assigned),
  ];
}

function sortPackagers(world: World) {
  const running = new Map(world.running.filter(({ role }) => role === "package").map((r) => [r.id, r]));
  const said = new Map(world.packagers.map((packager) => [packager.id, packager]));
  const alive: PackagerState[] = [];
  const coming: string[] = [];
  const broken: { id: string; why: Why; sessions: string[]; pooled: boolean }[] = [];
  for (const id of [...new Set([...running.keys(), ...said.keys()])].sort(byAge(running))) {
    const packager = said.get(id);
    const why = whyBroken(
      running.get(id) as Running | undefined,
      packager && { ...packager, phase: "running" },
      world.nowMs,
    );
    const sessions = packager?.sessions ?? [];
    const pooled = sessions.every(({ frame }) => frame === null);
    if (why !== null) broken.push({ id, why, sessions: sessions.map(({ session }) => session), pooled });
    else if (packager) alive.push(packager);
    else coming.push(id);
  }
  return { alive, coming, broken };
}

/** Of several packagers with one session the one that is furthest keeps it: the others make the same bytes, later. */
function sortSessions(alive: readonly PackagerState[], needed: ReadonlySet<string>) {
  const held = new Set<string>();
  const drop: Action[] = [];
  const all = alive.flatMap(({ id, connected, sessions }) => sessions.map((entry) => ({ ...entry, id, connected })));
  const best = all.toSorted(
    (a, b) => Number(b.connected) - Number(a.connected) || (b.frame ?? -1) - (a.frame ?? -1) || (a.id < b.id ? -1 : 1),
  );
  for (const { id, session, phase } of best) {
    if (phase === "leaving") continue;
    const why = phase === "failed" ? "failed" : !needed.has(session) ? "done" : held.has(session) ? "surplus" : null;
    if (why === null) held.add(session);
    else drop.push({ do: "drop", packager: id, session, why });
  }
  return { held, drop };
}

type Judgement = Readonly<{ failuresOf: (session: string) => number[]; isSuspect: (session: string) => boolean }>;

function assign(
  world: World,
  waiting: readonly string[],
  serving: readonly Serving[],
  coming: readonly string[],
  { failuresOf, isSuspect }: Judgement,
) {
  const connected = new Set(world.packagers.filter((packager) => packager.connected).map(({ id }) => id));
  const unheard = coming.some((id) => world.strangers.has(id)); // it may hold what seems to wait
  const fail: string[] = [];
  const assigned: PackagerAction[] = [];
  let unplaced = 0;
  /** One that is letting go of it may have it again, and a suspect waits for the one before it: neither is worth another
   *  process. */
  const isSoon = (session: string, suspect: boolean) =>
    serving.some(({ id, sessions }) => connected.has(id) && (suspect || sessions.has(session)));
  for (const session of waiting) {
    const { failures, over } = backoff(failuresOf(session), SESSION_BACKOFF_MS, world.nowMs);
    if (failures >= FAILURES_MAX) fail.push(session);
    if (failures >= FAILURES_MAX || unheard || !over) continue;
    const suspect = isSuspect(session);
    const fits = ({ id, sessions, suspects }: Serving) =>
      connected.has(id) && sessions.size < SESSIONS_MAX && !sessions.has(session) && !(suspect && suspects > 0);
    const taker = serving.find(fits);
    if (taker) {
      taker.sessions.set(session, { session, phase: "given", frame: null });
      if (suspect) taker.suspects += 1;
      assigned.push({ do: "package", packager: taker.id, session });
    } else if (!isSoon(session, suspect)) unplaced += 1;
  }
  return { fail, assigned, unplaced };
}

function start(
  world: World,
  unplaced: number,
  alive: readonly PackagerState[],
  coming: readonly string[],
  brokenNow: number,
): Action[] {
  const failuresMs = [...world.packagerFailuresMs, ...Array.from({ length: brokenNow }, () => world.nowMs)];
  if (!backoff(failuresMs, POOL_BACKOFF_MS, world.nowMs).over) return [];
  const isKept = world.copies && alive.length + coming.length === 0;
  const missing = Math.ceil(unplaced / SESSIONS_MAX) - coming.length;
  const count = Math.max(isKept ? 1 : 0, missing);
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({ do: "start-packager", id: world.freshPackagerId(i) }));
}

/** Those without work for a while, but one while anybody copies. */
function tooMuch(world: World, alive: readonly PackagerState[], assigned: readonly PackagerAction[]): Action[] {
  const taken = new Set(assigned.map((action) => (action.do === "package" ? action.packager : null)));
  const isIdle = ({ id, sessions, busyMs }: PackagerState) =>
    sessions.length === 0 && !taken.has(id) && world.nowMs - busyMs > IDLE_LIMIT_MS;
  const idle = alive.filter(isIdle);
  const isAnyLeft = idle.length < alive.length;
  return idle
    .slice(world.copies && !isAnyLeft ? 1 : 0)
    .map(({ id }): Action => ({ do: "remove-packager", id, why: "surplus", charged: [], pooled: false }));
}
