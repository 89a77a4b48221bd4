// The time of a session: TAI when it was opened, and what has passed since on a clock that only goes forward. Somebody who
// sets the host's clock, backward or an hour forward, moves no session that runs: neither its holes, nor the place where a
// publisher comes back, nor when a unit is said to have arrived.
// A gateway that takes a session over has another process's monotonic clock. What both can read is how long the host has
// been running; the newest mark in the journal ties that to the session's time. On another host, or after it was started
// anew, only the wall clock is left: it may say too much, which ends the session at worst (its grace is over), but never
// puts it back before what its log holds.
import type { Clock, HostInstant } from "#base/clock.ts";
import { utcToTai } from "#media/time/tai.ts";

const NS_PER_MS = 1_000_000;

/** A session's time, and how long the host had been running then. */
export type TimeMark = Readonly<{ taiNs: bigint; host: HostInstant | null }>;

export class SessionTime {
  readonly #clock: Clock;
  readonly #baseNs: bigint;
  readonly #baseMs: number;

  /** @param mark of the gateway that had the session before @param leastNs media time that its log holds */
  constructor(clock: Clock, mark: TimeMark | null = null, leastNs = 0n) {
    this.#clock = clock;
    const goesOnNs = mark && goneOn(mark, clock.hostInstant());
    const wallNs = utcToTai(clock.utcNs());
    this.#baseNs = goesOnNs ?? latest(wallNs, leastNs, mark?.taiNs ?? 0n);
    this.#baseMs = clock.monotonicMs();
  }

  /** TAI, never less than before. */
  get nowNs(): bigint {
    return this.at(this.#clock.monotonicMs());
  }

  /** TAI of a monotonic instant of this process. */
  at(monotonicMs: number): bigint {
    return this.#baseNs + BigInt(Math.round((monotonicMs - this.#baseMs) * NS_PER_MS));
  }

  mark(): TimeMark {
    return { taiNs: this.nowNs, host: this.#clock.hostInstant() };
  }
}

/** The session's time now, by the host's own count; null when that is another host's, or began anew. */
function goneOn({ taiNs, host }: TimeMark, now: HostInstant | null): bigint | null {
  if (host === null || now === null || host.boot !== now.boot || now.ms < host.ms) return null;
  return taiNs + BigInt(Math.round((now.ms - host.ms) * NS_PER_MS));
}

function latest(first: bigint, ...others: bigint[]): bigint {
  let newest = first;
  for (const instant of others) if (instant > newest) newest = instant;
  return newest;
}
