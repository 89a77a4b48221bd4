// What the streams of all video codecs have in common (video-stream.ts, av1-stream.ts).
import type { VideoTrack } from "#media/session-log/entries.ts";
import { type Rate, sameRate } from "#media/time/rate.ts";

export type VideoUnit = Readonly<{
  payload: Buffer;
  randomAccess: boolean;
  /** What is wrong with it; null when nothing is. */
  damage: string | null;
  /** The track is another from this unit on. */
  trackChanged: boolean;
}>;

/** What a container says of a stream: believed where the stream itself is silent. */
export type VideoHints = Readonly<{
  rate: Rate | null;
  /** transfer_characteristics of ITU-T H.273. */
  transfer: number | null;
}>;

export const NO_HINTS: VideoHints = Object.freeze({ rate: null, transfer: null });

/** Everything else of a track follows from its configuration. */
export function isSameVideo(a: VideoTrack, b: VideoTrack): boolean {
  return (
    Buffer.from(a.config.buffer, a.config.byteOffset, a.config.byteLength).equals(b.config) &&
    a.range === b.range &&
    a.rotation === b.rotation &&
    (a.declaredRate === null || b.declaredRate === null
      ? a.declaredRate === b.declaredRate
      : sameRate(a.declaredRate, b.declaredRate))
  );
}
