// MPEG-TS over HTTP: one PUT or POST lasts as long as its stream. The answer comes at its end, or at once when the
// publisher is refused.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { mpegtsDemuxer } from "#media/mpegts/demux.ts";
import type { Keys } from "#platform/keys/keys.ts";
import { answerJson, answerProblem, type HttpHandler } from "#platform/network/http.ts";
import { keyOf } from "./http-key.ts";
import { lingerAfterAnswer } from "./http-linger.ts";
import { peerOf, remoteOf } from "./http-remote.ts";
import type { PublisherLink } from "./live-session.ts";
import type { Publication, Sessions } from "./sessions.ts";
import type { PublishRequest } from "./types.ts";

const PATH = /^\/ingest\/([^/]{1,200})\.mpegts$/;

/** Three parts of base64url. Source: RFC 7515, 3.1 */
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export type HttpIngestDeps = Readonly<{ sessions: Sessions; clock: Clock; log: Log; keys: Keys }>;

export function httpIngest({ sessions, clock, log, keys }: HttpIngestDeps): HttpHandler {
  return (request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    const name = PATH.exec(path)?.[1];
    if (name === undefined) return false;
    let asked = requestOf(request, name, new URLSearchParams(query));
    lingerAfterAnswer(clock, request, response);
    const admitted = async () => {
      asked = { ...(await ofOurOwn(asked, keys)), remote: await remoteOf(request, keys) };
      await ingest(sessions, asked, request, response);
    };
    admitted().catch((error: unknown) => {
      if (error instanceof PlatformError) sessions.refused(asked, error);
      else log.error("ingest.publish_failed", { error });
      refuse(response, error);
    });
    return true;
  };
}

/** Resolves when the publisher is done with, whatever the reason.
 *  @throws PlatformError publish.* when it is not admitted; api.bad_request for another method */
async function ingest(
  sessions: Sessions,
  asked: PublishRequest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "PUT" && request.method !== "POST")
    throw new PlatformError("api.bad_request", `A stream is sent with PUT or POST, not ${request.method}.`);
  let isClosed = false;
  response.on("close", () => (isClosed = true));
  const link: PublisherLink = {
    protocol: asked.protocol,
    remote: asked.remote,
    dismiss(error) {
      if (error === null) done(response, { session: publication.session, ended: true });
      else refuse(response, error);
    },
  };
  const demuxer = mpegtsDemuxer((event) => publication.event(event));
  const publication = await sessions.admit(asked, link, demuxer.clock);
  if (isClosed)
    publication.leave(false); // it went away while it was waiting
  else read(request, response, publication, demuxer, (error) => sessions.refused(asked, error));
}

function read(
  request: IncomingMessage,
  response: ServerResponse,
  publication: Publication,
  demuxer: ReturnType<typeof mpegtsDemuxer>,
  refused: (error: PlatformError) => void,
): void {
  request.on("data", (bytes: Buffer) => {
    if (response.headersSent) return;
    publication.received(bytes.byteLength);
    demuxer.push(bytes);
  });
  request.on("end", () => {
    if (response.headersSent) return;
    demuxer.end();
    const error = publication.leave(true);
    if (error) {
      refused(error);
      refuse(response, error);
    } else done(response, { session: publication.session, ...publication.counters() });
  });
  request.on("error", () => publication.leave(false));
  request.on("close", () => publication.leave(false)); // after "end" it has left already
}

/** A pull of ours shows a token and no key. */
async function ofOurOwn(asked: PublishRequest, keys: Keys): Promise<PublishRequest> {
  if (asked.key === null || !JWT.test(asked.key)) return asked;
  const scope = await keys.verify(asked.key);
  if (scope.kind !== "publish" || scope.channel !== asked.channel)
    throw new PlatformError("publish.key_refused", "The token is not one for this channel.");
  return { ...asked, protocol: "pull", byInput: true, key: null };
}

function done(response: ServerResponse, summary: object): void {
  if (response.headersSent || response.destroyed) return;
  answerJson(response, 200, summary);
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return;
  answerProblem(response, error);
}

function requestOf(request: IncomingMessage, name: string, query: URLSearchParams): PublishRequest {
  return {
    protocol: "mpegts",
    byInput: false,
    channel: name,
    rtmpPath: null,
    key: query.get("key") ?? keyOf(request.headers.authorization),
    remote: peerOf(request),
  };
}
