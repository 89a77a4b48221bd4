// Which renditions a session gets, from what comes in. Pure: a session's ladder is a value in its log, and the same source
// and channel always give the same one.
// Never upscaled. A source keeps its shape: pixel aspect goes through, a portrait picture is measured by its short side, and what a
// display would turn is encoded turned.
import type { Channel, Rung } from "#media/channel.ts";
import type { AudioTrack, Track, VideoTrack } from "#media/session-log/entries.ts";
import { largestFirst } from "#media/session-log/tracks.ts";
import { perSecond, type Rate } from "#media/time/rate.ts";
import { levelIdcFor } from "./h264-level.ts";
import type { AudioRendition, CopiedAudio, CopiedVideo, Rendition, VideoRendition } from "./rendition.ts";

/** Short sides of the automatic ladder. */
const RUNGS = [1080, 720, 480, 360] as const;
const SHORT_SIDE_MAX = RUNGS[0];

/** A source less than this above a default rung is served by that rung: two rungs that look alike cost double. */
const OWN_RUNG_FACTOR = 1.1;

/** Rate caps in bit/s at up to 30 frames/s by short side; between two of them the line through both. */
const CAPS: readonly (readonly [shortSide: number, bitsPerSecond: number])[] = [
  [144, 200_000],
  [240, 400_000],
  [360, 800_000],
  [480, 1_400_000],
  [720, 3_000_000],
  [1080, 5_000_000],
  [2160, 14_000_000],
];

/** From this rate on (frames/s) pictures cost half as much again, and 1080 lines need the fastest preset: one encoder
 *  thread makes 1080p30 with "superfast" in 0.56 of a core. */
const FAST_RATE = 40;
const FAST_FACTOR = 1.5;

/** Reference pictures the slowest preset in use ("veryfast") keeps. */
const REFERENCES = 1;

const AUDIO = { name: "a128", codec: "aac", sampleRate: 48_000, channels: 2, bitrate: 128_000 } as const;

const SIDE_MIN = 2;
const WIDTH_MAX = 4096;

/** Video rungs largest first, then the audio. Empty only when there is no track.
 *  @param rate pictures a second that come out */
export function planLadder(tracks: readonly Track[], ladder: Channel["ladder"], rate: Rate): Rendition[] {
  const videos = largestFirst(tracks);
  const audios = tracks.filter((track) => track.kind === "audio");
  if (ladder === "passthrough") return [...videos.map(copiedVideo), ...audioRungs(audios, isPlayable)];
  const [video] = videos;
  if (!copies(ladder)) return [...(video ? videoRungs(video, ladder, rate) : []), ...audioRungs(audios, () => false)];
  return [
    ...(video ? [copiedVideo(video, 0), ...rungsBelow(video, ladder, rate)] : []),
    ...audioRungs(audios, ({ codec }) => codec === "aac"),
  ];
}

/** Whether a ladder asks for the source's own pictures. */
export function copies(ladder: Channel["ladder"]): boolean {
  return ladder === "passthrough" || (typeof ladder !== "string" && ladder.some((rung) => "copy" in rung));
}

function copiedVideo(track: VideoTrack, place: number): CopiedVideo {
  const { track: number, codec, width, height, pixelAspect, range } = track;
  return {
    kind: "video",
    copied: true,
    track: number,
    name: named("vcopy", place),
    codec,
    width,
    height,
    pixelAspect,
    range,
  };
}

/** Codecs that HLS players take in fragmented MP4: all but MP2. */
function isPlayable(track: AudioTrack): boolean {
  return track.codec !== "mp2";
}

/** One for each track, copied where that may be. */
function audioRungs(tracks: readonly AudioTrack[], isCopied: (track: AudioTrack) => boolean): Rendition[] {
  let [copied, encoded] = [0, 0];
  return tracks.map((track) =>
    isPlayable(track) && isCopied(track) ? copiedAudio(track, copied++) : audioRung(track, encoded++),
  );
}

function copiedAudio(track: AudioTrack, place: number): CopiedAudio {
  const { track: number, sampleRate, channels, samplesPerUnit, language } = track;
  const codec = track.codec as CopiedAudio["codec"];
  return {
    kind: "audio",
    copied: true,
    track: number,
    name: named("acopy", place),
    codec,
    sampleRate,
    channels,
    samplesPerUnit,
    language,
  };
}

function audioRung(track: AudioTrack, place: number): AudioRendition {
  const { track: number, language } = track;
  return { kind: "audio", copied: false, track: number, ...AUDIO, name: named(AUDIO.name, place), language };
}

/** "vcopy", "vcopy-2", "vcopy-3". @param place from 0 */
function named(name: string, place: number): string {
  return place === 0 ? name : `${name}-${place + 1}`;
}

type EncodedRung = Extract<Rung, { height: number }>;

function encodedRungs(ladder: Channel["ladder"]): EncodedRung[] {
  return typeof ladder === "string" ? [] : ladder.filter((rung) => "height" in rung);
}

function videoRungs(track: VideoTrack, ladder: Channel["ladder"], rate: Rate): VideoRendition[] {
  const source = Math.min(track.width, track.height);
  const wanted = typeof ladder === "string" ? automatic(source) : asked(encodedRungs(ladder), source);
  return wanted.map(({ side, bitrate }) => videoRung(track, side, rate, bitrate));
}

/** The encoded rungs of a ladder that also copies: what is not below the source, the copy is already. */
function rungsBelow(track: VideoTrack, ladder: Channel["ladder"], rate: Rate): VideoRendition[] {
  const source = Math.min(track.width, track.height);
  const below = encodedRungs(ladder).filter(({ height }) => evenBelow(height) < source);
  return below.length === 0
    ? []
    : asked(below, source).map(({ side, bitrate }) => videoRung(track, side, rate, bitrate));
}

/** @property bitrate cap in bit/s; null: the usual one */
type Wanted = { side: number; bitrate: number | null };

/** The default rungs that the source fills, and its own size where no default rung is near below. */
function automatic(source: number): Wanted[] {
  const own = evenBelow(Math.min(source, SHORT_SIDE_MAX));
  const filled = RUNGS.filter((side) => side <= own);
  const nearest = filled[0];
  const sides = nearest === undefined || own >= nearest * OWN_RUNG_FACTOR ? [own, ...filled] : filled;
  return sides.map((side) => ({ side, bitrate: null }));
}

/** The channel's rungs that are not above the source; when all are, one of the source's size with the lowest's rate. */
function asked(ladder: readonly EncodedRung[], source: number): Wanted[] {
  const rungs = ladder
    .toSorted((a, b) => b.height - a.height)
    .map(({ height, bitrateKbps }) => ({
      side: evenBelow(height),
      bitrate: bitrateKbps === undefined ? null : bitrateKbps * 1000,
    }));
  const fitting = rungs.filter(({ side }) => side <= source);
  return fitting.length > 0 ? fitting : [{ side: evenBelow(source), bitrate: rungs.at(-1)?.bitrate ?? null }];
}

function videoRung(source: VideoTrack, shortSide: number, rate: Rate, bitrate: number | null): VideoRendition {
  const track = turned(source);
  const { width, height } = sized(track, shortSide);
  const maxBitrate = bitrate ?? capFor(shortSide, rate);
  const profile = shortSide <= 360 ? "main" : "high";
  const bufferBits = maxBitrate / 2;
  return {
    kind: "video",
    copied: false,
    name: `v${shortSide}`,
    codec: "h264",
    width,
    height,
    pixelAspect: track.pixelAspect,
    profile,
    levelIdc: levelIdcFor({ width, height, rate, profile, maxBitrate, bufferBits, references: REFERENCES }),
    preset: presetFor(shortSide, rate),
    crf: shortSide > 480 ? 21 : shortSide > 360 ? 22 : 23,
    maxBitrate,
  };
}

/** A track as it looks when a display has turned it: what is encoded is turned already. */
function turned(track: VideoTrack): VideoTrack {
  if (track.rotation !== 90 && track.rotation !== 270) return track;
  const { width: height, height: width, pixelAspect } = track;
  return { ...track, width, height, pixelAspect: { num: pixelAspect.den, den: pixelAspect.num } };
}

/** The source's shape in coded pixels, with that short side. */
function sized(track: VideoTrack, shortSide: number): { width: number; height: number } {
  const portrait = track.width < track.height;
  const short = portrait ? track.width : track.height;
  const long = portrait ? track.height : track.width;
  const scaled = Math.min(WIDTH_MAX, even((long * shortSide) / short));
  return portrait ? { width: shortSide, height: scaled } : { width: scaled, height: shortSide };
}

function capFor(shortSide: number, rate: Rate): number {
  const above = CAPS.findIndex(([side]) => side >= shortSide);
  const high = CAPS[above === -1 ? CAPS.length - 1 : above]!;
  const low = CAPS[Math.max(0, above - 1)]!;
  const span = high[0] - low[0];
  const share = span === 0 || above === -1 ? 1 : (shortSide - low[0]) / span;
  const base = low[1] + (high[1] - low[1]) * Math.max(0, share);
  const kilobits = Math.round((base * (perSecond(rate) > FAST_RATE ? FAST_FACTOR : 1)) / 1000);
  return kilobits * 1000;
}

function presetFor(shortSide: number, rate: Rate): VideoRendition["preset"] {
  const fast = perSecond(rate) > FAST_RATE;
  if (shortSide > 720) return fast || shortSide > 1080 ? "ultrafast" : "superfast";
  return fast && shortSide > 480 ? "superfast" : "veryfast";
}

// Sides are even: chroma has half the lines and half the columns.

function even(value: number): number {
  return Math.max(SIDE_MIN, 2 * Math.round(value / 2));
}

function evenBelow(value: number): number {
  return Math.max(SIDE_MIN, 2 * Math.floor(value / 2));
}
