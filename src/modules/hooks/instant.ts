import type { Clock } from "#base/clock.ts";

/** Whole Unix seconds. */
export const utcSeconds = (clock: Clock): number => Number(clock.utcNs() / 1_000_000_000n);

/** ISO 8601, to the millisecond. */
export const isoNow = (clock: Clock): string => new Date(Number(clock.utcNs() / 1_000_000n)).toISOString();
