// What a channel lets its publishers send: bits a second, height of the picture, length of a session. Another thing than
// the gateway's own bounds (limits.ts), which keep one publisher from the others' resources.
import { PlatformError } from "#base/errors.ts";
import type { ChannelLimits } from "#media/channel.ts";
import type { DemuxEvent } from "#media/demux.ts";

/** A rate is what came in so many whole seconds: encoders send a key frame as fast as the line goes. */
const WINDOW_SECONDS = 5;

export class PublisherLimits {
  readonly #limits: ChannelLimits;
  /** Bits of each of the last seconds, by second modulo the window. */
  readonly #bits = new Float64Array(WINDOW_SECONDS);
  #second: number | null = null;
  #firstSecond = 0;
  #fault: PlatformError | null = null;

  constructor(limits: ChannelLimits) {
    this.#limits = limits;
  }

  received(bytes: number, nowMs: number): void {
    if (this.#limits.bitrateKbps === null) return;
    this.#goTo(Math.floor(nowMs / 1000));
    this.#bits[this.#second! % WINDOW_SECONDS]! += bytes * 8;
  }

  event(event: DemuxEvent): void {
    const { height: most } = this.#limits;
    if (event.kind !== "tracks" || most === null) return;
    for (const track of event.tracks) {
      if (track.kind !== "video" || Math.min(track.width, track.height) <= most) continue;
      const size = `${track.width}x${track.height}`;
      this.#fault ??= over(`The picture is ${size}, and this channel takes ${most} lines at most: send a smaller one.`);
    }
  }

  /** Why the publisher should be turned away; null while there is no reason. */
  fault(): PlatformError | null {
    return this.#fault;
  }

  /** A second is over: what came in the last ones is judged. */
  #goTo(second: number): void {
    if (this.#second === null) this.#firstSecond = second;
    else if (second === this.#second) return;
    else {
      if (second - this.#firstSecond >= WINDOW_SECONDS) this.#judge();
      for (let next = this.#second + 1; next <= Math.min(second, this.#second + WINDOW_SECONDS); next += 1)
        this.#bits[next % WINDOW_SECONDS] = 0;
    }
    this.#second = second;
  }

  #judge(): void {
    const kilobits = this.#bits.reduce((sum, bits) => sum + bits, 0) / (WINDOW_SECONDS * 1000);
    const most = this.#limits.bitrateKbps!;
    if (kilobits <= most) return;
    const sent = `${Math.round(kilobits)} kbit/s came over ${WINDOW_SECONDS} s`;
    this.#fault ??= over(`${sent}, and this channel takes ${most}: lower the encoder's bit rate.`);
  }
}

function over(message: string): PlatformError {
  return new PlatformError("ingest.over_limit", message);
}
