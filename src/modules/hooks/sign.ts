// How a receiver knows that a request is ours, and of now.
import { createHmac } from "node:crypto";

export const SIGNATURE_HEADER = "x-continuity-signature";

/** `t=UNIX_SECONDS,v1=HEX`: HMAC-SHA256 under the shared secret of the time, a dot and the body. A receiver computes the
 *  same, and refuses what is older than it wants to take. */
export function signature(secret: string, unixSeconds: number, body: string): string {
  const mac = createHmac("sha256", secret).update(`${unixSeconds}.${body}`).digest("hex");
  return `t=${unixSeconds},v1=${mac}`;
}
