// What a session log holds. The gateway writes it once; workers, packagers and origins read it and decide nothing that
// is not a pure function of it. Two promises make late and early readers agree:
//  1. Order. Entries have positions 0, 1, 2, ...; a reader sees them in order, without holes, from where it asked.
//  2. Interleave. A unit is appended only while no other track is more than INTERLEAVE_MAX_NS ahead of it (the gateway
//     drops and counts what comes later). So a reader that has seen any time t knows all there will ever be up to
//     t - INTERLEAVE_MAX_NS, and never waits for what cannot come.

import type { Rendition } from "#media/ladder/rendition.ts";
import type { Rate } from "#media/time/rate.ts";

export const INTERLEAVE_MAX_NS = 1_000_000_000n;

export type VideoCodec = "h264" | "hevc";
export type AudioCodec = "aac";

export type VideoTrack = Readonly<{
  track: number;
  kind: "video";
  codec: VideoCodec;
  /** avcC or hvcC record (ISO/IEC 14496-15, 5.3.3.1 / 8.3.3.1) with the parameter sets; length size is 4. */
  config: Uint8Array;
  width: number;
  height: number;
  /** Pixel aspect, 1:1 when the stream does not say. */
  pixelAspect: Readonly<{ num: number; den: number }>;
  /** Frames per second as the stream declares it (VUI, else container metadata); null when it does not. */
  declaredRate: Rate | null;
  /** True when frames may hold two fields (frame_mbs_only_flag 0): they pass a deinterlacer that looks at each frame. */
  interlaced: boolean;
  bitDepth: number;
}>;

export type AudioTrack = Readonly<{
  track: number;
  kind: "audio";
  codec: AudioCodec;
  /** AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). */
  config: Uint8Array;
  sampleRate: number;
  channels: number;
  /** Samples in one unit: 1024 for AAC-LC. */
  samplesPerUnit: number;
  /** ISO 639-2, "und" when unknown. */
  language: string;
}>;

export type Track = VideoTrack | AudioTrack;

/** One access unit (a coded picture; a coded audio frame), in decode order within its track.
 *  Payload: video = NAL units with 4-byte lengths, no access unit delimiters, no parameter sets that equal the track's
 *  config; audio = one raw AAC frame without ADTS header. */
export type Unit = Readonly<{
  kind: "unit";
  track: number;
  /** Video: the slot on the era's grid, round(time x rate). Audio: the first sample's index since the epoch at the
   *  track's own sample rate; a run without holes goes up by exactly samplesPerUnit, whatever the container's clock. */
  index: number;
  /** Presentation time, TAI ns. */
  timeNs: bigint;
  /** Decode time, TAI ns, never above timeNs. */
  decodeNs: bigint;
  /** Decoding can start here: every audio frame; of video also the first picture of an open group and of a gradual
   *  refresh, before which later units may still refer (isInstantRefresh of media/codec tells an IDR from these). */
  randomAccess: boolean;
  /** Bytes of it, or of a picture it may refer to, were lost (continuity error, bad syntax) since the last IDR. */
  damaged: boolean;
  /** When its last byte reached the gateway, TAI ns: stage times travel with the data. */
  arrivedNs: bigint;
  payload: Uint8Array;
}>;

/** First entry of every log. */
export type SessionOpened = Readonly<{
  kind: "session";
  session: string;
  channel: string;
  tenant: string;
  /** EXT-X-MEDIA-SEQUENCE of segment ordinal 0, and the discontinuity count before it. */
  msnBase: number;
  discontinuityBase: number;
  openedNs: bigint;
  /** W3C trace context of the session. */
  traceparent: string;
}>;

/** Parameters of all tracks, valid for the units that follow. Again when any of them changes. */
export type TracksKnown = Readonly<{ kind: "tracks"; tracks: readonly Track[] }>;

/** How source time became TAI: source ticks `sourceTicks` (unwrapped, of `timescale`) lie at `timeNs`. */
export type Anchored = Readonly<{ kind: "anchor"; sourceTicks: bigint; timescale: number; timeNs: bigint }>;

/** From `frame` on the output is this. Era 0 opens with the anchor. A later era (a rate that lied, audio that came late)
 *  starts a new grid, new init segments and a discontinuity; it ends the era before at `previousEnd` (that era's frames,
 *  on one of its boundaries). */
export type EraOpened = Readonly<{
  kind: "era";
  era: number;
  mode: "grid";
  rate: Rate;
  /** First frame, on this era's grid. */
  frame: number;
  /** First frame, on the previous era's grid, that is no longer its own; null for era 0. */
  previousEnd: number | null;
  /** Frames a whole segment (N) and a whole part (k) hold. */
  segmentFrames: number;
  partFrames: number;
  partTargetMs: number;
  targetDurationSeconds: number;
  /** The rate at which frames really come, when it differs from `rate`; decides whether a slot can fill twice. */
  sourceRate: Rate;
  renditions: readonly Rendition[];
}>;

/** No source for frames [from, to): logged as time passes while the publisher is away. Contiguous with what is before
 *  and after. A segment that lies wholly in holes is a GAP; in another, frames after a real one repeat it, frames before
 *  the first real one show that one; audio is silence. */
export type Hole = Readonly<{ kind: "hole"; from: number; to: number }>;

/** A segment and part boundary at `frame`, which is not yet in the log; with a discontinuity when the media time or the
 *  picture before and after do not belong together. */
export type Splice = Readonly<{ kind: "splice"; frame: number; discontinuity: boolean }>;

/** Media time is moved by exactly one frame at the segment boundary `frame`: +1 repeats one, -1 drops one. */
export type DriftStep = Readonly<{ kind: "drift"; frame: number; step: 1 | -1 }>;

export type EndReason = "publisher" | "lost" | "stopped" | "refused" | "failed";

/** Nothing at or after `frame` exists. Always the last entry. */
export type Ended = Readonly<{ kind: "end"; frame: number; reason: EndReason }>;

export type Decision = SessionOpened | TracksKnown | Anchored | EraOpened | Hole | Splice | DriftStep | Ended;
export type Entry = Unit | Decision;

/** An entry with its place in the log. */
export type Positioned<E extends Entry = Entry> = Readonly<{ position: number; entry: E }>;
