// The publisher's side of one RTMP connection: connect, ask for a stream, send media. Without a socket, as the server.
import { assert } from "#base/assert.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Amf0Value } from "#media/flv/amf0.ts";
import type { RtmpAddress } from "./address.ts";
import { asObject, asText, type Command, command, readCommand } from "./command.ts";
import { enhancements } from "./enhanced.ts";
import { clientHandshake } from "./handshake.ts";
import { CHUNK_STREAM, RtmpLink } from "./link.ts";
import { type MediaType, RTMP_LIMITS, type RtmpLimits, type RtmpMessage, TYPE } from "./message.ts";

export type RtmpClientEvent =
  /** Media may be sent. */
  | Readonly<{ kind: "ready" }>
  /** The server says no, or ends what it had allowed; in its own words. The last event: close the socket. */
  | Readonly<{ kind: "refused"; code: string; description: string }>
  /** rtmp.malformed, or network.unreachable when the server did not answer in time. The last event: close the socket. */
  | Readonly<{ kind: "failed"; error: PlatformError }>;

export type RtmpClientDeps = Readonly<{
  clock: Clock;
  random: Random;
  address: Pick<RtmpAddress, "app" | "tcUrl" | "name">;
  /** The first bytes go out while the session is made. */
  send: (bytes: Uint8Array) => void;
  on: (event: RtmpClientEvent) => void;
  limits?: Partial<RtmpLimits>;
  /** Handshake with a digest, as Flash Player does. */
  digest?: boolean;
}>;

/** What servers expect to see of an encoder; some parse it. */
const CLIENT_NAME = "FMLE/3.0 (compatible; Continuity)";

/** Transaction numbers: a connection makes each of these calls once. */
const CALL = { connect: 1, releaseStream: 2, fcPublish: 3, createStream: 4, publish: 5, fcUnpublish: 6 } as const;

const MEDIA_CHUNK_STREAM = {
  [TYPE.audio]: CHUNK_STREAM.audio,
  [TYPE.video]: CHUNK_STREAM.video,
  [TYPE.data]: CHUNK_STREAM.data,
} as const;

export class RtmpClientSession {
  readonly #deps: RtmpClientDeps;
  readonly #link: RtmpLink;
  #opening: Timer | null;
  #streamId: number | null = null;
  #ready = false;

  constructor(deps: RtmpClientDeps) {
    this.#deps = deps;
    const limits: RtmpLimits = { ...RTMP_LIMITS, ...deps.limits };
    this.#link = new RtmpLink({
      clock: deps.clock,
      limits,
      handshake: clientHandshake(deps.random, deps.digest ?? false),
      send: deps.send,
      onOpen: () => this.#connect(),
      onMessage: (message) => this.#onMessage(message),
      onFailed: (error) => {
        this.#disarm();
        deps.on({ kind: "failed", error });
      },
    });
    const late = `The RTMP server did not allow publishing within ${limits.openingTimeoutMs} ms.`;
    this.#opening = deps.clock.setTimer(limits.openingTimeoutMs, () =>
      this.#link.fail(new PlatformError("network.unreachable", late)),
    );
    this.#link.start();
  }

  /** Whatever the server sends, this does not throw for it. @param bytes borrowed until this returns */
  receive(bytes: Uint8Array): void {
    this.#link.receive(bytes);
  }

  /** Media sent and not acknowledged by the server; see also what the socket has queued. */
  get unacknowledgedBytes(): number {
    return this.#link.unacknowledgedBytes;
  }

  /** One FLV tag body. Only after `ready`; once the connection has ended, it goes nowhere.
   *  @param timestampMs whole milliseconds; taken modulo 2^32 */
  sendMedia(type: MediaType, timestampMs: number, body: Uint8Array): void {
    if (this.#link.closed) return;
    assert(this.#ready, "media before the server allowed it");
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const streamId = this.#streamId!;
    this.#link.sendMessage(MEDIA_CHUNK_STREAM[type], { type, streamId, timestampMs: timestampMs >>> 0, body: bytes });
  }

  /** Say goodbye: for the server a clean end. Then close the socket; no event comes. */
  end(): void {
    if (this.#streamId !== null) {
      this.#call("FCUnpublish", CALL.fcUnpublish, null, this.#deps.address.name);
      this.#call("deleteStream", 0, null, this.#streamId);
    }
    this.peerClosed();
  }

  /** The socket is gone: timers stop, no event comes. */
  peerClosed(): void {
    this.#disarm();
    this.#link.close();
  }

  #connect(): void {
    const { app, tcUrl } = this.#deps.address;
    this.#link.announceChunkSize();
    this.#call("connect", CALL.connect, {
      app,
      type: "nonprivate",
      flashVer: CLIENT_NAME,
      tcUrl,
      ...enhancements(),
    });
  }

  #onMessage(message: RtmpMessage): void {
    if (message.type !== TYPE.command && message.type !== TYPE.commandAmf3) return;
    const received = readCommand(message);
    const { name, transaction } = received;
    if (name === "_result") this.#onResult(received);
    else if (name === "onStatus") this.#onStatus(received.arguments[0]);
    // releaseStream and FCPublish are courtesies that many servers do not know: only these two errors count.
    else if (name === "_error" && (transaction === CALL.connect || transaction === CALL.createStream))
      this.#refused(received.arguments[0]);
  }

  #onResult({ transaction, arguments: [value] }: Command): void {
    const { name } = this.#deps.address;
    if (transaction === CALL.connect && this.#streamId === null) {
      this.#call("releaseStream", CALL.releaseStream, null, name);
      this.#call("FCPublish", CALL.fcPublish, null, name);
      this.#call("createStream", CALL.createStream, null);
    } else if (transaction === CALL.createStream && typeof value === "number" && this.#streamId === null) {
      this.#streamId = value >>> 0;
      const publish = command(this.#streamId, "publish", CALL.publish, null, name, "live");
      this.#link.sendMessage(CHUNK_STREAM.command, publish);
    }
  }

  #onStatus(information: Amf0Value): void {
    const status = asObject(information);
    const code = asText(status?.code);
    if (status?.level === "error" || code === "NetConnection.Connect.Closed") this.#refused(information);
    else if (code === "NetStream.Publish.Start" && this.#streamId !== null && !this.#ready) {
      this.#ready = true;
      this.#disarm();
      this.#deps.on({ kind: "ready" });
    }
  }

  #refused(information: Amf0Value): void {
    const status = asObject(information);
    this.peerClosed();
    const code = asText(status?.code) || "NetConnection.Call.Failed";
    this.#deps.on({ kind: "refused", code, description: asText(status?.description) });
  }

  #call(name: string, transaction: number, ...values: Amf0Value[]): void {
    this.#link.sendMessage(CHUNK_STREAM.command, command(0, name, transaction, ...values));
  }

  #disarm(): void {
    this.#opening?.cancel();
    this.#opening = null;
  }
}
