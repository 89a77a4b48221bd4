// Bodies of RTMP media messages, as a publisher sends them. H.264 in the old form, which every server knows; H.265 in
// the enhanced form, since the old one never had a number for it that all agree on.
import type { AudioTrack, VideoCodec, VideoTrack } from "#media/session-log/entries.ts";
import { perSecond } from "#media/time/rate.ts";
import { ecmaArray, encodeAmf0 } from "./amf0.ts";
import { CODEC, FRAME, PACKET, SOUND } from "./tag.ts";

const INTER = 2;
/** AAC in FLV is always marked as 44.1 kHz, 16 bits, stereo: the configuration says the truth. */
const AAC_HEAD = (SOUND.aac << 4) | 0x0f;

/** The sequence header: sent first, and again when the configuration changes. @param config avcC or hvcC */
export function videoHeader(codec: VideoCodec, config: Uint8Array): Buffer {
  const head =
    codec === "h264"
      ? Buffer.of((FRAME.key << 4) | CODEC.avc, 0, 0, 0, 0)
      : Buffer.concat([Buffer.of(0x80 | (FRAME.key << 4) | PACKET.sequenceStart), Buffer.from("hvc1")]);
  return Buffer.concat([head, config]);
}

/** @param payload NAL units with 4-byte lengths
 *  @param compositionMs presentation after decoding, -8 388 608 to 8 388 607 */
export function videoFrame(
  codec: VideoCodec,
  payload: Uint8Array,
  randomAccess: boolean,
  compositionMs: number,
): Buffer {
  const frame = (randomAccess ? FRAME.key : INTER) << 4;
  const out = Buffer.allocUnsafe((codec === "h264" ? 5 : 8) + payload.length);
  if (codec === "h264") {
    out.writeUInt8(frame | CODEC.avc, 0);
    out.writeUInt8(1, 1);
    out.writeIntBE(compositionMs, 2, 3);
    out.set(payload, 5);
  } else {
    out.writeUInt8(0x80 | frame | PACKET.codedFrames, 0);
    out.write("hvc1", 1, "latin1");
    out.writeIntBE(compositionMs, 5, 3);
    out.set(payload, 8);
  }
  return out;
}

/** @param config AudioSpecificConfig */
export function audioHeader(config: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(AAC_HEAD, 0), config]);
}

/** @param payload one raw AAC frame */
export function audioFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(AAC_HEAD, 1), payload]);
}

/** onMetaData as a publisher sends it (with @setDataFrame). @param encoder shown by servers and players */
export function metadata(video: VideoTrack | null, audio: AudioTrack | null, encoder: string): Buffer {
  const rate = video?.declaredRate ?? null;
  const hvc1 = Buffer.from("hvc1").readUInt32BE();
  return encodeAmf0([
    "@setDataFrame",
    "onMetaData",
    ecmaArray({
      ...(video ? { width: video.width, height: video.height } : {}),
      ...(video ? { videocodecid: video.codec === "h264" ? CODEC.avc : hvc1 } : {}),
      ...(rate ? { framerate: perSecond(rate) } : {}),
      ...(audio ? { audiocodecid: SOUND.aac, audiosamplerate: audio.sampleRate } : {}),
      ...(audio ? { audiosamplesize: 16, stereo: audio.channels === 2 } : {}),
      encoder,
    }),
  ]);
}
