// What an init segment says about its track: all that an origin must know before it lists a byte of it.
import { PlatformError } from "#base/errors.ts";
import { codecString } from "#media/codec/codec-string.ts";
import { type BoxView, boxesIn, descend, need, only, shown, versionAndFlags } from "./read-box.ts";

/** Values that a chunk's boxes may leave out (trex). */
export type SampleDefaults = Readonly<{ durationTicks: number; bytes: number; flags: number }>;

export type CmafInit = Readonly<{
  kind: "video" | "audio";
  /** RFC 6381, from the decoder configuration: "avc1.64001f", "hvc1...", "mp4a.40.2". */
  codec: string;
  trackId: number;
  /** Ticks a second. */
  timescale: number;
  /** Coded size in pixels; 0 for audio. */
  width: number;
  height: number;
  /** 0 for video. */
  channels: number;
  /** avcC, hvcC or AudioSpecificConfig. */
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

  const common = {
    trackId: trackIdOf(bytes, descend(bytes, trak, "tkhd")),
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

/** Source: ISO/IEC 14496-12, 12.1.3; avc3 and hev1 are refused: CODECS could not be known from the init segment. */
function videoEntry(bytes: Buffer, entry: BoxView) {
  const configType = { avc1: "avcC", hvc1: "hvcC" }[entry.type];
  if (configType === undefined)
    throw new PlatformError("media.unsupported", `sample entry ${shown(entry.type)}; avc1 and hvc1 are taken`);
  need(entry, 78);
  const view = only(bytes, entry.body + 78, entry.end, configType);
  const config = Buffer.from(bytes.subarray(view.body, view.end));
  return {
    codec: codecString({ codec: entry.type === "avc1" ? "h264" : "hevc", config }),
    width: bytes.readUInt16BE(entry.body + 24),
    height: bytes.readUInt16BE(entry.body + 26),
    channels: 0,
    config,
  };
}

/** Source: ISO/IEC 14496-12, 12.2.3; ISO/IEC 14496-14, 5.6 */
function audioEntry(bytes: Buffer, entry: BoxView) {
  if (entry.type !== "mp4a")
    throw new PlatformError("media.unsupported", `sample entry ${shown(entry.type)}; mp4a is taken`);
  need(entry, 28);
  const esds = only(bytes, entry.body + 28, entry.end, "esds");
  need(esds, 4);
  const config = specificConfig(bytes.subarray(esds.body + 4, esds.end));
  return {
    codec: codecString({ codec: "aac", config }),
    width: 0,
    height: 0,
    channels: bytes.readUInt16BE(entry.body + 16),
    config,
  };
}

const TAG = { es: 3, decoder: 4, specific: 5 } as const;
const MPEG4_AUDIO = 0x40;

/** The AudioSpecificConfig inside an ES descriptor. Source: ISO/IEC 14496-1, 7.2.6 */
function specificConfig(descriptors: Buffer): Buffer {
  const es = descriptorBody(descriptors, 0, TAG.es);
  const flags = es[2];
  if (flags === undefined) throw new PlatformError("media.truncated", "an empty ES descriptor");
  let at = 3;
  if (flags & 0x80) at += 2; // depends on another stream
  if (flags & 0x40) at += 1 + (es[at] ?? 0); // URL
  if (flags & 0x20) at += 2; // OCR stream
  const decoder = descriptorBody(es, at, TAG.decoder);
  if (decoder[0] !== MPEG4_AUDIO)
    throw new PlatformError(
      "media.unsupported",
      `audio object type 0x${decoder[0]?.toString(16)}; MPEG-4 AAC is taken`,
    );
  return Buffer.from(descriptorBody(decoder, 13, TAG.specific));
}

function descriptorBody(bytes: Buffer, at: number, tag: number): Buffer {
  if (bytes[at] !== tag) throw new PlatformError("media.malformed", `descriptor ${bytes[at]} where ${tag} belongs`);
  let size = 0;
  let next = at + 1;
  for (let i = 0; i < 4; i += 1) {
    const byte = bytes[next++];
    if (byte === undefined) throw new PlatformError("media.truncated", `descriptor ${tag} is cut off`);
    size = size * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  if (next + size > bytes.byteLength) throw new PlatformError("media.truncated", `descriptor ${tag} is cut off`);
  return bytes.subarray(next, next + size);
}
