// The messages that chunks carry, and the few of them that steer the connection itself.
import { PlatformError } from "#base/errors.ts";

/** Message type ids. Source: RTMP 1.0, 5.4, 6.2 and 7.1 */
export const TYPE = {
  setChunkSize: 1,
  abort: 2,
  acknowledgement: 3,
  userControl: 4,
  windowAcknowledgementSize: 5,
  setPeerBandwidth: 6,
  audio: 8,
  video: 9,
  dataAmf3: 15,
  commandAmf3: 17,
  data: 18,
  command: 20,
  aggregate: 22,
} as const;

/** What a media message is: audio, video, script data (the tag types of FLV). */
export type MediaType = 8 | 9 | 18;

export const isMediaType = (type: number): type is MediaType =>
  type === TYPE.audio || type === TYPE.video || type === TYPE.data;

/** User control event types. Source: RTMP 1.0, 7.1.7 */
export const CONTROL_EVENT = { streamBegin: 0, streamEnd: 1, pingRequest: 6, pingResponse: 7 } as const;

export type RtmpMessage = Readonly<{
  type: number;
  /** Message stream: 0 is the connection itself. */
  streamId: number;
  /** Milliseconds modulo 2^32, of the sender's own clock. */
  timestampMs: number;
  /** The receiver's to keep. */
  body: Buffer;
}>;

/** How much a peer may ask us to hold or do. */
export type RtmpLimits = Readonly<{
  /** One message of a publisher who was accepted. A 4K key frame has 1 or 2 MiB. */
  messageBytesMax: number;
  /** One message before that: commands only. */
  commandBytesMax: number;
  /** All messages that have begun and not ended. */
  unfinishedBytesMax: number;
  /** What may arrive while the verdict on a publisher is awaited. */
  heldBytesMax: number;
  chunkStreamsMax: number;
  messageStreamsMax: number;
  /** Commands between two accepted publications. */
  commandsMax: number;
  /** From the first byte to a publication or a play request, and again after each of them. */
  openingTimeoutMs: number;
}>;

export const RTMP_LIMITS: RtmpLimits = Object.freeze({
  messageBytesMax: 8 << 20,
  commandBytesMax: 64 << 10,
  unfinishedBytesMax: 16 << 20,
  heldBytesMax: 1 << 20,
  chunkStreamsMax: 64,
  messageStreamsMax: 8,
  commandsMax: 100,
  openingTimeoutMs: 10_000,
});

export function malformed(what: string, cause?: unknown): PlatformError {
  return new PlatformError("rtmp.malformed", `RTMP: ${what}`, cause === undefined ? undefined : { cause });
}

/** A control message whose body is one 32-bit number (types 1, 2, 3 and 5). */
export function numberMessage(type: number, value: number): RtmpMessage {
  const body = Buffer.allocUnsafe(4);
  body.writeUInt32BE(value);
  return { type, streamId: 0, timestampMs: 0, body };
}

/** Ask the peer to limit what it sends without acknowledgement; "dynamic", which all peers understand.
 *  Source: RTMP 1.0, 5.4.5 */
export function setPeerBandwidth(windowBytes: number): RtmpMessage {
  const body = Buffer.allocUnsafe(5);
  body.writeUInt32BE(windowBytes);
  body.writeUInt8(2, 4);
  return { type: TYPE.setPeerBandwidth, streamId: 0, timestampMs: 0, body };
}

/** @param value a stream id, or the time of a ping */
export function userControl(event: number, value: number): RtmpMessage {
  const body = Buffer.allocUnsafe(6);
  body.writeUInt16BE(event);
  body.writeUInt32BE(value, 2);
  return { type: TYPE.userControl, streamId: 0, timestampMs: 0, body };
}

/** The messages inside an aggregate, whose timestamps count from its own.
 *  @throws PlatformError rtmp.malformed when they do not fill it exactly
 *  Source: RTMP 1.0, 7.1.6 */
export function* splitAggregate(aggregate: RtmpMessage): Generator<RtmpMessage> {
  const { body, streamId } = aggregate;
  let at = 0;
  let firstMs: number | null = null;
  while (at < body.length) {
    if (body.length - at < AGGREGATE_HEADER_BYTES) throw malformed("an aggregate message ends inside a header");
    const type = body.readUInt8(at);
    const bytes = body.readUIntBE(at + 1, 3);
    const ownMs = body.readUIntBE(at + 4, 3) + body.readUInt8(at + 7) * 0x1000000;
    firstMs ??= ownMs;
    const start = at + AGGREGATE_HEADER_BYTES;
    if (start + bytes > body.length) throw malformed("an aggregate message ends inside one of its parts");
    const timestampMs = (aggregate.timestampMs + ownMs - firstMs) >>> 0;
    yield { type, streamId, timestampMs, body: body.subarray(start, start + bytes) };
    at = start + bytes + BACK_POINTER_BYTES; // some senders leave the last one out
  }
}

const AGGREGATE_HEADER_BYTES = 11;
const BACK_POINTER_BYTES = 4;
