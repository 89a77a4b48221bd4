// Sample entries: what a player must know before the first sample, per codec.
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import { type Box, box, fullBox, text, u8, u16, u32 } from "./box.ts";
import type { CmafAudioTrack, CmafVideoTrack } from "./write.ts";

export type AudioEntryName = "mp4a" | "ac-3" | "ec-3" | "Opus" | "mp3";

const CONFIGURATION = {
  avc1: "avcC",
  hvc1: "hvcC",
  av01: "av1C",
  "ac-3": "dac3",
  "ec-3": "dec3",
  Opus: "dOps",
} as const;

/** Source: ISO/IEC 14496-12, 12.1.3; ISO/IEC 14496-15, 5.4.2 and 8.4.1; AV1 Codec ISO Media File Format Binding, 2.2 */
export function videoEntry(track: CmafVideoTrack): Box {
  const { num, den } = track.pixelAspect;
  return box(
    track.codec,
    u32(0),
    u16(0, 1), // data reference 1
    u32(0, 0, 0, 0),
    u16(track.width, track.height),
    u32(0x48_0000, 0x48_0000, 0), // 72 dpi
    u16(1),
    Buffer.alloc(32), // compressor name
    u16(0x18, 0xffff),
    box(CONFIGURATION[track.codec], track.config),
    ...(track.colour ? [colourBox(track.colour)] : []),
    box("pasp", u32(num, den)),
    ...bitRate(track.bitrate),
  );
}

/** Source: ISO/IEC 14496-12, 12.1.5 */
function colourBox({ primaries, transfer, matrix, fullRange }: Colour): Box {
  return box("colr", text("nclx"), u16(primaries, transfer, matrix), u8(fullRange ? 0x80 : 0));
}

/** Source: ISO/IEC 14496-12, 12.2.3; ETSI TS 102 366, F.3 and F.5; Opus in ISOBMFF, 4.3.1 */
export function audioEntry(track: CmafAudioTrack): Box {
  const { codec } = track;
  const type = codec === "mp3" ? "mp4a" : codec;
  return box(
    type,
    u32(0),
    u16(0, 1),
    u32(0, 0),
    u16(track.channels, 16),
    u32(0),
    u16(track.timescale < 65_536 ? track.timescale : 0, 0), // 16.16 cannot hold 88.2 kHz; the esds has it
    codec === "mp4a" || codec === "mp3" ? esds(track) : box(CONFIGURATION[codec], track.config),
    ...bitRate(track.bitrate),
  );
}

function bitRate(bitrate: number | null): Box[] {
  return bitrate === null ? [] : [box("btrt", u32(0, bitrate, bitrate))];
}

const MPEG4_AUDIO = 0x40;
/** MP3 at the sample rates of MPEG-1, and at the lower ones of MPEG-2. Source: ISO/IEC 14496-1, table 5 */
const MPEG1_AUDIO = 0x6b;
const MPEG2_AUDIO = 0x69;
const MPEG1_RATE_MIN = 32_000;

/** Source: ISO/IEC 14496-1, 7.2.6; ISO/IEC 14496-14, 5.6 */
function esds(track: CmafAudioTrack): Box {
  const mp3 = track.timescale >= MPEG1_RATE_MIN ? MPEG1_AUDIO : MPEG2_AUDIO;
  const bitrate = track.bitrate ?? 0;
  const decoder = descriptor(
    4,
    u8(track.codec === "mp3" ? mp3 : MPEG4_AUDIO, 0x15, 0, 0, 0), // audio stream, buffer size unknown
    u32(bitrate, bitrate),
    ...(track.codec === "mp3" ? [] : [descriptor(5, track.config)]),
  );
  return fullBox("esds", 0, 0, descriptor(3, u16(0), u8(0), decoder, descriptor(6, u8(2))));
}

function descriptor(tag: number, ...pieces: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(pieces);
  assert.ok(body.byteLength < 0x4000, "descriptors of ours are small");
  return Buffer.concat([u8(tag, 0x80 | (body.byteLength >> 7), body.byteLength & 0x7f), body]);
}
