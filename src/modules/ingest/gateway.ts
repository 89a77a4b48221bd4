// The gateway: terminates the transports of publishers, sequences their sessions, and serves the sessions' logs to whoever
// makes something of them. It never decodes.
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import type { Keys } from "#platform/keys/keys.ts";
import type { Certificate, Listener, Network, TcpConnection } from "#platform/network/network.ts";
import { cmafIngest } from "./cmaf/cmaf-ingest.ts";
import { httpIngest } from "./http-ingest.ts";
import { ChannelInputs } from "./inputs/channel-inputs.ts";
import { PullStates, pullStatesHttp } from "./inputs/pull-states.ts";
import { INGEST_LIMITS, type IngestLimits } from "./limits.ts";
import { logHttp } from "./log/http.ts";
import { serveRtmp } from "./rtmp-ingest.ts";
import { Sessions } from "./sessions.ts";
import type { Gateway, PublishAuthority } from "./types.ts";

export type GatewayDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  network: Network;
  /** Port 0 takes a free one. `rtmps`: null without a certificate. */
  listen: Readonly<{ host: string; rtmpPort: number; rtmps: (Certificate & Readonly<{ port: number }>) | null }>;
  authority: PublishAuthority;
  journals: JournalFolder;
  keys: Keys;
  limits?: Partial<IngestLimits>;
}>;

/** Sessions that an earlier gateway left in the journals are there when it resolves.
 *  @throws PlatformError network.address_in_use, config.invalid, journal.failed */
export async function createGateway(deps: GatewayDeps): Promise<Gateway> {
  const { clock, random, log, network, listen, keys } = deps;
  const limits = { ...INGEST_LIMITS, ...deps.limits };
  const sessions = new Sessions({ ...deps, limits });
  await sessions.restore();
  let connections = 0;
  const accept = (protocol: "rtmp" | "rtmps") => (connection: TcpConnection) => {
    if (connections >= limits.connectionsMax) {
      log.warn("ingest.connection_refused", { remote: connection.remote, connections });
      connection.destroy();
      return;
    }
    connections += 1;
    connection.onClose(() => (connections -= 1));
    serveRtmp(connection, { clock, random, log, sessions, protocol });
  };
  const { host, rtmpPort, rtmps } = listen;
  const rtmpListener = await network.listenTcp({ host, port: rtmpPort }, accept("rtmp"));
  const rtmpsListener: Listener | null =
    rtmps && (await network.listenTls({ host, port: rtmps.port, tls: rtmps }, accept("rtmps")));
  const inputs = new ChannelInputs({ clock, log, network, sessions, host });
  const ingest = httpIngest({ sessions, clock, log, keys });
  const pullListeners = new Set<() => void>();
  const pulls = new PullStates(clock, () => pullListeners.forEach((listener) => void listener()));
  const pullHttp = pullStatesHttp(pulls, keys);
  const cmaf = cmafIngest({ sessions, clock, log, keys, journals: deps.journals });
  const logs = logHttp({ logs: (session) => sessions.get(session)?.log, keys, log, clock });
  return {
    rtmpPort: rtmpListener.port,
    rtmpsPort: rtmpsListener?.port ?? null,
    http: (request, response) =>
      ingest(request, response) ||
      cmaf.handler(request, response) ||
      pullHttp(request, response) ||
      logs(request, response),
    sessions: () => sessions.all().map((session) => session.state()),
    refusals: () => sessions.refusals(),
    want(wanted) {
      inputs.want(wanted);
      pulls.want(wanted);
    },
    inputs: () => inputs.states(),
    pulls: () => pulls.states(),
    onChange(changed) {
      pullListeners.add(changed);
      const stops = [sessions.onChange(changed), inputs.onChange(changed), () => pullListeners.delete(changed)];
      return () => stops.forEach((stop) => void stop());
    },
    stop: async (session, reason) => sessions.get(session)?.end(reason),
    kick: async (session) => sessions.get(session)?.kick(),
    async close() {
      await cmaf.close();
      await sessions.close();
      await inputs.close();
      await rtmpListener.close();
      await rtmpsListener?.close();
    },
  };
}
