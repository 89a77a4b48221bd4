// The demo channel's sound: a quiet tone, and a beep that begins on each full second of UTC, when the dot of the picture
// is at its top: eyes and ears can judge the lip-sync.

export const SAMPLE_RATE = 48_000;
const TONE_HZ = 440;
const TONE_LEVEL = 0.04;
const BEEP_HZ = 1000;
const BEEP_LEVEL = 0.2;
const BEEP_SECONDS = 0.1;
/** Beeps swell and fade over this long: a hard edge would click. */
const EDGE_SECONDS = 0.004;

/** One channel. @param first index of the first sample since the Unix epoch, UTC */
export function toneSamples(first: number, count: number): Float32Array {
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    const inSecond = ((first + i) % SAMPLE_RATE) / SAMPLE_RATE; // both tones have whole cycles in a second
    const tone = TONE_LEVEL * Math.sin(2 * Math.PI * TONE_HZ * inSecond);
    const edge = Math.min(1, inSecond / EDGE_SECONDS, Math.max(0, (BEEP_SECONDS - inSecond) / EDGE_SECONDS));
    samples[i] = tone + edge * BEEP_LEVEL * Math.sin(2 * Math.PI * BEEP_HZ * inSecond);
  }
  return samples;
}
