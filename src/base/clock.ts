// Time as it is handed to everything below app/: nobody else asks the system. A test or a simulation hands in a clock
// that it moves itself.
import { existsSync, readFileSync } from "node:fs";
import { uptime } from "node:os";

export interface Timer {
  /** Stop it. A timer that already fired or was stopped: nothing happens. */
  cancel(): void;
}

/** How long a host has been running: the same for all its processes, and not touched by steps of its clock. */
export type HostInstant = Readonly<{
  /** Another one each time the host starts. */
  boot: string;
  ms: number;
}>;

export interface Clock {
  /** Unix time, UTC, in nanoseconds. Follows steps of the host's clock: for anchors and log lines, never for spans. */
  utcNs(): bigint;
  /** Milliseconds (with fraction) since some fixed instant; never goes back. For spans and timeouts. */
  monotonicMs(): number;
  /** What another process of the host can go on from, to 10 ms; null where the host does not say. For what must survive a
   *  restart. */
  hostInstant(): HostInstant | null;
  /** Call `fire` once after `delayMs`. An armed timer does not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** The host's clock. Only app/, tests and bench/ make one. */
export function systemClock(): Clock {
  const boot = bootId();
  return {
    utcNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000) - driftUs()) * 1000n,
    monotonicMs: () => performance.now(),
    hostInstant: () => (boot === null ? null : { boot, ms: uptime() * 1000 }),
    setTimer(delayMs, fire) {
      const handle = setTimeout(fire, delayMs);
      handle.unref();
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** Null on systems other than Linux. Source: random(4), /proc interfaces */
function bootId(): string | null {
  const path = "/proc/sys/kernel/random/boot_id";
  return existsSync(path) ? readFileSync(path, "latin1").trim() : null;
}

/** timeOrigin + now() keeps the process's first idea of UTC for ever; this is how far that is from the host's today. */
function driftUs(): number {
  const stale = performance.timeOrigin + performance.now();
  const offsetMs = stale - Date.now();
  return Math.abs(offsetMs) < 2 ? 0 : Math.round(offsetMs * 1000); // below 2 ms it is the rounding of Date.now()
}

export interface SimClock extends Clock {
  /** Move time on, firing due timers in order, each at its own instant. */
  advance(byMs: number): void;
  /** Step UTC without touching monotonic time, as an operator or NTP does. */
  stepUtc(byMs: number): void;
}

/** A clock that moves only when told. @param startUtcNs first answer of utcNs() */
export function simClock(startUtcNs = 1_800_000_000_000_000_000n): SimClock {
  let nowMs = 0;
  let utcOffsetNs = startUtcNs;
  let order = 0;
  const armed: { atMs: number; order: number; fire: () => void }[] = [];
  return {
    utcNs: () => utcOffsetNs + BigInt(Math.round(nowMs * 1_000_000)),
    monotonicMs: () => nowMs,
    hostInstant: () => ({ boot: "sim", ms: nowMs }),
    setTimer(delayMs, fire) {
      const entry = { atMs: nowMs + Math.max(0, delayMs), order: order++, fire };
      armed.push(entry);
      return {
        cancel() {
          const at = armed.indexOf(entry);
          if (at >= 0) armed.splice(at, 1);
        },
      };
    },
    advance(byMs) {
      const endMs = nowMs + byMs;
      for (;;) {
        const due = armed.filter((t) => t.atMs <= endMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
        if (!due) break;
        armed.splice(armed.indexOf(due), 1);
        nowMs = Math.max(nowMs, due.atMs);
        due.fire();
      }
      nowMs = endMs;
    },
    stepUtc(byMs) {
      utcOffsetNs += BigInt(Math.round(byMs * 1_000_000));
    },
  };
}

/** Resolves after `delayMs` of that clock. */
export function after(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(delayMs, resolve));
}
