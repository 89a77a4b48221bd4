// Raw AAC frames out of the PES of an ADTS stream. Frames do not heed PES borders: a PES holds several, and the last one
// may end in the next. The time stamp of a PES is that of the first frame that begins in it; later ones count samples
// from there, so that rounding does not add up.
import { PlatformError } from "#base/errors.ts";
import { ADTS_HEADER_BYTES, type AdtsHeader, aacTrack, buildAacConfig, parseAdts } from "#media/codec/aac.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import type { Pes } from "./pes.ts";
import { CLOCK_RATE, type Stream, type StreamEvents, wrapped } from "./stream.ts";

export const AUDIO_BYTES_MAX = 256 * 1024;
const SAMPLES = 1024;

export class AdtsPesStream implements Stream {
  readonly #number: number;
  readonly #language: string;
  readonly #events: StreamEvents;
  #track: AudioTrack | null = null;
  /** Begin of a frame whose end has not come yet: less than the 8191 bytes a frame can have. */
  #rest: Buffer = Buffer.alloc(0);
  #restDamaged = false;
  /** Header of the last frame. */
  #last: AdtsHeader | null = null;
  #anchorTicks: number | null = null;
  #samples = 0;

  constructor(track: number, language: string, events: StreamEvents) {
    this.#number = track;
    this.#language = language;
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
    while (at + ADTS_HEADER_BYTES <= bytes.length) {
      const header = parseAdts(bytes, at);
      if (!header || (!(inStep && this.#isUsual(header)) && !this.#isFollowed(bytes, at, header))) {
        if (inStep) this.#events.lost("no AAC frame where one should begin");
        inStep = false;
        const next = bytes.indexOf(0xff, at + 1);
        at = next < 0 ? bytes.length : next;
        continue;
      }
      if (at >= own && stamp !== null) {
        this.#anchor(stamp);
        stamp = null;
      }
      if (at + header.frameBytes > bytes.length) break;
      this.#frame(bytes.subarray(at + header.headerBytes, at + header.frameBytes), header, damaged);
      inStep = true;
      this.#last = header;
      at += header.frameBytes;
    }
    if (at >= own && at < bytes.length && stamp !== null) this.#anchor(stamp);
    this.#rest = Buffer.from(bytes.subarray(at));
    this.#restDamaged = pes.damaged && this.#rest.length > 0;
  }

  flush(): void {
    if (this.#rest.length > 0) this.#events.lost("the end of an AAC frame is missing");
    this.#rest = Buffer.alloc(0);
    this.#restDamaged = false;
  }

  #anchor(ticks: number): void {
    this.#anchorTicks = ticks;
    this.#samples = 0;
  }

  #frame(raw: Buffer, header: AdtsHeader, damaged: boolean): void {
    const ticks =
      this.#anchorTicks === null ? null : this.#anchorTicks + (this.#samples * CLOCK_RATE) / header.sampleRate;
    this.#samples += SAMPLES * header.blocks;
    if (header.blocks > 1) {
      this.#events.unsupported("ADTS frames with several raw data blocks");
      return;
    }
    if (!this.#describe(header, damaged)) return;
    if (ticks === null) {
      this.#events.lost("a unit before the first time stamp");
      return;
    }
    const ptsTicks = wrapped(ticks);
    const payload = Uint8Array.prototype.slice.call(raw); // a copy: the PES buffer is used again
    this.#events.unit({ ptsTicks, dtsTicks: ptsTicks, randomAccess: true, damaged, payload });
  }

  /** @returns whether frames with this header can be taken */
  #describe(header: AdtsHeader, damaged: boolean): boolean {
    const { objectType, sampleRate, channels } = header;
    try {
      const config = buildAacConfig(objectType, sampleRate, channels);
      if (this.#track && config.equals(this.#track.config)) return true;
      if (damaged) return false; // noise that looks like a header must not change the track
      this.#track = aacTrack(this.#number, config, this.#language);
      this.#events.trackChanged();
      return true;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (!damaged) this.#events.unsupported(error.message);
      return false;
    }
  }

  /** Whether it says what the frames before said; the first one has nothing to differ from. */
  #isUsual(header: AdtsHeader): boolean {
    return this.#last === null || isSameStream(this.#last, header);
  }

  /** Whether this is a frame, by where it ends: with the data, or before another frame of its kind. */
  #isFollowed(bytes: Buffer, at: number, header: AdtsHeader): boolean {
    const end = at + header.frameBytes;
    if (end === bytes.length) return true;
    if (end + ADTS_HEADER_BYTES > bytes.length) return this.#isUsual(header); // cannot be seen yet
    const next = parseAdts(bytes, end);
    return next !== null && isSameStream(header, next);
  }
}

function isSameStream(a: AdtsHeader, b: AdtsHeader): boolean {
  return a.sampleRate === b.sampleRate && a.channels === b.channels && a.objectType === b.objectType;
}
