// One representation of a third-party CMAF stream as units, so that what an encoder pushes in segments is a source like any
// other. Times come out in 90 kHz: no rate that anybody sends is hurt by it, and one clock serves all tracks.
import { PlatformError } from "#base/errors.ts";
import { aacTrack } from "#media/codec/aac.ts";
import { type AudioDescription, type AudioSyntax, splitUnits } from "#media/codec/audio-syntax.ts";
import { splitObus } from "#media/codec/av1.ts";
import { Av1Stream } from "#media/codec/av1-stream.ts";
import { DOLBY } from "#media/codec/dolby.ts";
import { MPEG_AUDIO } from "#media/codec/mpeg-audio.ts";
import { splitLengths } from "#media/codec/nal.ts";
import { describeOpus, layoutOfConfig } from "#media/codec/opus.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { DemuxClock, DemuxedUnit } from "#media/demux.ts";
import type { Rotation, Track } from "#media/session-log/entries.ts";
import type { FragmentInit, FragmentSample } from "./fragments.ts";

export const CMAF_CLOCK: DemuxClock = Object.freeze({ timescale: 90_000, wrapBits: 33 });

/** Added to all times: a stream may begin at 0, and its first decode time or edit before that. */
const LEAD_TICKS = 900_000n;

const WRAP = 2 ** CMAF_CLOCK.wrapBits;

/** A unit with its decode time before it is wrapped: what several tracks are merged by. */
export type CmafUnit = Readonly<{ dtsTicks: number; unit: DemuxedUnit; loss: string | null }>;

type Made = Readonly<{ payload: Uint8Array; randomAccess: boolean; damage: string | null }>;

/** What makes units of a codec's samples. */
interface SampleReader {
  /** null while only samples can tell. */
  readonly track: Track | null;
  /** @throws PlatformError media.* */
  read(sample: FragmentSample): Made[];
}

export class CmafTrackReader {
  readonly #init: FragmentInit;
  readonly #number: number;
  readonly #reader: SampleReader;
  #delayTicks = 0;
  #coded: Track | null = null;
  #track: Track | null = null;

  /** @param number of the track in its session
   *  @throws PlatformError media.unsupported, media.malformed, media.truncated */
  constructor(init: FragmentInit, number: number) {
    this.#init = init;
    this.#number = number;
    this.#reader = readerFor(init, number);
  }

  /** The track as of the newest sample; null while its parameters are unknown. */
  get track(): Track | null {
    const coded = this.#reader.track;
    if (coded !== this.#coded) this.#track = coded && turned(coded, this.#init.init.rotation);
    this.#coded = coded;
    return this.#track;
  }

  /** @param ticks of the representation's timescale, maybe a little below 0
   *  @returns the same instant in 90 kHz, LEAD_TICKS later, not wrapped */
  ticks(ticks: number): number {
    const timescale = BigInt(this.#init.init.timescale);
    const lead = (LEAD_TICKS * timescale) / BigInt(CMAF_CLOCK.timescale);
    const scaled = (BigInt(ticks) + lead) * BigInt(CMAF_CLOCK.timescale) * 2n;
    return Number((scaled + timescale) / (2n * timescale));
  }

  /** Look at a fragment before its samples become units. With negative composition offsets a picture is shown before its
   *  decode time, in the container's words: all decode times are moved back by as much as that is at most. */
  prepare(samples: readonly FragmentSample[]): void {
    for (const { dtsTicks, ptsTicks } of samples) this.#delayTicks = Math.max(this.#delayTicks, dtsTicks - ptsTicks);
  }

  /** The unit that a sample is; none when nothing in it is a picture or a sound. Its payload is memory of its own.
   *  `track` may be another afterwards. */
  units(sample: FragmentSample): CmafUnit[] {
    const dtsTicks = Math.max(0, this.ticks(sample.dtsTicks - this.#delayTicks));
    const ptsTicks = Math.max(dtsTicks, this.ticks(sample.ptsTicks));
    return this.#reader.read(sample).map(({ payload, randomAccess, damage }) => ({
      dtsTicks,
      loss: damage,
      unit: {
        kind: "unit",
        track: this.#number,
        ptsTicks: ptsTicks % WRAP,
        dtsTicks: dtsTicks % WRAP,
        randomAccess,
        damaged: damage !== null,
        payload,
      },
    }));
  }
}

/** What the container says of a picture's orientation counts when the stream itself says nothing. */
function turned(track: Track, rotation: Rotation): Track {
  return track.kind === "video" && track.rotation === 0 && rotation !== 0 ? { ...track, rotation } : track;
}

function readerFor(init: FragmentInit, number: number): SampleReader {
  const { codecName, config } = init.init;
  const audio = (description: AudioDescription | null): Track | null =>
    description && { ...description, track: number, kind: "audio", language: init.language };
  switch (codecName) {
    case "h264":
    case "hevc": {
      const stream = new VideoStream(number, codecName);
      const { lengthBytes } = stream.configure(config);
      const read = ({ bytes, sync }: FragmentSample) =>
        stream.units(splitLengths(bytes, lengthBytes), { randomAccessHint: sync, single: true });
      return readerOf(() => stream.track, read);
    }
    case "av1": {
      const stream = new Av1Stream(number);
      stream.configure(config);
      const read = ({ bytes }: FragmentSample) => [stream.unit(splitObus(bytes))].filter((unit) => unit !== null);
      return readerOf(() => stream.track, read);
    }
    case "aac": {
      const track = aacTrack(number, config, init.language);
      return readerOf(() => track, whole);
    }
    case "opus": {
      const layout = layoutOfConfig(config);
      return describedBySample((bytes) => audio(describeOpus(bytes, layout)));
    }
    case "ac3":
    case "eac3":
      return describedBySample((bytes) => audio(describedBy(DOLBY, bytes)));
    case "mp2":
    case "mp3":
      return describedBySample((bytes) => audio(describedBy(MPEG_AUDIO, bytes)));
  }
}

function readerOf(track: () => Track | null, read: SampleReader["read"]): SampleReader {
  return {
    get track() {
      return track();
    },
    read,
  };
}

/** Of codecs whose frames say themselves what they are. */
function describedBySample(describe: (bytes: Buffer) => Track | null): SampleReader {
  let track: Track | null = null;
  const read = (sample: FragmentSample) => {
    track ??= describe(sample.bytes);
    return track === null ? [] : whole(sample);
  };
  return readerOf(() => track, read);
}

function describedBy(syntax: AudioSyntax, bytes: Buffer): AudioDescription | null {
  const [first] = splitUnits(syntax, bytes).units;
  if (!first) throw new PlatformError("media.malformed", `a sample that is no frame of ${syntax.name}`);
  return syntax.describe(first.unit, first.head);
}

function whole({ bytes }: FragmentSample): Made[] {
  return bytes.byteLength === 0 ? [] : [{ payload: Buffer.from(bytes), randomAccess: true, damage: null }];
}
