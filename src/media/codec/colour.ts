// The colour of a video track as its parameter sets tell it, and what to tell a player when they do not.
import type { VideoTrack } from "#media/session-log/entries.ts";
import { parseAv1Config } from "./av1-sequence.ts";
import { parseAvcConfig } from "./avcc.ts";
import * as h264 from "./h264.ts";
import * as hevc from "./hevc.ts";
import { parseHevcConfig } from "./hvcc.ts";
import { type Colour, TRANSFER, UNSPECIFIED, UNSPECIFIED_COLOUR } from "./vui.ts";

const BT709 = 1;
const SMPTE170M = 6;
const BT2020 = 9;

/** @throws PlatformError media.truncated, media.malformed */
export function declaredColour({ codec, config }: Pick<VideoTrack, "codec" | "config">): Colour {
  if (codec === "av1") return parseAv1Config(config).colour;
  const sps = codec === "h264" ? parseAvcConfig(config).sps[0] : parseHevcConfig(config).sps[0];
  if (!sps) return UNSPECIFIED_COLOUR;
  return codec === "h264" ? h264.parseSps(sps).colour : hevc.parseSps(sps).colour;
}

/** The declared colour with its gaps closed as players would guess from the source's height, so that they do not guess
 *  anew from the height of each rung: an undeclared 1080 source must not change colour at 360. A high dynamic range that
 *  the parameter sets do not tell (a message or the container did) comes with the colours of BT.2020. */
export function presumedColour(
  track: Pick<VideoTrack, "codec" | "config" | "height"> & Partial<Pick<VideoTrack, "range">>,
): Colour {
  const declared = declaredColour(track);
  const isHigh = track.range === "PQ" || track.range === "HLG";
  const usual = isHigh ? BT2020 : track.height >= 720 ? BT709 : SMPTE170M;
  const or = (code: number) => (code === UNSPECIFIED ? usual : code);
  return {
    primaries: or(declared.primaries),
    transfer: isHigh ? (track.range === "PQ" ? TRANSFER.pq : TRANSFER.hlg) : or(declared.transfer),
    matrix: or(declared.matrix),
    fullRange: declared.fullRange,
  };
}
