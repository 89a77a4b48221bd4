// Who sends over HTTP: the connection's peer, or whom the installation's own front door names when it passes a request on.
// Only the door can: it shows a token of the installation beside the address, which a customer's hook may decide by.
import type { IncomingMessage } from "node:http";
import type { Keys } from "#platform/keys/keys.ts";

export const PASSED_ON = { remote: "x-continuity-remote", token: "x-continuity-token" } as const;

/** "192.0.2.7:50312", also of an IPv4 peer of an IPv6 socket. */
export function peerOf(request: IncomingMessage): string {
  const { remoteAddress = "unknown", remotePort = 0 } = request.socket;
  return `${remoteAddress.replace(/^::ffff:(?=\d+\.)/, "")}:${remotePort}`;
}

/** What somebody else claims is not believed, and not refused either: it may be a header of another system's. */
export async function remoteOf(request: IncomingMessage, keys: Keys): Promise<string> {
  const { [PASSED_ON.remote]: remote, [PASSED_ON.token]: token } = request.headers;
  if (typeof remote !== "string" || typeof token !== "string") return peerOf(request);
  const scope = await keys.verify(token).catch(() => null);
  return scope?.kind === "internal" ? remote : peerOf(request);
}
