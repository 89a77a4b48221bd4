// The one box writer of the house: init segments and chunks of CMAF, from any path (transcoded, copied, in tests).
// Why our own and not a muxer library: a segment is a pure function of the log, so every byte here must be a function of
// the arguments. No creation time, no encoder name, no counter of the muxer's own.
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import type { Rotation } from "#media/session-log/entries.ts";
import { type Box, box, fullBox, joinBoxes, text, u16, u32, u64 } from "./box.ts";
import { displayMatrix, languageCode } from "./track-header.ts";
import { type AudioEntryName, audioEntry, videoEntry } from "./write-sample-entry.ts";

/** The track of every file of ours. */
export const TRACK_ID = 1;

export type CmafVideoTrack = Readonly<{
  kind: "video";
  codec: "avc1" | "hvc1" | "av01";
  /** Ticks a second. */
  timescale: number;
  /** Coded size in pixels. */
  width: number;
  height: number;
  pixelAspect: Readonly<{ num: number; den: number }>;
  /** avcC, hvcC or av1C record, parameter sets included (ISO/IEC 14496-15, 5.3.3.1 / 8.3.3.1; AV1 Codec ISO Media File
   *  Format Binding, 2.3). */
  config: Uint8Array;
  /** Most bits a second, for btrt; null: not known, and there is no btrt. */
  bitrate: number | null;
  /** Written as `colr` when given: players that choose a display mode look at nothing else. */
  colour?: Colour;
  /** Degrees clockwise for display; 0 when absent. */
  rotation?: Rotation;
}>;

export type CmafAudioTrack = Readonly<{
  kind: "audio";
  /** The sample entry; "mp3" stands for mp4a with the object type of MPEG audio. */
  codec: AudioEntryName;
  /** The sample rate. */
  timescale: number;
  channels: number;
  /** mp4a: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). ac-3, ec-3, Opus: body of dac3, dec3, dOps. mp3: empty. */
  config: Uint8Array;
  /** Bits a second, for btrt and esds; null: not known. */
  bitrate: number | null;
  /** ISO 639-2; undetermined when absent. */
  language?: string;
}>;

export type CmafTrack = CmafVideoTrack | CmafAudioTrack;

export type CmafSample = Readonly<{
  bytes: Uint8Array;
  durationTicks: number;
  /** Presentation minus decode time; may be negative. */
  compositionOffsetTicks: number;
  /** Decoding can start here. */
  sync: boolean;
}>;

export type CmafChunk = Readonly<{
  /** mfhd sequence number, 0 to 2^32 - 1. */
  sequence: number;
  /** Decode time of the first sample, ticks since the epoch. */
  baseDecodeTicks: number;
  /** At least one. */
  samples: readonly CmafSample[];
  /** Puts a styp before it: a segment begins with this chunk. */
  startsSegment: boolean;
}>;

const SYNC = 0x0200_0000; // sample_depends_on 2: on none
const NOT_SYNC = 0x0101_0000; // depends on others; sample_is_non_sync_sample

const TFHD = { duration: 0x8, flags: 0x20, baseIsMoof: 0x2_0000 } as const;
const TRUN = { dataOffset: 0x1, firstFlags: 0x4, duration: 0x100, size: 0x200, flags: 0x400, offset: 0x800 } as const;

const STYP = box("styp", text("msdh"), u32(0), text("msdhcmfscmffcmfl"));

/** Init segment: ftyp and moov, no edit list (the first sample's time is its tfdt).
 *  Source: ISO/IEC 23000-19, 7.3.1 and 7.3.2 */
export function writeInit(track: CmafTrack): Buffer {
  const video = track.kind === "video";
  const trackBox = box(
    "trak",
    tkhd(track),
    box(
      "mdia",
      fullBox("mdhd", 0, 0, u32(0, 0, track.timescale, 0), u16(languageCode(video ? undefined : track.language), 0)),
      fullBox("hdlr", 0, 0, u32(0), text(video ? "vide" : "soun"), u32(0, 0, 0), text("Continuity\0")),
      box(
        "minf",
        video ? fullBox("vmhd", 0, 1, u16(0, 0, 0, 0)) : fullBox("smhd", 0, 0, u16(0, 0)),
        box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, 1))),
        sampleTable(track),
      ),
    ),
  );
  const mvhd = fullBox(
    "mvhd",
    0,
    0,
    u32(0, 0, track.timescale, 0, 0x1_0000),
    u16(0x100, 0),
    u32(0, 0),
    displayMatrix(0, 0, 0),
    u32(0, 0, 0, 0, 0, 0, TRACK_ID + 1),
  );
  const mvex = box("mvex", fullBox("trex", 0, 0, u32(TRACK_ID, 1, 0, 0, 0)));
  return joinBoxes(box("ftyp", text("iso6"), u32(0), text("iso6cmfccmf2")), box("moov", mvhd, trackBox, mvex));
}

/** Display size in tkhd is the coded size with the pixel aspect applied to the width, 16.16 fixed point; the matrix turns
 *  it afterwards. Source: ISO/IEC 14496-12, 8.3.2 */
function tkhd(track: CmafTrack): Box {
  const [width, height] =
    track.kind === "video"
      ? [Math.round((track.width * track.pixelAspect.num * 65_536) / track.pixelAspect.den), track.height * 65_536]
      : [0, 0];
  const volume = track.kind === "audio" ? 0x100 : 0;
  const rotation = (track.kind === "video" && track.rotation) || 0;
  const matrix = displayMatrix(rotation, width, height);
  return fullBox("tkhd", 0, 7, u32(0, 0, TRACK_ID, 0, 0, 0, 0), u16(0, 0, volume, 0), matrix, u32(width, height));
}

function sampleTable(track: CmafTrack): Box {
  const entry = track.kind === "video" ? videoEntry(track) : audioEntry(track);
  return box(
    "stbl",
    fullBox("stsd", 0, 0, u32(1), entry),
    fullBox("stts", 0, 0, u32(0)),
    fullBox("stsc", 0, 0, u32(0)),
    fullBox("stsz", 0, 0, u32(0, 0)),
    fullBox("stco", 0, 0, u32(0)),
  );
}

/** A chunk: [styp] moof mdat, in one allocation. All defaults stand in tfhd, none is left to trex.
 *  Source: ISO/IEC 23000-19, 7.3.2.3; ISO/IEC 14496-12, 8.8 */
export function writeChunk(chunk: CmafChunk): Buffer {
  const { samples } = chunk;
  const first = samples[0];
  assert.ok(first, "a chunk has a sample");
  const sameDuration = samples.every((sample) => sample.durationTicks === first.durationTicks);
  const hasOffsets = samples.some((sample) => sample.compositionOffsetTicks !== 0);
  const restSync = samples[1]?.sync ?? first.sync;
  const perSampleFlags = samples.slice(1).some((sample) => sample.sync !== restSync);
  const firstFlags = !perSampleFlags && first.sync !== restSync;

  const trunFlags =
    TRUN.dataOffset |
    TRUN.size |
    (firstFlags ? TRUN.firstFlags : 0) |
    (sameDuration ? 0 : TRUN.duration) |
    (perSampleFlags ? TRUN.flags : 0) |
    (hasOffsets ? TRUN.offset : 0);
  const rowBytes = 4 + (sameDuration ? 0 : 4) + (perSampleFlags ? 4 : 0) + (hasOffsets ? 4 : 0);
  const runBytes = 8 + (firstFlags ? 4 : 0) + rowBytes * samples.length;
  const run = Buffer.allocUnsafe(runBytes);

  const tfhdFlags = TFHD.baseIsMoof | TFHD.flags | (sameDuration ? TFHD.duration : 0);
  const tfhdFields = sameDuration ? u32(TRACK_ID, first.durationTicks, 0) : u32(TRACK_ID, 0);
  tfhdFields.writeUInt32BE(restSync ? SYNC : NOT_SYNC, tfhdFields.byteLength - 4);

  const moof = box(
    "moof",
    fullBox("mfhd", 0, 0, u32(chunk.sequence)),
    box(
      "traf",
      fullBox("tfhd", 0, tfhdFlags, tfhdFields),
      fullBox("tfdt", 1, 0, u64(chunk.baseDecodeTicks)),
      fullBox("trun", 1, trunFlags, run),
    ),
  );

  let at = run.writeUInt32BE(samples.length, 0);
  at = run.writeInt32BE(moof.bytes + 8, at); // data begins after the head of mdat
  if (firstFlags) at = run.writeUInt32BE(first.sync ? SYNC : NOT_SYNC, at);
  for (const sample of samples) {
    if (!sameDuration) at = run.writeUInt32BE(sample.durationTicks, at);
    at = run.writeUInt32BE(sample.bytes.byteLength, at);
    if (perSampleFlags) at = run.writeUInt32BE(sample.sync ? SYNC : NOT_SYNC, at);
    if (hasOffsets) at = run.writeInt32BE(sample.compositionOffsetTicks, at);
  }
  const mdat = box("mdat", ...samples.map((sample) => sample.bytes));
  return chunk.startsSegment ? joinBoxes(STYP, moof, mdat) : joinBoxes(moof, mdat);
}
