// RTP packets as a sender makes them, with everything that a head may hold.

export function rtpPacket(settings: {
  sequence: number;
  payload: Uint8Array;
  timestamp?: number;
  ssrc?: number;
  payloadType?: number;
  marker?: boolean;
  contributors?: number;
  extensionWords?: number;
  /** Bytes, the count among them. */
  padding?: number;
}): Buffer {
  const { sequence, payload, timestamp = 0, ssrc = 1, payloadType = 33, marker = false } = settings;
  const { contributors = 0, extensionWords, padding = 0 } = settings;
  const extension = extensionWords === undefined ? Buffer.alloc(0) : Buffer.alloc(4 + extensionWords * 4, 0xee);
  if (extensionWords !== undefined) extension.writeUInt16BE(extensionWords, 2);
  const head = Buffer.alloc(12 + contributors * 4, 0xcc);
  head[0] = 0x80 | (padding > 0 ? 0x20 : 0) | (extensionWords === undefined ? 0 : 0x10) | contributors;
  head[1] = (marker ? 0x80 : 0) | payloadType;
  head.writeUInt16BE(sequence & 0xffff, 2);
  head.writeUInt32BE(timestamp >>> 0, 4);
  head.writeUInt32BE(ssrc >>> 0, 8);
  return Buffer.concat([head, extension, payload, Buffer.alloc(padding, padding)]);
}
