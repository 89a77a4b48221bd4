// Which of a source's tracks leads, and whether tracks are still what they were.
import type { AudioTrack, Track, VideoTrack } from "./entries.ts";

/** The picture tracks; the first leads, the others are other sizes of it. */
export function largestFirst(tracks: readonly Track[]): VideoTrack[] {
  const videos = tracks.filter((track) => track.kind === "video");
  return videos.toSorted((a, b) => b.width * b.height - a.width * a.height);
}

/** The picture track that leads: the largest, which is encoded, and whose key frames say where segments begin. */
export function videoOf(tracks: readonly Track[]): VideoTrack | null {
  let lead: VideoTrack | null = null; // asked for each unit: nothing is sorted
  for (const track of tracks)
    if (track.kind === "video" && (!lead || track.width * track.height > lead.width * lead.height)) lead = track;
  return lead;
}

/** The audio track that leads where there is no picture: the first. */
export function audioOf(tracks: readonly Track[]): AudioTrack | null {
  return tracks.find((track): track is AudioTrack => track.kind === "audio") ?? null;
}

/** The track whose units a session's segments follow; null when there is none. */
export function leadOf(tracks: readonly Track[]): Track | null {
  return videoOf(tracks) ?? audioOf(tracks);
}

/** Whether all parameters are equal, configuration bytes included; two that are not there are equal. */
export function sameTrack(a: Track | null, b: Track | null): boolean {
  if (a === null || b === null) return a === b;
  const { config: configA, ...restA } = a;
  const { config: configB, ...restB } = b;
  return Buffer.from(configA).equals(configB) && JSON.stringify(restA) === JSON.stringify(restB);
}

/** The same of all tracks, in their order. */
export function sameTracks(a: readonly Track[], b: readonly Track[]): boolean {
  return a.length === b.length && a.every((track, i) => sameTrack(track, b[i]!));
}
