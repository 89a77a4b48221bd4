// The part that decodes: hls.js where Media Source exists, else the browser's own player (Safari on older phones).
// Both answer the same few questions, so that nothing above asks which one runs.
import { hlsCanPlay, hlsEngine, isHlsSupported } from "./hls-engine.ts";
import { nativeCanPlay, nativeEngine } from "./native-engine.ts";

export type Choice<Id> = Readonly<{ id: Id; label: string }>;

/** What plays: codecs as RFC 6381 has them, VIDEO-RANGE. Null where nobody says. */
export type Format = Readonly<{ picture: string | null; range: string | null; sound: string | null }>;

export interface Engine {
  readonly source: "hls.js" | "native";
  /** UTC ms of the picture on screen, from EXT-X-PROGRAM-DATE-TIME; null before it is known. */
  playingAtMs(): number | null;
  /** Distance to the live edge that is aimed at, ms. */
  targetLatencyMs(): number | null;
  /** Bits per second of the rendition that plays. */
  bitrate(): number | null;
  format(): Format | null;
  qualities(): Choice<number>[];
  /** -1: automatic. */
  quality(): number;
  setQuality(id: number): void;
  /** Audio tracks by their names, which stay the same when the picture's rendition changes. */
  sounds(): Choice<string>[];
  sound(): string | null;
  setSound(name: string): void;
  /** Media time to jump to for live; null when unknown. */
  livePosition(): number | null;
  destroy(): void;
}

export type EngineEvents = Readonly<{
  /** The stream cannot be played on; the engine is of no use any more. */
  onLost: (reason: string) => void;
  /** Qualities or sounds are others than before. */
  onChoices: () => void;
}>;

/** @param sound the audio track that the viewer chose before, by name
 *  @returns null when the browser can play no HLS at all */
export function engineFor(
  video: HTMLVideoElement,
  url: string,
  sound: string | null,
  events: EngineEvents,
): Engine | null {
  if (isHlsSupported()) return hlsEngine(video, url, sound, events);
  const canPlayHls = video.canPlayType("application/vnd.apple.mpegurl") !== "";
  return canPlayHls ? nativeEngine(video, url, sound, events) : null;
}

/** @param codec one, as RFC 6381 has it */
export function canPlay(video: HTMLVideoElement, codec: string): boolean {
  return isHlsSupported() ? hlsCanPlay(codec) : nativeCanPlay(video, codec);
}
