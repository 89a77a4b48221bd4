// What an operator may not need to know but a test must be able to change: the origin's bounds and patience.

export type OriginOptions = Readonly<{
  /** Numbers reserved ahead of publication; after a crash of the whole installation at most so many are listed as gaps. */
  numbersBlock: number;
  /** How long a chunk may wait for the log entry that places it. */
  placementWaitMs: number;
  /** Missing parts are given up this long after a later one came. */
  lossWaitMs: number;
  /** An ended session that makes no progress for this long is not completed any more. */
  abandonMs: number;
  /** An ended session stays listed for this long, or for the length of its playlist if that is more. */
  endedKeepMs: number;
  /** How long the first request of a starting channel is held. */
  startHoldMs: number;
  /** Requests held at once, over all channels. */
  waitersMax: number;
  /** Bytes of one track that came ahead of a missing part. */
  aheadBytesMax: number;
  /** Media segments of one journal file: what is deleted at once. */
  stretchSegments: number;
  /** How often what failed (a full disk) is tried again, and what expired is let go. */
  tendMs: number;
}>;

export const originDefaults: OriginOptions = Object.freeze({
  numbersBlock: 16,
  placementWaitMs: 5000,
  lossWaitMs: 3000,
  abandonMs: 10_000,
  endedKeepMs: 120_000,
  startHoldMs: 10_000,
  waitersMax: 20_000,
  aheadBytesMax: 32 * 1024 * 1024,
  stretchSegments: 16,
  tendMs: 1000,
});
