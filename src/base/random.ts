// Chance as it is handed to everything below app/: seeded in tests and simulations, so that a failure replays.
import { randomFillSync } from "node:crypto";

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform whole number in [from, to). */
  int(from: number, to: number): number;
  /** That many random bytes; unguessable from the system source, repeatable from a seeded one. */
  bytes(count: number): Uint8Array;
}

/** Repeatable numbers (mulberry32). Never for keys. @param seed any whole number */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return fromNext(next, (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)));
}

/** The system's own source, fit for keys. Only app/, tests and bench/ make one. */
export function systemRandom(): Random {
  const word = new Uint32Array(1);
  const next = (): number => {
    randomFillSync(word);
    return word[0]! / 4_294_967_296;
  };
  return fromNext(next, (count) => randomFillSync(new Uint8Array(count)));
}

function fromNext(next: () => number, bytes: (count: number) => Uint8Array): Random {
  return { next, bytes, int: (from, to) => from + Math.floor(next() * (to - from)) };
}

/** Lower-case letters and digits, without those that look alike: for ids people read aloud.
 *  @param length 12 gives 59 bits */
export function randomId(random: Random, length = 12): string {
  const alphabet = "23456789abcdefghjkmnpqrstuvwxyz";
  return Array.from(random.bytes(length), (byte) => alphabet[byte % alphabet.length]).join("");
}
