// Where a live publisher's coded units go: one small interface over RTMP and MPEG-TS by HTTP.
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";

export type OutputTracks = Readonly<{ video: VideoTrack | null; audio: AudioTrack | null }>;

export type OutputUnit = Readonly<{
  kind: "video" | "audio";
  /** Presentation and decode time, ms with fraction, from 0; decode times of a track never go back. */
  ptsMs: number;
  dtsMs: number;
  key: boolean;
  /** Video: NAL units with 4-byte lengths. Audio: a raw AAC frame. */
  payload: Uint8Array;
}>;

export interface LiveOutput {
  /** For people: where to, without the key. */
  readonly target: string;
  /** Bytes handed over so far. */
  readonly sentBytes: number;
  /** Resolves when more may be sent: a peer that reads slowly slows the sender down.
   *  @throws PlatformError when the peer refused, broke or stopped reading; then the output is of no use */
  send(unit: OutputUnit): Promise<void>;
  /** A clean end: the peer knows that this was all. Resolves when it was told. */
  end(): Promise<void>;
  /** An unclean one, at once. */
  destroy(): void;
}

/** A peer that takes nothing for so long is gone. */
export const STALL_MS = 15_000;
/** Unsent bytes that are nothing to wait for: 4 s of a 2 Mb/s stream. */
export const QUEUED_BYTES_MAX = 1 << 20;
