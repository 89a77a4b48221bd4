// A gateway, an origin, a placement and workers that do wrong what such things do wrong: refuse, crash, hang, fall silent,
// lose a message, forget, vanish for a while. Seeded, so that a failure replays. Time moves only by step().
import type { SimClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { FromControl, Progress } from "#control/worker-protocol.ts";
import type { WorkerRecord, Workers } from "#control/workers.ts";
import type { GatewaySession } from "#modules/ingest/types.ts";
import type { OriginSession } from "#modules/origin/types.ts";
import type { Placement, Running, Workload } from "#platform/placement/placement.ts";

export type Faults = Readonly<{
  refuse: number;
  crash: number;
  hang: number;
  /** Of a process that is there and never says anything again. */
  wedge: number;
  silence: number;
  /** Of one session of a packager, in one step. */
  fail: number;
  loseMessage: number;
  gatewayAway: number;
  originForgets: number;
}>;

const CALM: Faults = {
  refuse: 0,
  crash: 0,
  hang: 0,
  wedge: 0,
  silence: 0,
  fail: 0,
  loseMessage: 0,
  gatewayAway: 0,
  originForgets: 0,
};

export type Process = {
  workload: Workload;
  phase: Running["phase"];
  hangs: boolean;
  wedged: boolean;
  silent: boolean;
  /** Steps until it is ready; it says hello one step later. */
  startSteps: number;
  released: boolean;
  /** Every session a worker was ever given; what a packager has now. */
  sessions: Set<string>;
  steps: number;
};

type Needs = GatewaySession["needs"];
type Session = {
  id: string;
  needs: Needs;
  ended: boolean;
  sinceEndSteps: number;
  stored: "open" | "complete";
  /** Steps since its end that a worker, and a packager, worked on it. */
  worked: { transcode: number; package: number };
};

export function controlWorld(clock: SimClock, random: Random, storm: Faults) {
  let faults = storm;
  let away = false;
  let names = 0;
  const processes = new Map<string, Process>();
  const records = new Map<string, WorkerRecord>();
  const sessions = new Map<string, Session>();
  const atOrigin = new Set<string>();
  const chance = (share: number) => random.next() < share;

  const placement: Placement = {
    async ensure(workload) {
      if (chance(faults.refuse)) throw new PlatformError("placement.no_capacity", "no room now");
      if (processes.has(workload.id)) return;
      const hangs = chance(faults.hang);
      processes.set(workload.id, {
        workload,
        phase: "starting",
        hangs,
        wedged: false,
        silent: false,
        startSteps: random.int(1, 4),
        released: false,
        sessions: new Set(),
        steps: 0,
      });
    },
    async remove(id) {
      processes.delete(id);
    },
    list: async () =>
      [...processes].map(([id, { workload, phase }]) => ({
        id,
        role: workload.role,
        specHash: workload.specHash,
        phase,
        sinceMs: -1e9, // another process's clock: control must not believe it
        pid: 1,
        node: "sim",
      })),
    onChange: () => () => {},
  };

  const workers: Pick<Workers, "list" | "send" | "forget"> = {
    list: () => [...records.values()],
    send(id, message: FromControl) {
      const process = processes.get(id);
      if (!records.get(id)?.connected || process?.phase !== "ready") return false;
      if (chance(faults.loseMessage)) return true;
      if (message.kind === "assign") process.sessions.add(message.session);
      if (message.kind === "release") process.released = true;
      if (message.kind === "drop") process.sessions.delete(message.session);
      return true;
    },
    forget: (id) => void records.delete(id),
  };

  const gateway = {
    sessions: () => (away ? null : [...sessions.values()].map(gatewayView)),
    async stop(id: string) {
      if (chance(faults.refuse)) throw new PlatformError("network.unreachable", "not now");
      const session = sessions.get(id);
      if (session) session.ended = true;
    },
  };

  const origin = {
    name: "origin",
    sessions: () => [...atOrigin].flatMap((id) => (sessions.has(id) ? [originView(sessions.get(id)!)] : [])),
    audience: () => [],
    async openSession(id: string) {
      atOrigin.add(id);
      return { msnBase: 0, discontinuityBase: 0 };
    },
  };

  function stepWorker(id: string, process: Process): void {
    process.steps += 1;
    if (process.phase === "failed") return;
    if (chance(faults.crash)) {
      process.phase = "failed";
      drop(id);
      return;
    }
    if (process.released && process.steps % 2 === 0) {
      processes.delete(id); // left by itself
      drop(id);
      return;
    }
    if (process.hangs || process.steps < process.startSteps) return;
    process.phase = "ready";
    if (chance(faults.wedge)) process.wedged = true;
    if (process.wedged) drop(id);
    if (process.wedged || process.steps === process.startSteps) return;
    process.silent = process.silent ? !chance(0.3) && faults.silence > 0 : chance(faults.silence);
    if (process.silent) {
      drop(id);
      return;
    }
    const common = { id, connected: true, heardMs: clock.monotonicMs() };
    if (process.workload.role === "package") {
      records.set(id, { ...common, ...packagerSays(id, process) });
      return;
    }
    const [session = null] = process.sessions;
    work(session, "transcode");
    const progress: Progress = {
      kind: "progress",
      phase: session === null ? "warm" : "running",
      session,
      frame: process.steps,
      speed: 1,
      encodedFrames: 0,
    };
    const hello = { kind: "hello", worker: id, pid: 1, build: "sim", cpuClass: "sim" } as const;
    records.set(id, { ...common, hello, progress, packaging: null });
  }

  function packagerSays(id: string, process: Process) {
    const hello = { kind: "hello", worker: id, role: "package", pid: 1, build: "sim", cpuClass: "sim" } as const;
    const reported = [...process.sessions].map((session) => {
      work(session, "package");
      return { session, phase: chance(faults.fail) ? ("failed" as const) : ("running" as const), frame: process.steps };
    });
    return { hello, progress: null, packaging: { kind: "packaging" as const, sessions: reported } };
  }

  function drop(id: string): void {
    const record = records.get(id);
    if (record) records.set(id, { ...record, connected: false });
  }

  function work(id: string | null, role: "transcode" | "package"): void {
    const session = id === null ? undefined : sessions.get(id);
    if (!session?.ended || !atOrigin.has(session.id)) return;
    session.worked[role] += 1;
    const isDone = (needs: boolean, steps: number) => !needs || steps >= 2;
    const { needs, worked } = session;
    if (isDone(needs.worker, worked.transcode) && isDone(needs.packager, worked.package)) session.stored = "complete";
  }

  function stepSessions(): void {
    for (const session of [...sessions.values()]) {
      if (!session.ended) continue;
      session.sinceEndSteps += 1;
      if (session.sinceEndSteps > 90) sessions.delete(session.id); // the gateway lets go of its log
    }
    if (chance(faults.originForgets)) atOrigin.clear();
  }

  return {
    placement,
    workers,
    gateway,
    origin,
    processes,
    publish(needs: Needs): string {
      const id = `s${++names}`;
      const worked = { transcode: 0, package: 0 };
      sessions.set(id, { id, needs, ended: false, sinceEndSteps: 0, stored: "open", worked });
      atOrigin.add(id);
      return id;
    },
    unpublish(): void {
      const open = [...sessions.values()].filter(({ ended }) => !ended);
      if (open.length > 0) open[random.int(0, open.length)]!.ended = true;
    },
    /** How many sessions still need a worker. */
    wanted: () =>
      [...sessions.values()].filter(
        ({ id, needs, ended, stored }) => needs.worker && (!ended || stored === "open" || !atOrigin.has(id)),
      ).length,
    /** Sessions that go on. @param need those that need it; absent: all */
    open: (need?: keyof Needs) =>
      [...sessions.values()]
        .filter(({ ended, needs }) => !ended && (need === undefined || needs[need]))
        .map(({ id }) => id),
    /** Control was restarted: every line broke, and nobody has said hello to the new one. */
    hangUp(): void {
      records.clear();
    },
    step(): void {
      away = chance(faults.gatewayAway);
      stepSessions();
      for (const [id, process] of [...processes]) stepWorker(id, process);
    },
    heal(): void {
      faults = CALM;
    },
  };
}

function gatewayView({ id, ended, needs }: Session): GatewaySession {
  return {
    id,
    channel: id,
    tenant: "main",
    state: ended ? "ended" : "live",
    endReason: ended ? "publisher" : null,
    protocol: "rtmp",
    remote: "sim",
    openedNs: 0n,
    anchorNs: 1n,
    msnBase: 0,
    tracks: [],
    needs,
    rate: null,
    log: { first: 0, next: 0, bytes: 0, readers: 0 },
    counters: {
      bytesIn: 0,
      units: 0,
      damagedUnits: 0,
      droppedUnits: 0,
      continuityErrors: 0,
      holes: 0,
      readersCut: 0,
      returns: 0,
      driftSteps: 0,
      driftMs: 0,
    },
  };
}

function originView({ id, stored }: Session): OriginSession {
  const none = { copiesThatDiffer: 0, waiters: 0, firstPartNs: null, lastPartNs: null };
  return { id, channel: id, state: stored, renditions: [], ...none };
}
