// The gateway's process: terminates transports, sequences sessions, serves their logs. It never loads FFmpeg.

import { PlatformError } from "#base/errors.ts";
import type { Channel } from "#media/channel.ts";
import type { EndReason } from "#media/session-log/entries.ts";
import { createGateway } from "#modules/ingest/gateway.ts";
import type { PublishAuthority, PublishRequest } from "#modules/ingest/types.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { call, serveCall } from "../wire/call.ts";
import { PATHS } from "../wire/paths.ts";
import { stateFeed } from "../wire/state-feed.ts";
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

runRole("gateway", async (context) => {
  const { clock, random, log, config, keys } = context;
  const gateway = await createGateway({
    clock,
    random,
    log,
    keys,
    network: nodeNetwork(),
    listen: { host: config.host, rtmpPort: config.rtmpPort },
    authority: remoteAuthority(context),
    journals: fileJournals(`${config.data}/gateway`),
  });
  const whole = () => ({ sessions: gateway.sessions(), refusals: gateway.refusals() });
  const server = await listenHttp({
    ...context.listen,
    handlers: [
      gateway.http,
      stateFeed({ path: PATHS.gatewayState, keys, clock, state: whole, onChange: gateway.onChange }),
      serveCall(PATHS.stopSession, keys, ({ session, reason }: { session: string; reason: EndReason }) =>
        gateway.stop(session, reason),
      ),
    ],
  });
  return {
    url: server.url,
    rtmpPort: gateway.rtmpPort,
    close: async () => {
      await gateway.close();
      await server.close();
    },
  };
});
