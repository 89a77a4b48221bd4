// One video rendition of one era: a fresh encoder for each segment, its units cut into parts, each part sent the moment
// its last unit is out. Rungs run beside each other.
import { assert } from "#base/assert.ts";
import type { Colour } from "#media/codec/vui.ts";
import type { VideoRendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { Av, EncodedUnit, Picture, VideoEncoder, VideoEncoderSettings } from "#platform/av/av.ts";
import { Lane } from "./lane.ts";
import type { Outlet, OutletTrack } from "./outlet.ts";

/** The next segment's encoder is opened this many frames before the segment ends (1 to 8 ms of work). */
const OPEN_AHEAD_FRAMES = 5;

/** Frames that may wait for one rung's encoder, each with its picture. */
const WAITING_FRAMES_MAX = 6;

/** Where a frame lies, as known when it is shown. */
export type FramePlace = Readonly<{
  frame: number;
  segmentStart: number;
  segmentEnd: number;
  partStart: number;
  partEnd: number;
}>;

type OpenPart = { start: number; units: EncodedUnit[]; newestArrivedNs: bigint };

export class VideoRung {
  readonly #av: Av;
  readonly #settings: VideoEncoderSettings;
  readonly #lane = new Lane(WAITING_FRAMES_MAX);
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
    const settings = { rendition, rate: era.rate, colour };
    const first = await av.openVideoEncoder(settings);
    return new VideoRung(av, settings, first, outlet.video(era, rendition, first.config));
  }

  get waiting(): number {
    return this.#lane.waiting;
  }

  /** Resolves when the frame is queued. Does not take over the picture. */
  show(place: FramePlace, picture: Picture, repeated: boolean, arrivedNs: bigint): Promise<void> {
    const own = picture.share();
    return this.#lane.push(
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

  /** The era is over: what is open is sent as it is. */
  async finish(): Promise<void> {
    await this.#lane.push(() => this.#closeSegment());
    await this.#lane.idle();
    await this.#closeSpare();
    this.#track.end();
  }

  /** Stop without sending what is open. Never rejects. */
  async abandon(reason: unknown): Promise<void> {
    await this.#lane.abandon(reason);
    await this.#encoder?.close();
    this.#encoder = null;
    await this.#closeSpare();
  }

  async #encode(place: FramePlace, picture: Picture, repeated: boolean, arrivedNs: bigint): Promise<void> {
    const { frame, segmentStart } = place;
    const key = this.#segmentStart !== segmentStart;
    if (key) await this.#openSegment(place);
    const ptsTicks = frame * this.#settings.rate.den;
    const units = await this.#encoder!.encode(picture, { ptsTicks, key, repeated });
    const unit = units[0];
    assert.ok(units.length === 1 && unit, "one unit for each frame");
    assert.ok(unit.ptsTicks === ptsTicks && unit.key === key, "of this frame, and a key frame where asked for");
    this.encodedFrames += 1;
    this.#part ??= { start: place.partStart, units: [], newestArrivedNs: arrivedNs };
    this.#part.units.push(unit);
    if (arrivedNs > this.#part.newestArrivedNs) this.#part.newestArrivedNs = arrivedNs;
    if (frame + 1 >= place.partEnd) this.#sendPart(frame + 1 >= place.segmentEnd);
    if (place.segmentEnd - frame <= OPEN_AHEAD_FRAMES) this.#openSpare();
  }

  async #openSegment({ frame, segmentStart }: FramePlace): Promise<void> {
    assert.equal(frame, segmentStart, "a segment is encoded from its first frame");
    await this.#closeSegment();
    this.#openSpare();
    this.#encoder = await this.#spare;
    this.#spare = null;
    assert.ok(Buffer.from(this.#config).equals(this.#encoder!.config), "equal settings give an equal configuration");
    this.#segmentStart = segmentStart;
  }

  /** A splice may have ended it earlier than its last frame knew. */
  async #closeSegment(): Promise<void> {
    if (this.#part) this.#sendPart(true);
    const encoder = this.#encoder;
    if (encoder === null) return;
    this.#encoder = null;
    const left = await encoder.drain();
    await encoder.close();
    assert.equal(left.length, 0, "an encoder without delay keeps nothing");
  }

  #sendPart(lastOfSegment: boolean): void {
    const part = this.#part!;
    this.#part = null;
    this.#track.send({
      startIndex: part.start,
      segmentStartIndex: this.#segmentStart!,
      units: part.units.map(({ bytes, key }) => ({ bytes, key })),
      lastOfSegment,
      newestArrivedNs: part.newestArrivedNs,
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
