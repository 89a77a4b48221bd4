// Coded audio frames out of the PES of an elementary stream, whatever the codec. Frames do not heed PES borders: a PES
// holds several, and the last one may end in the next. The time stamp of a PES is that of the first frame that begins in
// it; later ones count samples from there, so that rounding does not add up.
import { PlatformError } from "#base/errors.ts";
import { type AudioSyntax, type FrameHead, isSameAudio } from "#media/codec/audio-syntax.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import type { Pes } from "./pes.ts";
import { CLOCK_RATE, type Stream, type StreamEvents, wrapped } from "./stream.ts";

export const AUDIO_BYTES_MAX = 256 * 1024;
/** A frame whose end is further away is none: the largest there are (Opus of 120 ms in many streams) have half of it. */
const FRAME_BYTES_MAX = 128 * 1024;

/** Frames that go together as one unit; most codecs have one. */
type Unit = { frames: Buffer[]; head: FrameHead; samples: number; ticks: number | null; damaged: boolean };

export class AudioPesStream implements Stream {
  readonly #number: number;
  readonly #language: string;
  readonly #syntax: AudioSyntax;
  readonly #events: StreamEvents;
  #track: AudioTrack | null = null;
  /** Begin of a frame whose end has not come yet: at most FRAME_BYTES_MAX. */
  #rest: Buffer = Buffer.alloc(0);
  #restDamaged = false;
  /** Key of the last frame. */
  #key: number | null = null;
  #anchorTicks: number | null = null;
  #samples = 0;
  #unit: Unit | null = null;

  constructor(track: number, language: string, syntax: AudioSyntax, events: StreamEvents) {
    this.#number = track;
    this.#language = language;
    this.#syntax = syntax;
    this.#events = events;
  }

  get track(): AudioTrack | null {
    return this.#track;
  }

  pes(pes: Pes): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, pes.data]) : pes.data;
    const own = this.#rest.length; // what begins before is of an earlier PES
    const damaged = pes.damaged || this.#restDamaged;
    let stamp = pes.times?.ptsTicks ?? null;
    let inStep = true;
    let at = 0;
    while (at < bytes.length) {
      const head = this.#syntax.read(bytes, at);
      if (head === "more") break;
      if (!head || !this.#isPlausible(head, inStep, bytes, at)) {
        if (inStep) this.#events.lost(`no ${this.#syntax.name} frame where one should begin`);
        inStep = false;
        const next = bytes.indexOf(this.#syntax.firstByte, at + 1);
        at = next < 0 ? bytes.length : next;
        continue;
      }
      if (at >= own && stamp !== null) {
        this.#anchor(stamp);
        stamp = null;
      }
      if (at + head.frameBytes > bytes.length) break;
      this.#frame(bytes.subarray(at, at + head.frameBytes), head, damaged);
      inStep = true;
      this.#key = head.key;
      at += head.frameBytes;
    }
    if (at >= own && at < bytes.length && stamp !== null) this.#anchor(stamp);
    if (at >= bytes.length) this.#closeIfFull();
    this.#keep(bytes.subarray(at), pes.damaged);
  }

  flush(): void {
    this.#closeIfFull();
    if (this.#rest.length > 0 || this.#unit) this.#events.lost(`the end of an ${this.#syntax.name} frame is missing`);
    this.#unit = null;
    this.#rest = Buffer.alloc(0);
    this.#restDamaged = false;
  }

  #keep(rest: Buffer, damaged: boolean): void {
    const fits = rest.length <= FRAME_BYTES_MAX;
    if (!fits) this.#events.lost(`an ${this.#syntax.name} frame without end`);
    this.#rest = fits ? Buffer.from(rest) : Buffer.alloc(0); // a copy: the PES buffer is used again
    this.#restDamaged = damaged && this.#rest.length > 0;
  }

  #anchor(ticks: number): void {
    this.#anchorTicks = ticks;
    this.#samples = 0;
  }

  #frame(frame: Buffer, head: FrameHead, damaged: boolean): void {
    const extendsUnit = head.samples === 0 || (this.#unit !== null && this.#unit.samples < this.#unit.head.unitSamples);
    if (!extendsUnit) this.#close();
    const ticks =
      this.#anchorTicks === null ? null : this.#anchorTicks + (this.#samples * CLOCK_RATE) / head.sampleRate;
    this.#samples += head.samples;
    if (this.#unit) {
      this.#unit.frames.push(Buffer.from(frame));
      this.#unit.samples += head.samples;
      this.#unit.damaged ||= damaged;
    } else if (head.samples === 0) this.#events.lost(`a part of an ${this.#syntax.name} frame without its first one`);
    else if (head.samples >= head.unitSamples && !head.mayGrow)
      this.#put({ frames: [frame], head, samples: head.samples, ticks, damaged });
    else this.#unit = { frames: [Buffer.from(frame)], head, samples: head.samples, ticks, damaged };
  }

  /** At the end of a PES: all parts of a unit are in it, unless its frames are many. */
  #closeIfFull(): void {
    if (this.#unit && this.#unit.samples >= this.#unit.head.unitSamples) this.#close();
  }

  #close(): void {
    const unit = this.#unit;
    this.#unit = null;
    if (!unit) return;
    const { samples, head } = unit;
    if (samples < head.unitSamples) this.#events.lost(`${samples} samples instead of ${head.unitSamples} in a unit`);
    else this.#put(unit);
  }

  #put({ frames, head, ticks, damaged }: Unit): void {
    const unit = frames.length === 1 ? frames[0]! : Buffer.concat(frames);
    const payload = this.#describe(unit, head, damaged);
    if (!payload) return;
    if (ticks === null) {
      this.#events.lost("a unit before the first time stamp");
      return;
    }
    const ptsTicks = wrapped(ticks);
    this.#events.unit({ ptsTicks, dtsTicks: ptsTicks, randomAccess: true, damaged, payload });
  }

  /** @returns the payload, when units like this one can be taken; a copy, as the PES buffer is used again */
  #describe(unit: Buffer, head: FrameHead, damaged: boolean): Uint8Array | null {
    try {
      const description = this.#syntax.describe(unit, head);
      if (!description) return null;
      const track: AudioTrack = { ...description, track: this.#number, kind: "audio", language: this.#language };
      if (!this.#track || !isSameAudio(this.#track, track)) {
        if (damaged) return null; // noise that looks like a header must not change the track
        this.#track = track;
        this.#events.trackChanged();
      }
      return this.#syntax.payload?.(unit) ?? Uint8Array.prototype.slice.call(unit, head.skipBytes);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (error.code !== "media.unsupported") this.#events.lost(error.message);
      else if (!damaged) this.#events.unsupported(error.message);
      return null;
    }
  }

  /** Whether a frame begins there. One that says what the frames before said, where it was expected, is believed; any
   *  other must end with the data or before another of its kind. */
  #isPlausible(head: FrameHead, inStep: boolean, bytes: Buffer, at: number): boolean {
    if (head.frameBytes > FRAME_BYTES_MAX) return false;
    const isUsual = this.#key === null || this.#key === head.key;
    if (inStep && isUsual) return true;
    const end = at + head.frameBytes;
    if (end === bytes.length) return true;
    const next = end < bytes.length ? this.#syntax.read(bytes, end) : "more";
    return next === "more" ? isUsual : next !== null && next.key === head.key;
  }
}
