// What a session log holds. The gateway writes it once; workers, packagers and origins read it and decide nothing that
// is not a pure function of it. Two promises make late and early readers agree:
//  1. Order. Entries have positions 0, 1, 2, ...; a reader sees them in order, without holes, from where it asked.
//  2. Interleave. A unit is appended only while no other track is more than INTERLEAVE_MAX_NS ahead of it (the gateway
//     drops and counts what comes later). So a reader that has seen any time t knows all there will ever be up to
//     t - INTERLEAVE_MAX_NS, and never waits for what cannot come.
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Rate } from "#media/time/rate.ts";

export const INTERLEAVE_MAX_NS = 1_000_000_000n;

/** Audio units that follow each other a little late or early (a drift step is being spread) differ from samplesPerUnit by
 *  no more than this share of it: what is further apart is a hole. */
export const STRETCH_MAX = 0.05;

export type VideoCodec = "h264" | "hevc" | "av1";
export type AudioCodec = "aac" | "mp2" | "mp3" | "ac3" | "eac3" | "opus";

/** What the transfer characteristic makes of it: BT.2100 PQ and HLG, or standard range. HLS calls it VIDEO-RANGE. */
export type VideoRange = "SDR" | "PQ" | "HLG";

/** Degrees clockwise that a display must turn the coded picture by. */
export type Rotation = 0 | 90 | 180 | 270;

export type VideoTrack = Readonly<{
  track: number;
  kind: "video";
  codec: VideoCodec;
  /** avcC or hvcC record (ISO/IEC 14496-15, 5.3.3.1 / 8.3.3.1) with the parameter sets, length size 4; or av1C (AV1 Codec
   *  ISO Media File Format Binding, 2.3) with the sequence header. */
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
  range: VideoRange;
  /** As the stream or its container says (display orientation, track matrix); 0 when neither does. */
  rotation: Rotation;
}>;

export type AudioTrack = Readonly<{
  track: number;
  kind: "audio";
  codec: AudioCodec;
  /** By codec. aac: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). ac3, eac3: body of the dac3 or dec3 box (ETSI TS 102
   *  366, F.4 and F.6). opus: body of the dOps box (Opus in ISOBMFF, 4.3.2). mp2, mp3: empty. */
  config: Uint8Array;
  /** Opus counts at 48 kHz always. */
  sampleRate: number;
  channels: number;
  /** Samples in one unit: 1024 for AAC-LC, 1152 for MP2 and MP3, 1536 for AC-3, 120 to 5760 for Opus. */
  samplesPerUnit: number;
  /** ISO 639-2, "und" when unknown. */
  language: string;
}>;

export type Track = VideoTrack | AudioTrack;

/** One access unit (a coded picture; a coded audio frame), in decode order within its track.
 *  Payload: H.264, HEVC = NAL units with 4-byte lengths, no access unit delimiters, no parameter sets that equal the
 *  track's config; AV1 = a temporal unit in low-overhead form without temporal delimiters; AAC = one raw frame without
 *  ADTS header; other audio = one frame with its own header. */
export type Unit = Readonly<{
  kind: "unit";
  track: number;
  /** Video: the slot on the era's grid, round(time x rate); in `source` mode no two pictures have the same. Audio: the
   *  first sample's index since the epoch at the track's own sample rate; a run without holes goes up by exactly
   *  samplesPerUnit, whatever the container's clock. While a drift step is spread it goes up by a little more or less
   *  (STRETCH_MAX): then each unit lasts until the next one. */
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

/** What origins reserve for a session before it is opened. */
export type SessionNumbers = Pick<SessionOpened, "msnBase" | "discontinuityBase">;

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
  /** grid: every rendition's pictures lie on the frames of `rate`, and segments begin at multiples of `segmentFrames`.
   *  source: some rendition is copied, so pictures keep their own times: `rate` counts ticks
   *  (media/time/source-ticks.ts), a "frame" here and in every decision of the era is a tick, and segments begin where the
   *  log says so (`boundary`) and nowhere else; the era's first frame has a boundary too. */
  mode: "grid" | "source";
  rate: Rate;
  /** Pictures a second as playlists say it; in `grid` mode the same as `rate`. */
  frameRate: Rate;
  /** First frame, on this era's grid. */
  frame: number;
  /** First frame, on the previous era's grid, that is no longer its own; null for era 0. */
  previousEnd: number | null;
  /** Frames a whole segment (N) and a whole part (k) hold. In `source` mode: the shortest a segment is meant to be, and the
   *  width of the cells, counted from a segment's start, of which each that holds the start of a picture is a part. */
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

/** `source` mode: a segment begins at `frame`. It stands in the log before the first unit of that segment, and where no
 *  picture is (at both ends of a hole) too. It carries what was counted before it, so that readers need only the newest
 *  ones: the segment's ordinal in the session, and the discontinuities of the session before it, its own not counted. */
export type Boundary = Readonly<{
  kind: "boundary";
  frame: number;
  ordinal: number;
  discontinuity: boolean;
  discontinuities: number;
}>;

/** Media time is moved by exactly one picture at the segment boundary `frame`: +1 repeats one, -1 drops one. Units after it
 *  have their new times already: on the grid the pictures move at once, audio and the pictures of `source` mode over the
 *  segment that begins there. */
export type DriftStep = Readonly<{ kind: "drift"; frame: number; step: 1 | -1 }>;

/** limit: the channel lets a session last no longer. */
export type EndReason = "publisher" | "lost" | "stopped" | "refused" | "limit" | "failed";

/** Nothing at or after `frame` exists. Always the last entry. */
export type Ended = Readonly<{ kind: "end"; frame: number; reason: EndReason }>;

export type Decision =
  | SessionOpened
  | TracksKnown
  | Anchored
  | EraOpened
  | Hole
  | Splice
  | Boundary
  | DriftStep
  | Ended;
export type Entry = Unit | Decision;

/** An entry with its place in the log. */
export type Positioned<E extends Entry = Entry> = Readonly<{ position: number; entry: E }>;
