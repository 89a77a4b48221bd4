// One representation of a third-party CMAF stream as units, so that what an encoder pushes in segments is a source like any
// other. Times come out in 90 kHz: no rate that anybody sends is hurt by it, and one clock serves all tracks.
import { PlatformError } from "#base/errors.ts";
import { aacTrack } from "#media/codec/aac.ts";
import { splitLengths } from "#media/codec/nal.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { DemuxClock, DemuxedUnit } from "#media/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import type { FragmentInit, FragmentSample } from "./fragments.ts";

export const CMAF_CLOCK: DemuxClock = Object.freeze({ timescale: 90_000, wrapBits: 33 });

const WRAP = 2 ** CMAF_CLOCK.wrapBits;

/** A unit with its decode time before it is wrapped: what several tracks are merged by. */
export type CmafUnit = Readonly<{ dtsTicks: number; unit: DemuxedUnit; loss: string | null }>;

export class CmafTrackReader {
  readonly #init: FragmentInit;
  readonly #number: number;
  readonly #video: { stream: VideoStream; lengthBytes: number } | null;
  #track: Track;

  /** @param number of the track in its session
   *  @throws PlatformError media.unsupported, media.malformed, media.truncated */
  constructor(init: FragmentInit, number: number) {
    this.#init = init;
    this.#number = number;
    const { kind, codec, config } = init.init;
    const videoCodec = codec.startsWith("avc1") ? "h264" : codec.startsWith("hvc1") ? "hevc" : null;
    if (kind === "video") {
      if (videoCodec === null) throw unsupported(codec);
      const stream = new VideoStream(number, videoCodec);
      const { lengthBytes } = stream.configure(config);
      if (!stream.track) throw new PlatformError("media.malformed", `parameter sets of ${codec} cannot be read`);
      this.#video = { stream, lengthBytes };
      this.#track = stream.track;
    } else {
      if (!codec.startsWith("mp4a.40.")) throw unsupported(codec);
      this.#video = null;
      this.#track = aacTrack(number, config, init.language);
    }
  }

  get track(): Track {
    return this.#track;
  }

  /** @param ticks of the representation's timescale @returns the same instant in 90 kHz, not wrapped */
  ticks(ticks: number): number {
    const timescale = BigInt(this.#init.init.timescale);
    const scaled = BigInt(ticks) * BigInt(CMAF_CLOCK.timescale) * 2n;
    return Number((scaled + timescale) / (2n * timescale));
  }

  /** The unit that a sample is; none when nothing in it is a picture. Its payload is memory of its own.
   *  `track` may be another afterwards. */
  units(sample: FragmentSample): CmafUnit[] {
    const dtsTicks = this.ticks(sample.dtsTicks);
    const ptsTicks = this.ticks(Math.max(0, sample.ptsTicks));
    const made = (payload: Uint8Array, randomAccess: boolean, loss: string | null): CmafUnit => ({
      dtsTicks,
      loss,
      unit: {
        kind: "unit",
        track: this.#number,
        ptsTicks: ptsTicks % WRAP,
        dtsTicks: Math.min(dtsTicks, ptsTicks) % WRAP,
        randomAccess,
        damaged: loss !== null,
        payload,
      },
    });
    if (this.#video === null) return sample.bytes.byteLength === 0 ? [] : [made(Buffer.from(sample.bytes), true, null)];
    const { stream, lengthBytes } = this.#video;
    const nals = splitLengths(sample.bytes, lengthBytes);
    const units = stream.units(nals, { randomAccessHint: sample.sync, single: true });
    if (stream.track) this.#track = stream.track;
    return units.map(({ payload, randomAccess, damage }) => made(payload, randomAccess, damage));
  }
}

function unsupported(codec: string): PlatformError {
  return new PlatformError("ingest.unsupported_codec", `${codec} cannot be taken. Send avc1 or hvc1 video, AAC audio.`);
}
