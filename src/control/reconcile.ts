// One pass: look at everything, plan, act. Passes never overlap; one that is asked for meanwhile runs right after. An
// action that fails is logged and left to the next pass: it must not stop the others.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { type Random, randomId } from "#base/random.ts";
import type { Channel } from "#media/channel.ts";
import type { Keys } from "#platform/keys/keys.ts";
import type { Placement, Running, Workload } from "#platform/placement/placement.ts";
import { ControlMemory } from "./memory.ts";
import { createPackaging, isPackager } from "./packaging.ts";
import { type Action, plan, type Why, type World } from "./plan.ts";
import type { PackagerState } from "./plan-packagers.ts";
import type { SourceRole, SourceState } from "./plan-sources.ts";
import type { WorkerState } from "./plan-workers.ts";
import type { Addresses, GatewayPort, OriginPort } from "./ports.ts";
import type { FromControl } from "./worker-protocol.ts";
import type { WorkerRecord, Workers } from "./workers.ts";

/** A worker that reconnects shows the token it began with; streams last days. */
const WORKER_TOKEN_SECONDS = 30 * 86_400;
const SESSION_TOKEN_SECONDS = 7 * 86_400;
const SESSION_TOKEN_RENEW_MS = 86_400_000;
/** An assignment that the worker does not confirm is said again. */
const TELL_AGAIN_MS = 1000;
/** All workers are the same until they have a session; all packagers are. */
const WORKER_SPEC = "worker-1";
const PACKAGER_SPEC = "packager-1";

/** A source that we run for a channel. */
export type SourceSpec = Readonly<{
  /** Of the workload. */
  id: string;
  role: SourceRole;
  channel: string;
  onDemand: boolean;
  specHash: string;
  env: () => Promise<Readonly<Record<string, string>>>;
}>;

/** What a pass did, for the event feed. */
export type Deed =
  | Readonly<{ deed: "worker.started"; worker: string }>
  | Readonly<{ deed: "worker.assigned"; worker: string; session: string }>
  | Readonly<{ deed: "worker.gone"; worker: string; session: string | null; why: Why; detail: string | null }>
  /** A packager was told to let go of a session. */
  | Readonly<{ deed: "worker.dropped"; worker: string; session: string; why: Why; detail: string | null }>
  | Readonly<{ deed: "session.failed"; session: string }>
  | Readonly<{ deed: "source.started" | "source.stopped"; source: string; channel: string | null }>;

export type ReconcilerDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  keys: Keys;
  placement: Placement;
  gateway: Pick<GatewayPort, "sessions" | "stop">;
  origins: readonly Pick<OriginPort, "name" | "sessions" | "audience" | "openSession">[];
  workers: Pick<Workers, "list" | "send" | "forget">;
  warmMin: number;
  /** Added to each worker's environment: log level and the like. */
  workerEnv?: Readonly<Record<string, string>>;
  addresses: () => Addresses;
  channel: (name: string) => Channel | null;
  /** Some channel's ladder asks for the source's own pictures. */
  copies: () => boolean;
  /** What channels want to be run for them, as far as it can be said yet. */
  sources: () => readonly SourceSpec[];
  onDeed: (deed: Deed) => void;
}>;

type RemovePackager = Extract<Action, { do: "remove-packager" }>;

export interface Reconciler {
  pass(): Promise<void>;
  /** What placement listed last. */
  running(): readonly Running[];
  /** Each known worker, with the session it was given. */
  workers(): readonly (WorkerRecord & WorkerState)[];
  /** Each known packager, with its sessions. */
  packagers(): readonly (WorkerRecord & PackagerState)[];
  isFailed(session: string): boolean;
}

export function createReconciler(deps: ReconcilerDeps): Reconciler {
  const { clock, log, keys, placement, workers } = deps;
  const memory = new ControlMemory();
  const prefix = `worker-${randomId(deps.random, 6)}`;
  let running: readonly Running[] = [];
  let started = 0;
  const freshId = (ordinal: number) => `${prefix}-${started + ordinal + 1}`;
  const packagerPrefix = `packager-${randomId(deps.random, 6)}`;
  let startedPackagers = 0;
  const freshPackagerId = (ordinal: number) => `${packagerPrefix}-${startedPackagers + ordinal + 1}`;
  const packaging = createPackaging({
    clock,
    workers,
    assignment: async (session) => assignmentOf(session, memory.channelOf.get(session) ?? null),
    token: (session) => tokenOf(session, memory.channelOf.get(session)!),
    tokenRenewMs: SESSION_TOKEN_RENEW_MS,
  });

  const workerRecords = () => workers.list().filter((record) => !isPackager(record));
  const states = () =>
    workerRecords().map((record): WorkerRecord & WorkerState => {
      const { progress } = record;
      return {
        ...record,
        session: progress?.session ?? memory.given.get(record.id)?.session ?? null,
        phase: progress?.phase ?? "warm",
        frame: progress?.frame ?? null,
        releasedMs: memory.released.get(record.id) ?? null,
      };
    });

  async function look(): Promise<World | null> {
    const sessions = deps.gateway.sessions();
    if (sessions === null) return null;
    const nowMs = clock.monotonicMs();
    running = memory.observeRunning(await placement.list(), nowMs);
    memory.observeSessions(sessions, nowMs);
    const origins = deps.origins.map((origin) => origin.sessions());
    memory.observeMedia(origins);
    const copies = deps.copies() || sessions.some(({ needs, state }) => needs.packager && state !== "ended");
    const isOurs = (id: string) => id.startsWith(`${prefix}-`) || id.startsWith(`${packagerPrefix}-`);
    return {
      nowMs,
      sessions,
      origins,
      running,
      workers: states(),
      packagers: packaging.states(copies),
      packagerFailuresMs: memory.packagerFailuresMs,
      copies,
      notes: memory.notes,
      poolFailuresMs: memory.poolFailuresMs,
      lastTakenMs: memory.lastTakenMs,
      warmMin: deps.warmMin,
      strangers: new Set(running.filter(({ id }) => !isOurs(id)).map(({ id }) => id)),
      sources: sourceStates(),
      freshId,
      freshPackagerId,
    };
  }

  function sourceStates(): SourceState[] {
    const asked = new Map<string, number>();
    for (const { channel, lastAskedMs } of deps.origins.flatMap((origin) => origin.audience()))
      asked.set(channel, Math.max(lastAskedMs, asked.get(channel) ?? Number.NEGATIVE_INFINITY));
    return deps.sources().map(({ id, channel, onDemand, specHash }) => {
      const lastAskedMs = asked.get(channel) ?? null;
      return { id, onDemand, specHash, lastAskedMs, ...memory.source(id) };
    });
  }

  const channelOf = (source: string) => deps.sources().find(({ id }) => id === source)?.channel ?? null;

  async function act(action: Action, world: World): Promise<void> {
    switch (action.do) {
      case "fail":
        if (!memory.note(action.session).failed) deps.onDeed({ deed: "session.failed", session: action.session });
        memory.note(action.session).failed = true;
        return deps.gateway.stop(action.session, "failed");
      case "reopen":
        return reopen(action.origin, action.session, world);
      case "assign":
        return assign(action.worker, action.session, world);
      case "release":
        memory.released.set(action.worker, clock.monotonicMs());
        workers.send(action.worker, { kind: "release" });
        return;
      case "remove":
        return remove(action.id, action.why, action.charged, world);
      case "start":
        started += 1;
        return start(action.id, "transcode", WORKER_SPEC);
      case "package":
        if (await packaging.give(action.packager, action.session))
          deps.onDeed({ deed: "worker.assigned", worker: action.packager, session: action.session });
        return;
      case "drop":
        return drop(action.packager, action.session, action.why);
      case "start-packager":
        startedPackagers += 1;
        return start(action.id, "package", PACKAGER_SPEC);
      case "remove-packager":
        return removePackager(action);
      case "start-source":
        return startSource(action.id);
      case "remove-source":
        if (action.failed) memory.countSourceFailure(action.id, clock.monotonicMs());
        await placement.remove(action.id);
        return deps.onDeed({ deed: "source.stopped", source: action.id, channel: channelOf(action.id) });
    }
  }

  async function reopen(at: number, id: string, world: World): Promise<void> {
    const session = world.sessions.find((entry) => entry.id === id)!;
    const channel = deps.channel(session.channel);
    if (channel === null)
      throw new PlatformError("channel.unknown", `There is no channel ${session.channel} any more.`);
    await deps.origins[at]!.openSession(id, channel);
  }

  async function assign(worker: string, session: string, world: World): Promise<void> {
    const nowMs = clock.monotonicMs();
    const { channel } = world.sessions.find(({ id }) => id === session)!;
    if (!(await tell(worker, session, channel))) return; // its line just broke: the next pass takes another
    memory.given.set(worker, { session, toldMs: nowMs, tokenMs: nowMs });
    memory.lastTakenMs = nowMs;
    deps.onDeed({ deed: "worker.assigned", worker, session });
  }

  async function tell(worker: string, session: string, channel: string): Promise<boolean> {
    const message = await assignmentOf(session, channel);
    return message !== null && workers.send(worker, message);
  }

  const tokenOf = (session: string, channel: string) =>
    keys.mint({ kind: "session", session, channel }, SESSION_TOKEN_SECONDS);

  /** @returns null while the others are starting */
  async function assignmentOf(session: string, channel: string | null): Promise<FromControl | null> {
    const { gatewayUrl, originUrls } = deps.addresses();
    if (gatewayUrl === null || originUrls.length === 0 || channel === null) return null;
    const token = await tokenOf(session, channel);
    return { kind: "assign", session, channel, gatewayUrl, originUrls: [...originUrls], token };
  }

  /** Says assignments again to those that did not hear them, and renews tokens. */
  async function keepTold(world: World): Promise<void> {
    await packaging.keepTold(new Set(world.sessions.map(({ id }) => id)));
    for (const { id, connected, progress } of workerRecords()) {
      const given = memory.given.get(id);
      if (!connected || given === undefined || memory.released.has(id)) continue;
      const session = world.sessions.find((entry) => entry.id === given.session);
      if (session === undefined) continue;
      const heard = progress?.session === given.session;
      if (!heard && world.nowMs - given.toldMs >= TELL_AGAIN_MS) {
        given.toldMs = world.nowMs;
        await tell(id, session.id, session.channel);
      } else if (heard && world.nowMs - given.tokenMs >= SESSION_TOKEN_RENEW_MS) {
        const token = await tokenOf(session.id, session.channel);
        if (workers.send(id, { kind: "token", session: session.id, token })) given.tokenMs = world.nowMs;
      }
    }
  }

  async function remove(id: string, why: Why, charged: readonly string[], world: World): Promise<void> {
    const worker = world.workers.find((entry) => entry.id === id) as (WorkerRecord & WorkerState) | undefined;
    const session = worker?.session ?? null;
    await placement.remove(id);
    workers.forget(id);
    memory.forgetWorker(id);
    if (why !== "done" && why !== "surplus") memory.countFailure(charged, session === null, clock.monotonicMs());
    deps.onDeed({ deed: "worker.gone", worker: id, session, why, detail: worker?.progress?.detail ?? null });
  }

  function drop(packager: string, session: string, why: Why): void {
    const reported = workers.list().find(({ id }) => id === packager)?.packaging?.sessions ?? [];
    const detail = reported.find((entry) => entry.session === session)?.detail ?? null;
    packaging.drop(packager, session);
    if (why === "failed") memory.countFailure([session], false, clock.monotonicMs());
    deps.onDeed({ deed: "worker.dropped", worker: packager, session, why, detail });
  }

  async function removePackager({ id, why, charged, pooled }: RemovePackager): Promise<void> {
    await placement.remove(id);
    workers.forget(id);
    packaging.forget(id);
    if (why !== "surplus") memory.countPackagerFailure(charged, pooled, clock.monotonicMs());
    deps.onDeed({ deed: "worker.gone", worker: id, session: null, why, detail: null });
  }

  async function start(id: string, role: "transcode" | "package", specHash: string): Promise<void> {
    const { controlUrl } = deps.addresses();
    if (controlUrl === null) return; // it is starting
    const env = {
      ...deps.workerEnv,
      CONTINUITY_CONTROL_URL: controlUrl,
      CONTINUITY_WORKER_ID: id,
      CONTINUITY_WORKER_TOKEN: await keys.mint({ kind: "worker", worker: id }, WORKER_TOKEN_SECONDS),
    };
    await placement.ensure({ id, role, specHash, env } satisfies Workload);
    deps.onDeed({ deed: "worker.started", worker: id });
  }

  async function startSource(id: string): Promise<void> {
    const source = deps.sources().find((spec) => spec.id === id);
    if (!source) return;
    memory.source(id).lastStartMs = clock.monotonicMs();
    const { role, specHash } = source;
    await placement.ensure({ id, role, specHash, env: await source.env() });
    deps.onDeed({ deed: "source.started", source: id, channel: source.channel });
  }

  async function attempt(what: Action["do"] | "tell", work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.warn("an action failed; the next pass tries again", { action: what, error });
    }
  }

  return {
    async pass() {
      const world = await look();
      if (world === null) return;
      for (const action of plan(world)) await attempt(action.do, () => act(action, world));
      await attempt("tell", () => keepTold(world));
    },
    running: () => running,
    workers: states,
    packagers() {
      const records = new Map(workers.list().map((record) => [record.id, record]));
      return packaging.states(false).map((state) => ({ ...records.get(state.id)!, ...state }));
    },
    isFailed: (session) => memory.notes.get(session)?.failed ?? false,
  };
}
