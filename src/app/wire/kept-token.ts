// The token that a process shows to others: the same one for half of its life. To sign one for each call, and to verify
// one that was never seen before, cost more than the call.
import type { Clock } from "#base/clock.ts";

/** @param mint makes a token that is good for so many seconds
 *  @returns a token with at least half of that left, by the host's clock, as who verifies it counts */
export function keptToken(
  clock: Clock,
  seconds: number,
  mint: (seconds: number) => Promise<string>,
): () => Promise<string> {
  const keepNs = BigInt(Math.floor(seconds / 2)) * 1_000_000_000n;
  let kept: { token: Promise<string>; mintedNs: bigint } | null = null;

  /** A clock that was set back would keep it for too long. */
  const isGood = (mintedNs: bigint, nowNs: bigint) => nowNs >= mintedNs && nowNs < mintedNs + keepNs;

  return () => {
    const nowNs = clock.utcNs();
    if (kept && isGood(kept.mintedNs, nowNs)) return kept.token;
    const fresh = { token: mint(seconds), mintedNs: nowNs };
    kept = fresh;
    fresh.token.catch(() => {
      if (kept === fresh) kept = null; // who asked is told; the next one tries again
    });
    return fresh.token;
  };
}
