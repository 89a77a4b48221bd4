// Access units out of the PES of a video stream. One PES is one access unit in most streams; there may also be several
// in one (the time stamps are the first one's), or one in several (a length field has only 16 bits).
import { PlatformError } from "#base/errors.ts";
import { splitAnnexB } from "#media/codec/nal.ts";
import type { NalCodec } from "#media/codec/parameter-sets.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { VideoTrack } from "#media/session-log/entries.ts";
import type { Pes, PesTimes } from "./pes.ts";
import { CLOCK_RATE, type Stream, type StreamEvents, wrapped } from "./stream.ts";

export const VIDEO_BYTES_MAX = 8 * 1024 * 1024;

/** For units without own time stamps in a stream that declares no rate and has shown no step yet: 25 a second. */
const STEP_TICKS_DEFAULT = 3600;
const STEP_TICKS_MAX = CLOCK_RATE * 2;

type Held = { data: Buffer; times: PesTimes | null; randomAccess: boolean; damaged: boolean };

export class VideoPesStream implements Stream {
  readonly #stream: VideoStream;
  readonly #events: StreamEvents;
  /** May go on in the next PES. */
  #held: Held | null = null;
  #last: PesTimes | null = null;
  #stepTicks = STEP_TICKS_DEFAULT;

  constructor(track: number, codec: NalCodec, events: StreamEvents) {
    this.#stream = new VideoStream(track, codec);
    this.#events = events;
  }

  get track(): VideoTrack | null {
    return this.#stream.track;
  }

  pes(pes: Pes): void {
    const held = this.#held;
    this.#held = null;
    if (held && pes.times === null && held.data.length + pes.data.length <= VIDEO_BYTES_MAX) {
      const data = Buffer.concat([held.data, pes.data]);
      this.#next({ ...held, data, damaged: held.damaged || pes.damaged }, pes.mayContinue);
      return;
    }
    if (held) this.#units(held);
    const { times, randomAccess, damaged } = pes;
    this.#next({ data: pes.data, times, randomAccess, damaged }, pes.mayContinue);
  }

  flush(): void {
    const held = this.#held;
    this.#held = null;
    if (held) this.#units(held);
  }

  #next(next: Held, mayContinue: boolean): void {
    if (mayContinue) this.#held = { ...next, data: Buffer.from(next.data) };
    else this.#units(next);
  }

  #units({ data, times, randomAccess, damaged }: Held): void {
    const split = this.#split(data);
    if (!split) return;
    if (split.leading > 0) this.#events.lost("video data without a start code");
    const units = this.#stream.units(split.nals, { randomAccessHint: randomAccess, single: false });
    let at = times ?? this.#following();
    for (const unit of units) {
      if (unit.trackChanged) this.#events.trackChanged();
      if (unit.damage !== null) this.#events.lost(unit.damage);
      const isDamaged = damaged || split.leading > 0 || unit.damage !== null;
      if (at) this.#events.unit({ ...at, randomAccess: unit.randomAccess, damaged: isDamaged, payload: unit.payload });
      else this.#events.lost("a unit before the first time stamp");
      this.#remember(at, units.length === 1);
      at = this.#following();
    }
  }

  #split(data: Buffer): ReturnType<typeof splitAnnexB> | null {
    try {
      return splitAnnexB(data);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#events.lost(error.message);
      return null;
    }
  }

  #remember(at: PesTimes | null, alone: boolean): void {
    if (!at) return;
    const step = this.#last && alone ? wrapped(at.dtsTicks - this.#last.dtsTicks) : 0;
    const rate = this.#stream.track?.declaredRate;
    if (rate) this.#stepTicks = (CLOCK_RATE * rate.den) / rate.num;
    else if (step > 0 && step <= STEP_TICKS_MAX) this.#stepTicks = step;
    this.#last = at;
  }

  /** Times of a unit that has none of its own: one step after the one before, in decode order. */
  #following(): PesTimes | null {
    if (!this.#last) return null;
    const { ptsTicks, dtsTicks } = this.#last;
    return { ptsTicks: wrapped(ptsTicks + this.#stepTicks), dtsTicks: wrapped(dtsTicks + this.#stepTicks) };
  }
}
