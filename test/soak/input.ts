// The input of one iteration: a function of target, seed and number, so that a finding can be made again from its name.
import { type Random, seededRandom } from "#base/random.ts";
import { blind } from "./mutate.ts";
import type { Target } from "./target.ts";

/** No reader gets more at once: long inputs only make the run slow. */
const INPUT_BYTES_MAX = 256 * 1024;
const ROUND = 0x9e37_79b1;

export function inputOf(target: Target, seeds: readonly Buffer[], seed: number, iteration: number) {
  const random: Random = seededRandom((seed + Math.imul(iteration + 1, ROUND)) >>> 0);
  const any = () => seeds[random.int(0, seeds.length)]!;
  const ways = target.mutations.length === 0 ? [blind] : target.mutations;
  const mutate = random.next() < 0.25 ? blind : ways[random.int(0, ways.length)]!;
  return { input: mutate(any(), random, any).subarray(0, INPUT_BYTES_MAX), random };
}
