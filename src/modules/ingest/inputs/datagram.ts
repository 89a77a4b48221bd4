// What a datagram on a channel's port is: bare transport packets, or an RTP packet that holds some. They are told apart
// by their first byte: a sync byte is no RTP version that exists.
import { PACKET_BYTES } from "#media/mpegts/packets.ts";
import { parseRtp, type RtpPacket } from "#protocols/rtp/packet.ts";

const SYNC = 0x47;

export type Datagram =
  | Readonly<{ kind: "none"; payload: Buffer }>
  | Readonly<{ kind: "rtp"; payload: Buffer; packet: RtpPacket }>;

/** @returns null when it holds no whole transport packets
 *  Source: RFC 2250, 2: an RTP payload is a whole number of transport packets */
export function readDatagram(bytes: Buffer): Datagram | null {
  if (bytes[0] === SYNC) return holdsPackets(bytes) ? { kind: "none", payload: bytes } : null;
  const packet = parseRtp(bytes);
  return packet && holdsPackets(packet.payload) ? { kind: "rtp", payload: packet.payload, packet } : null;
}

function holdsPackets(payload: Buffer): boolean {
  if (payload.length === 0 || payload.length % PACKET_BYTES !== 0) return false;
  for (let at = 0; at < payload.length; at += PACKET_BYTES) if (payload[at] !== SYNC) return false;
  return true;
}
