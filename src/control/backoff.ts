/** Failures older than this count no more. */
export const FAILURE_WINDOW_MS = 60_000;

/** How many failures still count, and whether enough time has passed since the last of them.
 *  @param failuresMs when they happened, oldest first @param waits ms after the 1st, 2nd, ... failure; the last goes on */
export function backoff(failuresMs: readonly number[], waits: readonly number[], nowMs: number) {
  const recent = failuresMs.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS);
  const waitMs = waits[Math.min(recent.length, waits.length) - 1] ?? 0;
  return { failures: recent.length, over: recent.length === 0 || nowMs - recent.at(-1)! >= waitMs };
}
