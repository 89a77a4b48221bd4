// The server's side of one RTMP connection: bytes and a clock in, bytes and events out. It knows no socket, no channel
// and no key: it asks by an event and is told by a call.
// While a request waits for its answer nothing more is read. So an encoder that sends its headers without waiting for
// leave to publish (some do) loses none of them, and the owner sees no media before it has said yes.
import { assert } from "#base/assert.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Amf0Object, Amf0Value } from "#media/flv/amf0.ts";
import { mergeQueries, type Query, splitQuery } from "./address.ts";
import { asText, type Command, command, onStatus, readCommand, shown } from "./command.ts";
import { enhancements, readEnhancements } from "./enhanced.ts";
import { serverHandshake } from "./handshake.ts";
import { CHUNK_STREAM, RtmpLink } from "./link.ts";
import {
  CONTROL_EVENT,
  isMediaType,
  type MediaType,
  malformed,
  RTMP_LIMITS,
  type RtmpLimits,
  type RtmpMessage,
  setPeerBandwidth,
  splitAggregate,
  TYPE,
  userControl,
} from "./message.ts";

export type RtmpServerEvent =
  /** Answered already. `query` holds what stood in the application's name and in tcUrl. */
  | Readonly<{
      kind: "connect";
      app: string;
      tcUrl: string;
      query: Query;
      flashVer: string;
      /** What the client can send of enhanced RTMP: "hvc1", "av01", "*" (anything). */
      fourCcList: readonly string[];
    }>
  /** Nothing more is read until `acceptPublish` or `refusePublish`, now or later. `name` is without its query; of
   *  parameters in several places the stream name's win, then the application's, then tcUrl's. */
  | Readonly<{ kind: "publish"; streamId: number; app: string; name: string; query: Query }>
  /** Only of an accepted stream. `timestampMs` wraps at 2^32; the body is the receiver's to keep. */
  | Readonly<{ kind: "media"; streamId: number; type: MediaType; timestampMs: number; body: Buffer }>
  /** The publisher says that it is done: a clean end. The connection may publish again. */
  | Readonly<{ kind: "unpublish"; streamId: number }>
  /** Nothing more is read until `refusePlay`. */
  | Readonly<{ kind: "play"; streamId: number; app: string; name: string; query: Query }>
  /** rtmp.malformed; ingest.no_data when the peer asked for nothing in time; or what `on` threw. The last event: close
   *  the socket. */
  | Readonly<{ kind: "failed"; error: PlatformError }>;

/** In the protocol's own words, such as NetStream.Publish.BadName and NetStream.Publish.Denied. */
export type RtmpReason = Readonly<{ level?: "error"; code: string; description: string }>;

export type RtmpServerDeps = Readonly<{
  clock: Clock;
  random: Random;
  /** Its queue is the owner's to bound. */
  send: (bytes: Uint8Array) => void;
  /** A PlatformError that it throws (media that cannot be read, say) fails the session; it comes back as `failed`. */
  on: (event: RtmpServerEvent) => void;
  limits?: Partial<RtmpLimits>;
}>;

type StreamState = "idle" | "publish-asked" | "publishing" | "play-asked";

/** What encoders expect to see of a server; some parse it. */
const SERVER_NAME = "FMS/3,5,7,7009";
const CAPABILITIES = 31;
/** What a publisher may send before it hears from us; as other servers say it. */
const PEER_BANDWIDTH_BYTES = 2_500_000;

export class RtmpServerSession {
  readonly #deps: RtmpServerDeps;
  readonly #limits: RtmpLimits;
  readonly #link: RtmpLink;
  readonly #streams = new Map<number, StreamState>();
  #nextStreamId = 1;
  #commands = 0;
  #opening: Timer | null = null;
  #connected: { app: string; query: Query } | null = null;

  /** By name, after connect. */
  readonly #answers = new Map<string, (received: Command) => void>([
    ["createStream", (received) => this.#createStream(received)],
    ["publish", (received) => this.#ask(received, "publish-asked")],
    ["play", (received) => this.#ask(received, "play-asked")],
    ["play2", (received) => this.#ask(received, "play-asked")],
    ["releaseStream", ({ transaction }) => this.#result(transaction, null)],
    ["_checkbw", ({ transaction }) => this.#result(transaction, null)],
    ["getStreamLength", ({ transaction }) => this.#result(transaction, null, 0)],
    ["FCPublish", (received) => this.#fcPublish(received)],
    ["FCUnpublish", (received) => this.#fcUnpublish(received)],
    ["closeStream", ({ streamId }) => this.#close(streamId)],
    ["deleteStream", (received) => this.#deleteStream(received)],
  ]);

  constructor(deps: RtmpServerDeps) {
    this.#deps = deps;
    this.#limits = { ...RTMP_LIMITS, ...deps.limits };
    this.#link = new RtmpLink({
      clock: deps.clock,
      limits: this.#limits,
      handshake: serverHandshake(deps.random),
      send: deps.send,
      onOpen: () => {},
      onMessage: (message) => this.#onMessage(message),
      onFailed: (error) => {
        this.#disarm();
        deps.on({ kind: "failed", error });
      },
    });
    this.#arm();
  }

  /** Whatever the peer sends, this does not throw for it: it ends in a `failed` event.
   *  @param bytes borrowed until this returns */
  receive(bytes: Uint8Array): void {
    this.#link.receive(bytes);
  }

  /** Media of the stream follows as events, at once when it has arrived already. After the connection ended: nothing. */
  acceptPublish(streamId: number): void {
    if (this.#link.closed) return;
    this.#answered(streamId, "publish-asked", "publishing");
    this.#commands = 0;
    this.#link.messageBytesMax = this.#limits.messageBytesMax;
    this.#link.sendMessage(CHUNK_STREAM.control, userControl(CONTROL_EVENT.streamBegin, streamId));
    this.#status(streamId, "status", "NetStream.Publish.Start", "You may send.");
    this.#link.release();
  }

  /** The connection stays, so that the owner may close it when the answer is sent. After it ended: nothing. */
  refusePublish(streamId: number, reason: RtmpReason): void {
    this.#refuse(streamId, "publish-asked", reason);
  }

  /** As refusePublish; NetStream.Play.StreamNotFound or NetStream.Play.Failed. */
  refusePlay(streamId: number, reason: RtmpReason): void {
    this.#refuse(streamId, "play-asked", reason);
  }

  /** Our side ends: the reason goes out on every publishing stream, then the connection is declared closed. Nothing is
   *  read or sent afterwards; no event comes. The owner closes the socket. */
  end(reason: RtmpReason = { code: "NetStream.Unpublish.Success", description: "The session was ended." }): void {
    for (const [streamId, state] of this.#streams)
      if (state !== "idle")
        this.#status(streamId, reason.level ?? levelOf(reason.code), reason.code, reason.description);
    if (this.#connected !== null) this.#status(0, "status", "NetConnection.Connect.Closed", reason.description);
    this.peerClosed();
  }

  /** The socket is gone: timers stop, answers that come later go nowhere. No event comes. */
  peerClosed(): void {
    this.#disarm();
    this.#link.close();
  }

  #onMessage(message: RtmpMessage): void {
    const { type } = message;
    if (isMediaType(type)) this.#media(message, type);
    else if (type === TYPE.dataAmf3) this.#media({ ...message, body: message.body.subarray(1) }, TYPE.data);
    else if (type === TYPE.aggregate)
      for (const part of splitAggregate(message)) {
        if (isMediaType(part.type)) this.#media(part, part.type);
      }
    else if (type === TYPE.command || type === TYPE.commandAmf3) this.#command(readCommand(message));
    // Others (shared objects) are of no use here.
  }

  #media({ streamId, timestampMs, body }: RtmpMessage, type: MediaType): void {
    if (this.#link.closed || this.#streams.get(streamId) !== "publishing") return;
    this.#deps.on({ kind: "media", streamId, type, timestampMs, body });
  }

  #command(received: Command): void {
    this.#commands += 1;
    if (this.#commands > this.#limits.commandsMax)
      throw malformed(`more than ${this.#limits.commandsMax} commands without a publication`);
    if (received.name === "connect") {
      this.#connect(received);
      return;
    }
    if (this.#connected === null) throw malformed(`command ${shown(received.name)} before connect`);
    const answer = this.#answers.get(received.name);
    if (answer) answer(received);
    else this.#unknown(received);
  }

  #connect({ transaction, object }: Command): void {
    if (this.#connected !== null) throw malformed("connect a second time");
    const tcUrl = asText(object?.tcUrl);
    const { path: app, query: appQuery } = splitQuery(asText(object?.app));
    const query = mergeQueries(appQuery, splitQuery(tcUrl).query);
    this.#connected = { app: trimSlashes(app), query };
    const fourCcList = readEnhancements(object);

    this.#link.announceWindow();
    this.#link.sendMessage(CHUNK_STREAM.control, setPeerBandwidth(PEER_BANDWIDTH_BYTES));
    this.#link.announceChunkSize();
    const server: Amf0Object = { fmsVer: SERVER_NAME, capabilities: CAPABILITIES };
    this.#result(transaction, server, {
      level: "status",
      code: "NetConnection.Connect.Success",
      description: "Connected.",
      objectEncoding: 0,
      ...(fourCcList === null ? {} : enhancements()),
    });
    const flashVer = asText(object?.flashVer);
    this.#deps.on({ kind: "connect", app: this.#connected.app, tcUrl, query, flashVer, fourCcList: fourCcList ?? [] });
  }

  #createStream({ transaction }: Command): void {
    if (this.#streams.size >= this.#limits.messageStreamsMax)
      throw malformed(`more than ${this.#limits.messageStreamsMax} streams on one connection`);
    const streamId = this.#nextStreamId++;
    this.#streams.set(streamId, "idle");
    this.#result(transaction, null, streamId);
  }

  #ask(received: Command, asked: "publish-asked" | "play-asked"): void {
    const { streamId } = received;
    const { app, query } = this.#connected!;
    const state = this.#streams.get(streamId);
    if (state === undefined) throw malformed(`${received.name} on stream ${streamId}, which was not created`);
    if (state !== "idle") throw malformed(`${received.name} on stream ${streamId}, which is in use`);
    const { path: name, query: own } = splitQuery(asText(received.arguments[0]));
    this.#streams.set(streamId, asked);
    this.#disarm();
    this.#link.hold();
    const kind = asked === "publish-asked" ? "publish" : "play";
    this.#deps.on({ kind, streamId, app, name, query: mergeQueries(own, query) });
  }

  #refuse(streamId: number, asked: StreamState, { level = "error", code, description }: RtmpReason): void {
    if (this.#link.closed) return;
    this.#answered(streamId, asked, "idle");
    this.#status(streamId, level, code, description);
    this.#arm();
    this.#link.release();
  }

  #answered(streamId: number, from: StreamState, to: StreamState): void {
    assert(this.#streams.get(streamId) === from, `stream ${streamId} has no such request to answer`);
    this.#streams.set(streamId, to);
  }

  #fcPublish({ transaction, arguments: [name] }: Command): void {
    this.#result(transaction, null);
    this.#send(command(0, "onFCPublish", 0, null, { code: "NetStream.Publish.Start", description: asText(name) }));
  }

  /** It names a stream by its name only; a connection that publishes several ends each by deleteStream. */
  #fcUnpublish({ transaction, arguments: [name] }: Command): void {
    this.#result(transaction, null);
    const description = asText(name);
    this.#send(command(0, "onFCUnpublish", 0, null, { code: "NetStream.Unpublish.Success", description }));
    const publishing = [...this.#streams].filter(([, state]) => state === "publishing");
    if (publishing.length === 1) this.#close(publishing[0]![0]);
  }

  /** GStreamer names no stream: it means the one on which it says so. */
  #deleteStream({ arguments: [named], streamId: own }: Command): void {
    const streamId = typeof named === "number" ? named : own;
    this.#close(streamId);
    this.#streams.delete(streamId);
  }

  /** Streams that are idle or unknown: nothing happens, so a second goodbye is as good as one. */
  #close(streamId: number): void {
    if (this.#streams.get(streamId) !== "publishing") return;
    this.#streams.set(streamId, "idle");
    if (![...this.#streams.values()].includes("publishing")) {
      this.#link.messageBytesMax = this.#limits.commandBytesMax;
      this.#arm();
    }
    this.#status(streamId, "status", "NetStream.Unpublish.Success", "You have stopped.");
    this.#deps.on({ kind: "unpublish", streamId });
  }

  #unknown({ name, transaction }: Command): void {
    if (transaction === 0 || name === "_result" || name === "_error") return;
    const description = `There is no ${shown(name)} here.`;
    const information = { level: "error", code: "NetConnection.Call.Failed", description };
    this.#send(command(0, "_error", transaction, null, information));
  }

  #result(transaction: number, ...values: Amf0Value[]): void {
    if (transaction !== 0) this.#send(command(0, "_result", transaction, ...values));
  }

  #status(streamId: number, level: "status" | "error", code: string, description: string): void {
    this.#send(onStatus(streamId, level, code, description));
  }

  #send(message: RtmpMessage): void {
    this.#link.sendMessage(CHUNK_STREAM.command, message);
  }

  #arm(): void {
    this.#disarm();
    const { openingTimeoutMs } = this.#limits;
    this.#opening = this.#deps.clock.setTimer(openingTimeoutMs, () =>
      this.#link.fail(new PlatformError("ingest.no_data", `RTMP: nothing was asked for within ${openingTimeoutMs} ms`)),
    );
  }

  #disarm(): void {
    this.#opening?.cancel();
    this.#opening = null;
  }
}

const levelOf = (code: string): "status" | "error" => (code.endsWith(".Success") ? "status" : "error");

const trimSlashes = (path: string): string => path.replace(/^\/+|\/+$/g, "");
