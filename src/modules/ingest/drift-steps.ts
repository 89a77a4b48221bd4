// When a source's clock has gone a picture away from TAI, media time is moved by one: at a segment boundary that nothing in
// the log has come to yet, so that readers of every age find the same pictures before it and after it.
import type { Fields } from "#base/log.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import { type Rate, timeOf } from "#media/time/rate.ts";
import { Drift } from "./drift.ts";
import type { TimedUnit } from "./opening.ts";
import type { Output } from "./output.ts";
import type { ClockStep, SourceClock } from "./source-clock.ts";

const NS_PER_SECOND = 1_000_000_000n;
const NS_PER_MS = 1_000_000;

export class DriftSteps {
  readonly #output: Output;
  readonly #note: (event: string, fields: Fields) => void;
  readonly #drift = new Drift();

  constructor(output: Output, note: (event: string, fields: Fields) => void) {
    this.#output = output;
    this.#note = note;
  }

  /** Steps so far, and by how many milliseconds media time is behind TAI now (negative: ahead). */
  get counters() {
    return { driftSteps: this.#drift.steps, driftMs: Math.round(this.#drift.behindNs / NS_PER_MS) + 0 }; // never -0
  }

  /** The source's clock was tied to TAI anew. */
  anchored(): void {
    this.#drift.anchored();
  }

  /** The publisher was silent: what comes now may have waited. */
  interrupted(): void {
    this.#drift.restart();
  }

  /** A unit of the leading track is in the log. @param newestNs media time reached by all tracks */
  follow(clock: SourceClock, { dtsTicks, arrivedNs }: TimedUnit, newestNs: bigint): void {
    this.#drift.observe(clock.anchoredTimeOf(dtsTicks), arrivedNs);
    const era = this.#output.era!;
    const { num, den } = era.frameRate;
    const step = this.#drift.due((den / num) * 1e9);
    const frame = step && this.#output.stepAt(newestNs);
    if (step === null || frame === null) return;
    const driftMs = this.#drift.behindNs / NS_PER_MS;
    const moveNs = BigInt(step) * timeOf(era.frameRate, 1);
    clock.step(clockStep(era, frame, moveNs));
    this.#drift.stepped(Number(moveNs));
    this.#output.step(frame, step);
    this.#note("ingest.drift_step", { frame, step, driftMs: Math.round(driftMs * 10) / 10 });
  }
}

/** Pictures that are copied go over to their new times bit by bit; on the grid each has a slot of its own anyway. */
function clockStep({ mode, rate, segmentFrames }: EraOpened, frame: number, moveNs: bigint): ClockStep {
  if (mode === "source") return { fromNs: timeOf(rate, frame), moveNs, lengthNs: timeOf(rate, segmentFrames) };
  return { fromNs: firstNsOf(rate, frame), moveNs, lengthNs: 0n };
}

/** The earliest instant whose nearest frame is this one. */
function firstNsOf({ num, den }: Rate, frame: number): bigint {
  const twice = 2n * BigInt(num);
  return ((2n * BigInt(frame) - 1n) * BigInt(den) * NS_PER_SECOND + twice - 1n) / twice;
}
