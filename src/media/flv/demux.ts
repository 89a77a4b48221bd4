// RTMP media messages in, units out. Nothing that comes in makes it throw: a message that cannot be read is told as loss
// of its track.
import { PlatformError } from "#base/errors.ts";
import { NO_HINTS, type VideoHints } from "#media/codec/video-unit.ts";
import type { DemuxClock, DemuxEvent } from "#media/demux.ts";
import type { Track } from "#media/session-log/entries.ts";
import { FlvAudio, isTakenAudio } from "./audio.ts";
import { parseColourInfo, parseMetadata } from "./metadata.ts";
import { codecText, parseAudioTag, parseVideoTag, type TagBody } from "./tag.ts";
import { type FlvVideo, flvVideo, videoCodecOf } from "./video.ts";

const CLOCK: DemuxClock = Object.freeze({ timescale: 1000, wrapBits: 32 });
const TAG = { audio: 8, video: 9, data: 18 } as const;
/** Video is track 0; the audio track with id n is track 1 + n. */
const TRACK = { video: 0, firstAudio: 1 } as const;
const AUDIO_TRACKS_MAX = 15;
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
  #video: FlvVideo | null = null;
  #hints: VideoHints = NO_HINTS;
  /** By track id. */
  readonly #audio = new Map<number, FlvAudio>();
  readonly #refused = new Set<"video" | number>();
  /** What the publisher announced; null: it has not said. */
  #expected: { video: boolean | null; audio: readonly number[] | null } = { video: null, audio: null };
  #languages: ReadonlyMap<number, string> = new Map();
  #told = "";
  readonly #reported = new Set<string>();

  constructor(emit: (event: DemuxEvent) => void) {
    this.#emit = emit;
  }

  tag(type: 8 | 9 | 18, timestampMs: number, body: Uint8Array): void {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (bytes.length === 0) return; // allowed as a sign of life
    if (type === TAG.data) this.#guard(null, () => this.#dataTag(bytes));
    else this.#mediaTag(type, timestampMs, bytes);
  }

  #mediaTag(type: 8 | 9, timestampMs: number, bytes: Buffer): void {
    const isVideo = type === TAG.video;
    const bodies = isVideo ? parseVideoTag(bytes) : parseAudioTag(bytes);
    if (!bodies) {
      const detail = `${isVideo ? "a video" : "an audio"} message of ${bytes.length} bytes ends too early`;
      this.#emit({ kind: "loss", track: isVideo ? TRACK.video : TRACK.firstAudio, detail });
    }
    if (!isVideo) for (const body of bodies ?? []) this.#announce(body); // before any of them is told
    for (const body of bodies ?? []) {
      const track = isVideo ? TRACK.video : TRACK.firstAudio + body.trackId;
      this.#guard(track, () => (isVideo ? this.#videoBody(timestampMs, body) : this.#audioBody(timestampMs, body)));
    }
  }

  #guard(track: number | null, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#emit({ kind: "loss", track, detail: error.message });
    }
  }

  #videoBody(timestampMs: number, body: TagBody): void {
    const codec = videoCodecOf(body.codec);
    if (body.trackId > 0) {
      this.#report(`video track ${body.trackId}: only the first one is taken`);
      return;
    }
    if (body.what === "metadata") {
      const transfer = parseColourInfo(body.data);
      if (transfer !== undefined) this.#hint({ transfer });
      return;
    }
    if (codec === null) {
      this.#refuse("video", codecText("video", body.codec));
      return;
    }
    if (this.#video?.codec !== codec) {
      if (body.what === "nothing") return;
      this.#video = flvVideo(TRACK.video, codec);
      this.#video.hint(this.#hints);
    }
    if (body.what === "config" && this.#video.configure(body.data)) this.#tellTracks();
    else if (body.what === "frame") this.#frame(this.#video, timestampMs, body);
  }

  #frame(video: FlvVideo, timestampMs: number, { data, keyFrame, compositionMs }: TagBody): void {
    for (const unit of video.units(data, keyFrame)) {
      if (unit.trackChanged) this.#tellTracks();
      if (unit.damage !== null) this.#emit({ kind: "loss", track: TRACK.video, detail: unit.damage });
      this.#emit({
        kind: "unit",
        track: TRACK.video,
        ptsTicks: wrapped(timestampMs + compositionMs),
        dtsTicks: wrapped(timestampMs + Math.min(0, compositionMs)), // decoded no later than shown
        randomAccess: unit.randomAccess,
        damaged: unit.damage !== null,
        payload: unit.payload,
      });
    }
  }

  #audioBody(timestampMs: number, body: TagBody): void {
    const { trackId, codec, what } = body;
    if (!isTakenAudio(codec) || trackId >= AUDIO_TRACKS_MAX) {
      const text = codecText("audio", codec);
      this.#refuse(trackId, isTakenAudio(codec) ? `audio track ${trackId}: at most ${AUDIO_TRACKS_MAX}` : text);
      return;
    }
    const audio = this.#audio.get(trackId);
    if (audio?.codec !== codec) return;
    try {
      if (what === "config" || what === "channels") {
        if (audio.configure(body)) this.#tellTracks();
      } else if (what === "frame") this.#sound(audio, timestampMs, body);
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== "media.unsupported") throw error;
      this.#refuse(trackId, error.message);
    }
  }

  /** A message of a track that is new, or has another codec now. */
  #announce({ trackId, codec, what }: TagBody): void {
    if (what === "nothing" || !isTakenAudio(codec) || trackId >= AUDIO_TRACKS_MAX) return;
    if (this.#audio.get(trackId)?.codec === codec) return;
    const language = this.#languages.get(trackId) ?? "und";
    this.#audio.set(trackId, new FlvAudio(codec, TRACK.firstAudio + trackId, language));
  }

  #sound(audio: FlvAudio, timestampMs: number, { trackId, data }: TagBody): void {
    const { frames, changed } = audio.frames(data);
    if (changed) this.#tellTracks();
    for (const { afterMs, payload } of frames) {
      const ticks = wrapped(timestampMs + afterMs);
      const flags = { randomAccess: true, damaged: false };
      const track = TRACK.firstAudio + trackId;
      this.#emit({ kind: "unit", track, ptsTicks: ticks, dtsTicks: ticks, ...flags, payload });
    }
  }

  #dataTag(bytes: Buffer): void {
    const metadata = parseMetadata(bytes);
    if (!metadata) return;
    const { video, audio, languages } = metadata;
    this.#expected = { video, audio: audio?.filter((id) => id < AUDIO_TRACKS_MAX) ?? null };
    this.#languages = languages;
    let changed = false;
    for (const [id, source] of this.#audio) changed = source.setLanguage(languages.get(id) ?? "und") || changed;
    if (changed) this.#tellTracks();
    this.#hint({ rate: metadata.rate });
    this.#tellWhenComplete();
  }

  #hint(hints: Partial<VideoHints>): void {
    this.#hints = { ...this.#hints, ...hints };
    if (this.#video?.hint(hints)) this.#tellTracks();
  }

  /** The track is not waited for. */
  #refuse(which: "video" | number, what: string): void {
    this.#report(what);
    if (this.#refused.size < REPORTS_MAX) this.#refused.add(which);
    this.#tellWhenComplete();
  }

  #report(what: string): void {
    if (this.#reported.has(what) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(what);
    this.#emit({ kind: "unsupported", what });
  }

  #tracks(): { tracks: Track[]; complete: boolean } {
    const video = this.#video?.track ?? null;
    const audio = [...this.#audio].sort(([a], [b]) => a - b).flatMap(([, { track }]) => track ?? []);
    const { video: wantsVideo, audio: wanted } = this.#expected;
    const isThere = (id: number) => this.#refused.has(id) || (this.#audio.get(id)?.track ?? null) !== null;
    const someAudio = this.#audio.size > 0 || this.#refused.has(0);
    const announced = new Set([...(wanted ?? []), ...this.#audio.keys()]);
    const complete =
      (video !== null || wantsVideo === false || this.#refused.has("video")) &&
      (wanted !== null || someAudio) &&
      [...announced].every(isThere);
    return { tracks: video ? [video, ...audio] : audio, complete };
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
