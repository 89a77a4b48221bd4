// The part that decodes: hls.js where Media Source exists, else the browser's own player (Safari on older phones).
// Both answer the same few questions, so that nothing above asks which one runs.
import Hls, { type ErrorData } from "hls.js";

export type Quality = { id: number; label: string };

export interface Engine {
  readonly source: "hls.js" | "native";
  /** UTC ms of the picture on screen, from EXT-X-PROGRAM-DATE-TIME; null before it is known. */
  playingAtMs(): number | null;
  /** Distance to the live edge that is aimed at, ms. */
  targetLatencyMs(): number | null;
  /** Bits per second of the rendition that plays. */
  bitrate(): number | null;
  qualities(): Quality[];
  /** -1: automatic. */
  quality(): number;
  setQuality(id: number): void;
  /** Media time to jump to for live; null when unknown. */
  livePosition(): number | null;
  destroy(): void;
}

/** @param onLost the stream cannot be played on; the engine is of no use any more */
export type EngineEvents = { onLost: (reason: string) => void; onQualities: () => void };

export function engineFor(video: HTMLVideoElement, url: string, events: EngineEvents): Engine | null {
  if (Hls.isSupported()) return hlsEngine(video, url, events);
  return video.canPlayType("application/vnd.apple.mpegurl") === "" ? null : nativeEngine(video, url, events);
}

/** A second decoder error within this time is not cured by the same medicine. */
const MEDIA_ERROR_CALM_MS = 5000;

function hlsEngine(video: HTMLVideoElement, url: string, events: EngineEvents): Engine {
  // The distance to the live edge is the playlist's PART-HOLD-BACK: hls.js takes it in low-latency mode unless it is told
  // another. The rate moves by 8 % at most, which nobody hears.
  const hls = new Hls({
    lowLatencyMode: true,
    maxLiveSyncPlaybackRate: 1.08,
    liveSyncOnStallIncrease: 0.25,
    liveDurationInfinity: true,
    backBufferLength: 30,
    maxBufferLength: 12,
    maxMaxBufferLength: 30,
    capLevelToPlayerSize: true,
    maxDevicePixelRatio: 2,
    startLevel: -1,
    testBandwidth: false,
    abrEwmaDefaultEstimate: 5_000_000,
  });
  let mediaErrorAt = Number.NEGATIVE_INFINITY;
  hls.on(Hls.Events.ERROR, (_, data: ErrorData) => {
    if (!data.fatal) return;
    const now = performance.now();
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && now - mediaErrorAt > MEDIA_ERROR_CALM_MS) {
      mediaErrorAt = now;
      hls.recoverMediaError();
    } else events.onLost(data.details);
  });
  hls.on(Hls.Events.MANIFEST_PARSED, events.onQualities);
  hls.on(Hls.Events.LEVELS_UPDATED, events.onQualities);
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    source: "hls.js",
    playingAtMs: () => hls.playingDate?.getTime() ?? null,
    targetLatencyMs: () => (hls.targetLatency === null ? null : hls.targetLatency * 1000),
    bitrate: () => hls.levels[hls.currentLevel]?.bitrate ?? null,
    qualities: () =>
      hls.levels
        .map((level, id) => ({
          id,
          label: level.height ? `${level.height}p` : `${Math.round(level.bitrate / 1000)} kb/s`,
        }))
        .reverse(),
    quality: () => (hls.autoLevelEnabled ? -1 : hls.nextLevel),
    setQuality: (id) => {
      hls.nextLevel = id;
    },
    livePosition: () => hls.liveSyncPosition,
    destroy: () => hls.destroy(),
  };
}

function nativeEngine(video: HTMLVideoElement, url: string, events: EngineEvents): Engine {
  const failed = () => events.onLost(video.error?.message || "the browser cannot play it");
  video.addEventListener("error", failed);
  video.src = url;
  /** Safari only: the UTC instant of media time 0. */
  const start = () => (video as { getStartDate?: () => Date }).getStartDate?.().getTime() ?? Number.NaN;
  return {
    source: "native",
    playingAtMs: () => (Number.isNaN(start()) ? null : start() + video.currentTime * 1000),
    targetLatencyMs: () => null,
    bitrate: () => null,
    qualities: () => [],
    quality: () => -1,
    setQuality: () => {},
    livePosition: () => (video.seekable.length === 0 ? null : video.seekable.end(video.seekable.length - 1)),
    destroy: () => {
      video.removeEventListener("error", failed);
      video.removeAttribute("src");
      video.load();
    },
  };
}
