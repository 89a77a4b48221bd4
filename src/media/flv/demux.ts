// RTMP media messages in, units out. Nothing that comes in makes it throw: a message that cannot be read is told as loss
// of its track.
import { PlatformError } from "#base/errors.ts";
import { aacTrack } from "#media/codec/aac.ts";
import { splitLengths } from "#media/codec/nal.ts";
import { VideoStream } from "#media/codec/video-stream.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import type { AudioTrack, VideoCodec } from "#media/session-log/entries.ts";
import type { Rate } from "#media/time/rate.ts";
import { parseMetadata } from "./metadata.ts";
import { codecText, parseAudioTag, parseVideoTag, type TagBody } from "./tag.ts";

const CLOCK: DemuxClock = Object.freeze({ timescale: 1000, wrapBits: 32 });
const TAG = { audio: 8, video: 9, data: 18 } as const;
const TRACK = { video: 0, audio: 1 } as const;
const CLOCK_WRAP = 2 ** 32;
/** Different things that are reported as unsupported: names come from the sender. */
const REPORTS_MAX = 64;

export type FlvDemuxer = {
  readonly clock: DemuxClock;
  /** The body of one message. It is handed over: audio payloads are views into it.
   *  @param type RTMP message type: 8 audio, 9 video, 18 data @param timestampMs 32 bits */
  tag(type: 8 | 9 | 18, timestampMs: number, body: Uint8Array): void;
  end(): void;
};

type Video = { stream: VideoStream; codec: VideoCodec; lengthBytes: number };

export function flvDemuxer(emit: (event: DemuxEvent) => void): FlvDemuxer {
  const demuxer = new Demuxer(emit);
  return {
    clock: CLOCK,
    tag: (type, timestampMs, body) => demuxer.tag(type, timestampMs, body),
    end: () => emit({ kind: "end" }),
  };
}

class Demuxer {
  readonly #emit: (event: DemuxEvent) => void;
  #video: Video | null = null;
  #audio: AudioTrack | null = null;
  /** What the publisher announced; null: it has not said. */
  #expected: { video: boolean | null; audio: boolean | null } = { video: null, audio: null };
  #rate: Rate | null = null;
  #told = "";
  readonly #reported = new Set<string>();

  constructor(emit: (event: DemuxEvent) => void) {
    this.#emit = emit;
  }

  tag(type: 8 | 9 | 18, timestampMs: number, body: Uint8Array): void {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (bytes.length === 0) return; // allowed as a sign of life
    const track = type === TAG.video ? TRACK.video : type === TAG.audio ? TRACK.audio : null;
    try {
      if (type === TAG.video) this.#videoTag(timestampMs, bytes);
      else if (type === TAG.audio) this.#audioTag(timestampMs, bytes);
      else this.#dataTag(bytes);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#emit({ kind: "loss", track, detail: error.message });
    }
  }

  #videoTag(timestampMs: number, bytes: Buffer): void {
    const tag = parseVideoTag(bytes);
    if (!tag) throw new PlatformError("media.truncated", `a video message of ${bytes.length} bytes`);
    const codec = tag.codec === "avc1" ? "h264" : tag.codec === "hvc1" ? "hevc" : null;
    if (codec === null) {
      this.#unsupported("video", tag.codec);
      return;
    }
    if (this.#video?.codec !== codec) {
      if (tag.what === "nothing") return;
      const stream = new VideoStream(TRACK.video, codec);
      stream.hint({ rate: this.#rate });
      this.#video = { stream, codec, lengthBytes: 4 };
    }
    if (tag.what === "config") this.#configure(this.#video, tag.data);
    else if (tag.what === "frame") this.#frame(this.#video, timestampMs, tag);
  }

  #configure(video: Video, record: Buffer): void {
    const { lengthBytes, trackChanged } = video.stream.configure(record);
    video.lengthBytes = lengthBytes;
    if (trackChanged) this.#tellTracks();
  }

  #frame(video: Video, timestampMs: number, tag: TagBody): void {
    const nals = splitLengths(tag.data, video.lengthBytes);
    for (const unit of video.stream.units(nals, { randomAccessHint: tag.keyFrame, single: true })) {
      if (unit.trackChanged) this.#tellTracks();
      if (unit.damage !== null) this.#emit({ kind: "loss", track: TRACK.video, detail: unit.damage });
      this.#emit({
        kind: "unit",
        track: TRACK.video,
        ptsTicks: wrapped(timestampMs + tag.compositionMs),
        dtsTicks: wrapped(timestampMs + Math.min(0, tag.compositionMs)), // decoded no later than shown
        randomAccess: unit.randomAccess,
        damaged: unit.damage !== null,
        payload: unit.payload,
      });
    }
  }

  #audioTag(timestampMs: number, bytes: Buffer): void {
    const tag = parseAudioTag(bytes);
    if (!tag) throw new PlatformError("media.truncated", `an audio message of ${bytes.length} bytes`);
    if (tag.codec !== "mp4a") this.#unsupported("audio", tag.codec);
    else if (tag.what === "config") this.#audioConfig(tag.data);
    else if (tag.what === "frame" && this.#audio && tag.data.length > 0) {
      const ticks = wrapped(timestampMs);
      const flags = { randomAccess: true, damaged: false };
      this.#emit({ kind: "unit", track: TRACK.audio, ptsTicks: ticks, dtsTicks: ticks, ...flags, payload: tag.data });
    }
  }

  #audioConfig(config: Buffer): void {
    if (this.#audio && config.equals(this.#audio.config)) return;
    try {
      this.#audio = aacTrack(TRACK.audio, Buffer.from(config));
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== "media.unsupported") throw error;
      this.#report(error.message);
      this.#expect("audio", false);
      return;
    }
    this.#tellTracks();
  }

  #dataTag(bytes: Buffer): void {
    const metadata = parseMetadata(bytes);
    if (!metadata) return;
    this.#rate = metadata.rate;
    const changed = this.#video?.stream.hint({ rate: metadata.rate }) ?? false;
    this.#expected = { video: metadata.video, audio: metadata.audio };
    if (changed) this.#tellTracks();
    else this.#tellWhenComplete();
  }

  #expect(kind: "video" | "audio", expected: boolean): void {
    this.#expected = { ...this.#expected, [kind]: expected };
    this.#tellWhenComplete();
  }

  #unsupported(kind: "video" | "audio", codec: string | null): void {
    this.#report(codecText(kind, codec));
    this.#expect(kind, false);
  }

  #report(what: string): void {
    if (this.#reported.has(what) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(what);
    this.#emit({ kind: "unsupported", what });
  }

  #tracks() {
    const video = this.#video?.stream.track ?? null;
    const audio = this.#audio;
    const complete =
      (video !== null || this.#expected.video === false) && (audio !== null || this.#expected.audio === false);
    return { tracks: [video, audio].filter((track) => track !== null), complete };
  }

  #tellTracks(): void {
    const { tracks, complete } = this.#tracks();
    this.#told = `${tracks.length} ${complete}`;
    this.#emit({ kind: "tracks", tracks, complete });
  }

  /** What was told as incomplete may have become complete by what the publisher said since. */
  #tellWhenComplete(): void {
    const { tracks, complete } = this.#tracks();
    if (complete && tracks.length > 0 && this.#told !== `${tracks.length} ${complete}`) this.#tellTracks();
  }
}

function wrapped(ticks: number): number {
  return ((ticks % CLOCK_WRAP) + CLOCK_WRAP) % CLOCK_WRAP;
}
