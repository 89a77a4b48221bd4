// A publisher made of numbers: pictures and audio frames with the stamps of a container, in decode order.
import type { DemuxClock, DemuxEvent, DemuxedUnit } from "#media/demux.ts";
import type { AudioTrack, Track, VideoTrack } from "#media/session-log/entries.ts";
import { type Rate, rate } from "#media/time/rate.ts";

export const FLV_CLOCK: DemuxClock = { timescale: 1000, wrapBits: 32 };
export const TS_CLOCK: DemuxClock = { timescale: 90_000, wrapBits: 33 };

export const videoTrack = (declaredRate: Rate | null = rate(25), width = 1280, height = 720): VideoTrack => ({
  track: 0,
  kind: "video",
  codec: "h264",
  config: Uint8Array.of(1, 0x64, 0, 0x1f, 0xff),
  width,
  height,
  pixelAspect: { num: 1, den: 1 },
  declaredRate,
  interlaced: false,
  bitDepth: 8,
  range: "SDR",
  rotation: 0,
});

export const audioTrack = (sampleRate = 48_000): AudioTrack => ({
  track: 1,
  kind: "audio",
  codec: "aac",
  config: Uint8Array.of(0x11, 0x90),
  sampleRate,
  channels: 2,
  samplesPerUnit: 1024,
  language: "und",
});

export const tracksEvent = (...tracks: Track[]): DemuxEvent => ({ kind: "tracks", tracks, complete: true });

/** One NAL unit with a 4-byte length: an IDR slice or another one. */
const IDR = Uint8Array.of(0, 0, 0, 5, 0x65, 0x88, 0x84, 0, 0x10);
const SLICE = Uint8Array.of(0, 0, 0, 5, 0x41, 0x9a, 0x21, 0x6c, 0x40);

export type Timed = Readonly<{ seconds: number; unit: DemuxedUnit }>;

const wrap = (ticks: number, { wrapBits }: DemuxClock) => ((ticks % 2 ** wrapBits) + 2 ** wrapBits) % 2 ** wrapBits;

export type SourceSettings = Readonly<{
  clock?: DemuxClock;
  fps?: number;
  sampleRate?: number;
  seconds: number;
  gopFrames?: number;
  /** Consecutive pictures that are shown before the one they follow in decode order. */
  bFrames?: number;
  startTicks?: number;
  kinds?: "both" | "video" | "audio";
}>;

/** Units by the time at which an encoder would send them. */
export function sourceUnits(settings: SourceSettings): Timed[] {
  const { clock = FLV_CLOCK, fps = 25, sampleRate = 48_000, seconds, gopFrames = 25, bFrames = 0 } = settings;
  const { startTicks = 0, kinds = "both" } = settings;
  const ticks = (at: number) => wrap(startTicks + Math.round(at * clock.timescale), clock);
  const video: Timed[] = [];
  const delay = bFrames > 0 ? 1 : 0;
  for (let decode = 0; kinds !== "audio" && decode < seconds * fps; decode += 1) {
    const inGop = decode % gopFrames;
    const inMini = bFrames === 0 || inGop === 0 ? 0 : ((inGop - 1) % (bFrames + 1)) + 1;
    const shown =
      inMini === 0 ? decode : inMini === 1 ? Math.min(decode + bFrames, lastOf(decode, gopFrames)) : decode - 1;
    const unit = {
      kind: "unit",
      track: 0,
      ptsTicks: ticks((shown + delay) / fps),
      dtsTicks: ticks(decode / fps),
      randomAccess: inGop === 0,
      damaged: false,
      payload: inGop === 0 ? IDR : SLICE,
    } as const;
    video.push({ seconds: decode / fps, unit });
  }
  const audio: Timed[] = [];
  for (let n = 0; kinds !== "video" && n * 1024 < seconds * sampleRate; n += 1) {
    const at = (n * 1024) / sampleRate;
    const unit = { kind: "unit", track: 1, randomAccess: true, damaged: false, payload: Uint8Array.of(1, 2) } as const;
    const stamp = ticks(at + delay / fps);
    audio.push({ seconds: at, unit: { ...unit, ptsTicks: stamp, dtsTicks: stamp } });
  }
  return [...video, ...audio].sort((a, b) => a.seconds - b.seconds || a.unit.track - b.unit.track);
}

const lastOf = (decode: number, gopFrames: number) => Math.floor(decode / gopFrames) * gopFrames + gopFrames - 1;
