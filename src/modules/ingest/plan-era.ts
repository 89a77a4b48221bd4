// An era's output as one value: grid, segment and part lengths, playlist durations, renditions. All readers of the log
// take it from there, and none computes it again.
import type { Channel } from "#media/channel.ts";
import { planLadder } from "#media/ladder/plan.ts";
import {
  type AudioRendition,
  type CopiedAudio,
  isCopied,
  isEncodedAudio,
  type Rendition,
} from "#media/ladder/rendition.ts";
import type { EraOpened, Track } from "#media/session-log/entries.ts";
import { videoOf } from "#media/session-log/tracks.ts";
import type { Rate } from "#media/time/rate.ts";
import {
  AAC_FRAME_SAMPLES,
  AUDIO_ONLY_RATE,
  PART_MS_MIN,
  partFrames,
  partTargetMs,
  segmentFrames,
  targetDurationSeconds,
} from "#media/time/segmentation.ts";
import { SOURCE_TIMESCALE, tickRate } from "#media/time/source-ticks.ts";
import type { ChosenRate } from "./source-rate.ts";

export type EraPlan = Omit<EraOpened, "era" | "frame" | "previousEnd">;

/** EXT-X-TARGETDURATION of copied pictures whose key frames come nobody knows how seldom. */
const TARGET_SECONDS_UNKNOWN = 10;

/** EXTINF may round down to the target duration: a segment is longer by so much at most. A little is left for the audio,
 *  which ends a frame later or sooner. */
export const ROUNDING_MS = 450;

/** GOPs of whole frames at 1000/1001 of a rate are that much longer than declared, and none is a multiple by a hair. */
const GOP_TOLERANCE = 0.0015;

/** Frames of audio that a part holds at least: n or n + 1 of them differ by less than what players allow. */
const AUDIO_FRAMES_MIN = 6;

/** So many pictures are 85 % of PART-TARGET where that leaves room for one more. */
const PICTURES_MIN = 6;
const SHORTEST_PART = 0.85;

export function planEra(tracks: readonly Track[], chosen: ChosenRate, channel: Channel): EraPlan {
  const video = videoOf(tracks);
  const { rate, sourceRate } = video ? chosen : { rate: AUDIO_ONLY_RATE, sourceRate: AUDIO_ONLY_RATE };
  const renditions = planLadder(tracks, channel.ladder, rate);
  if (renditions.some(isCopied)) return planCopied(renditions, video ? chosen : AUDIO_ONLY, channel);
  const sampleRate = renditions.find(isEncodedAudio)?.sampleRate ?? null;
  const framesPerSegment = segmentFrames(rate, Math.round(channel.segmentSeconds * 1000));
  const framesPerPart = partFrames(rate, framesPerSegment, Math.max(PART_MS_MIN, channel.partSeconds * 1000));
  return {
    kind: "era",
    mode: "grid",
    rate,
    frameRate: rate,
    segmentFrames: framesPerSegment,
    partFrames: framesPerPart,
    partTargetMs: partTargetMs(rate, framesPerPart, sampleRate),
    targetDurationSeconds: targetDurationSeconds(rate, framesPerSegment, sampleRate),
    sourceRate,
    renditions,
  };
}

const AUDIO_ONLY: ChosenRate = Object.freeze({ rate: AUDIO_ONLY_RATE, sourceRate: AUDIO_ONLY_RATE, varies: false });

/** Some rendition is copied: frames are ticks, parts are cells. Where pictures come at no constant rate no part length
 *  could keep all but the last of a segment above 85 % of PART-TARGET: each segment is one part. */
function planCopied(renditions: readonly Rendition[], chosen: ChosenRate, channel: Channel): EraPlan {
  const { sourceRate: frameRate, varies } = chosen;
  const hasVideo = renditions.some(({ kind }) => kind === "video");
  const rate = tickRate(varies || !hasWholeTicks(frameRate) ? null : frameRate);
  const frames = segmentFrames(frameRate, Math.round(channel.segmentSeconds * 1000));
  const audioMs = renditions.map((rendition) => (rendition.kind === "audio" ? audioFrameMs(rendition) : 0));
  const longestAudioMs = Math.max(...audioMs);
  const targetDuration = hasVideo
    ? copiedTargetSeconds(channel, longestAudioMs)
    : Math.max(1, Math.round((frames * frameRate.den) / frameRate.num + longestAudioMs / 1000));
  const partMs = Math.max(PART_MS_MIN, channel.partSeconds * 1000);
  const least = Math.ceil((AUDIO_FRAMES_MIN * longestAudioMs * frameRate.num) / (1000 * frameRate.den) - 1e-9);
  const even = Math.max(least, partFrames(frameRate, frames, partMs));
  const perPart = Math.max(even, Math.min(PICTURES_MIN, frames));
  const segmentTicks = varies ? Math.round(channel.segmentSeconds * rate.num) : ticksOf(frames, frameRate, rate);
  const partTicks = varies
    ? Math.ceil(Math.max(targetDuration, channel.segmentSeconds) + 1) * rate.num
    : ticksOf(perPart, frameRate, rate);
  // Where a frame has no whole ticks, the first of a part may lie a tick early and that of the next a tick late.
  const cellMs = ((partTicks + (hasWholeTicks(frameRate) ? 0 : 2)) * 1000) / rate.num;
  const pictureMs = hasVideo ? (1000 * frameRate.den) / frameRate.num : 0;
  return {
    kind: "era",
    mode: "source",
    rate,
    frameRate,
    segmentFrames: segmentTicks,
    partFrames: partTicks,
    partTargetMs: varies
      ? targetDuration * 1000 + ROUNDING_MS
      : Math.ceil(Math.max(cellMs + pictureMs, ...audioMs.map((frameMs) => longestSoundMs(cellMs, frameMs))) - 1e-9),
    targetDurationSeconds: targetDuration,
    sourceRate: frameRate,
    renditions,
  };
}

/** Of a part of sound: frames that start within a cell, however they lie in it, and one more where the pictures' parts are
 *  85 % of that as well. No source is as even as its rate: with that a frame may be missing, come late, or be moved by a
 *  drift step. (Sound is exempt from the 85 %: each of its parts is independent.)
 *  @returns ms; 0 for what is no sound @param frameMs of one frame of it, 0 for pictures
 *  Source: draft-pantos-hls-rfc8216bis-22, 4.4.4.9 */
function longestSoundMs(cellMs: number, frameMs: number): number {
  if (frameMs === 0) return 0;
  const evenMs = (Math.floor(cellMs / frameMs + 1e-9) + 1) * frameMs;
  return Math.max(evenMs, Math.min(evenMs + frameMs, Math.floor(cellMs / SHORTEST_PART))); // it is told in whole ms
}

/** The smallest multiple of the declared GOP that is at least a segment, as EXTINF rounds it. */
function copiedTargetSeconds({ gopSeconds, segmentSeconds }: Channel, longestAudioMs: number): number {
  if (gopSeconds === null) return Math.max(TARGET_SECONDS_UNKNOWN, Math.ceil(segmentSeconds));
  const gops = Math.max(1, Math.ceil((segmentSeconds / gopSeconds) * (1 - GOP_TOLERANCE)));
  return Math.max(1, Math.round(gops * gopSeconds * (1 + GOP_TOLERANCE) + longestAudioMs / 1000));
}

/** Ticks of so many frames, or just below: rounded frames then never fall into the cell before. */
function ticksOf(frames: number, frameRate: Rate, ticks: Rate): number {
  const exact = (frames * frameRate.den * ticks.num) / frameRate.num;
  return Number.isInteger(exact) ? exact : Math.max(1, Math.floor(exact) - 1);
}

/** Whether a rate can say its ticks itself: what is neither whole nor of the 1001 kind is counted at 90 kHz. */
function hasWholeTicks({ num, den }: Rate): boolean {
  return den === 1001 || (SOURCE_TIMESCALE * den) % num === 0;
}

function audioFrameMs(rendition: AudioRendition | CopiedAudio): number {
  const samples = rendition.copied ? rendition.samplesPerUnit : AAC_FRAME_SAMPLES;
  return (samples * 1000) / rendition.sampleRate;
}
