/** Failures older than this count no more. */
export const FAILURE_WINDOW_MS = 60_000;

/** How many failures still count, and whether enough time has passed since the last of them.
 *  @param failuresMs when they happened, oldest first @param waits ms after the 1st, 2nd, ... failure; the last goes on
 *  @param calmMs what held so long before it failed was well: the next attempt waits like after a first failure */
export function backoff(
  failuresMs: readonly number[],
  waits: readonly number[],
  nowMs: number,
  calmMs = Number.POSITIVE_INFINITY,
) {
  const recent = failuresMs.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS);
  const wasWell = recent.length > 1 && recent.at(-1)! - recent.at(-2)! >= calmMs;
  const waitMs = waits[Math.min(wasWell ? 1 : recent.length, waits.length) - 1] ?? 0;
  return { failures: recent.length, over: recent.length === 0 || nowMs - recent.at(-1)! >= waitMs };
}
