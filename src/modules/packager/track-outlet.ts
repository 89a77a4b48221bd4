// One rendition's way to every origin of the session. It opens with the first part: a packager that joins late has nothing
// to say of eras that are over.
import { type CmafTrack, writeInit } from "#media/cmaf/write.ts";
import type { Rendition } from "#media/ladder/rendition.ts";
import type { CmafSink, CmafTrackSink } from "#media/session-log/maker-ports.ts";
import type { MadePart } from "./part-maker.ts";

export class TrackOutlet {
  readonly #sinks: readonly CmafSink[];
  readonly #rendition: Rendition;
  readonly #era: number;
  readonly #track: () => CmafTrack;
  #tracks: CmafTrackSink[] | null = null;

  constructor(sinks: readonly CmafSink[], rendition: Rendition, era: number, track: () => CmafTrack) {
    this.#sinks = sinks;
    this.#rendition = rendition;
    this.#era = era;
    this.#track = track;
  }

  /** @throws PlatformError what an origin refused it with, or network.unreachable when too much waits for it */
  send(part: MadePart): void {
    this.#tracks ??= this.#open();
    for (const track of this.#tracks) track.push(part);
  }

  end(): void {
    for (const track of this.#tracks ?? []) track.end();
  }

  #open(): CmafTrackSink[] {
    const { name, kind } = this.#rendition;
    const init = writeInit(this.#track());
    return this.#sinks.map((sink) => sink.track(name, kind, this.#era, init));
  }
}
