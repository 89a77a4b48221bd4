// CMAF that an encoder of others pushes: `PUT /ingest/CHANNEL/NAME` per object, or one long POST per track. It becomes a
// publisher like any other, so everything that holds for a session holds for it (docs/decisions/0010).
// Source: DASH-IF Live Media Ingest 1.2, interfaces 1 and 2
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { FragmentReader } from "#media/cmaf/fragments.ts";
import type { JournalFolder } from "#platform/journal/journal.ts";
import type { Keys } from "#platform/keys/keys.ts";
import { answerChallenge, answerProblem, bodyOf, type HttpHandler } from "#platform/network/http.ts";
import { keyOf } from "../http-key.ts";
import { lingerAfterAnswer } from "../http-linger.ts";
import { peerOf, remoteOf } from "../http-remote.ts";
import type { Sessions } from "../sessions.ts";
import type { PublishRequest } from "../types.ts";
import { CmafPublisher } from "./cmaf-publisher.ts";
import { InitStore } from "./init-store.ts";
import { objectName } from "./representation.ts";

export type CmafIngestDeps = Readonly<{
  sessions: Sessions;
  clock: Clock;
  log: Log;
  keys: Keys;
  journals: JournalFolder;
}>;

const PATH = /^\/ingest\/([a-z0-9][a-z0-9_-]{0,63})\/([^?#]{1,300})$/;
const MANIFEST_BYTES_MAX = 1 << 20;
/** What was refused is not asked about again for so long: a sender tries with each of its objects. */
const REFUSAL_MS = 2000;

type Held = { publisher: Promise<CmafPublisher>; store: InitStore; key: string | null };

export interface CmafIngest {
  readonly handler: HttpHandler;
  close(): Promise<void>;
}

export function cmafIngest(deps: CmafIngestDeps): CmafIngest {
  const { sessions, clock, log, keys, journals } = deps;
  const byChannel = new Map<string, Held>();

  /** The channel's sender, admitted by this request if there is none. */
  async function publisherFor(request: PublishRequest): Promise<CmafPublisher> {
    const channel = request.channel!;
    for (let held = byChannel.get(channel); held; held = byChannel.get(channel)) {
      const publisher = await admitted(held, request.key);
      if (publisher === null) {
        if (byChannel.get(channel) === held) byChannel.delete(channel);
        continue;
      }
      if (!publisher.knows(request.key))
        throw new PlatformError("publish.channel_busy", `Somebody publishes to ${channel} already, with another key.`);
      if (publisher.dismissal) throw publisher.dismissal;
      return publisher;
    }
    const store = new InitStore(journals, log, channel);
    const forget = (publisher: CmafPublisher) => {
      publisher.tellDropped();
      clock.setTimer(REFUSAL_MS, () => byChannel.get(channel) === mine && byChannel.delete(channel));
    };
    const mine: Held = { store, publisher: CmafPublisher.admit(deps, request, store, forget), key: request.key };
    byChannel.set(channel, mine);
    try {
      return await mine.publisher;
    } catch (error) {
      if (error instanceof PlatformError) sessions.refused(request, error);
      clock.setTimer(REFUSAL_MS, () => byChannel.get(channel) === mine && byChannel.delete(channel));
      throw error;
    }
  }

  function over(channel: string, publisher: CmafPublisher, request: PublishRequest): void {
    const error = publisher.end();
    publisher.tellDropped();
    byChannel.delete(channel);
    if (error) sessions.refused(request, error);
  }

  async function take(told: PublishRequest, path: string, request: IncomingMessage, response: ServerResponse) {
    const body = bodyOf(request);
    const asked = { ...told, remote: await remoteOf(request, keys) };
    const object = objectName(path);
    if (request.method === "DELETE") {
      const held = byChannel.get(asked.channel!);
      if (held && object.kind === "manifest") over(asked.channel!, await publisherFor(asked), asked);
      else if (held) await publisherFor(asked); // its key must be right all the same
      return answerEmpty(response, 204);
    }
    if (request.method !== "PUT" && request.method !== "POST") {
      throw new PlatformError("api.bad_request", `Objects are sent with PUT or POST, not ${request.method}.`);
    }
    const publisher = await publisherFor(asked);
    if (object.kind === "media") {
      const isLast = await takeMedia(publisher, object.representation, body);
      if (isLast && publisher.trackEnded(object.representation)) over(asked.channel!, publisher, asked);
    } else {
      const text = await textOf(body, publisher);
      // The last manifest of a stream is one of a finished presentation (ISO/IEC 23009-1, 5.3.1.2).
      if (object.kind === "manifest" && /<MPD\b[^>]*\btype\s*=\s*["']static["']/.test(text))
        over(asked.channel!, publisher, asked);
    }
    answerEmpty(response, 200);
  }

  const handler: HttpHandler = (request, response) => {
    const asked = requestOf(request);
    if (asked === null) return false;
    lingerAfterAnswer(clock, request, response);
    if (asked.request.key === null) {
      answerChallenge(response);
      return true;
    }
    take(asked.request, asked.path, request, response).catch((error: unknown) => {
      const what = { channel: asked.request.channel, path: asked.path, detail: describe(error) };
      if (error instanceof PlatformError) log.warn("ingest.cmaf_refused", what);
      else if (request.destroyed && !request.readableEnded) log.warn("ingest.cmaf_broke_off", what);
      else log.error("ingest.cmaf_failed", { ...what, error });
      if (!response.headersSent && !response.destroyed) answerProblem(response, error);
    });
    return true;
  };

  return {
    handler,
    async close() {
      for (const { publisher, store } of byChannel.values()) {
        await publisher.then(
          (one) => one.close(),
          () => {}, // it was refused, and told so
        );
        await store.settled();
      }
      byChannel.clear();
    },
  };
}

/** Null when somebody with another key was turned away: that stands in nobody's way.
 *  @throws PlatformError what this key was turned away with */
async function admitted(held: Held, key: string | null): Promise<CmafPublisher | null> {
  try {
    return await held.publisher;
  } catch (error) {
    if (held.key === key) throw error;
    return null;
  }
}

/** @returns whether the sender says that nothing follows in this track (brand lmsg) */
async function takeMedia(publisher: CmafPublisher, representation: string, body: Readable): Promise<boolean> {
  const reader = new FragmentReader();
  let last = false;
  for await (const bytes of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (publisher.dismissal) throw publisher.dismissal;
    publisher.received(bytes.byteLength);
    reader.init ??= publisher.initOf(representation);
    for (const event of reader.push(bytes)) {
      publisher.event(representation, event);
      last ||= event.kind === "fragment" && event.lastOfTrack;
    }
  }
  reader.end();
  if (publisher.dismissal) throw publisher.dismissal;
  return last;
}

async function textOf(body: Readable, publisher: CmafPublisher): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += piece.byteLength;
    publisher.received(piece.byteLength);
    if (bytes > MANIFEST_BYTES_MAX)
      throw new PlatformError("api.bad_request", `A manifest of more than ${MANIFEST_BYTES_MAX} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Null when it is not for us: another path, or one of our own senders, which names its session. */
function requestOf(request: IncomingMessage): { request: PublishRequest; path: string } | null {
  const [rawPath = "", rawQuery = ""] = (request.url ?? "").split("?", 2);
  const query = new URLSearchParams(rawQuery);
  if (query.has("session")) return null;
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    return null;
  }
  const match = PATH.exec(path);
  if (!match) return null;
  return {
    path: match[2]!,
    request: {
      protocol: "cmaf",
      byInput: false,
      channel: match[1]!,
      rtmpPath: null,
      key: query.get("key") ?? keyOf(request.headers.authorization),
      remote: peerOf(request),
    },
  };
}

function answerEmpty(response: ServerResponse, status: number): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, status === 204 ? {} : { "content-length": 0 });
  response.end();
}
