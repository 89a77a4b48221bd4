// Who is on with which key. The gateway knows publishers by address, the channels know keys; the two meet when control
// lets a publisher in, so it is remembered here. Lost with a restart: then nobody can say which key somebody came with,
// and a revocation disconnects whoever is on (with another, good key they are back within the grace).
import type { PublishRequest } from "#modules/ingest/types.ts";
import type { Identified } from "./channels.ts";
import type { SessionView } from "./views.ts";

/** Far more than a gateway takes at once; the oldest are forgotten. */
const REMEMBERED_MAX = 20_000;

export interface Publishers {
  admitted(request: PublishRequest, identified: Identified): void;
  /** Whether the session's publisher came with this key; null when it is not known. */
  cameWith(session: Pick<SessionView, "channel" | "protocol" | "remote">, key: string): boolean | null;
}

export function createPublishers(): Publishers {
  const keys = new Map<string, string | null>();
  const idOf = (channel: string, protocol: string, remote: string) => `${channel} ${protocol} ${remote}`;
  return {
    admitted({ protocol, remote }, { name, key }) {
      const id = idOf(name, protocol, remote);
      keys.delete(id); // so that it counts as the newest
      keys.set(id, key?.name ?? null);
      if (keys.size > REMEMBERED_MAX) keys.delete(keys.keys().next().value!);
    },
    cameWith({ channel, protocol, remote }, key) {
      const id = idOf(channel, protocol, remote);
      return keys.has(id) ? keys.get(id) === key : null;
    },
  };
}
