// How far a source's clock has gone away from TAI. Nothing tells it directly: a unit's arrival is its time plus a delay of
// the network that changes all the time. But the delay has a floor, and of all that came within a minute some unit came
// with hardly more than it: the least of those delays moves with the source's clock and with nothing else. Means and
// regressions would follow a line that is congested for a while.
//
// The first minute after an anchor says where the floor lies, and every later minute is compared with that one: not with
// the one before, or what each comparison misses would add up over the days.
import type { DriftStep } from "#media/session-log/entries.ts";

const WINDOW_SECONDS = 60;
const NS_PER_SECOND = 1_000_000_000n;

/** No clock is further off (crystals: 100 ppm; 29.97 frames that are stamped as 30: 1000). What moves faster is the network,
 *  so it is not followed any faster. */
const PPM_MAX = 2000;

export class Drift {
  /** Least delay of each second of arrivals, ns, by the second modulo the window; infinite where nothing came. */
  readonly #least = new Float64Array(WINDOW_SECONDS).fill(Number.POSITIVE_INFINITY);
  /** Second of the newest arrival, and of the first in the window; null while there was none. */
  #second: number | null = null;
  #fromSecond = 0;
  /** The floor that the anchor belongs to, ns; null before the first whole window. */
  #floor: number | null = null;
  /** What all steps since the anchor have added to media time, ns. */
  #movedNs = 0;
  #stepSecond = Number.NEGATIVE_INFINITY;
  /** How far media time is behind TAI, ns; negative when it is ahead. 0 while it cannot be told. */
  behindNs = 0;
  steps = 0;

  /** The source's clock was tied to TAI anew. */
  anchored(): void {
    this.restart();
    this.#floor = null;
    this.#movedNs = 0;
    this.behindNs = 0;
  }

  /** Units were missing: only what comes from here on is compared. */
  restart(): void {
    this.#least.fill(Number.POSITIVE_INFINITY);
    this.#second = null;
  }

  /** A unit of the leading track came.
   *  @param timeNs its decode time by the anchor alone, without any step @param arrivedNs TAI, never less than before */
  observe(timeNs: bigint, arrivedNs: bigint): void {
    const second = Number(arrivedNs / NS_PER_SECOND);
    if (this.#second === null) this.#fromSecond = second;
    else if (second > this.#second) this.#pass(this.#second, second);
    this.#second = Math.max(second, this.#second ?? second);
    const delay = Number(arrivedNs - timeNs);
    const slot = second % WINDOW_SECONDS;
    if (delay < this.#least[slot]!) this.#least[slot] = delay;
  }

  /** The step that is due; null when none is. @param frameNs length of a picture */
  due(frameNs: number): DriftStep["step"] | null {
    if (Math.abs(this.behindNs) <= frameNs || !this.#isWhole) return null;
    const leastSeconds = (frameNs * 1e-9) / (PPM_MAX * 1e-6);
    if (this.#second! - this.#stepSecond < leastSeconds) return null;
    return this.behindNs > 0 ? 1 : -1;
  }

  /** A step was decided. @param byNs what it adds to media time */
  stepped(byNs: number): void {
    this.#movedNs += byNs;
    this.behindNs -= byNs;
    this.#stepSecond = this.#second!;
    this.steps += 1;
  }

  get #isWhole(): boolean {
    return this.#second !== null && this.#second - this.#fromSecond >= WINDOW_SECONDS;
  }

  /** A second is over: see where the floor lies, and forget what leaves the window. */
  #pass(before: number, now: number): void {
    const least = this.#least.reduce((a, b) => Math.min(a, b));
    if (before - this.#fromSecond >= WINDOW_SECONDS - 1) {
      this.#floor ??= least;
      this.behindNs = least - this.#floor - this.#movedNs;
    }
    for (let second = Math.max(before, now - WINDOW_SECONDS) + 1; second <= now; second += 1)
      this.#least[second % WINDOW_SECONDS] = Number.POSITIVE_INFINITY;
  }
}
