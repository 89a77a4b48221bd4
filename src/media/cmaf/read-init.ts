// What an init segment says about its track: all that an origin must know before it lists a byte of it.
import { PlatformError } from "#base/errors.ts";
import type { AudioCodec, Rotation, VideoCodec } from "#media/session-log/entries.ts";
import { type BoxView, boxesIn, descend, need, only, shown, versionAndFlags } from "./read-box.ts";
import { audioEntry, videoEntry } from "./read-sample-entry.ts";

/** Values that a chunk's boxes may leave out (trex). */
export type SampleDefaults = Readonly<{ durationTicks: number; bytes: number; flags: number }>;

export type CmafInit = Readonly<{
  kind: "video" | "audio";
  /** RFC 6381, from the decoder configuration: "avc1.64001f", "hvc1...", "mp4a.40.2". */
  codec: string;
  /** The same without its parameters, in the words of the session log. */
  codecName: VideoCodec | AudioCodec;
  trackId: number;
  /** Ticks a second. */
  timescale: number;
  /** Coded size in pixels; 0 for audio. */
  width: number;
  height: number;
  /** Degrees clockwise that the picture is turned by for display (matrix of tkhd). */
  rotation: Rotation;
  /** As the sample entry says, which many writers leave at 2; 0 for video. */
  channels: number;
  /** Body of avcC, hvcC, av1C, dac3, dec3 or dOps; AudioSpecificConfig; empty for MP3. */
  config: Buffer;
  defaults: SampleDefaults;
}>;

/** @param bytes ftyp (optional) and moov
 *  @throws PlatformError media.truncated, media.malformed, media.unsupported
 *  Source: ISO/IEC 23000-19, 7.3.1 */
export function parseInit(bytes: Buffer): CmafInit {
  const moov = only(bytes, 0, bytes.byteLength, "moov");
  const traks = boxesIn(bytes, moov.body, moov.end).filter((view) => view.type === "trak");
  const trak = traks[0];
  if (!trak) throw new PlatformError("media.malformed", "a moov without a track");
  if (traks.length > 1)
    throw new PlatformError("media.unsupported", `${traks.length} tracks; a CMAF track file has one`);

  const mdia = descend(bytes, trak, "mdia");
  const handler = descend(bytes, mdia, "hdlr");
  need(handler, 12);
  const kindCode = bytes.toString("latin1", handler.body + 8, handler.body + 12);
  const stsd = descend(bytes, mdia, "minf", "stbl", "stsd");
  need(stsd, 8);
  const entries = boxesIn(bytes, stsd.body + 8, stsd.end);
  const entry = entries[0];
  if (!entry || entries.length > 1)
    throw new PlatformError("media.unsupported", `${entries.length} sample entries; one is taken`);

  const tkhd = descend(bytes, trak, "tkhd");
  const common = {
    trackId: trackIdOf(bytes, tkhd),
    rotation: rotationOf(bytes, tkhd),
    timescale: timescaleOf(bytes, descend(bytes, mdia, "mdhd")),
    defaults: defaultsOf(bytes, moov),
  };
  if (kindCode === "vide") return { kind: "video", ...common, ...videoEntry(bytes, entry) };
  if (kindCode === "soun") return { kind: "audio", ...common, ...audioEntry(bytes, entry) };
  throw new PlatformError("media.unsupported", `a track of kind ${shown(kindCode)}; video and audio are taken`);
}

function trackIdOf(bytes: Buffer, tkhd: BoxView): number {
  const { version } = versionAndFlags(bytes, tkhd);
  const at = tkhd.body + (version === 1 ? 20 : 12);
  need(tkhd, at + 4 - tkhd.body);
  return bytes.readUInt32BE(at);
}

/** The unit vectors of the matrix: (a, b) is where the picture's right points to, (c, d) its bottom.
 *  Source: ISO/IEC 14496-12, 8.3.2 */
function rotationOf(bytes: Buffer, tkhd: BoxView): Rotation {
  const { version } = versionAndFlags(bytes, tkhd);
  const at = tkhd.body + (version === 1 ? 52 : 40);
  need(tkhd, at + 36 - tkhd.body);
  const [a, b] = [bytes.readInt32BE(at), bytes.readInt32BE(at + 4)];
  if (b === 0) return a < 0 ? 180 : 0;
  return a === 0 ? (b > 0 ? 90 : 270) : 0; // by any other angle no player turns it
}

function timescaleOf(bytes: Buffer, mdhd: BoxView): number {
  const { version } = versionAndFlags(bytes, mdhd);
  const at = mdhd.body + (version === 1 ? 20 : 12);
  need(mdhd, at + 4 - mdhd.body);
  const timescale = bytes.readUInt32BE(at);
  if (timescale === 0) throw new PlatformError("media.malformed", "a timescale of 0");
  return timescale;
}

function defaultsOf(bytes: Buffer, moov: BoxView): SampleDefaults {
  const trex = descend(bytes, moov, "mvex", "trex");
  need(trex, 24);
  const [durationTicks, size, flags] = [12, 16, 20].map((at) => bytes.readUInt32BE(trex.body + at));
  return { durationTicks: durationTicks!, bytes: size!, flags: flags! };
}
