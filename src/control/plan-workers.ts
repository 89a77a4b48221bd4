// Each worker's standing: who serves, who is free, who is on its way, who is broken. One worker is known from two sides
// (placement says the process is there, the worker itself says what it does), and either may be late or silent.
import type { Running } from "#platform/placement/placement.ts";
import type { Why, World } from "./plan.ts";

/** A worker has said hello within 3 s of its start on two busy cores; five times that is no slow start any more. */
const START_LIMIT_MS = 15_000;
/** From "my process is ready" to the hello on its own line, and from control's restart to the next hello. */
const HELLO_LIMIT_MS = 5000;
/** A line that broke is opened again within half a second. */
const SILENT_LIMIT_MS = 3000;
/** Between the release and the removal of a worker that does not leave by itself. */
const LEAVE_LIMIT_MS = 2000;

/** A worker that said hello. */
export type WorkerState = Readonly<{
  id: string;
  /** The one session of its life; null while it has none. */
  session: string | null;
  phase: "warm" | "running" | "draining" | "failed";
  connected: boolean;
  heardMs: number;
  frame: number | null;
  /** When control told it to leave. */
  releasedMs: number | null;
}>;

type Gone = Readonly<{ id: string; why: Why; session: string | null }>;

export type Sorted = Readonly<{
  /** Sessions that have their worker. */
  held: ReadonlySet<string>;
  /** Ready for a session, oldest first. */
  idle: readonly string[];
  /** Started, not heard yet, oldest first. */
  coming: readonly string[];
  release: readonly Readonly<{ worker: string; why: Why }>[];
  /** Did what they should, and are still there. */
  finished: readonly Gone[];
  broken: readonly Gone[];
}>;

/** @param needed sessions that need a worker */
export function sortWorkers(world: World, needed: ReadonlySet<string>): Sorted {
  const running = new Map(world.running.filter((r) => r.role === "transcode").map((r) => [r.id, r]));
  const said = new Map(world.workers.map((worker) => [worker.id, worker]));
  const ids = [...new Set([...running.keys(), ...said.keys()])];
  const idle: string[] = [];
  const coming: string[] = [];
  const serving: WorkerState[] = [];
  const finished: Gone[] = [];
  const broken: Gone[] = [];

  for (const id of ids.sort(byAge(running))) {
    const process = running.get(id);
    const worker = said.get(id);
    const session = worker?.session ?? null;
    if (worker && worker.releasedMs !== null) {
      const gone = process === undefined || process.phase === "failed";
      if (gone || world.nowMs - worker.releasedMs > LEAVE_LIMIT_MS) finished.push({ id, why: "done", session });
      continue;
    }
    const why = whyBroken(process, worker, world.nowMs);
    if (why !== null) broken.push({ id, why, session });
    else if (worker && worker.session !== null) serving.push(worker);
    else if (worker?.connected) idle.push(id);
    else coming.push(id);
  }
  return { idle, coming, finished, broken, ...sortServing(serving, needed) };
}

/** @returns null when nothing is wrong with it */
export function whyBroken(
  process: Running | undefined,
  worker: Pick<WorkerState, "phase" | "connected" | "heardMs"> | undefined,
  nowMs: number,
): Why | null {
  if (process?.phase === "failed" || worker?.phase === "failed") return "failed";
  const silentMs = worker === undefined ? 0 : nowMs - worker.heardMs;
  if (process === undefined) {
    // One that drained may leave before its origin's word that all is stored has reached us.
    return worker?.phase === "draining" && silentMs <= SILENT_LIMIT_MS ? null : "left";
  }
  if (worker) return !worker.connected && silentMs > SILENT_LIMIT_MS ? "lost" : null;
  const ageMs = nowMs - process.sinceMs;
  if (process.phase === "starting") return ageMs > START_LIMIT_MS ? "stuck" : null;
  return ageMs > HELLO_LIMIT_MS ? "mute" : null;
}

/** Of several workers with one session the one that is furthest keeps it: the others make the same bytes, later. */
function sortServing(serving: readonly WorkerState[], needed: ReadonlySet<string>) {
  const held = new Set<string>();
  const release: { worker: string; why: Why }[] = [];
  const best = serving.toSorted(
    (a, b) => Number(b.connected) - Number(a.connected) || (b.frame ?? -1) - (a.frame ?? -1) || (a.id < b.id ? -1 : 1),
  );
  for (const { id, session } of best) {
    if (!needed.has(session!)) release.push({ worker: id, why: "done" });
    else if (held.has(session!)) release.push({ worker: id, why: "surplus" });
    else held.add(session!);
  }
  return { held, release };
}

/** Oldest first. */
export function byAge(running: ReadonlyMap<string, Running>) {
  const since = (id: string) => running.get(id)?.sinceMs ?? 0;
  return (a: string, b: string) => since(a) - since(b) || (a < b ? -1 : a > b ? 1 : 0);
}
