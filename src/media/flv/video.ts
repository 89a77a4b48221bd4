// The video track of an RTMP publication, whatever its codec.
import { splitObus } from "#media/codec/av1.ts";
import { Av1Stream } from "#media/codec/av1-stream.ts";
import { splitLengths } from "#media/codec/nal.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { VideoHints, VideoUnit } from "#media/codec/video-unit.ts";
import type { VideoCodec, VideoTrack } from "#media/session-log/entries.ts";

/** By FourCC. */
const CODECS: Readonly<Record<string, VideoCodec>> = { avc1: "h264", hvc1: "hevc", av01: "av1" };

/** Null when it is not taken. */
export function videoCodecOf(fourCc: string): VideoCodec | null {
  return Object.hasOwn(CODECS, fourCc) ? CODECS[fourCc]! : null;
}

export interface FlvVideo {
  readonly codec: VideoCodec;
  readonly track: VideoTrack | null;
  /** @returns whether the track changed */
  hint(hints: Partial<VideoHints>): boolean;
  /** A configuration record. @returns whether the track changed @throws PlatformError media.truncated, media.malformed */
  configure(record: Buffer): boolean;
  /** The units of a message. @throws PlatformError media.truncated, media.malformed */
  units(data: Buffer, keyFrame: boolean): VideoUnit[];
}

export function flvVideo(track: number, codec: VideoCodec): FlvVideo {
  return codec === "av1" ? av1Video(track) : nalVideo(track, codec);
}

function nalVideo(track: number, codec: Exclude<VideoCodec, "av1">): FlvVideo {
  const stream = new VideoStream(track, codec);
  let lengthBytes = 4;
  return {
    codec,
    get track() {
      return stream.track;
    },
    hint: (hints) => stream.hint(hints),
    configure(record) {
      const taken = stream.configure(record);
      lengthBytes = taken.lengthBytes;
      return taken.trackChanged;
    },
    units: (data, keyFrame) =>
      stream.units(splitLengths(data, lengthBytes), { randomAccessHint: keyFrame, single: true }),
  };
}

function av1Video(track: number): FlvVideo {
  const stream = new Av1Stream(track);
  return {
    codec: "av1",
    get track() {
      return stream.track;
    },
    hint: (hints) => stream.hint(hints),
    configure: (record) => stream.configure(record),
    units(data) {
      const unit = stream.unit(splitObus(data));
      return unit ? [unit] : [];
    },
  };
}
