// A file as a live source: paced by the clock, its times continuous over repeats, to whatever output it is given.
import { after, type Clock } from "#base/clock.ts";
import type { AudioTrack } from "#media/session-log/entries.ts";
import type { MediaFile, OpenMediaFile } from "#platform/av/media-file.ts";
import type { LiveOutput, OutputTracks, OutputUnit } from "./output.ts";

export type PublishProgress = Readonly<{
  /** Media time sent, ms since the beginning, repeats included. */
  mediaMs: number;
  wallMs: number;
  sentBytes: number;
  /** Times the file was begun, the first included. */
  pass: number;
  /** How late the newest unit went out; a machine or network that cannot follow shows here. */
  lateMs: number;
}>;

export type PublishFileOptions = Readonly<{ path: string; loop: boolean }>;

export type PublishFileDeps = Readonly<{
  clock: Clock;
  openMediaFile: OpenMediaFile;
  openOutput: (tracks: OutputTracks) => Promise<LiveOutput>;
  /** Aborts: the stream is ended cleanly and the function returns. */
  signal: AbortSignal;
  onBegin?: (file: MediaFile, output: LiveOutput) => void;
  /** About once a second. */
  onProgress?: (progress: PublishProgress) => void;
}>;

/** So much may go out at once after the machine could not follow; beyond it the pace begins anew. */
const LATE_MS_MAX = 3000;
const PROGRESS_MS = 1000;
/** Two ticks of 90 kHz: muxers want decode times that really go up. */
const DTS_STEP_MS_MIN = 2 / 90;

/** Resolves after the last unit (or the signal) and a clean end.
 *  @throws PlatformError media.unsupported, av.failed, network.unreachable, publish.* */
export async function publishFile(options: PublishFileOptions, deps: PublishFileDeps): Promise<PublishProgress> {
  const { clock, signal } = deps;
  let file = await deps.openMediaFile(options.path);
  const clocked = new Pace(clock, signal);
  let output: LiveOutput | null = null;
  try {
    output = await deps.openOutput(file);
    deps.onBegin?.(file, output);
    const startMs = clock.monotonicMs();
    let progress: PublishProgress = { mediaMs: 0, wallMs: 0, sentBytes: 0, pass: 1, lateMs: 0 };
    let reportedMs = startMs;
    const seam = new Seam(file.audio);
    for (let offsetMs = 0; ; ) {
      for (let unit = await file.read(); unit !== null; unit = await file.read()) {
        const lateMs = await clocked.until(unit.dtsMs + offsetMs);
        if (signal.aborted) break;
        const sent = seam.shift(unit, offsetMs);
        if (sent !== null) await output.send(sent);
        const mediaMs = Math.max(progress.mediaMs, unit.dtsMs + offsetMs);
        const wallMs = clock.monotonicMs() - startMs;
        progress = { ...progress, mediaMs, wallMs, sentBytes: output.sentBytes, lateMs };
        if (clock.monotonicMs() - reportedMs < PROGRESS_MS) continue;
        reportedMs = clock.monotonicMs();
        deps.onProgress?.(progress);
      }
      if (signal.aborted || !options.loop) break;
      // The next pass is shown from where this one ended.
      const endMs = offsetMs + file.endMs;
      await file.close();
      file = await deps.openMediaFile(options.path);
      offsetMs = endMs - file.startMs;
      progress = { ...progress, pass: progress.pass + 1 };
    }
    await output.end();
    return progress;
  } finally {
    output?.destroy();
    await file.close();
  }
}

/** Where one pass meets the next. Pictures follow each other exactly; sound is seldom as long as they are: what would be
 *  heard twice is left out, what is missing stays missing (less than a frame of a well-made file). */
class Seam {
  readonly #lastDtsMs = { video: -1, audio: -1 };
  readonly #audioUnitMs: number;
  #audioEndMs = Number.NEGATIVE_INFINITY;

  constructor(audio: AudioTrack | null) {
    this.#audioUnitMs = audio === null ? 0 : (audio.samplesPerUnit * 1000) / audio.sampleRate;
  }

  /** @returns null when it is to be left out */
  shift(unit: OutputUnit, offsetMs: number): OutputUnit | null {
    const ptsMs = unit.ptsMs + offsetMs;
    if (unit.kind === "audio") {
      if (ptsMs < this.#audioEndMs - this.#audioUnitMs / 2) return null;
      this.#audioEndMs = ptsMs + this.#audioUnitMs;
    }
    // Decode times begin a little before what is shown first; where they would go back they are held.
    const dtsMs = Math.max(unit.dtsMs + offsetMs, this.#lastDtsMs[unit.kind] + DTS_STEP_MS_MIN, 0);
    this.#lastDtsMs[unit.kind] = dtsMs;
    return { ...unit, dtsMs, ptsMs: Math.max(ptsMs, dtsMs) };
  }
}

class Pace {
  readonly #clock: Clock;
  readonly #aborted: Promise<void>;
  /** Monotonic instant of media time 0. */
  #originMs: number | null = null;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#aborted = new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  /** @returns how late it is, ms */
  async until(mediaMs: number): Promise<number> {
    const nowMs = this.#clock.monotonicMs();
    this.#originMs ??= nowMs - mediaMs;
    const earlyMs = this.#originMs + mediaMs - nowMs;
    if (earlyMs > 1) await Promise.race([after(this.#clock, earlyMs), this.#aborted]);
    const lateMs = Math.max(0, -earlyMs);
    if (lateMs > LATE_MS_MAX) this.#originMs += lateMs;
    return lateMs;
  }
}
