// From OBUs to the units of a session log, for every container: the temporal unit without delimiters and padding, where
// decoding can start, and when the sequence changes. What the NAL unit codecs have in video-stream.ts.
import { PlatformError } from "#base/errors.ts";
import type { VideoTrack } from "#media/session-log/entries.ts";
import { hasFrameHeader, isKept, joinObus, OBU, type Obu, readFrameStart } from "./av1.ts";
import { buildAv1Config, parseSequence, sequenceOfConfig } from "./av1-sequence.ts";
import { isSameVideo, NO_HINTS, type VideoHints, type VideoUnit } from "./video-unit.ts";
import { SQUARE, UNSPECIFIED, videoRange } from "./vui.ts";

export class Av1Stream {
  readonly #number: number;
  #header: Obu | null = null;
  #reducedStill = false;
  /** The track is another, and no unit has said so yet: a sequence header may come without a frame. */
  #changed = false;
  #track: VideoTrack | null = null;
  #hints: VideoHints = NO_HINTS;

  constructor(track: number) {
    this.#number = track;
  }

  /** The track as of the last unit or configuration; null while its sequence header is unknown. */
  get track(): VideoTrack | null {
    return this.#track;
  }

  /** What to declare where the stream declares nothing. @returns whether the track changed */
  hint(hints: Partial<VideoHints>): boolean {
    this.#hints = { ...this.#hints, ...hints };
    return this.#refresh();
  }

  /** Take a configuration record. @returns whether the track changed
   *  @throws PlatformError media.truncated, media.malformed */
  configure(record: Uint8Array): boolean {
    const header = sequenceOfConfig(record);
    return header !== null && this.#take(header);
  }

  /** Whether this unit ends a temporal unit, which has one frame that is shown. */
  endsTemporalUnit(obu: Obu): boolean {
    return hasFrameHeader(obu.type) && readFrameStart(obu, this.#reducedStill)?.shown === true;
  }

  /** One temporal unit; null when it has no frame, or the sequence header is not known yet. The payload is new memory.
   *  @throws nothing: what is wrong is told in `damage` */
  unit(obus: readonly Obu[]): VideoUnit | null {
    let damage: string | null = null;
    let first: ReturnType<typeof readFrameStart> = null;
    for (const obu of obus) {
      try {
        if (obu.type === OBU.sequenceHeader) this.#changed = this.#take(obu) || this.#changed;
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        damage ??= error.message;
      }
      if (hasFrameHeader(obu.type)) first ??= readFrameStart(obu, this.#reducedStill);
    }
    if (first === null || this.#track === null) return null;
    const payload = joinObus(obus.filter(({ type }) => isKept(type)));
    const trackChanged = this.#changed;
    this.#changed = false;
    return { payload, randomAccess: first.key && first.shown, damage, trackChanged };
  }

  #take(header: Obu): boolean {
    if (this.#header?.bytes.equals(header.bytes)) return false;
    const { reducedStill } = parseSequence(header.bytes.subarray(header.payloadAt)); // throws before anything changes
    this.#header = { ...header, bytes: Buffer.from(header.bytes) };
    this.#reducedStill = reducedStill;
    return this.#refresh();
  }

  #refresh(): boolean {
    if (!this.#header) return false;
    const config = buildAv1Config(this.#header);
    const payload = this.#header.bytes.subarray(this.#header.payloadAt);
    const { width, height, bitDepth, colour, declaredRate } = parseSequence(payload);
    const transfer = colour.transfer === UNSPECIFIED ? (this.#hints.transfer ?? UNSPECIFIED) : colour.transfer;
    const track: VideoTrack = {
      track: this.#number,
      kind: "video",
      codec: "av1",
      config,
      width,
      height,
      pixelAspect: SQUARE,
      declaredRate: declaredRate ?? this.#hints.rate,
      interlaced: false,
      bitDepth,
      range: videoRange(transfer),
      rotation: 0,
    };
    const before = this.#track;
    this.#track = track;
    return before === null || !isSameVideo(before, track);
  }
}
