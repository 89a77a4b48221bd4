// The sources that purity and seams are tested on: each has something that broke a careless worker once.
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import { type Rate, rate } from "#media/time/rate.ts";
import { makeVideo, type SourceVideoSettings } from "#platform/av/testing/source.ts";
import { makeAudio, type SourceAudioSettings } from "#platform/av/testing/source-audio.ts";
import { withDriftStep } from "./drift-log.ts";
import { audioRung, buildLog, type LogSettings, videoRung } from "./session-log.ts";
import { asSourceLog, type SourceLogSettings } from "./source-log.ts";

const SMALL = { width: 320, height: 180 };
const NTSC = rate(30_000, 1001);
const LADDER: readonly Rendition[] = [videoRung(180), videoRung(90), audioRung];

export type Case = Readonly<{
  name: string;
  /** Seconds of source at the given length. */
  make: (seconds: number) => Promise<Positioned<Entry>[]>;
}>;

type Plan = Readonly<{
  rate: Rate;
  sourceRate?: Rate;
  video?: Partial<SourceVideoSettings> | null;
  audio?: Partial<SourceAudioSettings> | null;
  otherAudio?: readonly Partial<SourceAudioSettings>[];
  log?: Partial<LogSettings>;
  /** In `source` mode, its encoded renditions beside a copy. */
  source?: SourceLogSettings;
  /** The gateway moves media time by a picture. */
  drift?: 1 | -1;
}>;

async function build(plan: Plan, seconds: number): Promise<Positioned<Entry>[]> {
  const source = plan.sourceRate ?? plan.rate;
  const frames = Math.round((seconds * source.num) / source.den);
  const videoSettings = { ...SMALL, rate: source, frames, gopFrames: 45, ...plan.video };
  const audioSettings = { sampleRate: 48_000, channels: 2, frames: 0, ...plan.audio };
  const sound = (own: Partial<SourceAudioSettings>) => soundOf({ ...audioSettings, ...own }, seconds);
  const log = buildLog({
    video: plan.video === null ? null : await makeVideo(videoSettings),
    audio: plan.audio === null ? null : await sound({}),
    otherAudio: await Promise.all((plan.otherAudio ?? []).map(sound)),
    rate: plan.rate,
    ...(plan.sourceRate ? { sourceRate: plan.sourceRate } : {}),
    size: { width: videoSettings.width, height: videoSettings.height },
    range: videoSettings.range ?? "SDR",
    interlaced: videoSettings.interlaced ?? false,
    audioFormat: audioSettings,
    renditions: plan.video === null ? [audioRung] : plan.audio === null ? LADDER.slice(0, 2) : LADDER,
    ...plan.log,
  });
  if (plan.drift) return withDriftStep(log, plan.drift).log;
  return plan.source ? asSourceLog(log, plan.source) : log;
}

function soundOf(settings: SourceAudioSettings, seconds: number) {
  const unit = UNIT_SAMPLES[settings.codec ?? "aac"];
  return makeAudio({ ...settings, frames: Math.ceil((seconds * settings.sampleRate) / unit) });
}

const UNIT_SAMPLES = { aac: 1024, mp2: 1152, mp3: 1152, ac3: 1536, eac3: 1536, opus: 960 } as const;

function plan(name: string, value: Plan): Case {
  return { name, make: (seconds) => build(value, seconds) };
}

export const CASES: readonly Case[] = [
  plan("B-frames, millisecond times with jitter, 44.1 kHz with noise substitution", {
    rate: NTSC,
    video: { bFrames: 2 },
    audio: { sampleRate: 44_100, content: "hiss" },
    log: { jitterMs: 2 },
  }),
  plan("interlaced 29.97", { rate: NTSC, video: { interlaced: true, gopFrames: 15 } }),
  plan("noise at the rate cap", {
    rate: rate(30),
    video: { content: "noise", gopFrames: 60 },
    log: { renditions: [videoRung(180, { preset: "veryfast", maxBitrate: 900_000 }), audioRung] },
  }),
  plan("damaged units, B-frames", { rate: rate(30), video: { bFrames: 2, gopFrames: 20 }, log: { damage: 0.1 } }),
  plan("H.265 with B-frames", { rate: rate(25), video: { codec: "hevc", bFrames: 2, gopFrames: 30 } }),
  plan("a hole of some segments", { rate: rate(25), video: { gopFrames: 10 }, log: { hole: [57, 171] } }),
  plan("a splice", { rate: NTSC, video: { bFrames: 1 }, log: { splice: 77 } }),
  plan("a source faster than the output, mono at 22.05 kHz", {
    rate: rate(25),
    sourceRate: rate(30),
    audio: { sampleRate: 22_050, channels: 1 },
  }),
  plan("a slow source with empty slots, no audio", { rate: rate(25), sourceRate: rate(15), audio: null }),
  plan("AC-3 of 5.1, HDR10 in H.265 of 10 bits", {
    rate: rate(25),
    video: { codec: "hevc", format: "4:2:0 10", range: "PQ", gopFrames: 25 },
    audio: { codec: "ac3", channels: 6, bitrate: 384_000, content: "hiss" },
    log: { renditions: [videoRung(90), audioRung] },
  }),
  plan("AV1 of an odd size, turned, Opus", {
    rate: rate(25),
    video: { codec: "av1", width: 181, height: 101, gopFrames: 25 },
    audio: { codec: "opus" },
    log: { rotation: 90, renditions: [videoRung(90, { width: 50 }), audioRung] },
  }),
  plan("MP2, MP3 and E-AC-3 beside each other, a drift step", {
    drift: 1,
    rate: rate(25),
    video: { gopFrames: 25, format: "4:2:2" },
    audio: { codec: "mp2" },
    otherAudio: [{ codec: "mp3", bitrate: 48_000 }, { codec: "eac3" }],
    log: {
      renditions: [
        videoRung(90),
        audioRung,
        { ...audioRung, name: "b", track: 3 },
        { ...audioRung, name: "c", track: 4 },
      ],
    },
  }),
  plan("source times: a copy beside encoded rungs, B-frames, pictures that come unevenly, encoded sound", {
    rate: NTSC,
    video: { bFrames: 2, gopFrames: 25 },
    audio: { codec: "mp2" },
    source: { renditions: LADDER, laterBy: (frame) => (frame % 3) * 137 },
  }),
  plan("source times: a publisher that is away for some segments", {
    rate: rate(25),
    video: { bFrames: 1, gopFrames: 20 },
    source: { renditions: [videoRung(90), audioRung], away: [47, 132] },
  }),
  plan("audio only", { rate: rate(25), video: null, audio: { sampleRate: 44_100, content: "hiss" } }),
];
