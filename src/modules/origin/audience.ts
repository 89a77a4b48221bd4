// Which channels are asked for, for sources that run only while somebody watches. Only channels that exist get here, and
// no more than a fixed number of them: the map must not grow with what strangers type into a URL.

const CHANNELS_MAX = 4096;

export class Audience {
  /** Last asked for, monotonic ms; the longest unasked first. */
  readonly #asked = new Map<string, number>();

  asked(channel: string, nowMs: number): void {
    this.#asked.delete(channel);
    this.#asked.set(channel, nowMs);
    if (this.#asked.size <= CHANNELS_MAX) return;
    for (const oldest of this.#asked.keys()) {
      this.#asked.delete(oldest);
      return;
    }
  }

  list(): { channel: string; lastAskedMs: number }[] {
    return [...this.#asked].map(([channel, lastAskedMs]) => ({ channel, lastAskedMs }));
  }
}
