// Control: knows what should run, asks the others what does, and closes the gap. It holds no media and no truth of its
// own: killed and started again, it learns everything from gateway, origins, placement and the workers themselves.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import { copies } from "#media/ladder/plan.ts";
import { taiToIso } from "#media/time/tai.ts";
import type {
  GatewaySession,
  InputState,
  PublishAuthority,
  PublishRequest,
  PullState,
  Refusal,
} from "#modules/ingest/types.ts";
import type { Keys } from "#platform/keys/keys.ts";
import type { Placement } from "#platform/placement/placement.ts";
import { changedChannel } from "./channel-schema.ts";
import type { Channels, Identified } from "./channels.ts";
import { type ControlEvent, createEvents, type EventDetail, type EventType } from "./events.ts";
import { createLoop } from "./loop.ts";
import { openAtOrigins } from "./open-session.ts";
import type { Addresses, GatewayPort, OriginPort } from "./ports.ts";
import { overridesOf, type PublishHookPort } from "./publish-hook.ts";
import { createPublishers } from "./publishers.ts";
import { createReconciler, type Deed, type SourceSpec } from "./reconcile.ts";
import { type SessionView, sessionView, type WorkerView, workerViews } from "./views.ts";
import { createWatch } from "./watch.ts";
import { createWorkers } from "./workers.ts";

/** Origins change in bursts, when sessions begin and end. */
const ORIGIN_GATHER_MS = 50;

export type ControlDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  keys: Keys;
  placement: Placement;
  gateway: GatewayPort;
  origins: readonly OriginPort[];
  channels: Channels;
  warmMin: number;
  addresses: () => Addresses;
  /** Added to each worker's environment. */
  workerEnv?: Readonly<Record<string, string>>;
  /** A customer's own word on publishers; absent: nobody is asked. */
  publishHook?: PublishHookPort;
  /** What has to be run for a channel so that something comes in: the demo's generator, pulls. As far as the addresses it
   *  takes are known. */
  sourcesOf?: (channel: Channel) => readonly SourceSpec[];
}>;

export type RefusalView = Omit<Refusal, "atNs"> & Readonly<{ at: string }>;

export type ControlStatus = Readonly<{
  /** Gateway and every origin can be heard. */
  ready: boolean;
  gateway: Readonly<{ connected: boolean; url: string | null }>;
  origins: readonly Readonly<{ name: string; connected: boolean }>[];
  channels: number;
  /** By state; those the gateway still holds. */
  sessions: Readonly<Record<string, number>>;
  /** By phase. */
  workers: Readonly<Record<string, number>>;
}>;

export interface Control {
  /** What the gateway asks for each publisher. */
  publishAuthority(): PublishAuthority;
  /** Running ones first, then ended ones, newest first. */
  sessions(): SessionView[];
  session(id: string): SessionView | null;
  workers(): WorkerView[];
  /** Newest first. */
  refusals(): RefusalView[];
  /** How the channel's own ports are doing, as far as the gateway was heard. */
  inputs(channel: string): readonly (InputState | PullState)[];
  status(): ControlStatus;
  /** End it. @throws PlatformError log.unknown_session, publish.unavailable */
  stopSession(id: string): Promise<void>;
  /** Disconnect its publisher; the session waits for one for its grace.
   *  @throws PlatformError log.unknown_session, publish.unavailable */
  kickSession(id: string): Promise<void>;
  /** Disconnect whoever is on with a key of the channel. @returns ids of the sessions
   *  @throws PlatformError publish.unavailable */
  kickKey(channel: string, key: string): Promise<string[]>;
  subscribe(listener: (event: ControlEvent) => void): () => void;
  /** For what others make happen (channels by the API). */
  emit(type: EventType, detail: EventDetail): void;
  /** A worker's WebSocket, `/internal/workers/ID`. @returns false when the path is not ours */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  close(): Promise<void>;
}

export function createControl(deps: ControlDeps): Control {
  const { clock, log, gateway, origins, channels } = deps;
  const events = createEvents(clock);
  const watch = createWatch(events);
  const publishers = createPublishers();
  const workers = createWorkers({ clock, log, keys: deps.keys });
  const reconciler = createReconciler({
    ...deps,
    workers,
    channel: (name) => channels.get(name)?.channel ?? null,
    copies: () => channels.list().some(({ channel }) => copies(channel.ladder)),
    sources: () => channels.list().flatMap(({ channel }) => deps.sourcesOf?.(channel) ?? []),
    onDeed: (deed) => tell(deed),
  });
  let lastSessions: readonly GatewaySession[] = [];
  let lastRefusals: readonly Refusal[] = [];
  let lastInputs: readonly (InputState | PullState)[] = [];

  function tell(deed: Deed): void {
    if (deed.deed === "session.failed") {
      log.error("session given up: its workers keep failing", { session: deed.session });
    } else if (deed.deed === "worker.dropped") {
      const { worker, session, why, detail } = deed;
      log[why === "failed" ? "warn" : "info"]("packager drops a session", { worker, session, why, detail });
      if (why === "failed") events.emit("worker.failed", { worker, session, message: detail ?? why });
    } else if (deed.deed === "worker.gone") {
      const { worker, session, why, detail } = deed;
      const fine = why === "done" || why === "surplus";
      if (!fine) log.warn("worker broke", { worker, session, why, detail });
      events.emit(fine ? "worker.ended" : "worker.failed", { worker, session, message: detail ?? why });
    } else {
      const { deed: what, ...facts } = deed;
      log.info(what, facts);
      events.emit(what, facts);
    }
  }

  function currentSessions(): SessionView[] {
    lastSessions = gateway.sessions() ?? lastSessions;
    const held = origins.map((origin) => origin.sessions());
    const views = currentWorkers();
    return lastSessions.map((session) => sessionView(session, held, views, reconciler.isFailed(session.id)));
  }

  const currentWorkers = () => workerViews(reconciler.running(), reconciler.workers(), reconciler.packagers());

  const loop = createLoop(clock, async () => {
    try {
      await reconciler.pass();
      lastRefusals = gateway.refusals() ?? lastRefusals;
      if (gateway.sessions() !== null) watch.look(currentSessions(), lastRefusals);
    } catch (error) {
      log.warn("a pass failed; the next one tries again", { error });
    }
  });
  const stops = [
    gateway.onChange(() => loop.wake(0)),
    deps.placement.onChange(() => loop.wake(0)),
    workers.onChange(() => loop.wake(0)),
    ...origins.map((origin) => origin.onChange(() => loop.wake(ORIGIN_GATHER_MS))),
  ];
  loop.wake(0);

  function sessions(): SessionView[] {
    const current = currentSessions();
    const ids = new Set(current.map(({ id }) => id));
    const past = watch.history().filter(({ id }) => !ids.has(id));
    const rank = ({ state }: SessionView) => (state === "ended" || state === "failed" ? 1 : 0);
    return [...current, ...past].sort(
      (a, b) => rank(a) - rank(b) || (a.startedAt > b.startedAt ? -1 : a.startedAt < b.startedAt ? 1 : 0),
    );
  }

  function heldSessions(): readonly GatewaySession[] {
    const held = gateway.sessions();
    if (held === null) throw new PlatformError("publish.unavailable", "The gateway cannot be reached; try again.");
    return held;
  }

  function assertRunning(id: string): void {
    if (!heldSessions().some((session) => session.id === id && session.state !== "ended"))
      throw new PlatformError("log.unknown_session", `No session ${id} is running.`);
  }

  async function authorize(request: PublishRequest): Promise<Channel> {
    const { publishHook } = deps;
    // The demo's source is ours: no customer's server knows it.
    const isDemo = channels.get(request.channel ?? "")?.channel.origin === "demo";
    if (!publishHook || isDemo) return admit(request, channels.identify(request));
    const isTheirs = publishHook.keys === "theirs" && !request.byInput;
    const identified = isTheirs ? channels.named(request) : { ...channels.identify(request), text: null };
    const { name, key } = identified;
    const channel = identified.channel ?? { ...channelDefaults, name, origin: "auto" };
    const answer = await publishHook.ask({
      channel: name,
      tenant: channel.tenant,
      protocol: request.protocol,
      remote: request.remote,
      keyName: key?.name ?? null,
      key: identified.text,
      rtmpPath: request.rtmpPath,
    });
    const overrides = overridesOf(answer, channel, log);
    return changedChannel(admit(request, identified), overrides);
  }

  function admit(request: PublishRequest, identified: Identified): Channel {
    publishers.admitted(request, identified);
    return channels.admit(identified);
  }

  return {
    publishAuthority: () => ({
      authorize,
      openSession: (session, channel) => openAtOrigins(origins, session, channel, { clock, log }),
    }),
    sessions,
    session: (id) => sessions().find((view) => view.id === id) ?? null,
    workers: currentWorkers,
    refusals() {
      lastRefusals = gateway.refusals() ?? lastRefusals;
      const newest = lastRefusals.toSorted((a, b) => (a.atNs > b.atNs ? -1 : 1));
      return newest.map(({ atNs, ...rest }) => ({ at: taiToIso(atNs), ...rest }));
    },
    inputs(channel) {
      lastInputs = gateway.inputs() ?? lastInputs;
      return lastInputs.filter((input) => input.channel === channel);
    },
    status() {
      const connected = origins.map((origin) => ({ name: origin.name, connected: origin.sessions() !== null }));
      const heard = gateway.sessions() !== null;
      return {
        ready: heard && connected.length > 0 && connected.every((origin) => origin.connected),
        gateway: { connected: heard, url: deps.addresses().gatewayUrl },
        origins: connected,
        channels: channels.list().length,
        sessions: countBy(currentSessions().map(({ state }) => state)),
        workers: countBy(currentWorkers().map(({ phase }) => phase)),
      };
    },
    async stopSession(id) {
      assertRunning(id);
      await gateway.stop(id, "stopped");
    },
    async kickSession(id) {
      assertRunning(id);
      await gateway.kick(id);
    },
    async kickKey(channel, key) {
      const on = heldSessions().filter((session) => session.channel === channel && session.state !== "ended");
      const meant = on.filter((session) => publishers.cameWith(session, key) !== false).map(({ id }) => id);
      await Promise.all(meant.map((id) => gateway.kick(id)));
      return meant;
    },
    subscribe: events.subscribe,
    emit: events.emit,
    handleUpgrade: workers.handleUpgrade,
    async close() {
      for (const stop of stops) stop();
      await loop.close();
      workers.close();
    },
  };
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
