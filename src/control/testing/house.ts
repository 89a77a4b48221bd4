// A control with a gateway, an origin and a placement that a test moves by hand.
import { type SimClock, simClock } from "#base/clock.ts";
import { type Log, silentLog } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { EndReason, SessionNumbers } from "#media/session-log/entries.ts";
import type { GatewaySession, InputState, Refusal } from "#modules/ingest/types.ts";
import type { OriginSession } from "#modules/origin/types.ts";
import type { Keys, Scope } from "#platform/keys/keys.ts";
import { memoryPlacement } from "#platform/placement/drivers/memory.ts";
import { type ChannelStore, createChannels, type StoredChannel } from "../channels.ts";
import { type ControlDeps, createControl } from "../control.ts";
import type { GatewayPort, OriginPort } from "../ports.ts";

export const PUBLISH_KEY = "the-publish-key";

export function gatewaySession(id: string, change: Partial<GatewaySession> = {}): GatewaySession {
  return {
    id,
    channel: "news",
    tenant: "main",
    state: "live",
    endReason: null,
    protocol: "rtmp",
    needs: { worker: true, packager: false },
    remote: "127.0.0.1:5000",
    openedNs: 1_800_000_037_000_000_000n,
    anchorNs: 1_800_000_038_500_000_000n,
    msnBase: 7,
    tracks: [
      {
        track: 0,
        kind: "video",
        codec: "h264",
        config: new Uint8Array(4),
        width: 1280,
        height: 720,
        pixelAspect: { num: 1, den: 1 },
        declaredRate: null,
        interlaced: false,
        bitDepth: 8,
        range: "SDR",
        rotation: 0,
      },
      {
        track: 1,
        kind: "audio",
        codec: "aac",
        config: new Uint8Array(2),
        sampleRate: 48_000,
        channels: 2,
        samplesPerUnit: 1024,
        language: "und",
      },
    ],
    rate: { num: 30_000, den: 1001 },
    log: { first: 0, next: 100, bytes: 1000, readers: 1 },
    counters: {
      bytesIn: 5000,
      units: 100,
      damagedUnits: 0,
      droppedUnits: 1,
      continuityErrors: 0,
      holes: 0,
      readersCut: 0,
      returns: 0,
      driftSteps: 0,
      driftMs: 0,
    },
    ...change,
  };
}

export function originSession(id: string, change: Partial<OriginSession> = {}): OriginSession {
  return {
    id,
    channel: "news",
    state: "open",
    renditions: [{ name: "v720", nextFrame: 60, parts: 6, segments: 1, gaps: 0, bytes: 9000, partAgeMs: 81.5 }],
    copiesThatDiffer: 0,
    waiters: 2,
    firstPartNs: null,
    lastPartNs: null,
    ...change,
  };
}

export function memoryChannelStore(stored: readonly StoredChannel[] = []): ChannelStore & { saved: StoredChannel[] } {
  const store = {
    saved: [...stored],
    load: async () => [...store.saved],
    async save(channels: readonly StoredChannel[]) {
      store.saved = structuredClone(channels) as StoredChannel[];
    },
  };
  return store;
}

/** Tokens that are their scope: real ones are signed on another thread, and no simulated clock knows when that is done. */
function plainKeys(): Keys {
  return {
    mint: async (scope) => Buffer.from(JSON.stringify(scope)).toString("base64url"),
    verify: async (token) => JSON.parse(Buffer.from(token, "base64url").toString()) as Scope,
  };
}

export type HouseOptions = {
  clock?: SimClock;
  log?: Log;
  configured?: readonly StoredChannel[];
  autoCreate?: boolean;
  demo?: boolean;
  warmMin?: number;
  sourcesOf?: ControlDeps["sourcesOf"];
  publishHook?: ControlDeps["publishHook"];
};

export async function createHouse(options: HouseOptions = {}) {
  const clock = options.clock ?? simClock();
  const log = options.log ?? silentLog;
  const store = memoryChannelStore();
  const keys = plainKeys();
  const placement = memoryPlacement(clock);
  const channels = await createChannels({
    clock,
    log,
    store,
    configured: options.configured ?? [],
    demo: options.demo ?? true,
    autoCreate: options.autoCreate ?? true,
    publishKey: PUBLISH_KEY,
  });
  const gatewayPart = part<GatewaySession>();
  const originPart = part<OriginSession>();
  const world = {
    refusals: [] as Refusal[],
    inputs: [] as InputState[],
    audience: [] as { channel: string; lastAskedMs: number }[],
    stopped: [] as { session: string; reason: EndReason }[],
    kicked: [] as string[],
    opened: [] as string[],
    numbers: { msnBase: 40, discontinuityBase: 2 } as SessionNumbers | Error,
  };
  const gateway: GatewayPort = {
    sessions: () => gatewayPart.sessions,
    refusals: () => (gatewayPart.sessions === null ? null : world.refusals),
    inputs: () => (gatewayPart.sessions === null ? null : world.inputs),
    onChange: gatewayPart.onChange,
    stop: async (session, reason) => void world.stopped.push({ session, reason }),
    kick: async (session) => void world.kicked.push(session),
  };
  const origin: OriginPort = {
    name: "origin-1",
    sessions: () => originPart.sessions,
    audience: () => world.audience,
    onChange: originPart.onChange,
    async openSession(session) {
      world.opened.push(session);
      if (world.numbers instanceof Error) throw world.numbers;
      return world.numbers;
    },
  };
  const control = createControl({
    clock,
    log,
    keys,
    placement,
    gateway,
    channels,
    random: seededRandom(1),
    origins: [origin],
    warmMin: options.warmMin ?? 1,
    addresses: () => ({ gatewayUrl: "http://g", originUrls: ["http://o"], controlUrl: "http://c" }),
    ...(options.sourcesOf ? { sourcesOf: options.sourcesOf } : {}),
    ...(options.publishHook ? { publishHook: options.publishHook } : {}),
  });
  return { clock, log, store, keys, placement, channels, gateway: gatewayPart, origin: originPart, world, control };
}

/** A list of sessions that tells when it is set. */
function part<S>() {
  const listeners = new Set<() => void>();
  return {
    sessions: [] as S[] | null,
    set(sessions: S[] | null) {
      this.sessions = sessions;
      for (const listener of listeners) listener();
    },
    onChange(listener: () => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Let everything that is ready to run, run, until `holds`; with a simulated clock nothing else moves. */
export async function settle(clock: SimClock, holds?: () => boolean): Promise<void> {
  const most = holds === undefined ? 50 : 20_000;
  for (let i = 0; i < most; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(0);
    if (holds?.()) return;
  }
  if (holds !== undefined) throw new Error(`it never held: ${holds}`);
}
