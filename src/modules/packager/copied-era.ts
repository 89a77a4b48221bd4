// The copied renditions of one era in `source` mode, and how far its log has been told.
import { assert } from "#base/assert.ts";
import { type CopiedAudio, type CopiedVideo, isCopied } from "#media/ladder/rendition.ts";
import { type EraOpened, type Hole, INTERLEAVE_MAX_NS, type Track, type Unit } from "#media/session-log/entries.ts";
import type { CmafSink } from "#media/session-log/maker-ports.ts";
import { leadOf } from "#media/session-log/tracks.ts";
import { indexAt, indexAtOrAfter, type Rate, timeOf } from "#media/time/rate.ts";
import { cmafTrack } from "./cmaf-track.ts";
import type { Lane } from "./lane.ts";
import { type MadePart, PartMaker } from "./part-maker.ts";
import { PictureLane } from "./picture-lane.ts";
import { SoundLane } from "./sound-lane.ts";
import { TrackOutlet } from "./track-outlet.ts";

export type CopiedEraOptions = Readonly<{
  era: EraOpened;
  /** As the era opened. */
  tracks: readonly Track[];
  sinks: readonly CmafSink[];
  onPart: (part: MadePart) => void;
}>;

export class CopiedEra {
  readonly era: EraOpened;
  readonly #lanes: Lane[] = [];
  readonly #byTrack = new Map<number, Lane[]>();
  readonly #outlets: TrackOutlet[] = [];
  /** Boundaries follow this track. */
  readonly #leader: Track | null;
  readonly #leaderSamples: Rate;
  /** No boundary comes below, in frames of the era. */
  #known: number;

  constructor(options: CopiedEraOptions) {
    const { era, tracks } = options;
    this.era = era;
    this.#known = era.frame;
    const leader = leadOf(tracks);
    this.#leader = leader;
    this.#leaderSamples = { num: leader?.kind === "audio" ? leader.sampleRate : 1, den: 1 };
    for (const rendition of era.renditions) if (isCopied(rendition)) this.#open(rendition, options);
  }

  /** First frame that nothing is known of. */
  get known(): number {
    return this.#known;
  }

  unit(unit: Unit): void {
    const own = this.#byTrack.get(unit.track);
    if (own) for (const lane of own) lane.unit(unit);
    const known = this.#knownAfter(unit);
    const isNews = known > this.#known;
    if (isNews) this.#known = known;
    const waiting = isNews ? this.#lanes : (own ?? []);
    for (const lane of waiting) lane.settle(this.#known, unit.arrivedNs);
  }

  boundary(frame: number): void {
    for (const lane of this.#lanes) lane.boundary(frame);
  }

  hole({ from, to }: Hole): void {
    for (const lane of this.#lanes) lane.stop(from);
    this.#known = Math.max(this.#known, to);
  }

  /** Nothing at or after `frame` is the era's own. */
  finish(frame: number): void {
    for (const lane of this.#lanes) lane.stop(frame);
    for (const outlet of this.#outlets) outlet.end();
  }

  /** The leader's picture stands behind every boundary before it. What leads without pictures is cut at the middle of its
   *  frames. From another track follows what can no longer come. */
  #knownAfter({ track, index, timeNs }: Unit): number {
    const { rate } = this.era;
    if (track !== this.#leader?.track) return indexAtOrAfter(rate, timeNs - INTERLEAVE_MAX_NS);
    if (this.#leader.kind === "video") return index + 1;
    const endNs = timeOf(this.#leaderSamples, index + this.#leader.samplesPerUnit);
    return indexAt(rate, (timeNs + endNs) / 2n) + 1;
  }

  #open(rendition: CopiedVideo | CopiedAudio, { era, tracks, sinks, onPart }: CopiedEraOptions): void {
    const track = tracks.find((candidate) => candidate.track === rendition.track);
    assert.ok(track && track.kind === rendition.kind, `${rendition.name} is copied from a track the log announced`);
    const outlet = new TrackOutlet(sinks, rendition, era.era, () => cmafTrack(track, era));
    const send = (part: MadePart) => {
      outlet.send(part);
      onPart(part);
    };
    const maker = new PartMaker(cellTicks(era, rendition), send);
    const lane =
      track.kind === "video"
        ? new PictureLane({ era, track, maker, leads: track === this.#leader })
        : new SoundLane({ era, track, maker });
    this.#outlets.push(outlet);
    this.#lanes.push(lane);
    this.#byTrack.set(track.track, [...(this.#byTrack.get(track.track) ?? []), lane]);
  }
}

/** Width of a part's cell in ticks of the rendition's track. */
function cellTicks({ rate, partFrames }: EraOpened, rendition: CopiedVideo | CopiedAudio): number {
  if (rendition.kind === "video") return partFrames;
  return Math.max(1, Math.floor((partFrames * rate.den * rendition.sampleRate) / rate.num));
}
