// What the fuzz runner needs of a reader. A new one is a line in targets.ts.
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import type { Mutate } from "./mutate.ts";

export type Target = Readonly<{
  name: string;
  /** Good inputs. */
  seeds: () => readonly Buffer[];
  /** How mutants are made; one is chosen each time. */
  mutations: readonly Mutate[];
  /** Reads the input as the platform does. What it throws is a finding, and so is taking long, or memory that stays.
   *  @param random for how the input is cut into pieces */
  run: (input: Buffer, random: Random) => void;
}>;

/** The reader may refuse, by its own error. */
export function mayRefuse(read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
  }
}

/** The input in pieces, as sockets hand it over: memory of its own each. */
export function* pieces(input: Buffer, random: Random): Generator<Buffer> {
  const most = [1, 7, 188, 1316, 65_536][random.int(0, 5)]!;
  const step = input.length / most > 4096 ? 1316 : most; // not every byte of a long one
  for (let at = 0; at < input.length; ) {
    const size = Math.max(1, random.int(Math.ceil(step / 2), step + 1));
    yield Buffer.from(input.subarray(at, at + size));
    at += size;
  }
}
