// The shape of everything that answers HTTP. Handlers are composed by path prefix in app/; each answers or calls nothing
// and returns false, so that the next one may.
import type { IncomingMessage, OutgoingMessage, ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { PlatformError, type Problem, toProblem } from "#base/errors.ts";

/** @returns false when the path is not this handler's: nothing was read or written */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** All that `write` writes to the message leaves as one chunk in one system call. Node's own uncork opens the socket first,
 *  and then writes the chunk's length, each piece and the chunk's end one by one: five system calls for a picture. */
export function inOnePiece(message: OutgoingMessage, write: () => void): void {
  const { socket } = message; // the same one after the writing, even when that cut the connection
  socket?.cork();
  message.cork();
  try {
    write();
  } finally {
    message.uncork();
    socket?.uncork();
  }
}

/** The body, read from now on and held until somebody wants it (64 KiB, then the sender waits). For who has to ask something
 *  first: some senders close behind the last byte without a wait for the answer, and Node throws away what nobody had
 *  begun to read by then. It is destroyed when the sender breaks off. */
export function bodyOf(request: IncomingMessage): PassThrough {
  const body = new PassThrough();
  body.on("error", () => {}); // whoever reads it is told; before that nobody has to be
  request.pipe(body);
  request.on("error", (error) => body.destroy(error));
  request.on("close", () => request.readableEnded || body.destroy(new Error("The sender broke off.")));
  return body;
}

/** The whole body as UTF-8 text. @throws PlatformError api.bad_request when it is longer than `bytesMax` */
export async function readText(message: IncomingMessage, bytesMax: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of message as AsyncIterable<Buffer>) {
    bytes += piece.byteLength;
    if (bytes > bytesMax) throw new PlatformError("api.bad_request", `The body exceeds ${bytesMax} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Named, and not with a weight of 0. Source: RFC 9110, 12.5.3 and 12.4.2 */
export function acceptsGzip(request: IncomingMessage): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(String(request.headers["accept-encoding"] ?? ""));
}

/** Answer with RFC 9457 problem JSON. Nothing happens when the head was sent already: then the connection is cut, so
 *  that the peer does not take a torn body for a whole one. */
export function answerProblem(response: ServerResponse, error: unknown, headers: Record<string, string> = {}): Problem {
  const problem = toProblem(error);
  if (response.headersSent) response.destroy();
  else {
    const body = Buffer.from(JSON.stringify(problem));
    response.writeHead(problem.status, {
      "content-type": "application/problem+json",
      "content-length": body.byteLength,
      ...headers,
    });
    response.end(body);
  }
  return problem;
}

/** 401 for a sender of media that showed no key: it may have one, and shows it when it is asked.
 *  Source: RFC 9110, 11.6.1; RFC 7617, 2 */
export function answerChallenge(response: ServerResponse): Problem {
  const error = new PlatformError(
    "api.unauthorized",
    "A key is needed: as the password, as a Bearer token or as ?key=KEY.",
  );
  return answerProblem(response, error, { "www-authenticate": 'Basic realm="Continuity", charset="UTF-8"' });
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.byteLength });
  response.end(body);
}
