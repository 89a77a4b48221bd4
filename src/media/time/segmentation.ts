// Where segments and parts lie on the frame grid and on the audio grid: pure arithmetic on indices since the epoch, so
// every worker and every origin finds the same boundaries without asking anybody.
import { assert } from "#base/assert.ts";
import { indexOnGridAtOrAfter, type Rate } from "./rate.ts";

/** Samples in one AAC frame: the audio grid is the multiples of this since the epoch. */
export const AAC_FRAME_SAMPLES = 1024;

/** Shortest `partSeconds` that is taken: below it the request rate, not the latency, is what a player notices. */
export const PART_MS_MIN = 150;

/** Frames in a whole segment: N = round(segmentSeconds x rate). @param segmentMs milliseconds, > 0 */
export function segmentFrames(r: Rate, segmentMs: number): number {
  const frames = Math.round((segmentMs * r.num) / (1000 * r.den));
  return Math.max(1, frames);
}

/** A video part below this has, now and then, an audio part under 85 % of PART-TARGET beside it, which players refuse:
 *  an audio part is n or n + 1 frames of 1024 samples, so n must be 6 at least. Milliseconds at 48 kHz. */
const PART_MS_LEAST = (6 * AAC_FRAME_SAMPLES * 1000) / 48_000;

/** Frames in a whole part. kMax = floor(partSeconds x rate x 1.002), k = ceil(N / ceil(N / kMax)): parts of equal
 *  length that fill the segment as evenly as frames allow. The 1.002 lets 0.334 s hold 10 frames at 29.97.
 *  kMax is never under PART_MS_LEAST: 0.15 s at 24 frames per second are 4 frames, not 3.
 *  @param partMs milliseconds, at least PART_MS_MIN */
export function partFrames(r: Rate, framesPerSegment: number, partMs: number): number {
  assert.ok(partMs >= PART_MS_MIN, `partMs ${partMs}`);
  const least = Math.ceil((PART_MS_LEAST * r.num) / (1000 * r.den));
  const most = Math.max(least, Math.floor((partMs * r.num * 1002) / (1_000_000 * r.den)));
  return Math.ceil(framesPerSegment / Math.ceil(framesPerSegment / most));
}

/** Start of the grid segment that holds a frame. */
export function segmentStart(frame: number, framesPerSegment: number): number {
  return Math.floor(frame / framesPerSegment) * framesPerSegment;
}

/** First frame of each part of the segment [start, end): start, start + k, ... */
export function partStarts(start: number, end: number, framesPerPart: number): number[] {
  const starts: number[] = [];
  for (let frame = start; frame < end; frame += framesPerPart) starts.push(frame);
  return starts;
}

/** The audio frames (indices of the 1024 grid) that belong to video frames [start, end): those that start inside.
 *  Half-open; the same function at a part's and at a segment's border, so nothing is counted twice or missed.
 *  An audio part therefore ends at the first audio frame end at or after the video part's end. */
export function audioFramesOf(
  video: Rate,
  start: number,
  end: number,
  sampleRate: number,
): { start: number; end: number } {
  return { start: audioFrameAtOrAfter(video, start, sampleRate), end: audioFrameAtOrAfter(video, end, sampleRate) };
}

/** First audio frame that starts at or after the video frame's instant. */
export function audioFrameAtOrAfter(video: Rate, frame: number, sampleRate: number): number {
  return indexOnGridAtOrAfter(video, frame, { num: sampleRate, den: AAC_FRAME_SAMPLES });
}

/** The frame rate that cuts a stream without video: 96 000 samples at 48 kHz are a segment of 2 s, as 25 x 2 frames. */
export const AUDIO_ONLY_RATE: Rate = Object.freeze({ num: 25, den: 1 });

/** PART-TARGET for all playlists of a presentation, in milliseconds: the longest part of any, rounded up.
 *  An audio part is longer than the video part by less than one audio frame, whatever the phase. */
export function partTargetMs(video: Rate, framesPerPart: number, sampleRate: number | null): number {
  const videoMs = (framesPerPart * video.den * 1000) / video.num;
  if (sampleRate === null) return Math.ceil(videoMs - 1e-9);
  const frameMs = (AAC_FRAME_SAMPLES * 1000) / sampleRate;
  return Math.ceil(Math.ceil(videoMs / frameMs - 1e-9) * frameMs - 1e-9);
}

/** EXT-X-TARGETDURATION, whole seconds: no EXTINF of the presentation rounds above it. An audio segment may exceed the
 *  video's by one audio frame. */
export function targetDurationSeconds(video: Rate, framesPerSegment: number, sampleRate: number | null): number {
  const audioSlack = sampleRate === null ? 0 : AAC_FRAME_SAMPLES / sampleRate;
  return Math.max(1, Math.round((framesPerSegment * video.den) / video.num + audioSlack));
}
