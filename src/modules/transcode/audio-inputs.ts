// The audio tracks of a session, by number: each has its own units, and all know as much as the log's interleave promises.
import { type AudioTrack, INTERLEAVE_MAX_NS, type Track, type Unit } from "#media/session-log/entries.ts";
import { sameTrack } from "#media/session-log/tracks.ts";
import { AudioInput } from "./audio-input.ts";

export class AudioInputs {
  readonly #inputs = new Map<number, AudioInput>();
  #knownNs = 0n;
  #complete = false;

  /** What the log says is there from now on. A track that did not change keeps its object, so that its decoder goes on. */
  setTracks(tracks: readonly Track[]): void {
    const audios = new Map(tracks.filter((track) => track.kind === "audio").map((track) => [track.track, track]));
    for (const number of audios.keys()) this.of(number);
    for (const [number, input] of this.#inputs) {
      const track = audios.get(number) ?? null;
      if (!sameTrack(track, input.track)) input.setTrack(track);
    }
  }

  /** Of a track that was never announced, it is silence. */
  of(number: number): AudioInput {
    let input = this.#inputs.get(number);
    if (!input) {
      input = new AudioInput(this.#knownNs);
      if (this.#complete) input.finish();
      this.#inputs.set(number, input);
    }
    return input;
  }

  /** What the log says of a track now; null: nothing, or it is no audio. */
  track(number: number): AudioTrack | null {
    return this.#inputs.get(number)?.track ?? null;
  }

  take(track: AudioTrack, unit: Unit): void {
    this.of(track.track).take(track, unit);
  }

  /** A unit of any track was read: no other track lags more than the interleave behind it, and one that is not there lags
   *  not at all. */
  seen(timeNs: bigint): void {
    for (const input of this.#inputs.values()) input.knownTo(input.track ? timeNs - INTERLEAVE_MAX_NS : timeNs);
  }

  /** Nothing that starts before `timeNs` comes on any track. */
  knownTo(timeNs: bigint): void {
    if (timeNs > this.#knownNs) this.#knownNs = timeNs;
    for (const input of this.#inputs.values()) input.knownTo(timeNs);
  }

  finish(): void {
    this.#complete = true;
    for (const input of this.#inputs.values()) input.finish();
  }

  /** How far all tracks that are there are known. */
  get knownNs(): bigint {
    const there = [...this.#inputs.values()].filter(({ track }) => track !== null);
    return (
      there.reduce<bigint | null>(
        (least, { knownNs }) => (least === null || knownNs < least ? knownNs : least),
        null,
      ) ?? this.#knownNs
    );
  }

  get lateUnits(): number {
    return [...this.#inputs.values()].reduce((sum, { lateUnits }) => sum + lateUnits, 0);
  }
}
