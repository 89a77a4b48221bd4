// The pictures of one era on their way to its rungs: slots, segments and parts.
import { presumedColour } from "#media/codec/colour.ts";
import type { Colour } from "#media/codec/vui.ts";
import { isEncodedVideo, type VideoRendition } from "#media/ladder/rendition.ts";
import type { EraOpened, VideoTrack } from "#media/session-log/entries.ts";
import type { Segment, Timeline } from "#media/session-log/timeline.ts";
import type { Av } from "#platform/av/av.ts";
import type { Outlet } from "./outlet.ts";
import { Slots } from "./slots.ts";
import { type PictureSet, releaseSet } from "./video-input.ts";
import { VideoRung } from "./video-rung.ts";

const BT709: Colour = { primaries: 1, transfer: 1, matrix: 1, fullRange: false };
const BLACK = 16;
const NO_CHROMA = 128;

export type EraPicturesSettings = Readonly<{
  av: Av;
  outlet: Outlet;
  era: EraOpened;
  timeline: Timeline;
  /** The source as it was when the era opened; null when nobody knows. */
  track: VideoTrack | null;
  /** First slot that must be shown; null: that of the first picture. */
  first: number | null;
  /** Whether the segment is to be made. */
  isWanted: (segment: Segment) => boolean;
}>;

export class EraPictures {
  readonly #settings: EraPicturesSettings;
  readonly #rungs: readonly VideoRung[];
  readonly #slots: Slots<PictureSet>;
  lastFrame: number | null = null;
  #shown = 0;

  static async open(settings: EraPicturesSettings): Promise<EraPictures> {
    const { av, era, outlet, track } = settings;
    // The scaler gives limited range whatever came in.
    const colour = track === null ? BT709 : { ...presumedColour(track), fullRange: false };
    const rungs = await Promise.all(
      videoRenditions(era).map((rendition) => VideoRung.open(av, era, rendition, colour, outlet)),
    );
    return new EraPictures(settings, rungs);
  }

  private constructor(settings: EraPicturesSettings, rungs: readonly VideoRung[]) {
    this.#settings = settings;
    this.#rungs = rungs;
    this.#slots = new Slots({
      era: settings.era,
      timeline: settings.timeline,
      first: settings.first,
      show: (slot, set, repeated) => this.#show(slot, set, repeated),
      release: releaseSet,
      blank: () => this.#blank(),
    });
  }

  get era(): EraOpened {
    return this.#settings.era;
  }

  get encodedFrames(): number {
    return this.#rungs.reduce((sum, rung) => sum + rung.encodedFrames, 0);
  }

  get mediaSeconds(): number {
    return (this.#shown * this.era.rate.den) / this.era.rate.num;
  }

  /** Frames that wait for the slowest rung. */
  get waiting(): number {
    return Math.max(0, ...this.#rungs.map((rung) => rung.waiting));
  }

  /** Takes over the pictures. */
  picture(slot: number, set: PictureSet): Promise<void> {
    return this.#slots.picture(slot, set);
  }

  nextSlot(era: EraOpened): number | null {
    return era === this.era ? this.#slots.next : null;
  }

  /** No picture comes for slots of that era below `slot` any more. */
  async advance(era: EraOpened, slot: number): Promise<void> {
    if (era === this.era) await this.#slots.advance(slot);
  }

  /** @param end first frame that is no longer the era's */
  async finish(end: number): Promise<void> {
    await this.#slots.finish(end);
    await Promise.all(this.#rungs.map((rung) => rung.finish()));
  }

  /** Never rejects. */
  async abandon(reason: unknown): Promise<void> {
    this.#slots.close();
    await Promise.all(this.#rungs.map((rung) => rung.abandon(reason)));
  }

  async #show(frame: number, set: PictureSet, repeated: boolean): Promise<void> {
    const { era, timeline, isWanted } = this.#settings;
    const segment = timeline.segmentAt(era.era, frame);
    if (segment === null || !isWanted(segment)) return;
    const partStart = segment.start + Math.floor((frame - segment.start) / era.partFrames) * era.partFrames;
    const place = {
      frame,
      segmentStart: segment.start,
      segmentEnd: segment.end,
      partStart,
      partEnd: Math.min(partStart + era.partFrames, segment.end),
    };
    this.lastFrame = frame;
    this.#shown += 1;
    await Promise.all(this.#rungs.map((rung, i) => rung.show(place, set.pictures[i]!, repeated, set.arrivedNs)));
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

function videoRenditions(era: EraOpened): VideoRendition[] {
  return era.renditions.filter(isEncodedVideo);
}
