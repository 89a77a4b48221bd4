// One video rendition of one era: a fresh encoder for each segment, its units cut into parts, each part sent the moment
// its last unit is out and known to be the last. Rungs run beside each other.
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import type { VideoRendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Av, Picture, VideoEncoder, VideoEncoderSettings } from "#platform/av/av.ts";
import { JobQueue } from "./job-queue.ts";
import type { Outlet, OutletTrack } from "./outlet.ts";

/** The next segment's encoder is opened this many frames before the segment ends, or may end (1 to 8 ms of work). */
const OPEN_AHEAD_FRAMES = 5;

/** Frames that may wait for one rung's encoder, each with its picture. */
const WAITING_FRAMES_MAX = 6;

/** Where a frame lies, as known when it is shown. */
export type FramePlace = Readonly<{
  frame: number;
  segmentStart: number;
  /** Of the segment, from 0. */
  part: number;
  /** A frame later; null: this one lasts until the next one is shown, or the segment is ended. */
  end: number | null;
  endsPart: boolean;
  endsSegment: boolean;
  /** Where the frame shown before ends, when it was not told with it. */
  previousEnd: number | null;
  /** Frames until the segment ends at the earliest; less than 0 when that is past. */
  remaining: number;
}>;

type Coded = Readonly<{ frame: number; bytes: Uint8Array; key: boolean }>;
type OpenPart = { part: number; units: Coded[]; newestArrivedNs: bigint };

export class VideoRung {
  readonly #av: Av;
  readonly #settings: VideoEncoderSettings;
  readonly #jobs = new JobQueue(WAITING_FRAMES_MAX);
  readonly #track: OutletTrack;
  /** avcC of the init segment; every encoder's must equal it. */
  readonly #config: Uint8Array;
  #spare: Promise<VideoEncoder> | null;
  #encoder: VideoEncoder | null = null;
  #segmentStart: number | null = null;
  #part: OpenPart | null = null;
  encodedFrames = 0;

  private constructor(av: Av, settings: VideoEncoderSettings, first: VideoEncoder, track: OutletTrack) {
    this.#av = av;
    this.#settings = settings;
    this.#config = first.config;
    this.#spare = Promise.resolve(first);
    this.#track = track;
  }

  static async open(
    av: Av,
    era: EraOpened,
    rendition: VideoRendition,
    colour: Colour,
    outlet: Outlet,
  ): Promise<VideoRung> {
    const free = era.mode === "source" ? { frameRate: era.frameRate } : {};
    const settings = { rendition, rate: era.rate, colour, ...free };
    const first = await av.openVideoEncoder(settings);
    return new VideoRung(av, settings, first, outlet.video(era, rendition, first.config));
  }

  get waiting(): number {
    return this.#jobs.waiting;
  }

  /** Resolves when the frame is queued. Does not take over the picture. */
  show(place: FramePlace, picture: Picture, repeated: boolean, arrivedNs: bigint): Promise<void> {
    const own = picture.share();
    return this.#jobs.push(
      async () => {
        try {
          await this.#encode(place, own, repeated, arrivedNs);
        } finally {
          own.release();
        }
      },
      () => own.release(),
    );
  }

  /** The open segment ends there: what is open of it is sent. Nothing when none is open. */
  endSegment(end: number): Promise<void> {
    return this.#jobs.push(() => this.#closeSegment(end));
  }

  /** The era is over: what is open is sent as it is. @param end of the last frame; null: it is one frame long */
  async finish(end: number | null): Promise<void> {
    await this.#jobs.push(() => this.#closeSegment(end));
    await this.#jobs.idle();
    await this.#closeSpare();
    this.#track.end();
  }

  /** Stop without sending what is open. Never rejects. */
  async abandon(reason: unknown): Promise<void> {
    await this.#jobs.abandon(reason);
    await this.#encoder?.close();
    this.#encoder = null;
    await this.#closeSpare();
  }

  async #encode(place: FramePlace, picture: Picture, repeated: boolean, arrivedNs: bigint): Promise<void> {
    const { frame, segmentStart } = place;
    const key = this.#segmentStart !== segmentStart;
    if (key) await this.#openSegment(place);
    else if (this.#part && this.#part.part !== place.part) this.#sendPart(place.previousEnd, false);
    const ptsTicks = frame * this.#settings.rate.den;
    const units = await this.#encoder!.encode(picture, { ptsTicks, key, repeated });
    const unit = units[0];
    assert.ok(units.length === 1 && unit, "one unit for each frame");
    assert.ok(unit.ptsTicks === ptsTicks && unit.key === key, "of this frame, and a key frame where asked for");
    this.encodedFrames += 1;
    this.#part ??= { part: place.part, units: [], newestArrivedNs: arrivedNs };
    this.#part.units.push({ frame, bytes: unit.bytes, key });
    if (arrivedNs > this.#part.newestArrivedNs) this.#part.newestArrivedNs = arrivedNs;
    if (place.endsPart) this.#sendPart(place.end, place.endsSegment);
    if (place.remaining <= OPEN_AHEAD_FRAMES) this.#openSpare();
  }

  async #openSegment({ frame, segmentStart, previousEnd }: FramePlace): Promise<void> {
    assert.equal(frame, segmentStart, "a segment is encoded from its first frame");
    await this.#closeSegment(previousEnd);
    this.#openSpare();
    this.#encoder = await this.#spare;
    this.#spare = null;
    assert.ok(Buffer.from(this.#config).equals(this.#encoder!.config), "equal settings give an equal configuration");
    this.#segmentStart = segmentStart;
  }

  /** What ended it (a splice, a boundary) may have come after its last frame. */
  async #closeSegment(end: number | null): Promise<void> {
    if (this.#part) this.#sendPart(end, true);
    const encoder = this.#encoder;
    if (encoder === null) return;
    this.#encoder = null;
    const left = await encoder.drain();
    await encoder.close();
    assert.equal(left.length, 0, "an encoder without delay keeps nothing");
  }

  /** Each frame lasts until the next one. @param end of the last; null: it is one frame long */
  #sendPart(end: number | null, lastOfSegment: boolean): void {
    const { units, newestArrivedNs } = this.#part!;
    this.#part = null;
    const startOf = (place: number) => units[place]?.frame ?? end ?? units[place - 1]!.frame + 1;
    this.#track.send({
      startIndex: startOf(0),
      segmentStartIndex: this.#segmentStart!,
      units: units.map(({ bytes, key }, i) => ({ bytes, key, durationIndexes: startOf(i + 1) - startOf(i) })),
      lastOfSegment,
      newestArrivedNs,
    });
  }

  #openSpare(): void {
    if (this.#spare !== null) return;
    this.#spare = this.#av.openVideoEncoder(this.#settings);
    this.#spare.catch(() => {}); // told where it is awaited
  }

  async #closeSpare(): Promise<void> {
    const spare = this.#spare;
    this.#spare = null;
    if (spare === null) return;
    await spare.then(
      (encoder) => encoder.close(),
      () => {},
    );
  }
}
