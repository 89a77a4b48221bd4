// An audio rendition: one segment after the other, cut where the video is cut. It follows the log by itself: its parts go
// out when their samples are known and no splice or boundary can move their borders any more.
import { assert } from "#base/assert.ts";
import { type AudioRendition, isEncodedAudio } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import type { Av } from "#platform/av/av.ts";
import type { AudioInputs } from "./audio-inputs.ts";
import { AudioParts } from "./audio-parts.ts";
import { AudioSegment, type EncodedAudio } from "./audio-segment.ts";
import { firstOrdinal } from "./beginning.ts";
import type { Outlet, OutletTrack } from "./outlet.ts";

type OpenSegment = {
  parts: AudioParts;
  maker: AudioSegment;
  /** Encoded and not sent, ascending. */
  ready: EncodedAudio[];
};

type OpenTrack = { era: number; track: OutletTrack; config: Uint8Array };

export class AudioRung {
  readonly #av: Av;
  readonly #name: string;
  readonly #timeline: Timeline;
  readonly #inputs: AudioInputs;
  readonly #outlet: Outlet;
  readonly #beginning: EraFrame;
  #ordinal: number | null = null;
  #open: OpenSegment | null = null;
  #track: OpenTrack | null = null;

  /** @param name of the rendition; eras that have none of that name are passed over */
  constructor(av: Av, name: string, timeline: Timeline, inputs: AudioInputs, outlet: Outlet, beginning: EraFrame) {
    this.#av = av;
    this.#name = name;
    this.#timeline = timeline;
    this.#inputs = inputs;
    this.#outlet = outlet;
    this.#beginning = beginning;
  }

  /** Send what can be sent.
   *  @param settled frames below it, of the newest era, are decided: neither splice nor hole can come there any more
   *  @param arrivedNs of the log's newest unit, for parts that are silence */
  async advance(settled: number, arrivedNs: bigint): Promise<void> {
    while (await this.#step(settled, arrivedNs));
  }

  /** The log has ended and all of it was advanced over. */
  finish(): void {
    this.close();
    this.#track?.track.end();
    this.#track = null;
  }

  close(): void {
    this.#open?.maker.close();
    this.#open = null;
  }

  /** @returns whether a segment was completed or passed over, so that the next may be looked at */
  async #step(settled: number, arrivedNs: bigint): Promise<boolean> {
    this.#ordinal ??= firstOrdinal(this.#timeline, this.#beginning, settled);
    const segment = this.#ordinal === null ? null : this.#timeline.segment(this.#ordinal);
    if (segment === null) return false;
    const settledHere = segment.era === this.#timeline.era!.era ? Math.min(settled, segment.end) : segment.end;
    if (this.#open === null) {
      const fate = this.#fate(segment, settledHere);
      if (fate === "unknown") return false;
      if (fate === "gap" || !(await this.#openSegment(segment))) {
        this.#ordinal = segment.ordinal + 1;
        return true;
      }
    }
    await this.#sendParts(this.#open!, segment, settledHere, arrivedNs);
    if (!this.#open!.parts.complete) return false;
    this.close();
    this.#ordinal = segment.ordinal + 1;
    return true;
  }

  /** A segment that begins in a hole may be all hole, and then it is not made at all. */
  #fate(segment: Segment, settled: number): "made" | "gap" | "unknown" {
    if (settled <= segment.start) return "unknown";
    if (this.#timeline.holeCoverage(segment.era, segment.start, settled) !== "whole") return "made";
    return settled >= segment.end ? "gap" : "unknown";
  }

  /** @returns false when the era has no such rendition */
  async #openSegment(segment: Segment): Promise<boolean> {
    const era = this.#timeline.eraOf(segment.era);
    const rendition = era.renditions.filter(isEncodedAudio).find(({ name }) => name === this.#name);
    if (!rendition) return false;
    const parts = new AudioParts(era, rendition.sampleRate, segment.start);
    const maker = await AudioSegment.open(this.#av, rendition, this.#inputs.of(rendition.track), parts.first);
    this.#open = { parts, maker, ready: [] };
    this.#enterEra(era, rendition, maker.config);
    return true;
  }

  #enterEra(era: EraOpened, rendition: AudioRendition, config: Uint8Array): void {
    if (this.#track?.era !== era.era) {
      this.#track?.track.end();
      this.#track = { era: era.era, config, track: this.#outlet.audio(era, rendition, config) };
    }
    assert.ok(Buffer.from(this.#track.config).equals(config), "equal settings give an equal configuration");
  }

  async #sendParts(open: OpenSegment, segment: Segment, settled: number, arrivedNs: bigint): Promise<void> {
    const { maker, parts } = open;
    open.ready.push(...(await maker.advance(parts.endFrame(segment.end))));
    for (;;) {
      const next = parts.next(segment.end, settled, open.ready.at(-1)?.frame ?? -1);
      if (next === null) return;
      const units = open.ready.filter(({ frame }) => frame < next.endFrame);
      open.ready = open.ready.filter(({ frame }) => frame >= next.endFrame);
      if (units.length === 0) continue;
      this.#track!.track.send({
        startIndex: units[0]!.frame,
        segmentStartIndex: parts.first,
        units: units.map(({ bytes }) => ({ bytes, key: true, durationIndexes: 1 })),
        lastOfSegment: parts.complete,
        newestArrivedNs: maker.newestArrivedNs || arrivedNs,
      });
    }
  }
}
