// Watches one publisher's bytes: too many, none at all, or none that a container can be found in. What is wrong with the
// media in them, the sequencer knows.
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { DemuxEvent } from "#media/demux.ts";
import type { IngestLimits } from "./limits.ts";

export class PublisherGuard {
  readonly #clock: Clock;
  readonly #limits: IngestLimits;
  #bytes = 0;
  #firstMs: number | null = null;
  #lastMs: number;
  /** Bits above what the allowed rate has drained by `#levelMs`. */
  #level = 0;
  #levelMs: number;
  #hasContainer: boolean;

  /** @param isFramed the transport itself says what is media: there is no container to be found in its bytes */
  constructor(clock: Clock, limits: IngestLimits, isFramed: boolean) {
    this.#hasContainer = isFramed;
    this.#clock = clock;
    this.#limits = limits;
    this.#lastMs = clock.monotonicMs();
    this.#levelMs = this.#lastMs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  received(bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    const drained = ((nowMs - this.#levelMs) * this.#limits.bitsPerSecondMax) / 1000;
    this.#level = Math.max(0, this.#level - drained) + bytes * 8;
    this.#levelMs = nowMs;
    this.#lastMs = nowMs;
    this.#firstMs ??= nowMs;
    this.#bytes += bytes;
  }

  event(event: DemuxEvent): void {
    if (event.kind === "tracks" || event.kind === "unit" || event.kind === "unsupported") this.#hasContainer = true;
  }

  /** @param over all bytes have come: nothing can get better */
  fault(over = false): PlatformError | null {
    const { bitsPerSecondMax, burstSeconds, quietMs, containerBytesMax, containerMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    if (this.#level > bitsPerSecondMax * burstSeconds) {
      const megabits = bitsPerSecondMax / 1_000_000;
      return new PlatformError("ingest.too_fast", `More than ${megabits} Mbit/s came for more than ${burstSeconds} s.`);
    }
    const sinceMs = nowMs - (this.#firstMs ?? nowMs);
    if (!this.#hasContainer && (over || this.#bytes >= containerBytesMax || sinceMs >= containerMs))
      return new PlatformError("ingest.garbage", `No media stream was found in ${this.#bytes} bytes.`);
    if (nowMs - this.#lastMs >= quietMs)
      return new PlatformError("ingest.no_data", `Nothing was received for ${quietMs / 1000} s.`);
    return null;
  }
}
