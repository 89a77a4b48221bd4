// Media files as a live publisher reads them: coded units in the two or three forms every server takes, in decode order,
// with times that begin at 0. What is H.264, H.265 or AAC-LC already is handed through; everything else that the library
// knows is decoded and coded again.
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";

export type FileUnit = Readonly<{
  kind: "video" | "audio";
  /** Milliseconds with fraction, presentation and decoding. dtsMs never goes back within a track. */
  ptsMs: number;
  dtsMs: number;
  /** Decoding can start here. */
  key: boolean;
  /** Video: NAL units with 4-byte lengths. Audio: a raw AAC frame. */
  payload: Uint8Array;
}>;

export interface MediaFile {
  /** As the units are, not as they are in the file. At least one is there. */
  readonly video: VideoTrack | null;
  readonly audio: AudioTrack | null;
  /** Which of them are decoded and coded again. */
  readonly converted: Readonly<{ video: boolean; audio: boolean }>;
  /** As the file says it; null when it does not. */
  readonly durationMs: number | null;
  /** Presentation time of the first picture (of the first sound, when there are no pictures). */
  readonly startMs: number;
  /** Of both tracks, the one whose turn it is by dtsMs. @returns null at the end
   *  @throws PlatformError av.failed when the file cannot be read on */
  read(): Promise<FileUnit | null>;
  /** Where the last picture (sound) handed out ends: a repeat of the file whose startMs lies there has no seam. */
  readonly endMs: number;
  close(): Promise<void>;
}

/** @throws PlatformError media.unsupported: not media, or nothing in it that can be shown or heard */
export type OpenMediaFile = (path: string) => Promise<MediaFile>;

/** Units to a transport stream, in memory. */
export interface TransportStreamWriter {
  /** @returns bytes that are ready, whole packets of 188; the first ones hold the tables */
  write(unit: FileUnit): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** @throws PlatformError av.failed */
export type OpenTransportStream = (
  tracks: Readonly<{ video: VideoTrack | null; audio: AudioTrack | null }>,
) => Promise<TransportStreamWriter>;
