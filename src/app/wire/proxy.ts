// One front door: what another role of this installation answers is passed on to it byte for byte, both ways at once
// (a publisher's PUT lasts as long as the stream).
// A role that refuses answers before the body has ended. Whoever is cut off while writing sees a reset and never the
// reason, so after the answer the rest of the body is read for a moment and thrown away.
import { request as httpRequest, type IncomingMessage } from "node:http";
import { pipeline } from "node:stream";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { answerProblem, type HttpHandler } from "#platform/network/http.ts";

/** Headers of one hop only (RFC 9110, 7.6.1). */
const HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"];

/** How long a sender that was answered may go on sending. */
const LINGER_MS = 3000;

/** @param deps.target base URL of the role, or null while it is not known */
export function proxyTo(
  deps: Readonly<{ clock: Clock; matches: (path: string) => boolean; target: () => string | null }>,
): HttpHandler {
  const { clock, matches, target } = deps;
  return (request, response) => {
    const url = request.url ?? "/";
    if (!matches(url.split("?", 1)[0]!)) return false;
    const base = target();
    if (base === null) {
      answerProblem(response, new PlatformError("network.unreachable", "That part is starting; try again shortly."));
      drain(request, clock);
      return true;
    }
    const headers = { ...request.headers, "x-forwarded-for": request.socket.remoteAddress ?? "" };
    for (const name of HOP) delete headers[name as keyof typeof headers];
    headers.connection = "keep-alive"; // else the role closes with its answer, and what is still coming resets it
    const onward = httpRequest(new URL(url, base), { method: request.method ?? "GET", headers, agent: false });
    onward.on("response", (answer) => {
      if (response.destroyed) return void onward.destroy(); // the asker left meanwhile
      response.writeHead(answer.statusCode ?? 502, withoutHop(answer.headers));
      response.flushHeaders();
      pipeline(answer, response, () => {
        request.unpipe(onward);
        onward.destroy();
        drain(request, clock);
      });
    });
    onward.on("error", (cause) => {
      request.unpipe(onward);
      answerProblem(response, new PlatformError("network.unreachable", "That part does not answer.", { cause }));
      drain(request, clock);
    });
    request.on("error", () => {}); // its close follows
    request.on("close", () => request.complete || onward.destroy());
    onward.flushHeaders(); // a body may be long in coming, and whether it may come at all is for the role to say
    request.pipe(onward); // not pipeline: it would cut the asker off when the role has had enough
    return true;
  };
}

/** How the role's connection to us goes on says nothing about the asker's. */
function withoutHop(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  const { connection: _, "keep-alive": __, ...rest } = headers;
  return rest;
}

function drain(request: IncomingMessage, clock: Clock): void {
  if (request.complete || request.destroyed) return;
  const late = clock.setTimer(LINGER_MS, () => request.destroy());
  request.on("close", () => late.cancel());
  request.on("end", () => late.cancel());
  request.resume();
}
