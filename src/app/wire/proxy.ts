// One front door: what another role of this installation answers is passed on to it byte for byte, both ways at once
// (a publisher's PUT lasts as long as the stream).
// A role that refuses answers before the body has ended. Whoever is cut off while writing sees a reset and never the
// reason, so after the answer the rest of the body is read and thrown away, until the listener has had enough of it.
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { PlatformError } from "#base/errors.ts";
import { PASSED_ON, peerOf } from "#modules/ingest/http-remote.ts";
import { answerProblem, bodyOf, type HttpHandler } from "#platform/network/http.ts";

/** Headers of one hop only (RFC 9110, 7.6.1). */
const HOP = [
  "expect",
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "upgrade",
];

export type ProxyOptions = Readonly<{
  /** Told the path, and the query with its "?". */
  matches: (path: string, query: string) => boolean;
  /** Base URL of the role, or null while it is not known. */
  target: () => string | null;
  /** The installation's: with it the role believes us who asks. */
  token: () => Promise<string>;
}>;

export function proxyTo({ matches, target, token }: ProxyOptions): HttpHandler {
  return (request, response) => {
    const url = request.url ?? "/";
    const [path] = url.split("?", 1);
    if (!matches(path!, url.slice(path!.length))) return false;
    const base = target();
    if (base === null) {
      answerProblem(response, new PlatformError("network.unreachable", "That part is starting; try again shortly."));
      request.resume();
      return true;
    }
    const body = bodyOf(request);
    token()
      .then((shown) => passOn(request, body, response, new URL(url, base), shown))
      .catch((error: unknown) => {
        answerProblem(response, error);
        body.resume();
      });
    return true;
  };
}

/** @param body of the request: whole even when its sender has left meanwhile */
function passOn(request: IncomingMessage, body: Readable, response: ServerResponse, url: URL, token: string): void {
  if (request.destroyed && !request.readableEnded) return; // the asker broke off meanwhile
  const headers = { ...request.headers, [PASSED_ON.remote]: peerOf(request), [PASSED_ON.token]: token };
  for (const name of HOP) delete headers[name as keyof typeof headers];
  headers.connection = "keep-alive"; // else the role closes with its answer, and what is still coming resets it
  const onward = httpRequest(url, { method: request.method ?? "GET", headers, agent: false });
  onward.on("response", (answer) => {
    if (response.destroyed) return void onward.destroy(); // the asker left meanwhile
    response.writeHead(answer.statusCode ?? 502, withoutHop(answer.headers));
    response.flushHeaders();
    pipeline(answer, response, () => {
      body.unpipe(onward);
      onward.destroy();
      body.resume();
    });
  });
  onward.on("error", (cause) => {
    body.unpipe(onward);
    answerProblem(response, new PlatformError("network.unreachable", "That part does not answer.", { cause }));
    body.resume();
  });
  body.on("error", () => onward.destroy()); // the sender broke off
  onward.flushHeaders(); // a body may be long in coming, and whether it may come at all is for the role to say
  body.pipe(onward); // not pipeline: it would cut the asker off when the role has had enough
}

/** How the role's connection to us goes on says nothing about the asker's. */
function withoutHop(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  const { connection: _, "keep-alive": __, ...rest } = headers;
  return rest;
}
