// The front: one process with origin, control, API and console, or any part of these. It never loads FFmpeg.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createApi } from "#api/api.ts";
import { type Channels, createChannels } from "#control/channels.ts";
import { type Control, createControl } from "#control/control.ts";
import type { GatewayPort, OriginPort } from "#control/ports.ts";
import type { Channel } from "#media/channel.ts";
import type { EndReason, SessionNumbers } from "#media/session-log/entries.ts";
import type {
  GatewaySession,
  InputState,
  PublishRequest,
  PullState,
  Refusal,
  WantedInput,
} from "#modules/ingest/types.ts";
import { createOrigin } from "#modules/origin/origin.ts";
import type { Origin, OriginSession } from "#modules/origin/types.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import type { HttpHandler } from "#platform/network/http.ts";
import { channelPlacement } from "#platform/placement/drivers/channel.ts";
import { prometheusExposition } from "#platform/telemetry/drivers/prometheus.ts";
import { channelFile } from "../channel-file.ts";
import { consoleFiles } from "../console-files.ts";
import { VERSION } from "../version.ts";
import { call, serveCall } from "../wire/call.ts";
import { logClient } from "../wire/log-client.ts";
import { PATHS } from "../wire/paths.ts";
import { proxyTo } from "../wire/proxy.ts";
import { followState, stateFeed } from "../wire/state-feed.ts";
import { openDoors } from "./doors.ts";
import { eventOutbox, followStreams, publishAsker } from "./hooks.ts";
import { type RoleContext, runRole } from "./process.ts";
import { isOnDemand, sourcesOf } from "./sources.ts";

const CALL_TIMEOUT_MS = 5000;

type OriginState = { sessions: OriginSession[]; audience: { channel: string; askedAgoMs: number }[] };
type GatewayState = { sessions: GatewaySession[]; refusals: Refusal[]; inputs: (InputState | PullState)[] };

/** The gateway, always in another process. */
function gatewayPort(context: RoleContext): GatewayPort & { close(): void } {
  const { clock, log, internalToken, peers } = context;
  const url = (path: string) => new URL(path, peers().gatewayUrl ?? "http://127.0.0.1:1").href;
  const feed = followState<GatewayState>({ clock, log, token: internalToken, url: () => url(PATHS.gatewayState) });
  const order = async (path: string, argument: object): Promise<void> => {
    const token = await internalToken();
    await call({ url: url(path), token, argument, timeoutMs: CALL_TIMEOUT_MS, unreachable: "publish.unavailable" });
  };
  return {
    sessions: () => feed.state()?.sessions ?? null,
    refusals: () => feed.state()?.refusals ?? null,
    inputs: () => feed.state()?.inputs ?? null,
    onChange: feed.onChange,
    stop: (session, reason: EndReason) => order(PATHS.stopSession, { session, reason }),
    kick: (session) => order(PATHS.kickSession, { session }),
    close: feed.close,
  };
}

function localOriginPort(origin: Origin): OriginPort {
  return {
    name: "local",
    sessions: origin.sessions,
    audience: origin.audience,
    openSession: origin.openSession,
    onChange: origin.onChange,
  };
}

function remoteOriginPort(context: RoleContext, base: string): OriginPort & { close(): void } {
  const { clock, log, internalToken } = context;
  const url = (path: string) => new URL(path, base).href;
  const feed = followState<OriginState>({ clock, log, token: internalToken, url: () => url(PATHS.originState) });
  return {
    name: base,
    sessions: () => feed.state()?.sessions ?? null,
    audience: () =>
      (feed.state()?.audience ?? []).map(({ channel, askedAgoMs }) => ({
        channel,
        lastAskedMs: clock.monotonicMs() - askedAgoMs,
      })),
    async openSession(session, channel) {
      const options = {
        token: await internalToken(),
        timeoutMs: CALL_TIMEOUT_MS,
        unreachable: "publish.unavailable",
      } as const;
      return call<SessionNumbers>({ ...options, url: url(PATHS.originOpenSession), argument: { session, channel } });
    },
    onChange: feed.onChange,
    close: feed.close,
  };
}

async function startOrigin(context: RoleContext, onDemand: (channel: string) => boolean): Promise<Origin> {
  const { clock, log, random, keys, config, internalToken, peers } = context;
  return createOrigin({
    clock,
    log,
    keys,
    journals: fileJournals(`${config.data}/origin`),
    decisions: logClient({
      clock,
      log,
      random,
      token: internalToken,
      gatewayUrl: () => peers().gatewayUrl ?? "http://127.0.0.1:1",
    }),
    onDemand,
  });
}

/** What an origin that runs without control answers to it. */
function originHandlers(context: RoleContext, origin: Origin): HttpHandler[] {
  const { clock, keys } = context;
  const state = (): OriginState => ({
    sessions: origin.sessions(),
    audience: origin
      .audience()
      .map(({ channel, lastAskedMs }) => ({ channel, askedAgoMs: clock.monotonicMs() - lastAskedMs })),
  });
  return [
    stateFeed({ path: PATHS.originState, keys, clock, state, onChange: origin.onChange }),
    serveCall(PATHS.originOpenSession, keys, ({ session, channel }: { session: string; channel: Channel }) =>
      origin.openSession(session, channel),
    ),
  ];
}

/** What gateways ask of control. */
function controlHandlers(context: RoleContext, control: Control, channels: Channels): HttpHandler[] {
  const { keys, clock } = context;
  const authority = control.publishAuthority();
  const wanted = (): { inputs: WantedInput[] } => ({
    inputs: channels.list().flatMap(({ channel }) => channel.inputs.map((input) => ({ channel: channel.name, input }))),
  });
  return [
    stateFeed({ path: PATHS.wantedInputs, keys, clock, state: wanted, onChange: channels.onChange }),
    serveCall(PATHS.authorize, context.keys, (request: PublishRequest) => authority.authorize(request)),
    serveCall(PATHS.openSession, context.keys, ({ session, channel }: { session: string; channel: Channel }) =>
      authority.openSession(session, channel),
    ),
  ];
}

runRole("front", async (context) => {
  const { clock, random, log, config, secrets, keys, peers, internalToken } = context;
  const withControl = config.roles.includes("control");
  const channels = await createChannels({
    clock,
    log,
    store: channelFile(`${config.data}/channels.json`),
    configured: config.channels,
    demo: config.demo && withControl,
    autoCreate: config.autoCreate,
    publishKey: secrets.publishKey,
  });
  const onDemand = (name: string) => {
    const channel = channels.get(name)?.channel;
    return channel?.origin === "demo" || (channel?.inputs.some(isOnDemand) ?? false);
  };
  const origin = config.roles.includes("origin") ? await startOrigin(context, onDemand) : null;
  const closing: (() => unknown)[] = [];
  const handlers: HttpHandler[] = [];
  let onUpgrade: ((request: IncomingMessage, socket: Duplex, head: Buffer) => boolean) | undefined;

  if (withControl) {
    const gateway = gatewayPort(context);
    const remotes = origin ? [] : peers().originUrls.map((url) => remoteOriginPort(context, url));
    const asker = publishAsker(context);
    const control = createControl({
      clock,
      random,
      log,
      keys,
      channels,
      gateway,
      origins: origin ? [localOriginPort(origin)] : remotes,
      placement: channelPlacement(context.supervisor),
      warmMin: config.warm.min,
      addresses: peers,
      workerEnv: { CONTINUITY_LOG_LEVEL: config.logLevel },
      sourcesOf: (channel) => sourcesOf(context, channel),
      ...(asker ? { publishHook: asker } : {}),
    });
    const outbox = await eventOutbox(context);
    if (outbox) closing.push(followStreams(context, control, outbox), () => outbox.close());
    const pages = consoleFiles({ cacheFolder: `${config.data}/cache`, clock, log });
    const api = await createApi({
      clock,
      random,
      log,
      control,
      channels,
      exposition: prometheusExposition(),
      access: { adminToken: secrets.adminToken, boundHost: config.host, publicHosts: config.publicHosts },
      version: VERSION,
      ...(outbox ? { hooks: outbox } : {}),
      facts() {
        const { rtmpPort, rtmpsPort, httpsPort, processes } = peers();
        return { rtmpPort, rtmpsPort, httpsPort, processes };
      },
    });
    closing.push(api.close, control.close, gateway.close, ...remotes.map((remote) => remote.close));
    handlers.push(...controlHandlers(context, control, channels), api.handler, pages.handler);
    handlers.push(
      proxyTo({
        matches: (path, query) => /^\/ingest\/[^/]+(\.mpegts$|\/)/.test(path) && !namesSession(query),
        target: () => peers().gatewayUrl,
        token: internalToken,
      }),
    );
    if (!origin)
      handlers.push(
        proxyTo({
          matches: (path, query) => path.startsWith("/live/") || (path.startsWith("/ingest/") && namesSession(query)),
          target: () => peers().originUrls[0] ?? null,
          token: internalToken,
        }),
      );
    onUpgrade = control.handleUpgrade;
    pages.prepare().catch((error) => log.error("the console's pages cannot be built", { error }));
  }
  if (origin) {
    handlers.unshift(origin.http, ...originHandlers(context, origin));
    closing.push(origin.close);
  }
  const doors = await openDoors(context, { handlers, ...(onUpgrade ? { onUpgrade } : {}) });
  return {
    url: doors.url,
    httpsPort: doors.httpsPort,
    rtmpPort: null,
    rtmpsPort: null,
    close: async () => {
      for (const close of closing) await close();
      await doors.close();
    },
  };
});

/** Media of our own makers goes to the origin; all other, to the gateway. */
const namesSession = (query: string): boolean => new URLSearchParams(query).has("session");
