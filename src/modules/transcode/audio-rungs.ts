// All audio renditions of a session, each made by itself.
import { isEncodedAudio } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { Timeline } from "#media/session-log/timeline.ts";
import type { Av } from "#platform/av/av.ts";
import type { AudioInputs } from "./audio-inputs.ts";
import { AudioRung } from "./audio-rung.ts";
import type { Outlet } from "./outlet.ts";

export class AudioRungs {
  readonly #av: Av;
  readonly #timeline: Timeline;
  readonly #inputs: AudioInputs;
  readonly #outlet: Outlet;
  readonly #beginning: EraFrame;
  readonly #rungs = new Map<string, AudioRung>();

  constructor(av: Av, timeline: Timeline, inputs: AudioInputs, outlet: Outlet, beginning: EraFrame) {
    this.#av = av;
    this.#timeline = timeline;
    this.#inputs = inputs;
    this.#outlet = outlet;
    this.#beginning = beginning;
    for (const era of timeline.eras()) this.enter(era);
  }

  /** An era was opened: it may have renditions that no era before had. */
  enter(era: EraOpened): void {
    const first = { era: era.era, frame: era.frame };
    const beginning = era.era > this.#beginning.era ? first : this.#beginning;
    for (const { name } of era.renditions.filter(isEncodedAudio))
      if (era.era >= this.#beginning.era && !this.#rungs.has(name))
        this.#rungs.set(name, new AudioRung(this.#av, name, this.#timeline, this.#inputs, this.#outlet, beginning));
  }

  /** As AudioRung.advance. */
  async advance(settled: number, arrivedNs: bigint): Promise<void> {
    for (const rung of this.#rungs.values()) await rung.advance(settled, arrivedNs);
  }

  finish(): void {
    for (const rung of this.#rungs.values()) rung.finish();
  }

  close(): void {
    for (const rung of this.#rungs.values()) rung.close();
  }
}
