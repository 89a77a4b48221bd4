// From encoded units to CMAF bytes at every origin: the ticks, the sequence numbers, the one copy that all sinks share.
import { type CmafTrack, writeChunk, writeInit } from "#media/cmaf/write.ts";
import type { AudioRendition, VideoRendition } from "#media/ladder/rendition.ts";
import type { EraOpened } from "#media/session-log/entries.ts";
import type { CmafSink, CmafTrackSink } from "#media/session-log/maker-ports.ts";
import { AAC_FRAME_SAMPLES } from "#media/time/segmentation.ts";

/** A fragment's sequence number is its first index modulo this: a worker that joins counts like one that began. */
const SEQUENCE_WRAP = 2 ** 31;

export type OutletPart = Readonly<{
  /** Since the epoch: frames of the era (ticks in `source` mode), or audio frames of 1024 samples. */
  startIndex: number;
  segmentStartIndex: number;
  /** One behind the other, from the start on. */
  units: readonly Readonly<{ bytes: Uint8Array; key: boolean; durationIndexes: number }>[];
  lastOfSegment: boolean;
  newestArrivedNs: bigint;
}>;

export interface OutletTrack {
  send(part: OutletPart): void;
  end(): void;
}

export class Outlet {
  readonly #sinks: readonly CmafSink[];

  constructor(sinks: readonly CmafSink[]) {
    this.#sinks = sinks;
  }

  /** @param config avcC */
  video(era: EraOpened, rendition: VideoRendition, config: Uint8Array): OutletTrack {
    const { width, height, pixelAspect, maxBitrate } = rendition;
    const timescale = era.rate.num;
    return this.#track(rendition.name, era.era, era.rate.den, {
      kind: "video",
      codec: "avc1",
      timescale,
      width,
      height,
      pixelAspect,
      config,
      bitrate: maxBitrate,
    });
  }

  /** @param config AudioSpecificConfig */
  audio(era: EraOpened, rendition: AudioRendition, config: Uint8Array): OutletTrack {
    const { sampleRate, channels, bitrate } = rendition;
    return this.#track(rendition.name, era.era, AAC_FRAME_SAMPLES, {
      kind: "audio",
      codec: "mp4a",
      timescale: sampleRate,
      channels,
      config,
      bitrate,
    });
  }

  #track(name: string, era: number, ticksPerIndex: number, track: CmafTrack): OutletTrack {
    const init = writeInit(track);
    const sinks = this.#sinks.map((sink) => sink.track(name, track.kind, era, init));
    return {
      send: (part) => sendPart(sinks, part, ticksPerIndex),
      end() {
        for (const sink of sinks) sink.end();
      },
    };
  }
}

function sendPart(sinks: readonly CmafTrackSink[], part: OutletPart, ticksPerIndex: number): void {
  const startTicks = part.startIndex * ticksPerIndex;
  const bytes = writeChunk({
    sequence: part.startIndex % SEQUENCE_WRAP,
    baseDecodeTicks: startTicks,
    samples: part.units.map(({ bytes: sample, key, durationIndexes }) => ({
      bytes: sample,
      durationTicks: durationIndexes * ticksPerIndex,
      compositionOffsetTicks: 0,
      sync: key,
    })),
    startsSegment: part.startIndex === part.segmentStartIndex,
  });
  for (const sink of sinks)
    sink.push({
      startTicks,
      segmentStartTicks: part.segmentStartIndex * ticksPerIndex,
      bytes,
      lastOfSegment: part.lastOfSegment,
      newestArrivedNs: part.newestArrivedNs,
    });
}
