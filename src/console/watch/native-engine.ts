// The browser's own player. It chooses renditions by itself and tells little; audio tracks it does let choose.
import type { Engine, EngineEvents } from "./engine.ts";
import { isPicture } from "./formats.ts";

/** What Safari has beyond the types of the DOM. */
type SafariVideo = HTMLVideoElement & {
  /** The UTC instant of media time 0. */
  getStartDate?: () => Date;
  audioTracks?: ArrayLike<{ label: string; language: string; enabled: boolean }> & EventTarget;
};

export function nativeCanPlay(video: HTMLVideoElement, codec: string): boolean {
  return video.canPlayType(`${isPicture(codec) ? "video" : "audio"}/mp4; codecs="${codec}"`) !== "";
}

/** @param wantedSound chosen as soon as the browser knows a track of that name */
export function nativeEngine(
  video: SafariVideo,
  url: string,
  wantedSound: string | null,
  events: EngineEvents,
): Engine {
  const tracks = () => Array.from(video.audioTracks ?? []);
  const nameOf = ({ label, language }: { label: string; language: string }) => label || language;
  const choose = (name: string | null) => {
    if (!tracks().some((track) => nameOf(track) === name)) return;
    for (const track of tracks()) track.enabled = nameOf(track) === name;
  };
  const failed = () => events.onLost(video.error?.message || "the browser cannot play it");
  const added = () => {
    choose(wantedSound);
    events.onChoices();
  };
  video.addEventListener("error", failed);
  video.audioTracks?.addEventListener("addtrack", added);
  video.src = url;
  const start = () => video.getStartDate?.().getTime() ?? Number.NaN;
  return {
    source: "native",
    playingAtMs: () => (Number.isNaN(start()) ? null : start() + video.currentTime * 1000),
    targetLatencyMs: () => null,
    bitrate: () => null,
    format: () => null,
    qualities: () => [],
    quality: () => -1,
    setQuality: () => {},
    sounds: () => tracks().map((track) => ({ id: nameOf(track), label: nameOf(track) })),
    sound: () =>
      tracks()
        .filter(({ enabled }) => enabled)
        .map(nameOf)[0] ?? null,
    setSound: (name) => choose(name),
    livePosition: () => (video.seekable.length === 0 ? null : video.seekable.end(video.seekable.length - 1)),
    destroy: () => {
      video.removeEventListener("error", failed);
      video.audioTracks?.removeEventListener("addtrack", added);
      video.removeAttribute("src");
      video.load();
    },
  };
}
