// Which of several programs is taken: the first one with pictures; when all are seen, or the others keep us waiting, the
// first one with anything. Radio multiplexes have hundreds, and the maps come in any order.
import { kindOf } from "./elementary.ts";
import type { ProgramMap } from "./sections.ts";

/** Maps that are remembered. */
const SEEN_MAX = 64;
/** The list of programs comes at least twice a second, and maps as often: who has not come until then will not. */
const REPEATS_MAX = 2;
const NAMED_MAX = 8;

export class ProgramChoice {
  readonly #seen = new Map<number, ProgramMap>();
  #repeats = 0;

  /** Begin anew: the list of programs is another. */
  clear(): void {
    this.#seen.clear();
    this.#repeats = 0;
  }

  /** The map of one of `programs`. @returns the one to take, if that is known now */
  offer(map: ProgramMap, programs: readonly number[]): ProgramMap | null {
    if (map.streams.some((stream) => kindOf(stream)?.media === "video")) return map;
    if (this.#seen.size < SEEN_MAX || this.#seen.has(map.program)) this.#seen.set(map.program, map);
    return this.#areAllSeen(programs) ? this.#best(programs) : null;
  }

  /** The list of programs came again as it was. @returns the one to take, if that is known now */
  repeat(programs: readonly number[]): ProgramMap | null {
    this.#repeats += 1;
    return this.#repeats >= REPEATS_MAX ? this.#best(programs) : null;
  }

  /** When all are seen and none can be taken, what they hold: somebody must be able to say why nothing comes. */
  refused(programs: readonly number[]): readonly ProgramMap[] {
    return this.#areAllSeen(programs) ? [...this.#seen.values()] : [];
  }

  #areAllSeen(programs: readonly number[]): boolean {
    return programs.every((program) => this.#seen.has(program));
  }

  #best(programs: readonly number[]): ProgramMap | null {
    const first = programs.find((program) =>
      this.#seen.get(program)?.streams.some((stream) => kindOf(stream) !== null),
    );
    return first === undefined ? null : this.#seen.get(first)!;
  }
}

/** For a report about the programs that are not taken; null when there are none. */
export function othersText(taken: number, programs: readonly number[]): string | null {
  const others = programs.filter((program) => program !== taken);
  if (others.length === 0) return null;
  const more = others.length > NAMED_MAX ? ` and ${others.length - NAMED_MAX} more` : "";
  return `program ${others.slice(0, NAMED_MAX).join(", ")}${more}: only program ${taken} is taken`;
}
