// What server and client have in common: the handshake, chunks both ways, and the messages that steer the connection
// (chunk sizes, acknowledgements, pings), which neither of them ever sees.
// Every reply is an answer to bytes that came, so a peer that writes and never reads fills the socket's queue: whoever
// owns the socket bounds that queue.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { ByteQueue } from "./byte-queue.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import type { Handshake } from "./handshake.ts";
import {
  CONTROL_EVENT,
  malformed,
  numberMessage,
  type RtmpLimits,
  type RtmpMessage,
  TYPE,
  userControl,
} from "./message.ts";

/** Chunk streams, one per kind of message. 2 is for control by the standard, the others by custom. */
export const CHUNK_STREAM = { control: 2, command: 3, audio: 4, data: 5, video: 6 } as const;
/** Of what we send: a header per 64 KiB costs nothing, and all known receivers take it. */
const CHUNK_BYTES = 65_536;
/** What both sides may send without an acknowledgement, unless told otherwise. */
const WINDOW_BYTES = 2_500_000;
/** A peer that asks for more frequent acknowledgements does not get them: they would outweigh what they acknowledge. */
const WINDOW_BYTES_MIN = 1024;
const PING_INTERVAL_MS_MIN = 100;

export type LinkDeps = Readonly<{
  clock: Clock;
  limits: RtmpLimits;
  handshake: Handshake;
  send: (bytes: Uint8Array) => void;
  /** The handshake is done. */
  onOpen: () => void;
  onMessage: (message: RtmpMessage) => void;
  /** Once; nothing comes afterwards. */
  onFailed: (error: PlatformError) => void;
}>;

export class RtmpLink {
  readonly #deps: LinkDeps;
  readonly #queue = new ByteQueue();
  readonly #reader: ChunkReader;
  readonly #writer = new ChunkWriter();
  #open = false;
  #closed = false;
  #held = false;
  #reading = false;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;
  #windowBytes = WINDOW_BYTES;
  #sentBytes = 0;
  #peerAcknowledged = 0;
  #announcedWindowBytes = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
    this.#reader = new ChunkReader(this.#queue, deps.limits);
  }

  /** Send what opens the handshake. */
  start(): void {
    if (this.#deps.handshake.opening.length > 0) this.#send(this.#deps.handshake.opening);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sent and not acknowledged; peers that never acknowledge make this grow. */
  get unacknowledgedBytes(): number {
    return (this.#sentBytes - this.#peerAcknowledged) >>> 0;
  }

  set messageBytesMax(bytes: number) {
    this.#reader.messageBytesMax = bytes;
  }

  /** @param bytes borrowed until this returns */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#receivedBytes += bytes.byteLength;
    this.#queue.push(bytes);
    this.#read();
    this.#queue.settle();
  }

  /** Read no further message until `release`. What arrives is kept, within limits. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (!this.#reading) this.#read();
  }

  /** Tell the peer how much we send before we expect an acknowledgement. */
  announceWindow(): void {
    this.#announceWindow(WINDOW_BYTES);
  }

  /** What we send goes in large chunks from the next message on. */
  announceChunkSize(): void {
    this.sendMessage(CHUNK_STREAM.control, numberMessage(TYPE.setChunkSize, CHUNK_BYTES));
    this.#writer.chunkBytes = CHUNK_BYTES;
  }

  sendMessage(chunkStreamId: number, message: RtmpMessage): void {
    if (!this.#closed) this.#send(this.#writer.write(chunkStreamId, message));
  }

  fail(error: PlatformError): void {
    if (this.#closed) return;
    this.close();
    this.#deps.onFailed(error);
  }

  /** Neither read nor send any more. */
  close(): void {
    this.#closed = true;
    this.#queue.clear();
  }

  #send(bytes: Uint8Array): void {
    this.#sentBytes += bytes.byteLength;
    this.#deps.send(bytes);
  }

  #read(): void {
    this.#reading = true;
    try {
      if (!this.#open) this.#shakeHands();
      while (this.#open && !this.#closed && !this.#held) {
        const message = this.#reader.next();
        if (message === null) break;
        this.#take(message);
      }
      if (!this.#closed) this.#acknowledge();
      if (this.#held && this.#queue.length > this.#deps.limits.heldBytesMax)
        throw malformed(`more than ${this.#deps.limits.heldBytesMax} bytes sent before the answer to a request`);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.fail(error);
    } finally {
      this.#reading = false;
    }
  }

  #shakeHands(): void {
    for (;;) {
      const { reply, done } = this.#deps.handshake.step(this.#queue);
      if (reply.length > 0) this.#send(reply);
      if (done) {
        this.#open = true;
        this.#deps.onOpen();
      }
      if (done || reply.length === 0) return;
    }
  }

  #acknowledge(): void {
    if (!this.#open || this.#receivedBytes - this.#acknowledgedBytes < this.#windowBytes) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    this.sendMessage(CHUNK_STREAM.control, numberMessage(TYPE.acknowledgement, this.#receivedBytes % 2 ** 32));
  }

  #take(message: RtmpMessage): void {
    const { type, body } = message;
    if (type === TYPE.setChunkSize) this.#reader.setChunkBytes(numberOf(body, "chunk size"));
    else if (type === TYPE.abort) this.#reader.abort(numberOf(body, "chunk stream to abort"));
    else if (type === TYPE.acknowledgement) this.#peerAcknowledged = numberOf(body, "acknowledgement");
    else if (type === TYPE.windowAcknowledgementSize)
      this.#windowBytes = Math.max(WINDOW_BYTES_MIN, numberOf(body, "window size"));
    else if (type === TYPE.setPeerBandwidth) this.#announceWindow(numberOf(body, "bandwidth"));
    else if (type === TYPE.userControl) this.#userControl(body);
    else this.#deps.onMessage(message);
  }

  /** The peer limits what we may send unacknowledged; it hears that we know. Source: RTMP 1.0, 5.4.5 */
  #announceWindow(bytes: number): void {
    if (bytes === this.#announcedWindowBytes) return;
    this.#announcedWindowBytes = bytes;
    this.sendMessage(CHUNK_STREAM.control, numberMessage(TYPE.windowAcknowledgementSize, bytes));
  }

  #userControl(body: Buffer): void {
    if (body.length < 2) throw malformed("a user control message without an event");
    if (body.readUInt16BE(0) !== CONTROL_EVENT.pingRequest) return;
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#lastPingMs < PING_INTERVAL_MS_MIN) return;
    this.#lastPingMs = nowMs;
    const timeMs = numberOf(body.subarray(2), "time of a ping");
    this.sendMessage(CHUNK_STREAM.control, userControl(CONTROL_EVENT.pingResponse, timeMs));
  }
}

function numberOf(body: Buffer, what: string): number {
  if (body.length < 4) throw malformed(`a ${what} of ${body.length} bytes`);
  return body.readUInt32BE(0);
}
