// Where a process answers HTTP: plain, and over TLS beside it when it is the one that the outside reaches.
import type { HttpOptions } from "#platform/network/drivers/http-server.ts";
import { listenHttp } from "#platform/network/drivers/http-server.ts";
import type { RoleContext } from "./process.ts";

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
