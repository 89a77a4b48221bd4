// Sessions and workers as the API shows them: the gateway's and the origins' halves put together, TAI turned into text.
import type { EndReason, Track } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import { taiToIso } from "#media/time/tai.ts";
import type { GatewaySession } from "#modules/ingest/types.ts";
import type { OriginSession } from "#modules/origin/types.ts";
import type { Running } from "#platform/placement/placement.ts";
import type { PackagerState } from "./plan-packagers.ts";
import type { WorkerState } from "./plan-workers.ts";
import type { WorkerRecord } from "./workers.ts";

/** ending: the log holds its end, and not all of its media is stored yet. */
export type SessionViewState = "starting" | "live" | "interrupted" | "ending" | "ended" | "failed";

export type TrackView = Readonly<{
  track: number;
  kind: "video" | "audio";
  codec: string;
  width?: number;
  height?: number;
  interlaced?: boolean;
  bitDepth?: number;
  sampleRate?: number;
  channels?: number;
  language?: string;
}>;

export type SessionView = Readonly<{
  id: string;
  channel: string;
  tenant: string;
  state: SessionViewState;
  endReason: EndReason | null;
  /** Instant of the first frame: UTC text, and TAI nanoseconds as text (JSON numbers cannot hold them). */
  anchor: Readonly<{ time: string; taiNs: string }> | null;
  msnBase: number;
  protocol: string;
  remote: string;
  startedAt: string;
  tracks: readonly TrackView[];
  rate: Rate | null;
  renditions: readonly OriginSession["renditions"][number][];
  counters: GatewaySession["counters"];
  log: GatewaySession["log"];
  /** Parts of one name and unequal bytes, over all origins: never above 0 in a sound installation. */
  copiesThatDiffer: number;
  waiters: number;
  workers: readonly Readonly<{ id: string; phase: string; node: string; pid: number | null }>[];
}>;

export type WorkerView = Readonly<{
  id: string;
  role: Running["role"];
  /** starting, warm, running, draining, failed; for a demo source what placement says. */
  phase: string;
  session: string | null;
  /** All it has: a packager serves many. */
  sessions: readonly string[];
  connected: boolean;
  node: string;
  pid: number | null;
  build: string | null;
  cpuClass: string | null;
  frame: number | null;
  speed: number | null;
  encodedFrames: number | null;
}>;

export function sessionView(
  session: GatewaySession,
  origins: readonly (readonly OriginSession[] | null)[],
  workers: readonly WorkerView[],
  failed: boolean,
): SessionView {
  const held = origins.map((list) => list?.find(({ id }) => id === session.id)).filter((entry) => entry !== undefined);
  const furthest = held.toSorted((a, b) => segmentsOf(b) - segmentsOf(a))[0]; // one that was restarted knows less
  const { id, channel, tenant, endReason, msnBase, protocol, remote, rate, counters, log } = session;
  return {
    id,
    channel,
    tenant,
    state: viewState(session, held, failed),
    endReason,
    anchor: session.anchorNs === null ? null : { time: taiToIso(session.anchorNs), taiNs: String(session.anchorNs) },
    msnBase,
    protocol,
    remote,
    startedAt: taiToIso(session.openedNs),
    tracks: session.tracks.map(trackView),
    rate,
    renditions: furthest?.renditions ?? [],
    counters,
    log,
    copiesThatDiffer: held.reduce((sum, entry) => sum + entry.copiesThatDiffer, 0),
    waiters: held.reduce((sum, entry) => sum + entry.waiters, 0),
    workers: workers
      .filter((worker) => worker.sessions.includes(id))
      .map((worker) => ({ id: worker.id, phase: worker.phase, node: worker.node, pid: worker.pid })),
  };
}

const segmentsOf = (session: OriginSession) => session.renditions.reduce((sum, { segments }) => sum + segments, 0);

function viewState(session: GatewaySession, held: readonly OriginSession[], failed: boolean): SessionViewState {
  if (failed || session.endReason === "failed" || session.endReason === "refused") return "failed";
  if (session.state !== "ended") return session.state;
  return session.anchorNs !== null && held.some(({ state }) => state === "open") ? "ending" : "ended";
}

function trackView(track: Track): TrackView {
  const { track: number, kind, codec } = track;
  if (track.kind === "video") {
    const { width, height, interlaced, bitDepth } = track;
    return { track: number, kind, codec, width, height, interlaced, bitDepth };
  }
  const { sampleRate, channels, language } = track;
  return { track: number, kind, codec, sampleRate, channels, language };
}

export function workerViews(
  running: readonly Running[],
  workers: readonly (WorkerRecord & WorkerState)[],
  packagers: readonly (WorkerRecord & PackagerState)[],
): WorkerView[] {
  const said = new Map(
    [...workers.map(workerFacts), ...packagers.map(packagerFacts)].map((facts) => [facts.id, facts]),
  );
  const placed = running.map(({ id, role, phase, pid, node }): WorkerView => {
    const worker = said.get(id) ?? UNKNOWN;
    said.delete(id);
    const own = phase === "failed" ? "failed" : role === "demo-source" || role === "pull" ? phase : worker.phase;
    return { ...worker, id, role, phase: own, pid, node };
  });
  return [...placed, ...said.values()];
}

/** One that placement lists and that has not spoken. */
const UNKNOWN = {
  phase: "starting",
  session: null,
  sessions: [],
  connected: false,
  build: null,
  cpuClass: null,
  frame: null,
  speed: null,
  encodedFrames: null,
} as const;

function workerFacts(worker: WorkerRecord & WorkerState): WorkerView {
  const { id, phase, session, connected, frame, hello, progress } = worker;
  return {
    id,
    role: "transcode",
    phase,
    session,
    sessions: session === null ? [] : [session],
    connected,
    node: "",
    pid: hello.pid,
    build: hello.build,
    cpuClass: hello.cpuClass,
    frame,
    speed: progress?.speed ?? null,
    encodedFrames: progress?.encodedFrames ?? null,
  };
}

function packagerFacts({ id, connected, hello, sessions }: WorkerRecord & PackagerState): WorkerView {
  return {
    ...UNKNOWN,
    id,
    role: "package",
    phase: sessions.length > 0 ? "running" : "warm",
    sessions: sessions.filter(({ phase }) => phase !== "leaving").map(({ session }) => session),
    connected,
    node: "",
    pid: hello.pid,
    build: hello.build,
    cpuClass: hello.cpuClass,
  };
}
