// A live channel on a video element, for as long as the page is open: it waits while the channel is off air, plays when it
// comes, recovers, and waits again. It has no look of its own.
import { type Availability, availability } from "./availability.ts";
import { type Choice, canPlay, type Engine, engineFor, type Format } from "./engine.ts";
import { judge, type Verdict } from "./formats.ts";

export type Phase = "waiting" | "starting" | "playing" | "paused" | "stalled" | "unsupported";

export type Stats = {
  phase: Phase;
  /** Why nothing plays. */
  reason: Availability | null;
  /** Which of the stream's forms this browser can play; null before there is a stream. */
  verdict: Verdict | null;
  format: Format | null;
  /** Name of the audio track that plays, when it has one. */
  sound: string | null;
  /** Now minus the instant the picture was stamped with (EXT-X-PROGRAM-DATE-TIME), by this machine's clock. */
  latencyMs: number | null;
  targetLatencyMs: number | null;
  decodedFrames: number;
  droppedFrames: number;
  width: number;
  height: number;
  bitrate: number | null;
  /** Media ahead of the picture. */
  bufferMs: number;
  playbackRate: number;
  /** Times it had to wait for media after it had begun, and times it had to begin anew. */
  stalls: number;
  restarts: number;
  source: Engine["source"] | null;
};

const WAIT_MS = 1500;
/** After it was lost. */
const AGAIN_MS = 300;
/** Behind the aim by more than this, catching up by rate takes too long: jump. First value: where the media is at hand,
 *  second: where it must be fetched. At the start (loading took its time) a smaller one, once. */
const JUMP_BEHIND_MS = { start: 300, buffered: 1200, fetched: 4000 } as const;
/** What a jump inside the buffer must leave of it. */
const JUMP_BUFFER_MS = 500;
/** One jump in so long at most: a network that stutters is not made better by them. */
const JUMP_EVERY_MS = 10_000;
/** The picture stands for so long, and there is media behind a hole: go on there. */
const HOLE_MS = 800;
/** No picture moved for so long although it should: begin anew. */
const STUCK_MS = 8000;
const WATCH_EVERY_MS = 500;

export class LivePlayer {
  readonly #video: HTMLVideoElement;
  readonly #url: string;
  readonly #onChange: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #engine: Engine | null = null;
  #phase: Phase = "waiting";
  #reason: Availability | null = null;
  #verdict: Verdict | null = null;
  /** What the viewer chose: it outlives an engine. */
  #sound: string | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #generation = 0;
  #began = false;
  #settled = false;
  #jumpedAt = Number.NEGATIVE_INFINITY;
  #wantsPause = false;
  #movedAt = 0;
  #lastTime = -1;
  #stalls = 0;
  #restarts = 0;

  constructor(video: HTMLVideoElement, channel: string, onChange: () => void) {
    this.#video = video;
    this.#url = `/live/${encodeURIComponent(channel)}/index.m3u8`;
    this.#onChange = onChange;
    video.addEventListener("playing", () => {
      this.#began = true;
      this.#set("playing");
    });
    video.addEventListener("waiting", () => {
      if (this.#began && this.#phase === "playing") this.#stalls += 1;
      if (this.#phase === "playing") this.#set("stalled");
    });
    video.addEventListener("pause", () => {
      if (this.#wantsPause) this.#set("paused");
    });
    video.addEventListener("ended", () => void this.#wait()); // of this rendition; others may go on, or the next stream
    this.#timer = setInterval(() => this.#watch(), WATCH_EVERY_MS);
    void this.#wait();
  }

  /** @returns null before a picture with a date is shown */
  latencyMs(): number | null {
    const at = this.#engine?.playingAtMs() ?? null;
    return at === null || !this.#began ? null : Date.now() - at;
  }

  stats(): Stats {
    const video = this.#video;
    const quality = video.getVideoPlaybackQuality?.();
    return {
      phase: this.#phase,
      reason: this.#reason,
      verdict: this.#verdict,
      format: this.#engine?.format() ?? null,
      sound: this.#engine?.sound() ?? null,
      latencyMs: this.latencyMs(),
      targetLatencyMs: this.#engine?.targetLatencyMs() ?? null,
      decodedFrames: quality?.totalVideoFrames ?? 0,
      droppedFrames: quality?.droppedVideoFrames ?? 0,
      width: video.videoWidth,
      height: video.videoHeight,
      bitrate: this.#engine?.bitrate() ?? null,
      bufferMs: this.#bufferMs(),
      playbackRate: video.playbackRate,
      stalls: this.#stalls,
      restarts: this.#restarts,
      source: this.#engine?.source ?? null,
    };
  }

  qualities(): Choice<number>[] {
    return this.#engine?.qualities() ?? [];
  }

  quality(): number {
    return this.#engine?.quality() ?? -1;
  }

  setQuality(id: number): void {
    this.#engine?.setQuality(id);
    this.#onChange();
  }

  sounds(): Choice<string>[] {
    return this.#engine?.sounds() ?? [];
  }

  setSound(name: string): void {
    this.#sound = name;
    this.#engine?.setSound(name);
    this.#onChange();
  }

  toggle(): void {
    if (this.#phase === "paused") {
      this.#wantsPause = false;
      this.goLive();
      void this.#play();
    } else if (this.#engine !== null) {
      this.#wantsPause = true;
      this.#video.pause();
    }
  }

  goLive(): void {
    const position = this.#engine?.livePosition() ?? null;
    if (position !== null) this.#video.currentTime = position;
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#generation += 1;
    this.#engine?.destroy();
    this.#engine = null;
  }

  /** Asks what there is. What plays stays until the answer. */
  async #wait(): Promise<void> {
    this.#generation += 1;
    const own = this.#generation;
    clearTimeout(this.#retry);
    const { state, offers } = await availability(this.#url);
    if (own !== this.#generation) return;
    this.#leave();
    const isLive = state === "live";
    this.#verdict = isLive ? judge(offers, (codec) => canPlay(this.#video, codec)) : null;
    if (isLive && this.#verdict?.playable) return this.#start();
    this.#reason = isLive ? null : state;
    this.#set(isLive ? "unsupported" : "waiting"); // the next stream may come in another form
    this.#retry = setTimeout(() => void this.#wait(), WAIT_MS);
  }

  #start(): void {
    this.#reason = null;
    this.#settled = false;
    this.#movedAt = performance.now();
    this.#engine = engineFor(this.#video, this.#url, this.#sound, {
      onLost: () => this.#lost(),
      onChoices: this.#onChange,
    });
    this.#set(this.#engine === null ? "unsupported" : "starting");
    if (this.#engine !== null) void this.#play();
  }

  /** Browsers let a page begin by itself only without sound. A refusal for another reason (the load was interrupted) is
   *  answered by the next attempt of #watch. */
  async #play(): Promise<void> {
    try {
      await this.#video.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError" && !this.#video.muted) {
        this.#video.muted = true;
        await this.#video.play().catch(() => this.#set("paused")); // not even silently: the viewer must press play
        this.#wantsPause = this.#phase === "paused";
      }
    }
  }

  #lost(): void {
    if (this.#began) this.#restarts += 1;
    this.#leave();
    this.#reason = null;
    this.#set("waiting");
    clearTimeout(this.#retry);
    this.#generation += 1; // what was asked before does not count any more
    this.#retry = setTimeout(() => void this.#wait(), AGAIN_MS);
  }

  #leave(): void {
    this.#engine?.destroy();
    this.#engine = null;
    this.#began = false;
  }

  #watch(): void {
    this.#onChange();
    if (this.#engine === null || this.#phase === "paused" || this.#phase === "unsupported") return;
    const now = performance.now();
    if (this.#video.currentTime !== this.#lastTime) {
      this.#lastTime = this.#video.currentTime;
      this.#movedAt = now;
    }
    if (document.hidden) this.#movedAt = now; // browsers slow hidden pages down
    if (now - this.#movedAt > STUCK_MS) {
      this.#lost();
      return;
    }
    if (this.#video.paused && !this.#wantsPause) void this.#play();
    if (now - this.#movedAt > HOLE_MS) this.#leap();
    else if (this.#phase === "playing") this.#catchUp(now);
  }

  #catchUp(now: number): void {
    const behindMs = this.#behindMs();
    const isAtHand = this.#bufferMs() > behindMs + JUMP_BUFFER_MS;
    const { start, buffered, fetched } = JUMP_BEHIND_MS;
    const limitMs = isAtHand ? (this.#settled ? buffered : start) : fetched;
    const isAllowed = !this.#settled || now - this.#jumpedAt > JUMP_EVERY_MS;
    this.#settled = true;
    if (behindMs <= limitMs || !isAllowed) return;
    this.#jumpedAt = now;
    this.goLive();
  }

  /** Over a hole in the media (a gap of the stream), to where it goes on. */
  #leap(): void {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1)
      if (buffered.start(i) > currentTime) {
        this.#video.currentTime = buffered.start(i) + 0.02;
        return;
      }
  }

  /** Behind where the playlist says live is, not behind the clock: a late stream cannot be caught up with. */
  #behindMs(): number {
    const position = this.#engine?.livePosition() ?? null;
    return position === null ? 0 : (position - this.#video.currentTime) * 1000;
  }

  #bufferMs(): number {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1)
      if (buffered.start(i) <= currentTime + 0.1 && currentTime < buffered.end(i))
        return Math.round((buffered.end(i) - currentTime) * 1000);
    return 0;
  }

  #set(phase: Phase): void {
    this.#phase = phase;
    this.#onChange();
  }
}
