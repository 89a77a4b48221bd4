// One RTMP connection: the protocol's requests become publications, its media messages units, our refusals its words.
import type { Clock, Timer } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { type FlvDemuxer, flvDemuxer } from "#media/flv/demux.ts";
import type { TcpConnection } from "#platform/network/network.ts";
import { type RtmpServerEvent, RtmpServerSession } from "#protocols/rtmp/server.ts";
import type { PublisherLink } from "./live-session.ts";
import type { Publication, Sessions } from "./sessions.ts";
import type { PublishRequest } from "./types.ts";

/** The application of URLs that name their channel themselves. */
const LIVE_APP = "live";

/** A peer that does not read what we answer is cut off. */
const QUEUED_BYTES_MAX = 1 << 20;

/** After a refusal the peer gets this long to read it and to close. */
const LINGER_MS = 3000;

type PublishEvent = Extract<RtmpServerEvent, { kind: "publish" }>;
type Stream = { publication: Publication; demuxer: FlvDemuxer };

export type RtmpIngestDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  sessions: Sessions;
  protocol: "rtmp" | "rtmps";
}>;

export function serveRtmp(connection: TcpConnection, deps: RtmpIngestDeps): void {
  new RtmpIngest(connection, deps);
}

class RtmpIngest {
  readonly #connection: TcpConnection;
  readonly #deps: RtmpIngestDeps;
  readonly #session: RtmpServerSession;
  readonly #streams = new Map<number, Stream>();
  #isClosed = false;
  #linger: Timer | null = null;

  constructor(connection: TcpConnection, deps: RtmpIngestDeps) {
    this.#connection = connection;
    this.#deps = deps;
    this.#session = new RtmpServerSession({
      clock: deps.clock,
      random: deps.random,
      send: (bytes) => this.#send(bytes),
      on: (event) => this.#on(event),
    });
    connection.onClose(() => this.#gone());
    connection.onData((bytes) => {
      for (const { publication } of this.#streams.values()) publication.received(bytes.byteLength);
      this.#session.receive(bytes);
    });
  }

  #send(bytes: Uint8Array): void {
    this.#connection.write(bytes);
    if (this.#connection.queuedBytes > QUEUED_BYTES_MAX) this.#connection.destroy();
  }

  #on(event: RtmpServerEvent): void {
    if (event.kind === "media")
      this.#streams.get(event.streamId)?.demuxer.tag(event.type, event.timestampMs, event.body);
    else if (event.kind === "publish") void this.#publish(event);
    else if (event.kind === "unpublish") this.#leave(event.streamId, true);
    else if (event.kind === "play") {
      const description = "There is nothing to play over RTMP: use /live/CHANNEL/index.m3u8.";
      this.#session.refusePlay(event.streamId, { code: "NetStream.Play.StreamNotFound", description });
    } else if (event.kind === "failed") {
      const { sessions, protocol } = this.#deps;
      sessions.refused({ protocol, channel: null, remote: this.#connection.remote }, event.error);
      this.#connection.destroy();
    }
  }

  /** Never rejects. */
  async #publish(event: PublishEvent): Promise<void> {
    const { streamId } = event;
    const { protocol } = this.#deps;
    const request = requestOf(event, protocol, this.#connection.remote);
    const link: PublisherLink = {
      protocol,
      remote: request.remote,
      dismiss: (error) => this.#dismiss(streamId, error),
    };
    this.#connection.pause();
    try {
      const demuxer = flvDemuxer((unit) => this.#streams.get(streamId)?.publication.event(unit));
      const publication = await this.#deps.sessions.admit(request, link, demuxer.clock);
      this.#streams.set(streamId, { publication, demuxer });
      if (this.#isClosed)
        this.#leave(streamId, false); // it went away while it was waiting
      else this.#session.acceptPublish(streamId);
    } catch (error) {
      this.#refuse(streamId, request, error);
    } finally {
      this.#connection.resume();
    }
  }

  #refuse(streamId: number, request: PublishRequest, error: unknown): void {
    const told = error instanceof PlatformError ? error : unexpected(error);
    if (told !== error) this.#deps.log.error("ingest.publish_failed", { error });
    // A name without a key beside it may be a key itself.
    this.#deps.sessions.refused({ ...request, channel: request.key === null ? null : request.channel }, told);
    if (this.#isClosed) return;
    this.#session.refusePublish(streamId, reasonOf(told));
    this.#session.peerClosed();
    this.#close();
  }

  #dismiss(streamId: number, error: PlatformError | null): void {
    this.#streams.delete(streamId);
    if (this.#isClosed) return;
    this.#session.end(error === null ? undefined : reasonOf(error));
    this.#close();
  }

  #leave(streamId: number, clean: boolean): void {
    const stream = this.#streams.get(streamId);
    this.#streams.delete(streamId);
    stream?.demuxer.end();
    stream?.publication.leave(clean);
  }

  #close(): void {
    this.#connection.end();
    this.#linger ??= this.#deps.clock.setTimer(LINGER_MS, () => this.#connection.destroy());
  }

  #gone(): void {
    this.#isClosed = true;
    this.#linger?.cancel();
    this.#session.peerClosed();
    for (const streamId of [...this.#streams.keys()]) this.#leave(streamId, false);
  }
}

/** `rtmp://host/live/CHANNEL?key=KEY`, `rtmp://host/live/KEY`, or any `rtmp://host/APP/NAME` that a channel is mapped to. */
function requestOf(
  { app, name, query }: PublishEvent,
  protocol: RtmpIngestDeps["protocol"],
  remote: string,
): PublishRequest {
  const channel = app === LIVE_APP && name !== "" ? name : null;
  return { protocol, byInput: false, channel, rtmpPath: `${app}/${name}`, key: query.key ?? null, remote };
}

const WORDS: Partial<Record<string, string>> = {
  "publish.key_refused": "NetStream.Publish.Denied",
  "publish.channel_unknown": "NetStream.Publish.Denied",
  "publish.channel_busy": "NetStream.Publish.BadName",
};

function reasonOf(error: PlatformError): { level: "error"; code: string; description: string } {
  return { level: "error", code: WORDS[error.code] ?? "NetStream.Publish.Failed", description: describe(error) };
}

function unexpected(cause: unknown): PlatformError {
  return new PlatformError("publish.unavailable", "Publishing failed here; see the log, and try again.", { cause });
}
