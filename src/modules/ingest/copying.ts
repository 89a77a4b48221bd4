// What copying asks of a source: segments can only begin where nothing refers to what was before, and those places must
// come often enough, in all sizes of the picture at once.
import { PlatformError } from "#base/errors.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { EraOpened, Track, VideoTrack } from "#media/session-log/entries.ts";
import { largestFirst, sameTracks } from "#media/session-log/tracks.ts";
import { isVariable } from "./frame-ticks.ts";
import type { TimedUnit } from "./opening.ts";
import type { CopyProblem } from "./output-side.ts";
import type { EraPlan } from "./plan-era.ts";

/** Whether a copied segment may begin with the unit. */
export function isRefresh(track: Track, { unit }: TimedUnit): boolean {
  return unit.randomAccess && (track.kind === "audio" || isInstantRefresh(track.codec, unit.payload));
}

export function copyFault(problem: CopyProblem, targetDurationSeconds: number): PlatformError {
  const otherwise = "or let the channel encode such streams (copyFallback: transcode).";
  if (problem === "open_gop")
    return new PlatformError(
      "ingest.open_gop",
      `Segments of copied video must begin with an IDR picture, and the stream has other random access points in their places. Set the encoder to closed GOPs, without periodic intra refresh, ${otherwise}`,
    );
  return new PlatformError(
    "ingest.gop_too_long",
    `No key frame came for ${targetDurationSeconds} s, the longest that a segment of this session may be. Set a key frame interval of 2 s, ${otherwise}`,
  );
}

/** Smaller pictures whose segments would not begin with the largest's: within half a frame of the anchor they have no
 *  instant refresh. @param halfFrameTicks of the source's clock */
export function unaligned(
  tracks: readonly Track[],
  units: readonly TimedUnit[],
  anchor: TimedUnit,
  halfFrameTicks: number,
): VideoTrack[] {
  const begins = (track: VideoTrack, timed: TimedUnit) =>
    timed.unit.track === track.track &&
    Math.abs(timed.ptsTicks - anchor.ptsTicks) <= halfFrameTicks &&
    isRefresh(track, timed);
  return largestFirst(tracks)
    .slice(1)
    .filter((track) => !units.some((timed) => begins(track, timed)));
}

/** Whether an open era can go on with these tracks as they are: what it copies has the parameters it began with. */
export function goesOnCopying(era: EraOpened, before: readonly Track[], tracks: readonly Track[]): boolean {
  return era.renditions.every((rendition) => {
    if (!rendition.copied) return true;
    const own = (list: readonly Track[]) => list.filter(({ track }) => track === rendition.track);
    return own(tracks).length === 1 && sameTracks(own(before), own(tracks));
  });
}

/** Whether a plan is what the era is already. A rate that varies is never measured the same twice. */
export function isSameOutput(era: EraOpened, plan: EraPlan): boolean {
  if (era.mode !== plan.mode || isVariable(era) !== isVariable(plan)) return false;
  const shape = ({ rate, frameRate, segmentFrames, partFrames, renditions }: EraPlan) =>
    JSON.stringify([rate, isVariable(era) ? null : frameRate, segmentFrames, partFrames, renditions]);
  return shape(era) === shape(plan);
}
