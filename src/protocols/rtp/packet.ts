// The head of an RTP packet. Nothing that comes in makes it throw: it is RTP or it is null.

export type RtpPacket = Readonly<{
  payloadType: number;
  marker: boolean;
  /** 0 to 65535. */
  sequence: number;
  /** Ticks of the payload's clock (90 kHz for transport streams), 32 bits. */
  timestamp: number;
  /** Who sent it: chosen at random at each start of a sender. */
  ssrc: number;
  /** A view of the datagram, without list of contributors, extension and padding. */
  payload: Buffer;
}>;

const HEADER_BYTES = 12;
const WORD_BYTES = 4;
const VERSION = 2;

/** @returns null when the datagram is no RTP packet, or lies about its length
 *  Source: RFC 3550, 5.1 and 5.3.1 */
export function parseRtp(datagram: Buffer): RtpPacket | null {
  const first = datagram[0];
  if (first === undefined || first >> 6 !== VERSION || datagram.length < HEADER_BYTES) return null;
  let from = HEADER_BYTES + (first & 0x0f) * WORD_BYTES;
  if (first & 0x10) {
    if (from + WORD_BYTES > datagram.length) return null;
    from += WORD_BYTES + datagram.readUInt16BE(from + 2) * WORD_BYTES;
  }
  let to = datagram.length;
  if (first & 0x20) {
    const padding = datagram[to - 1]!;
    if (padding === 0) return null;
    to -= padding;
  }
  if (from > to) return null;
  const second = datagram[1]!;
  return {
    payloadType: second & 0x7f,
    marker: second >= 0x80,
    sequence: datagram.readUInt16BE(2),
    timestamp: datagram.readUInt32BE(4),
    ssrc: datagram.readUInt32BE(8),
    payload: datagram.subarray(from, to),
  };
}

/** How far `to` lies after `from`, of numbers that wrap after 65535: -32768 to 32767. */
export function sequenceSpan(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}
