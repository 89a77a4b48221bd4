// Where a process answers HTTP: plain, and over TLS beside it when it is the one that the outside reaches.
import type { IncomingMessage } from "node:http";
import type { HttpOptions } from "#platform/network/drivers/http-server.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import type { RoleContext } from "./process.ts";

/** An encoder that shows neither key nor token. */
function isAnonymousIngest({ url = "", headers }: IncomingMessage): boolean {
  const [path = "", query = ""] = url.split("?", 2);
  return path.startsWith("/ingest/") && headers.authorization === undefined && !new URLSearchParams(query).has("key");
}

export type Doors = Readonly<{ url: string; httpsPort: number | null; close(): Promise<void> }>;

/** @throws PlatformError network.address_in_use, config.invalid */
export async function openDoors(
  { listen, log }: RoleContext,
  options: Pick<HttpOptions, "handlers" | "onUpgrade">,
): Promise<Doors> {
  const { host, port, https } = listen;
  const shared = {
    ...options,
    host,
    log,
    challenges: isAnonymousIngest,
    onDefect: (error: unknown) => log.error("a request met a defect", { error }),
  };
  const plain = await listenHttp({ ...shared, port });
  if (https === null) return { url: plain.url, httpsPort: null, close: plain.close };
  const secure = await listenHttp({ ...shared, port: https.port, tls: https }).catch(async (error) => {
    await plain.close();
    throw error;
  });
  return {
    url: plain.url,
    httpsPort: secure.port,
    close: async () => void (await Promise.all([plain.close(), secure.close()])),
  };
}
