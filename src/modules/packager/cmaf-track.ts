// A track of the source, as its init segment describes it. What nobody knows of copied media (its bit rate) is left out:
// guessing would make the bytes depend on when one guessed.
import type { CmafTrack } from "#media/cmaf/write.ts";
import type { AudioEntryName } from "#media/cmaf/write-sample-entry.ts";
import { presumedColour } from "#media/codec/colour.ts";
import type { AudioCodec, EraOpened, Track, VideoCodec } from "#media/session-log/entries.ts";

const VIDEO = { h264: "avc1", hevc: "hvc1", av1: "av01" } as const satisfies Record<VideoCodec, string>;

/** MP2 is in no ladder of copied sound. */
const AUDIO: Readonly<Record<Exclude<AudioCodec, "mp2">, AudioEntryName>> = {
  aac: "mp4a",
  mp3: "mp3",
  ac3: "ac-3",
  eac3: "ec-3",
  opus: "Opus",
};

/** @throws PlatformError media.truncated, media.malformed when its configuration is none */
export function cmafTrack(track: Track, era: EraOpened): CmafTrack {
  if (track.kind === "audio") {
    const { codec, sampleRate, channels, config, language } = track;
    const entry = AUDIO[codec as keyof typeof AUDIO];
    return { kind: "audio", codec: entry, timescale: sampleRate, channels, config, language, bitrate: null };
  }
  const { codec, width, height, pixelAspect, config, rotation, range } = track;
  return {
    kind: "video",
    codec: VIDEO[codec],
    timescale: era.rate.num,
    width,
    height,
    pixelAspect,
    config,
    rotation,
    bitrate: null,
    ...(range === "SDR" ? {} : { colour: presumedColour(track) }), // players that show SDR look into the stream
  };
}
