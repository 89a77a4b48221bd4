// How many bits a second a track has: what BANDWIDTH and AVERAGE-BANDWIDTH say of it.
import type { HeldSegment } from "./held.ts";
import type { Growing } from "./track.ts";

/** Most bits a second of the runs between 0.5 and 1.5 target durations that end with the newest segment.
 *  Source: draft-pantos-hls-rfc8216bis-22, 4.4.6.2 */
export function peakAtEnd(segments: readonly HeldSegment[]): number {
  let [bytes, seconds, peak] = [0, 0, 0];
  for (let i = segments.length - 1; i >= 0; i -= 1) {
    const segment = segments[i]!;
    bytes += segment.bytes?.byteLength ?? 0;
    seconds += segment.durationTicks / segment.timescale;
    if (seconds > 1.5 * segment.targetDurationSeconds) break;
    if (seconds >= 0.5 * segment.targetDurationSeconds) peak = Math.max(peak, Math.ceil((bytes * 8) / seconds));
  }
  return peak;
}

/** Over all whole segments; null while there is none. */
export function meanOf(segments: readonly HeldSegment[]): number | null {
  const whole = segments.filter((segment) => segment.bytes !== null);
  const seconds = whole.reduce((sum, { durationTicks, timescale }) => sum + durationTicks / timescale, 0);
  const bytes = whole.reduce((sum, segment) => sum + segment.bytes!.byteLength, 0);
  return seconds > 0 ? Math.ceil((bytes * 8) / seconds) : null;
}

/** Of the parts so far: more than the truth, since the first one has the key frame. 0 while there is none. */
export function soFar(growing: Growing | null, timescale: number): number {
  const parts = growing?.parts ?? [];
  const ticks = parts.reduce((sum, { durationTicks }) => sum + durationTicks, 0);
  const bytes = parts.reduce((sum, part) => sum + (part.bytes?.byteLength ?? 0), 0);
  return ticks > 0 ? Math.ceil((bytes * 8 * timescale) / ticks) : 0;
}
