// hls.js, set up for low latency. The distance to the live edge is the playlist's PART-HOLD-BACK: hls.js takes it in
// low-latency mode unless it is told another. The rate moves by 8 % at most, which nobody hears.
import Hls, { type ErrorData, type Level } from "hls.js";
import type { Choice, Engine, EngineEvents } from "./engine.ts";
import { codecName, isPicture, pictureLabel } from "./formats.ts";

/** A second decoder error within this time is not cured by the same medicine. */
const MEDIA_ERROR_CALM_MS = 5000;

export const isHlsSupported = (): boolean => Hls.isSupported();

/** As hls.js judges it: by Media Source, with the spellings that browsers know. */
export function hlsCanPlay(codec: string): boolean {
  const source = Hls.getMediaSource();
  const knows = (type: string) => source?.isTypeSupported(type) ?? false;
  if (isPicture(codec)) return knows(`video/mp4;codecs=${codec}`);
  if (codec === "mp4a.40.34" && (knows("audio/mp4;codecs=mp3") || knows("audio/mpeg"))) return true;
  return knows(`audio/mp4;codecs=${codec === "Opus" ? "opus" : codec}`);
}

export function hlsEngine(video: HTMLVideoElement, url: string, sound: string | null, events: EngineEvents): Engine {
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
    ...(sound === null ? {} : { audioPreference: { name: sound } }),
  });
  let wanted = sound;
  let mediaErrorAt = Number.NEGATIVE_INFINITY;
  hls.on(Hls.Events.ERROR, (_, data: ErrorData) => {
    if (!data.fatal) return;
    const now = performance.now();
    const isDecoding = data.type === Hls.ErrorTypes.MEDIA_ERROR && hls.levels.length > 0;
    if (isDecoding && now - mediaErrorAt > MEDIA_ERROR_CALM_MS) {
      mediaErrorAt = now;
      hls.recoverMediaError();
    } else events.onLost(data.details);
  });
  const { MANIFEST_PARSED, LEVELS_UPDATED, AUDIO_TRACKS_UPDATED, AUDIO_TRACK_SWITCHED } = Hls.Events;
  for (const event of [MANIFEST_PARSED, LEVELS_UPDATED, AUDIO_TRACKS_UPDATED, AUDIO_TRACK_SWITCHED] as const)
    hls.on(event, events.onChoices);
  hls.on(AUDIO_TRACKS_UPDATED, () => keepSound(hls, wanted));
  hls.loadSource(url);
  hls.attachMedia(video);
  const current = (): Level | undefined => hls.levels[hls.currentLevel];
  return {
    source: "hls.js",
    playingAtMs: () => hls.playingDate?.getTime() ?? null,
    targetLatencyMs: () => (hls.targetLatency === null ? null : hls.targetLatency * 1000),
    bitrate: () => current()?.bitrate ?? null,
    format() {
      const level = current();
      if (level === undefined) return null;
      const picture = level.videoCodec ?? null;
      return { picture, range: picture === null ? null : level.videoRange, sound: level.audioCodec ?? null };
    },
    qualities: () => qualitiesOf(hls),
    quality: () => (hls.autoLevelEnabled ? -1 : hls.nextLevel),
    setQuality: (id) => {
      hls.nextLevel = id;
    },
    sounds: () => soundsOf(hls),
    sound: () => hls.audioTracks[hls.audioTrack]?.name ?? null,
    setSound: (name) => {
      wanted = name;
      hls.setAudioOption({ name });
    },
    livePosition: () => hls.liveSyncPosition,
    destroy: () => hls.destroy(),
  };
}

/** Another group of sound has come: hls.js goes on with the language it had, even where it changed the group for another. */
function keepSound(hls: Hls, name: string | null): void {
  const at = hls.audioTracks.findIndex((track) => track.name === name);
  if (at >= 0 && at !== hls.audioTrack) hls.audioTrack = at;
}

/** Best first. Each picture is there once per group of sound: those of the group that plays. */
function qualitiesOf(hls: Hls): Choice<number>[] {
  const group = groupOf(hls.levels[Math.max(0, hls.loadLevel)]);
  const levels = hls.levels.map((level, id) => ({ level, id })).filter(({ level }) => groupOf(level) === group);
  const forms = new Set(levels.map(({ level }) => `${codecName(level.videoCodec ?? "")} ${level.videoRange}`));
  const label = ({ height, videoCodec, videoRange, bitrate }: Level) => {
    if (!height) return `${Math.round(bitrate / 1000)} kb/s`;
    return forms.size > 1 ? pictureLabel(height, videoCodec ?? "", videoRange) : `${height}p`;
  };
  return levels.map(({ level, id }) => ({ id, label: label(level) })).reverse();
}

const groupOf = (level: Level | undefined): string => level?.audioGroups?.[0] ?? "";

/** Those of the group that plays, and what only others have: hls.js changes the group for them. */
function soundsOf(hls: Hls): Choice<string>[] {
  const names = [...hls.audioTracks, ...hls.allAudioTracks].map(({ name }) => name);
  return [...new Set(names)].map((name) => ({ id: name, label: name }));
}
