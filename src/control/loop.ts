// When control looks at everything again: soon after something changed, and now and then anyway.
import type { Clock, Timer } from "#base/clock.ts";

/** A pass without any cause: finds what no event told. */
const SLOW_MS = 1000;

/** Runs `pass` when woken and every SLOW_MS, never twice at once; a wake during a pass runs it again.
 *  @param pass never rejects */
export function createLoop(clock: Clock, pass: () => Promise<void>) {
  let armed: { timer: Timer; atMs: number } | null = null;
  let running: Promise<void> | null = null;
  let nextMs = SLOW_MS;
  let closed = false;

  async function run(): Promise<void> {
    nextMs = SLOW_MS;
    await pass();
    running = null;
    wake(nextMs);
  }

  function wake(delayMs: number): void {
    if (running !== null) nextMs = Math.min(nextMs, delayMs);
    if (closed || running !== null) return;
    const atMs = clock.monotonicMs() + delayMs;
    if (armed !== null && armed.atMs <= atMs) return;
    armed?.timer.cancel();
    const fire = () => {
      armed = null;
      running = run();
    };
    armed = { atMs, timer: clock.setTimer(delayMs, fire) };
  }

  return {
    wake,
    async close() {
      closed = true;
      armed?.timer.cancel();
      await running;
    },
  };
}
