// From the log's video units to scaled pictures: one decoder for the whole ladder, opened afresh at each instant refresh
// (IDR), so that what it makes of a damaged stretch does not depend on what it saw before, nor on when a worker joined.
import { assert } from "#base/assert.ts";
import { isInstantRefresh } from "#media/codec/video-stream.ts";
import type { Colour } from "#media/codec/vui.ts";
import { isEncodedVideo } from "#media/ladder/rendition.ts";
import type { EraOpened, Unit, VideoTrack } from "#media/session-log/entries.ts";
import type { Av, Picture, Scaler, VideoDecoder } from "#platform/av/av.ts";

/** One decoded picture in the sizes of all rungs, in their order. */
export type PictureSet = Readonly<{ pictures: readonly Picture[]; arrivedNs: bigint }>;

export function releaseSet(set: PictureSet): void {
  for (const picture of set.pictures) picture.release();
}

export type SlottedSet = Readonly<{
  era: EraOpened;
  slot: number;
  set: PictureSet;
  /** Equal to what a worker that began earlier has here. False for a deinterlacer's first. */
  settled: boolean;
}>;

type Placed = Readonly<{ era: EraOpened; slot: number; arrivedNs: bigint }>;

type OpenScaler = { scaler: Scaler; era: EraOpened; track: VideoTrack; sets: number };

/** More units than H.264 and HEVC decoders hold back (16): what is older gave no picture and never will. */
const DECODING_MAX = 32;

export class VideoInput {
  readonly #av: Av;
  /** Nothing precedes the first unit, for nobody. */
  readonly #atLogStart: boolean;
  readonly #colourOf: (era: EraOpened) => Colour;
  readonly #emit: (set: SlottedSet) => Promise<void>;
  #track: VideoTrack | null = null;
  #decoder: VideoDecoder | null = null;
  #scaler: OpenScaler | null = null;
  #graphs = 0;
  #nextTag = 0;
  /** By tag: inside the decoder, and inside the scaler. */
  readonly #decoding = new Map<number, Placed>();
  readonly #scaling = new Map<number, Placed>();
  damagedUnits = 0;
  skippedUnits = 0;

  /** @param colourOf what an era's pictures shall have */
  constructor(
    av: Av,
    atLogStart: boolean,
    colourOf: (era: EraOpened) => Colour,
    emit: (set: SlottedSet) => Promise<void>,
  ) {
    this.#av = av;
    this.#atLogStart = atLogStart;
    this.#colourOf = colourOf;
    this.#emit = emit;
  }

  /** The lowest slot of an era whose picture may still come out; null when nothing is inside. */
  lowestInside(era: EraOpened): number | null {
    let lowest: number | null = null;
    for (const placed of [...this.#decoding.values(), ...this.#scaling.values()])
      if (placed.era === era && (lowest === null || placed.slot < lowest)) lowest = placed.slot;
    return lowest;
  }

  async unit(track: VideoTrack, unit: Unit, era: EraOpened, slot: number): Promise<void> {
    if (this.#track !== track) await this.#retrack(track);
    if (unit.damaged) this.damagedUnits += 1;
    if (unit.randomAccess && (this.#decoder === null || isInstantRefresh(track.codec, unit.payload)))
      await this.#reopen(track, unit);
    if (this.#decoder === null) {
      this.skippedUnits += 1; // its references are gone, or it precedes the first random access point
      return;
    }
    const tag = this.#nextTag++;
    this.#decoding.set(tag, { era, slot, arrivedNs: unit.arrivedNs });
    if (this.#decoding.size > DECODING_MAX) this.#decoding.delete(this.#decoding.keys().next().value!);
    await this.#decoded(await this.#decoder.decode({ payload: unit.payload, tag }));
  }

  /** Whatever is inside comes out; decoding goes on at the next random access point. */
  async drain(): Promise<void> {
    await this.#closeDecoder();
    await this.#closeScaler();
  }

  /** The group of pictures is whole: the decoder gives what it holds. The scaler may still hold one back. */
  async endGroup(): Promise<void> {
    await this.#closeDecoder();
  }

  /** Without what is inside. */
  async close(): Promise<void> {
    await this.#decoder?.close();
    await this.#scaler?.scaler.close();
    this.#decoder = null;
    this.#scaler = null;
    this.#decoding.clear();
    this.#scaling.clear();
  }

  async #retrack(track: VideoTrack): Promise<void> {
    await this.#closeDecoder();
    this.#track = track;
  }

  async #reopen(track: VideoTrack, unit: Unit): Promise<void> {
    await this.#closeDecoder();
    this.#decoder = await this.#av.openVideoDecoder({
      codec: track.codec,
      config: track.config,
      reorders: unit.timeNs > unit.decodeNs,
    });
  }

  async #closeDecoder(): Promise<void> {
    const decoder = this.#decoder;
    if (decoder === null) return;
    this.#decoder = null;
    try {
      await this.#decoded(await decoder.drain());
    } finally {
      await decoder.close();
    }
    this.#decoding.clear(); // units that gave no picture: they were broken
  }

  async #decoded(pictures: Picture[]): Promise<void> {
    for (const [i, picture] of pictures.entries()) {
      const placed = this.#decoding.get(picture.tag);
      this.#decoding.delete(picture.tag);
      if (!placed) {
        picture.release(); // a second picture of one unit
        continue;
      }
      try {
        await this.#scale(picture, placed);
      } catch (error) {
        for (const rest of pictures.slice(i + 1)) rest.release();
        throw error;
      }
    }
  }

  async #scale(picture: Picture, placed: Placed): Promise<void> {
    const { era } = placed;
    const track = this.#track!;
    if (!era.renditions.some(isEncodedVideo)) {
      picture.release(); // only others refer to it
      return;
    }
    if (this.#scaler && (this.#scaler.era !== era || !isScaledAlike(this.#scaler.track, track)))
      await this.#closeScaler();
    if (this.#scaler === null) {
      const outputs = era.renditions.filter(isEncodedVideo);
      const { interlaced: deinterlace, rotation, range } = track;
      const colour = this.#colourOf(era);
      const scaler = await this.#av.openScaler({ deinterlace, rotation, range, colour, outputs });
      this.#scaler = { scaler, era, track, sets: 0 };
      this.#graphs += 1;
    }
    this.#scaling.set(picture.tag, placed);
    await this.#emitSets(await this.#scaler.scaler.scale(picture));
  }

  async #closeScaler(): Promise<void> {
    const scaler = this.#scaler;
    if (scaler === null) return;
    try {
      await this.#emitSets(await scaler.scaler.drain());
    } finally {
      this.#scaler = null;
      await scaler.scaler.close();
    }
  }

  async #emitSets(sets: Picture[][]): Promise<void> {
    const scaler = this.#scaler;
    assert.ok(scaler);
    for (const pictures of sets) {
      const tag = pictures[0]!.tag;
      const placed = this.#scaling.get(tag);
      assert.ok(placed, "what the scaler gives is known by its tag");
      this.#scaling.delete(tag);
      const settled = scaler.sets > 0 || !scaler.track.interlaced || this.#graphs > 1 || this.#atLogStart;
      scaler.sets += 1;
      await this.#emit({ era: placed.era, slot: placed.slot, set: { pictures, arrivedNs: placed.arrivedNs }, settled });
    }
  }
}

/** Size and format a scaler sees for itself. */
function isScaledAlike(a: VideoTrack, b: VideoTrack): boolean {
  return a.interlaced === b.interlaced && a.rotation === b.rotation && a.range === b.range;
}
