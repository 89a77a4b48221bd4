// What a publisher may cost. One value, so that tests and an operator can change any of it.

export type IngestLimits = Readonly<{
  /** Bits a second that one publisher may send for longer than `burstSeconds`. */
  bitsPerSecondMax: number;
  burstSeconds: number;
  /** Without a byte for so long a connection is half open: its other end is gone. */
  quietMs: number;
  /** A container must show itself within this many bytes, or this long after the first. */
  containerBytesMax: number;
  containerMs: number;
  /** Bytes of units a session's log holds, and seconds of newest media it holds in any case. */
  logBytesMax: number;
  logKeepSeconds: number;
  /** How long an ended session's log stays for readers that still come, and for those that are still reading. */
  endedKeepMs: number;
  endedReadMs: number;
  connectionsMax: number;
  sessionsMax: number;
}>;

export const INGEST_LIMITS: IngestLimits = Object.freeze({
  bitsPerSecondMax: 60_000_000,
  burstSeconds: 2,
  quietMs: 30_000,
  containerBytesMax: 1 << 20,
  containerMs: 5000,
  logBytesMax: 128 << 20,
  logKeepSeconds: 12,
  endedKeepMs: 60_000,
  endedReadMs: 600_000,
  connectionsMax: 2000,
  sessionsMax: 500,
});
