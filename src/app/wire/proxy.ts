// One front door: what another role of this installation answers is passed on to it byte for byte, both ways at once
// (a publisher's PUT lasts as long as the stream).
import { request as httpRequest } from "node:http";
import { pipeline } from "node:stream";
import { PlatformError } from "#base/errors.ts";
import { answerProblem, type HttpHandler } from "#platform/network/http.ts";

/** Headers of one hop only (RFC 9110, 7.6.1). */
const HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"];

/** @param target base URL of the role, or null while it is not known */
export function proxyTo(matches: (path: string) => boolean, target: () => string | null): HttpHandler {
  return (request, response) => {
    const url = request.url ?? "/";
    if (!matches(url.split("?", 1)[0]!)) return false;
    const base = target();
    if (base === null) {
      answerProblem(response, new PlatformError("network.unreachable", "That part is starting; try again shortly."));
      return true;
    }
    const headers = { ...request.headers, "x-forwarded-for": request.socket.remoteAddress ?? "" };
    for (const name of HOP) delete headers[name as keyof typeof headers];
    const onward = httpRequest(new URL(url, base), { method: request.method ?? "GET", headers, agent: false });
    onward.on("response", (answer) => {
      if (response.destroyed) return void onward.destroy(); // the asker left meanwhile
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      pipeline(answer, response, () => {
        onward.destroy();
        if (!request.complete) request.destroy();
      });
    });
    onward.on("error", (cause) => {
      answerProblem(response, new PlatformError("network.unreachable", "That part does not answer.", { cause }));
    });
    request.on("close", () => request.complete || onward.destroy());
    pipeline(request, onward, () => {});
    return true;
  };
}
