// An era's output as one value: grid, segment and part lengths, playlist durations, renditions. All readers of the log
// take it from there, and none computes it again.
import type { Channel } from "#media/channel.ts";
import { largestFirst, planLadder } from "#media/ladder/plan.ts";
import type { AudioTrack, EraOpened, Track, VideoTrack } from "#media/session-log/entries.ts";
import {
  AUDIO_ONLY_RATE,
  PART_MS_MIN,
  partFrames,
  partTargetMs,
  segmentFrames,
  targetDurationSeconds,
} from "#media/time/segmentation.ts";
import type { ChosenRate } from "./source-rate.ts";

export type EraPlan = Omit<EraOpened, "era" | "frame" | "previousEnd">;

export function planEra(tracks: readonly Track[], chosen: ChosenRate, channel: Channel): EraPlan {
  const video = videoOf(tracks);
  const { rate, sourceRate } = video ? chosen : { rate: AUDIO_ONLY_RATE, sourceRate: AUDIO_ONLY_RATE };
  const renditions = planLadder(tracks, channel.ladder, rate);
  const sampleRate = renditions.find((rendition) => rendition.kind === "audio")?.sampleRate ?? null;
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

/** The picture track that leads: the largest, which is encoded, and whose key frames say where segments begin. */
export function videoOf(tracks: readonly Track[]): VideoTrack | null {
  return largestFirst(tracks)[0] ?? null;
}

/** The audio track that is put out: the first. */
export function audioOf(tracks: readonly Track[]): AudioTrack | null {
  return tracks.find((track): track is AudioTrack => track.kind === "audio") ?? null;
}

/** Whether all parameters are equal, configuration bytes included. */
export function sameTracks(a: readonly Track[], b: readonly Track[]): boolean {
  const text = (tracks: readonly Track[]) =>
    JSON.stringify(tracks.map(({ config, ...rest }) => ({ ...rest, config: Buffer.from(config).toString("base64") })));
  return text(a) === text(b);
}
