// What those who make a session's renditions of its log are given, workers and packagers alike: the log, and the origins.
import type { Entry, Positioned } from "./entries.ts";
import type { EraFrame } from "./era-frame.ts";

/** The log of one session. */
export interface LogSource {
  /** First all decisions that precede the start, in order (their positions are below it), then every entry from the last
   *  random access point that lets `fromFrame` be made with its pre-roll. `fromFrame` null: from the first entry held.
   *  Ends after the log's end entry; throws PlatformError log.* or network.unreachable otherwise. */
  entries(fromFrame: EraFrame | null, signal: AbortSignal): AsyncIterable<Positioned<Entry>>;
}

/** One origin, as a maker pushes to it. All renditions go to every origin of the session. */
export interface CmafSink {
  /** Start of the first segment that is not whole there, over all renditions (its first parts may be there); null when
   *  the origin has nothing of the session. */
  nextFrame(): Promise<EraFrame | null>;
  /** Start (or go on with) a track of an era: the init segment is sent first, and again after each reconnect.
   *  Pushing never blocks: the sink queues, reconnects, and pushes again what was not acknowledged as stored. */
  track(name: string, kind: "video" | "audio", era: number, init: Uint8Array): CmafTrackSink;
  /** Resolves when everything pushed is acknowledged, or rejects after `timeoutMs`. */
  drained(timeoutMs: number): Promise<void>;
  close(): void;
}

export interface CmafTrackSink {
  /** One part: [styp] moof mdat. @param startTicks its tfdt @param lastOfSegment whether the segment is complete with it */
  push(
    part: Readonly<{
      startTicks: number;
      segmentStartTicks: number;
      bytes: Uint8Array;
      lastOfSegment: boolean;
      newestArrivedNs: bigint;
    }>,
  ): void;
  /** The track is complete. */
  end(): void;
}
