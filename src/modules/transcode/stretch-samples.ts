// A unit's samples made a little more or fewer, without a click: a drift step is spread over a segment's units.
// Why not drop or repeat samples: that is a click per unit. Why not the resampler: it would have to be told a new rate for
// each unit, and remembers what it was told. This looks at one unit only, and its first and last samples stay what they
// are, so units meet as they did.

/** Samples of the source that one of the output is made from, on each side. Towards the ends there are fewer; there it
 *  lies almost on one of them. */
const REACH = 8;

/** @param count samples wanted; for a share of change as of STRETCH_MAX @returns new arrays */
export function stretchSamples(planes: readonly Float32Array[], count: number): Float32Array[] {
  const from = planes[0]!.length;
  const out = planes.map(() => new Float32Array(count));
  if (from === 0 || count === 0) return out;
  const step = count === 1 ? 0 : (from - 1) / (count - 1);
  const weights = new Float64Array(2 * REACH);
  for (let i = 0; i < count; i += 1) {
    const position = i * step;
    const left = Math.min(from - 1, Math.floor(position));
    const share = position - left;
    const reach = Math.min(REACH, left + 1, from - 1 - left);
    if (share === 0 || reach === 0) {
      for (const [channel, plane] of planes.entries()) out[channel]![i] = plane[left]!;
      continue;
    }
    const sum = weigh(weights, share, reach);
    for (const [channel, plane] of planes.entries()) {
      let value = 0;
      for (let k = 0; k < 2 * reach; k += 1) value += weights[k]! * plane[left + 1 - reach + k]!;
      out[channel]![i] = value / sum;
    }
  }
  return out;
}

/** Windowed sinc. @param share of the way from the middle's left sample to its right one, between 0 and 1
 *  @returns the sum of the 2 x reach weights */
function weigh(weights: Float64Array, share: number, reach: number): number {
  let sum = 0;
  for (let k = 0; k < 2 * reach; k += 1) {
    const distance = k + 1 - reach - share;
    const angle = Math.PI * distance;
    const weight = (Math.sin(angle) / angle) * (0.5 + 0.5 * Math.cos(angle / reach));
    weights[k] = weight;
    sum += weight;
  }
  return sum;
}
