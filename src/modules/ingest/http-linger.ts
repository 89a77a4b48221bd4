import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";

/** How long a sender that was answered may go on sending. */
const LINGER_MS = 3000;

/** Once it is answered, what a sender still sends is thrown away for a moment, and then it is cut off: one that is cut off
 *  under a write sees a reset and not the reason. */
export function lingerAfterAnswer(clock: Clock, request: IncomingMessage, response: ServerResponse): void {
  response.on("finish", () => {
    const linger = clock.setTimer(LINGER_MS, () => request.destroy());
    if (request.complete) linger.cancel();
    else request.on("end", () => linger.cancel());
    request.unpipe();
    request.resume();
  });
}
