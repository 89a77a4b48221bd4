// The gateway's process: terminates transports, sequences sessions, serves their logs. It never loads FFmpeg.
import { PlatformError } from "#base/errors.ts";
import type { Channel } from "#media/channel.ts";
import type { EndReason } from "#media/session-log/entries.ts";
import { createGateway } from "#modules/ingest/gateway.ts";
import type { Gateway, PublishAuthority, PublishRequest, WantedInput } from "#modules/ingest/types.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { call, serveCall } from "../wire/call.ts";
import { PATHS } from "../wire/paths.ts";
import { followState, stateFeed } from "../wire/state-feed.ts";
import { openDoors } from "./doors.ts";
import { type RoleContext, runRole } from "./process.ts";

/** Control answers from memory, origins after an fsync; beyond this the publisher is told to come back. */
const AUTHORITY_TIMEOUT_MS = 5000;

/** Control's word on publishers, asked over HTTP. */
function remoteAuthority({ peers, internalToken }: RoleContext): PublishAuthority {
  const ask = async <T>(path: string, argument: unknown): Promise<T> => {
    const { controlUrl } = peers();
    if (controlUrl === null) throw new PlatformError("publish.unavailable", "Control has not started yet; try again.");
    const url = new URL(path, controlUrl).href;
    const token = await internalToken();
    return call<T>({ url, token, argument, timeoutMs: AUTHORITY_TIMEOUT_MS, unreachable: "publish.unavailable" });
  };
  return {
    authorize: (request: PublishRequest) => ask<Channel>(PATHS.authorize, request),
    openSession: (session: string, channel: Channel) => ask(PATHS.openSession, { session, channel }),
  };
}

/** Control says which ports channels have. While it cannot be heard, those that are open stay open. */
function followInputs(context: RoleContext, gateway: Gateway): { close(): void } {
  const { clock, log, internalToken, peers } = context;
  const url = () => new URL(PATHS.wantedInputs, peers().controlUrl ?? "http://127.0.0.1:1").href;
  const feed = followState<{ inputs: WantedInput[] }>({ clock, log, token: internalToken, url });
  let last = "";
  feed.onChange(() => {
    const state = feed.state();
    const text = JSON.stringify(state?.inputs);
    if (state === null || text === last) return; // it is said again each second
    last = text;
    gateway.want(state.inputs);
  });
  return feed;
}

runRole("gateway", async (context) => {
  const { clock, random, log, config, keys } = context;
  const gateway = await createGateway({
    clock,
    random,
    log,
    keys,
    network: nodeNetwork(log),
    listen: {
      host: config.host,
      rtmpPort: config.rtmpPort,
      rtmps: config.tls && { ...config.tls, port: config.tls.rtmpsPort },
    },
    authority: remoteAuthority(context),
    journals: fileJournals(`${config.data}/gateway`),
  });
  const whole = () => ({
    sessions: gateway.sessions(),
    refusals: gateway.refusals(),
    inputs: [...gateway.inputs(), ...gateway.pulls()],
  });
  const doors = await openDoors(context, {
    handlers: [
      gateway.http,
      stateFeed({ path: PATHS.gatewayState, keys, clock, state: whole, onChange: gateway.onChange }),
      serveCall(PATHS.stopSession, keys, ({ session, reason }: { session: string; reason: EndReason }) =>
        gateway.stop(session, reason),
      ),
      serveCall(PATHS.kickSession, keys, ({ session }: { session: string }) => gateway.kick(session)),
    ],
  });
  const wanted = followInputs(context, gateway);
  return {
    url: doors.url,
    httpsPort: doors.httpsPort,
    rtmpPort: gateway.rtmpPort,
    rtmpsPort: gateway.rtmpsPort,
    close: async () => {
      wanted.close();
      await gateway.close();
      await doors.close();
    },
  };
});
