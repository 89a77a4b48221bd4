// Messages to chunks: the shortest header that every receiver reads alike.
import { CHUNK_BYTES_DEFAULT, EXTENDED } from "./chunk-reader.ts";
import type { RtmpMessage } from "./message.ts";

/** Basic header of 1 byte, the longest message header, and the extended time. */
const HEAD_BYTES_MAX = 1 + 11 + 4;
/** A step of the clock beyond this is one back: it needs a format 0 header. */
const STEP_MS_MAX = 0x7fffffff;

type Last = { timestampMs: number; deltaMs: number | null; bytes: number; type: number; streamId: number };

export class ChunkWriter {
  /** Size of the chunks that follow. The peer must have been told. */
  chunkBytes = CHUNK_BYTES_DEFAULT;
  readonly #last = new Map<number, Last>();

  /** All chunks of one message, in one buffer. @param chunkStreamId 2 to 63 */
  write(chunkStreamId: number, message: RtmpMessage): Buffer {
    const { body } = message;
    const head = this.#head(chunkStreamId, message);
    const extendedBytes = head.extendedMs === null ? 0 : 4;
    const more = Math.max(0, Math.ceil(body.length / this.chunkBytes) - 1);
    const out = Buffer.allocUnsafe(head.bytes.length + body.length + more * (1 + extendedBytes));
    let at = head.bytes.copy(out);
    at += body.copy(out, at, 0, this.chunkBytes);
    for (let from = this.chunkBytes; from < body.length; from += this.chunkBytes) {
      out[at++] = 0xc0 | chunkStreamId;
      if (head.extendedMs !== null) at = out.writeUInt32BE(head.extendedMs, at);
      at += body.copy(out, at, from, from + this.chunkBytes);
    }
    return out;
  }

  #head(id: number, message: RtmpMessage): { bytes: Buffer; extendedMs: number | null } {
    const { type, streamId, timestampMs, body } = message;
    const last = this.#last.get(id);
    const stepMs = last === undefined ? 0 : (timestampMs - last.timestampMs) >>> 0;
    const format = chooseFormat(last, message, stepMs);
    this.#last.set(id, { timestampMs, deltaMs: format === 0 ? null : stepMs, bytes: body.length, type, streamId });

    const timeMs = format === 0 ? timestampMs : stepMs;
    const extended = format < 3 && timeMs >= EXTENDED;
    const bytes = Buffer.allocUnsafe(HEAD_BYTES_MAX);
    let at = bytes.writeUInt8((format << 6) | id);
    if (format < 3) at = bytes.writeUIntBE(extended ? EXTENDED : timeMs, at, 3);
    if (format < 2) {
      at = bytes.writeUIntBE(body.length, at, 3);
      at = bytes.writeUInt8(type, at);
    }
    if (format === 0) at = bytes.writeUInt32LE(streamId, at);
    if (extended) at = bytes.writeUInt32BE(timeMs, at);
    return { bytes: bytes.subarray(0, at), extendedMs: extended ? timeMs : null };
  }
}

function chooseFormat(last: Last | undefined, { type, streamId, body }: RtmpMessage, stepMs: number): 0 | 1 | 2 | 3 {
  if (last === undefined || last.streamId !== streamId || stepMs > STEP_MS_MAX) return 0;
  if (last.type !== type || last.bytes !== body.length) return 1;
  // Receivers disagree on format 3 right after format 0, and on whether it repeats an extended time.
  return stepMs === last.deltaMs && stepMs < EXTENDED ? 3 : 2;
}
