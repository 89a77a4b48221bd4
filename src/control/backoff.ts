/** Waits before the 1st, 2nd, ... new try after failures: of one session, and of processes that had none yet, for which
 *  nobody waits as urgently. */
export const SESSION_BACKOFF_MS: readonly number[] = [0, 1000, 2000, 5000];
export const POOL_BACKOFF_MS: readonly number[] = [0, 1000, 2000, 5000, 10_000, 20_000];

/** So many within FAILURE_WINDOW_MS without a new part in between, and a session is given up: its input breaks whatever
 *  works on it. Processes that are killed while they work never add up to that. */
export const FAILURES_MAX = 5;

/** Failures older than this count no more. */
export const FAILURE_WINDOW_MS = 60_000;

/** How many failures still count, and whether enough time has passed since the last of them.
 *  @param failuresMs when they happened, oldest first @param waits ms after the 1st, 2nd, ... failure; the last goes on */
export function backoff(failuresMs: readonly number[], waits: readonly number[], nowMs: number) {
  const recent = failuresMs.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS);
  const waitMs = waits[Math.min(recent.length, waits.length) - 1] ?? 0;
  return { failures: recent.length, over: recent.length === 0 || nowMs - recent.at(-1)! >= waitMs };
}
