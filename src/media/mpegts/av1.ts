// Temporal units out of the PES of an AV1 stream. A PES holds one frame, and a temporal unit ends with the frame that is
// shown: the ones before it (decoded for later) wait for it.
// The units of the bitstream come behind start codes, with emulation prevention as NAL units have it; senders that put
// them in as they are, one temporal unit per PES, are understood too: no such unit begins like a start code.
// Source: Carriage of AV1 in MPEG-2 TS (AOM), 3 and 4
import { PlatformError } from "#base/errors.ts";
import { OBU, type Obu, readObu, splitObus } from "#media/codec/av1.ts";
import { Av1Stream } from "#media/codec/av1-stream.ts";
import { unescapeNal } from "#media/codec/bits.ts";
import { NALS_MAX } from "#media/codec/nal.ts";
import type { VideoTrack } from "#media/session-log/entries.ts";
import type { Pes, PesTimes } from "./pes.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { VIDEO_BYTES_MAX } from "./video.ts";

const START_CODE = Buffer.of(0, 0, 1);

type Open = { obus: Obu[]; bytes: number; times: PesTimes | null; firstTimes: PesTimes | null; damaged: boolean };

export class Av1PesStream implements Stream {
  readonly #stream: Av1Stream;
  readonly #events: StreamEvents;
  #open: Open = fresh();

  constructor(track: number, events: StreamEvents) {
    this.#stream = new Av1Stream(track);
    this.#events = events;
  }

  get track(): VideoTrack | null {
    return this.#stream.track;
  }

  pes({ data, times, damaged }: Pes): void {
    const obus = this.#split(data, damaged);
    this.#open.damaged ||= damaged;
    for (const obu of obus) {
      if (obu.type === OBU.temporalDelimiter) {
        this.#close();
        continue;
      }
      this.#open.damaged ||= damaged;
      this.#open.firstTimes ??= times;
      this.#open.times = times ?? this.#open.times;
      this.#open.obus.push({ ...obu, bytes: Buffer.from(obu.bytes) }); // a copy: the PES buffer is used again
      this.#open.bytes += obu.bytes.length;
      if (this.#open.bytes > VIDEO_BYTES_MAX) {
        this.#events.lost(`a unit of more than ${VIDEO_BYTES_MAX} bytes`);
        this.#open = { ...fresh(), damaged: true };
      }
    }
    if (obus.some((obu) => this.#stream.endsTemporalUnit(obu))) this.#close();
  }

  flush(): void {
    this.#close();
  }

  #split(data: Buffer, damaged: boolean): Obu[] {
    try {
      if (data.indexOf(START_CODE) !== 0) return splitObus(data);
      return splitStartCodes(data).map((bytes) => readObu(unescapeNal(bytes)));
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (!damaged) this.#events.lost(error.message);
      this.#open.damaged = true;
      return [];
    }
  }

  #close(): void {
    const { obus, times, firstTimes, damaged } = this.#open;
    this.#open = fresh();
    if (obus.length === 0) return;
    const unit = this.#stream.unit(obus);
    if (!unit) return;
    if (unit.trackChanged) this.#events.trackChanged();
    if (unit.damage !== null) this.#events.lost(unit.damage);
    if (!times || !firstTimes) {
      this.#events.lost("a unit without a time stamp");
      return;
    }
    const { payload, randomAccess } = unit;
    const { ptsTicks } = times;
    const isDamaged = damaged || unit.damage !== null;
    this.#events.unit({ ptsTicks, dtsTicks: firstTimes.dtsTicks, randomAccess, damaged: isDamaged, payload });
  }
}

/** Unlike a NAL unit, one of these may end with zero bytes: they are its own.
 *  @throws PlatformError media.malformed when there are more than NALS_MAX */
function splitStartCodes(data: Buffer): Buffer[] {
  const units: Buffer[] = [];
  for (let at = 0; at >= 0; ) {
    const next = data.indexOf(START_CODE, at + 3);
    units.push(data.subarray(at + 3, next < 0 ? data.length : next));
    if (units.length > NALS_MAX) throw new PlatformError("media.malformed", `more than ${NALS_MAX} units at once`);
    at = next;
  }
  return units;
}

function fresh(): Open {
  return { obus: [], bytes: 0, times: null, firstTimes: null, damaged: false };
}
