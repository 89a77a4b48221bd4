// The sources that purity and seams are tested on: each has something that broke a careless worker once.
import type { Rendition } from "#media/ladder/rendition.ts";
import type { Entry, Positioned } from "#media/session-log/entries.ts";
import { type Rate, rate } from "#media/time/rate.ts";
import {
  makeAudio,
  makeVideo,
  type SourceAudioSettings,
  type SourceVideoSettings,
} from "#platform/av/testing/source.ts";
import { audioRung, buildLog, type LogSettings, videoRung } from "./session-log.ts";

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
  log?: Partial<LogSettings>;
}>;

async function build(plan: Plan, seconds: number): Promise<Positioned<Entry>[]> {
  const source = plan.sourceRate ?? plan.rate;
  const frames = Math.round((seconds * source.num) / source.den);
  const videoSettings = { ...SMALL, rate: source, frames, gopFrames: 45, ...plan.video };
  const audioSettings = { sampleRate: 48_000, channels: 2, frames: 0, ...plan.audio };
  const audioFrames = Math.ceil((seconds * audioSettings.sampleRate) / 1024);
  return buildLog({
    video: plan.video === null ? null : await makeVideo(videoSettings),
    audio: plan.audio === null ? null : await makeAudio({ ...audioSettings, frames: audioFrames }),
    rate: plan.rate,
    ...(plan.sourceRate ? { sourceRate: plan.sourceRate } : {}),
    size: SMALL,
    interlaced: videoSettings.interlaced ?? false,
    audioFormat: audioSettings,
    renditions: plan.video === null ? [audioRung] : plan.audio === null ? LADDER.slice(0, 2) : LADDER,
    ...plan.log,
  });
}

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
  plan("audio only", { rate: rate(25), video: null, audio: { sampleRate: 44_100, content: "hiss" } }),
];
