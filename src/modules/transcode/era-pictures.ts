// The pictures of one era on their way to its rungs: slots (or their own times), segments and parts.
import type { Colour } from "#media/codec/vui.ts";
import { isEncodedVideo, type VideoRendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import { partCell, ticksPerFrame } from "#media/time/source-ticks.ts";
import type { Av } from "#platform/av/av.ts";
import type { Outlet } from "./outlet.ts";
import { OwnTimes } from "./own-times.ts";
import { Slots } from "./slots.ts";
import { type PictureSet, releaseSet } from "./video-input.ts";
import { type FramePlace, VideoRung } from "./video-rung.ts";

export const BT709: Colour = { primaries: 1, transfer: 1, matrix: 1, fullRange: false };
const BLACK = 16;
const NO_CHROMA = 128;

export type EraPicturesSettings = Readonly<{
  av: Av;
  outlet: Outlet;
  era: EraOpened;
  timeline: Timeline;
  /** Of what comes from the scaler: the source's as it was when the era opened. */
  colour: Colour;
  /** First slot that must be shown; null: that of the first picture. */
  first: number | null;
  /** Whether the segment is to be made. */
  isWanted: (segment: Segment) => boolean;
}>;

export class EraPictures {
  readonly #settings: EraPicturesSettings;
  readonly #rungs: readonly VideoRung[];
  readonly #order: Slots<PictureSet> | OwnTimes<PictureSet>;
  lastFrame: number | null = null;
  #shown = 0;

  static async open(settings: EraPicturesSettings): Promise<EraPictures> {
    const { av, era, outlet, colour } = settings;
    const rungs = await Promise.all(
      videoRenditions(era).map((rendition) => VideoRung.open(av, era, rendition, colour, outlet)),
    );
    return new EraPictures(settings, rungs);
  }

  private constructor(settings: EraPicturesSettings, rungs: readonly VideoRung[]) {
    this.#settings = settings;
    this.#rungs = rungs;
    const { era, timeline, first } = settings;
    const common = { era, timeline, first, release: releaseSet, blank: () => this.#blank() };
    this.#order =
      era.mode === "grid"
        ? new Slots({ ...common, show: (slot, set, repeated) => this.#show(slot, set, repeated, null) })
        : new OwnTimes({
            ...common,
            show: (tick, set, repeated, previousEnd) => this.#show(tick, set, repeated, previousEnd),
            end: (tick) => this.#endSegment(tick),
          });
  }

  get era(): EraOpened {
    return this.#settings.era;
  }

  get encodedFrames(): number {
    return this.#rungs.reduce((sum, rung) => sum + rung.encodedFrames, 0);
  }

  get mediaSeconds(): number {
    return (this.#shown * this.era.frameRate.den) / this.era.frameRate.num;
  }

  /** Frames that wait for the slowest rung. */
  get waiting(): number {
    return Math.max(0, ...this.#rungs.map((rung) => rung.waiting));
  }

  /** Takes over the pictures. */
  picture(slot: number, set: PictureSet): Promise<void> {
    return this.#order.picture(slot, set);
  }

  /** Slots of that era below it are shown, or wait for a picture; null when nothing is waited for. */
  nextSlot(era: EraOpened): number | null {
    return era === this.era && this.#order instanceof Slots ? this.#order.next : null;
  }

  /** No picture comes for slots of that era below `slot` any more. */
  async advance(era: EraOpened, slot: number): Promise<void> {
    if (era === this.era) await this.#order.advance(slot);
  }

  /** @param end first frame that is no longer the era's */
  async finish(end: number): Promise<void> {
    await this.#order.finish(end);
    await Promise.all(this.#rungs.map((rung) => rung.finish(this.era.mode === "source" ? end : null)));
  }

  /** Never rejects. */
  async abandon(reason: unknown): Promise<void> {
    this.#order.close();
    await Promise.all(this.#rungs.map((rung) => rung.abandon(reason)));
  }

  async #show(frame: number, set: PictureSet, repeated: boolean, previousEnd: number | null): Promise<void> {
    const { era, timeline, isWanted } = this.#settings;
    const segment = timeline.segmentAt(era.era, frame);
    if (segment === null || !isWanted(segment)) return;
    const place =
      era.mode === "grid" ? placeInSlot(era, segment, frame) : placeInTime(era, segment, frame, previousEnd);
    this.lastFrame = frame;
    this.#shown += 1;
    await Promise.all(this.#rungs.map((rung, i) => rung.show(place, set.pictures[i]!, repeated, set.arrivedNs)));
  }

  async #endSegment(tick: number): Promise<void> {
    await Promise.all(this.#rungs.map((rung) => rung.endSegment(tick)));
  }

  #blank(): PictureSet {
    const pictures = videoRenditions(this.era).map(({ width, height }) => {
      const chroma = new Uint8Array((width * height) / 4).fill(NO_CHROMA);
      const planes = { y: new Uint8Array(width * height).fill(BLACK), u: chroma, v: chroma };
      return this.#settings.av.picture({ width, height }, planes, 0);
    });
    return { pictures, arrivedNs: 0n };
  }
}

function placeInSlot(era: EraOpened, segment: Segment, frame: number): FramePlace {
  const part = Math.floor((frame - segment.start) / era.partFrames);
  const partEnd = Math.min(segment.start + (part + 1) * era.partFrames, segment.end);
  return {
    frame,
    segmentStart: segment.start,
    part,
    end: frame + 1,
    endsPart: frame + 1 >= partEnd,
    endsSegment: frame + 1 >= segment.end,
    previousEnd: null,
    remaining: segment.end - frame,
  };
}

/** Nothing ends with it for sure: the next picture or the log says so. */
function placeInTime(era: EraOpened, segment: Segment, tick: number, previousEnd: number | null): FramePlace {
  const leastEnd = segment.start + era.segmentFrames;
  return {
    frame: tick,
    segmentStart: segment.start,
    part: partCell(segment.start, tick, era.partFrames),
    end: null,
    endsPart: false,
    endsSegment: false,
    previousEnd,
    remaining: Math.ceil((leastEnd - tick) / ticksPerFrame(era.rate, era.frameRate)),
  };
}

function videoRenditions(era: EraOpened): VideoRendition[] {
  return era.renditions.filter(isEncodedVideo);
}
