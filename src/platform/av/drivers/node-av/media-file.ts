// A file's tracks side by side: one reader, a way per track, and a short queue per track that puts their units in order.
import {
  AV_DISPOSITION_ATTACHED_PIC,
  AV_NOPTS_VALUE,
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from "node-av/constants";
import { Dictionary, FFmpegError, FormatContext, Packet } from "node-av/lib";
import { PlatformError } from "#base/errors.ts";
import type { AudioTrack, VideoTrack } from "#media/session-log/entries.ts";
import type { FileUnit, MediaFile } from "../../media-file.ts";
import { openAudioPath } from "./file-audio.ts";
import type { TrackPath } from "./file-path.ts";
import { openVideoPath } from "./file-video.ts";
import { check } from "./native.ts";

/** Units held of one track while the other has none: beyond it the file is badly interleaved, and order is given up. */
const HELD_UNITS_MAX = 600;
/** So much is read to learn what the tracks are. */
const PRIMING_PACKETS_MAX = 5000;

export async function openMediaFile(path: string): Promise<MediaFile> {
  const context = new FormatContext();
  context.allocContext();
  const options = Dictionary.fromObject({ fflags: "+genpts" });
  const opened = await context.openInput(path, null, options);
  options.free();
  if (opened < 0) {
    context.freeContext(); // openInput frees what it was given; this lets go of the handle
    throw new PlatformError(
      "media.unsupported",
      `${path} is not media that FFmpeg reads: ${FFmpegError.strerror(opened)}.`,
    );
  }
  const file = new NativeMediaFile(context);
  try {
    check(await context.findStreamInfo(null), "look into the file");
    await file.prime(path);
    return file;
  } catch (error) {
    await file.close();
    if (!(error instanceof PlatformError) || error.code === "media.unsupported") throw error;
    throw new PlatformError("media.unsupported", `${path} is not media that can be played.`, { cause: error });
  }
}

/** Streams as an encoder put them out, one after the other. */
const BARE_FORMATS: ReadonlySet<string> = new Set(["h264", "hevc"]);

type Path = { kind: "video" | "audio"; index: number; path: TrackPath<VideoTrack | AudioTrack>; queue: FileUnit[] };

class NativeMediaFile implements MediaFile {
  video: VideoTrack | null = null;
  audio: AudioTrack | null = null;
  startMs = 0;
  endMs = 0;
  durationMs: number | null = null;
  readonly #context: FormatContext;
  readonly #packet = new Packet();
  #paths: Path[] = [];
  /** Subtracted from all times: the first decode time. */
  #originMs = 0;
  #ended = false;
  #closed = false;

  constructor(context: FormatContext) {
    this.#context = context;
    this.#packet.alloc();
  }

  get converted(): { video: boolean; audio: boolean } {
    const converts = (kind: Path["kind"]) => this.#paths.find((entry) => entry.kind === kind)?.path.converts ?? false;
    return { video: converts("video"), audio: converts("audio") };
  }

  /** Choose the tracks and read until each has shown what it is. */
  async prime(path: string): Promise<void> {
    const { duration } = this.#context;
    this.durationMs = duration === AV_NOPTS_VALUE || duration <= 0n ? null : Number(duration) / 1000;
    const video = this.#stream(AVMEDIA_TYPE_VIDEO);
    const audio = this.#stream(AVMEDIA_TYPE_AUDIO);
    const bare = BARE_FORMATS.has(this.#context.iformat?.name ?? "");
    if (video !== null)
      this.#paths.push({ kind: "video", index: video.index, path: await openVideoPath(video, bare), queue: [] });
    if (audio !== null)
      this.#paths.push({ kind: "audio", index: audio.index, path: await openAudioPath(audio), queue: [] });
    if (this.#paths.length === 0)
      throw new PlatformError("media.unsupported", `${path} holds neither pictures nor sound.`);
    for (let i = 0; i < PRIMING_PACKETS_MAX && !this.#ended && !this.#primed(); i += 1) await this.#step();
    const empty = this.#paths.filter((entry) => entry.path.track === null || entry.queue.length === 0);
    for (const entry of empty) await entry.path.close();
    this.#paths = this.#paths.filter((entry) => !empty.includes(entry)); // announced and never there
    if (this.#paths.length === 0)
      throw new PlatformError("media.unsupported", `${path} holds nothing that can be decoded.`);
    const track = (kind: Path["kind"]) => this.#paths.find((entry) => entry.kind === kind)?.path.track ?? null;
    this.video = track("video") as VideoTrack | null;
    this.audio = track("audio") as AudioTrack | null;
    const firsts = this.#paths.map(({ queue }) => queue[0]!);
    this.#originMs = Math.min(...firsts.map(({ dtsMs, ptsMs }) => Math.min(dtsMs, ptsMs)));
    this.startMs = firsts[0]!.ptsMs - this.#originMs; // pictures come first in the list
  }

  async read(): Promise<FileUnit | null> {
    while (!this.#ended && this.#paths.some(({ queue }) => queue.length === 0)) {
      if (this.#paths.some(({ queue }) => queue.length > HELD_UNITS_MAX)) break;
      await this.#step();
    }
    const ready = this.#paths.filter(({ queue }) => queue.length > 0);
    if (ready.length === 0) return null;
    const next = ready.reduce((a, b) => (a.queue[0]!.dtsMs <= b.queue[0]!.dtsMs ? a : b));
    const unit = next.queue.shift()!;
    const dtsMs = unit.dtsMs - this.#originMs;
    const ptsMs = Math.max(dtsMs, unit.ptsMs - this.#originMs); // files lie; nothing may be shown before it is decoded
    if (next === this.#paths[0]) this.endMs = Math.max(this.endMs, ptsMs + next.path.unitMs);
    return { ...unit, ptsMs, dtsMs };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { path } of this.#paths) await path.close();
    this.#paths = [];
    this.#packet.free();
    await this.#context.closeInput();
  }

  #primed(): boolean {
    return this.#paths.every(({ path, queue }) => path.track !== null && queue.length > 0);
  }

  /** One packet further; at the end, what the ways still hold. */
  async #step(): Promise<void> {
    const code = await this.#context.readFrame(this.#packet);
    if (code === AVERROR_EOF) {
      this.#ended = true;
      for (const entry of this.#paths) entry.queue.push(...(await entry.path.drain()));
      return;
    }
    check(code, "read the file");
    try {
      const entry = this.#paths.find(({ index }) => index === this.#packet.streamIndex);
      if (entry !== undefined) entry.queue.push(...(await entry.path.feed(this.#packet)));
    } finally {
      this.#packet.unref();
    }
  }

  /** The library's choice, but never the cover picture of a song. */
  #stream(type: typeof AVMEDIA_TYPE_VIDEO) {
    const index = this.#context.findBestStream(type);
    const stream = index < 0 ? null : (this.#context.streams[index] ?? null);
    return stream?.hasDisposition(AV_DISPOSITION_ATTACHED_PIC) ? null : stream;
  }
}
