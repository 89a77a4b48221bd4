// Chunks to messages. The payload of a chunk is copied once, from the arrival into its message.
// Headers are compressed against the previous one of the same chunk stream, so what is wrong once stays wrong: there is
// no way to find the next message after a bad header, and every doubt ends the connection.
import type { ByteQueue } from "./byte-queue.ts";
import { malformed, type RtmpLimits, type RtmpMessage } from "./message.ts";

/** Source: RTMP 1.0, 5.4.1 */
export const CHUNK_BYTES_DEFAULT = 128;
/** A 24-bit time field with this value says: the real one follows in 32 bits. Source: RTMP 1.0, 5.3.1.3 */
export const EXTENDED = 0xffffff;
/** Bytes of the message header per format. Source: RTMP 1.0, 5.3.1.2 */
const HEADER_BYTES = [11, 7, 3, 0] as const;

type ChunkStream = {
  timestampMs: number;
  /** Added when a message begins with a format 3 header. After format 0 it is, by the standard, that timestamp. */
  deltaMs: number;
  /** Whether the last header that had a time field said that the real time follows, and that value. */
  extended: boolean;
  extendedMs: number;
  bytes: number;
  type: number;
  streamId: number;
  /** The message being filled; null between messages. */
  body: Buffer | null;
  filled: number;
};

export class ChunkReader {
  /** Largest message taken; may change at any time and counts from the next message on. */
  messageBytesMax: number;
  readonly #queue: ByteQueue;
  readonly #limits: RtmpLimits;
  readonly #streams = new Map<number, ChunkStream>();
  #chunkBytes = CHUNK_BYTES_DEFAULT;
  #unfinishedBytes = 0;
  #current: ChunkStream | null = null;
  #chunkLeft = 0;

  constructor(queue: ByteQueue, limits: RtmpLimits) {
    this.#queue = queue;
    this.#limits = limits;
    this.messageBytesMax = limits.commandBytesMax;
  }

  /** The next whole message, or null when more bytes must come first.
   *  @throws PlatformError rtmp.malformed; the reader is of no use afterwards */
  next(): RtmpMessage | null {
    for (;;) {
      const stream = (this.#current ??= this.#beginChunk());
      if (stream === null) return null;
      const count = Math.min(this.#chunkLeft, this.#queue.length);
      this.#queue.copyTo(stream.body!, stream.filled, count);
      stream.filled += count;
      this.#chunkLeft -= count;
      if (this.#chunkLeft > 0) return null;
      this.#current = null;
      if (stream.filled === stream.bytes) return this.#finish(stream);
    }
  }

  /** @throws PlatformError rtmp.malformed. Source: RTMP 1.0, 5.4.1 */
  setChunkBytes(bytes: number): void {
    if (bytes < 1 || bytes > 0x7fffffff) throw malformed(`a chunk size of ${bytes} bytes`);
    this.#chunkBytes = bytes;
  }

  /** Forget the unfinished message of a chunk stream. An idle or unknown one: nothing happens.
   *  Source: RTMP 1.0, 5.4.2 */
  abort(chunkStreamId: number): void {
    const stream = this.#streams.get(chunkStreamId);
    if (!stream?.body) return;
    this.#unfinishedBytes -= stream.bytes;
    stream.body = null;
  }

  #finish(stream: ChunkStream): RtmpMessage {
    const body = stream.body!;
    stream.body = null;
    this.#unfinishedBytes -= stream.bytes;
    return { type: stream.type, streamId: stream.streamId, timestampMs: stream.timestampMs, body };
  }

  /** Read one chunk's headers. @returns null, with nothing taken, when they are not all there */
  #beginChunk(): ChunkStream | null {
    const queue = this.#queue;
    if (!queue.reach(1)) return null;
    const first = queue.head[queue.at]!;
    const format = first >> 6;
    const basicBytes = (first & 0x3f) === 0 ? 2 : (first & 0x3f) === 1 ? 3 : 1;
    const plainBytes = basicBytes + HEADER_BYTES[format as 0 | 1 | 2 | 3];
    if (!queue.reach(plainBytes)) return null;
    const id = chunkStreamId(queue.head, queue.at, basicBytes);
    const known = this.#streams.get(id);
    this.#check(id, format, known);

    const field = format === 3 ? 0 : queue.head.readUIntBE(queue.at + basicBytes, 3);
    const extended = format === 3 ? known!.extended : field === EXTENDED;
    if (extended && !queue.reach(plainBytes + 4)) return null;
    const extendedMs = extended ? queue.head.readUInt32BE(queue.at + plainBytes) : 0;

    const stream = known ?? this.#open(id);
    if (format < 3) this.#readHeader(stream, format, extended, extended ? extendedMs : field, queue.at + basicBytes);
    // Some encoders leave the extended time out of format 3 chunks: what is there then is payload.
    const given = extended && extendedMs === stream.extendedMs;
    queue.skip(plainBytes + (given ? 4 : 0));
    if (stream.body === null) this.#beginMessage(stream, format);
    this.#chunkLeft = Math.min(this.#chunkBytes, stream.bytes - stream.filled);
    return stream;
  }

  #check(id: number, format: number, known: ChunkStream | undefined): void {
    if (known?.body && format !== 3)
      throw malformed(`chunk stream ${id} begins a message inside another (format ${format})`);
    // librtmp begins with format 1 on the control stream; formats 2 and 3 say nothing without a header before them.
    if (!known && format > 1) throw malformed(`chunk stream ${id} begins with format ${format}`);
    if (!known && this.#streams.size >= this.#limits.chunkStreamsMax)
      throw malformed(`more than ${this.#limits.chunkStreamsMax} chunk streams`);
  }

  #open(id: number): ChunkStream {
    const none = { timestampMs: 0, deltaMs: 0, extended: false, extendedMs: 0, bytes: 0, type: 0, streamId: 0 };
    const stream = { ...none, body: null, filled: 0 };
    this.#streams.set(id, stream);
    return stream;
  }

  #readHeader(stream: ChunkStream, format: number, extended: boolean, timeMs: number, at: number): void {
    const { head } = this.#queue;
    stream.extended = extended;
    stream.extendedMs = timeMs;
    stream.deltaMs = timeMs;
    if (format < 2) {
      stream.bytes = head.readUIntBE(at + 3, 3);
      stream.type = head.readUInt8(at + 6);
    }
    if (format === 0) stream.streamId = head.readUInt32LE(at + 7);
  }

  #beginMessage(stream: ChunkStream, format: number): void {
    if (stream.bytes > this.messageBytesMax)
      throw malformed(`a message of ${stream.bytes} bytes (type ${stream.type}), at most ${this.messageBytesMax} now`);
    if (this.#unfinishedBytes + stream.bytes > this.#limits.unfinishedBytesMax)
      throw malformed(`more than ${this.#limits.unfinishedBytesMax} bytes in unfinished messages`);
    stream.timestampMs = (format === 0 ? stream.deltaMs : stream.timestampMs + stream.deltaMs) >>> 0;
    stream.body = Buffer.allocUnsafe(stream.bytes);
    stream.filled = 0;
    this.#unfinishedBytes += stream.bytes;
  }
}

/** Source: RTMP 1.0, 5.3.1.1 */
function chunkStreamId(head: Buffer, at: number, basicBytes: number): number {
  if (basicBytes === 1) return head[at]! & 0x3f;
  return basicBytes === 2 ? 64 + head[at + 1]! : 64 + head.readUInt16LE(at + 1);
}
