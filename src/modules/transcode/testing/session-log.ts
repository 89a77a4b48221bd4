// Session logs as a gateway writes them, built from made sources, and what a worker needs around it: a source that serves
// the log from where it is asked, and an origin that keeps what it is sent.
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "#base/random.ts";
import type { AudioRendition, Rendition, VideoRendition } from "#media/ladder/rendition.ts";
import type {
  AudioTrack,
  Decision,
  Entry,
  EraOpened,
  Positioned,
  Unit,
  VideoTrack,
} from "#media/session-log/entries.ts";
import type { EraFrame } from "#media/session-log/era-frame.ts";
import type { CmafSink, LogSource } from "#media/session-log/maker-ports.ts";
import { indexAt, type Rate, rate, timeOf } from "#media/time/rate.ts";
import { partFrames, partTargetMs, segmentFrames, targetDurationSeconds } from "#media/time/segmentation.ts";
import type { SourceVideo } from "#platform/av/testing/source.ts";
import type { SourceAudio } from "#platform/av/testing/source-audio.ts";

export function videoRung(height: number, over: Partial<VideoRendition> = {}): VideoRendition {
  return {
    kind: "video",
    copied: false,
    name: `v${height}`,
    codec: "h264",
    width: Math.round((height * 16) / 9 / 2) * 2,
    height,
    pixelAspect: { num: 1, den: 1 },
    profile: "high",
    levelIdc: 31,
    preset: "ultrafast",
    crf: 23,
    maxBitrate: 600_000,
    ...over,
  };
}

export const audioRung: AudioRendition = {
  kind: "audio",
  copied: false,
  track: 2,
  name: "audio",
  codec: "aac",
  sampleRate: 48_000,
  channels: 2,
  bitrate: 128_000,
  language: "und",
};

export type LogSettings = Readonly<{
  video: SourceVideo | null;
  audio: SourceAudio | null;
  rate: Rate;
  sourceRate?: Rate;
  size: Readonly<{ width: number; height: number }>;
  interlaced?: boolean;
  rotation?: VideoTrack["rotation"];
  range?: VideoTrack["range"];
  /** More audio tracks, numbered from 3. */
  otherAudio?: readonly SourceAudio[];
  audioFormat?: Readonly<{ sampleRate: number; channels: number }>;
  renditions: readonly Rendition[];
  segmentMs?: number;
  /** Times are rounded to milliseconds, with up to that many ms of jitter (RTMP). */
  jitterMs?: number;
  /** Frames [from, to) of the output are missing in the source, and logged as holes. */
  hole?: readonly [from: number, to: number];
  /** A boundary at this frame, counted from the first. */
  splice?: number;
  /** Share of the units that are hit by loss. */
  damage?: number;
}>;

/** The first frame: somewhere inside of a segment, in 2026. */
export function firstFrameOf(r: Rate): number {
  return indexAt(r, 1_790_000_000_733_000_000n);
}

export function buildLog(settings: LogSettings): Positioned<Entry>[] {
  const { rate: r, renditions, video, audio, segmentMs = 2000 } = settings;
  const first = firstFrameOf(r);
  const perSegment = segmentFrames(r, segmentMs);
  const perPart = partFrames(r, perSegment, 334);
  const era: EraOpened = {
    kind: "era",
    era: 0,
    mode: "grid",
    rate: r,
    frameRate: r,
    frame: first,
    previousEnd: null,
    segmentFrames: perSegment,
    partFrames: perPart,
    partTargetMs: partTargetMs(r, perPart, 48_000),
    targetDurationSeconds: targetDurationSeconds(r, perSegment, 48_000),
    sourceRate: settings.sourceRate ?? r,
    renditions,
  };
  const anchorNs = timeOf(r, first);
  const audios = [...(audio ? [audio] : []), ...(settings.otherAudio ?? [])];
  const tracks = [
    ...(video ? [videoTrack(settings, video)] : []),
    ...audios.map((source, i) => audioTrack(settings, source, 2 + i)),
  ];
  const opening: Decision[] = [
    {
      kind: "session",
      session: "s1",
      channel: "c",
      tenant: "main",
      msnBase: 7,
      discontinuityBase: 0,
      openedNs: anchorNs,
      traceparent: "00-0-0-00",
    },
    { kind: "tracks", tracks },
    { kind: "anchor", sourceTicks: 0n, timescale: 90_000, timeNs: anchorNs },
    era,
  ];
  const units = [
    ...(video ? videoUnits(settings, video, anchorNs) : []),
    ...audios.flatMap((source, i) => audioUnits(settings, source, anchorNs, 2 + i)),
  ];
  units.sort((a, b) => (a.decodeNs < b.decodeNs ? -1 : a.decodeNs > b.decodeNs ? 1 : a.track - b.track));
  const entries: Entry[] = [...opening, ...withDecisions(settings, units, first)];
  const frames = video ? video.units.length : Math.floor((secondsOf(audio) * r.num) / r.den);
  entries.push({
    kind: "end",
    frame: first + Math.round((frames * r.num * sourceOf(settings).den) / (r.den * sourceOf(settings).num)),
    reason: "publisher",
  });
  return entries.map((entry, position) => ({ position, entry }));
}

function sourceOf({ sourceRate, rate: r }: LogSettings): Rate {
  return sourceRate ?? r;
}

/** 48 kHz whatever the source has: an end that lies somewhere inside of the last segment. */
function secondsOf(audio: SourceAudio | null): number {
  return ((audio?.units.length ?? 0) * (audio?.samplesPerUnit ?? 0)) / 48_000;
}

function videoTrack(
  { size, interlaced = false, rate: r, rotation = 0, range = "SDR" }: LogSettings,
  { codec, config }: SourceVideo,
): VideoTrack {
  return {
    track: 1,
    kind: "video",
    codec,
    config,
    ...size,
    pixelAspect: { num: 1, den: 1 },
    declaredRate: r,
    interlaced,
    bitDepth: 8,
    range,
    rotation,
  };
}

function audioTrack({ audioFormat }: LogSettings, source: SourceAudio, track: number): AudioTrack {
  const { codec, config, samplesPerUnit } = source;
  const { sampleRate, channels } = audioFormat ?? { sampleRate: 48_000, channels: 2 };
  return { track, kind: "audio", codec, config, sampleRate, channels, samplesPerUnit, language: "und" };
}

function videoUnits(settings: LogSettings, { units }: SourceVideo, anchorNs: bigint): Unit[] {
  const random = seededRandom(11);
  const source = sourceOf(settings);
  let damagedUntilKey = false;
  return units.flatMap((unit) => {
    const exactNs = anchorNs + timeOf(source, unit.frame);
    const timeNs = settings.jitterMs === undefined ? exactNs : jitter(exactNs, settings.jitterMs, random.next());
    const decodeNs = exactNs - timeOf(source, unit.frame - unit.decode);
    let payload: Uint8Array | null = unit.payload;
    if (unit.key) damagedUntilKey = false;
    if (settings.damage !== undefined && random.next() < settings.damage) {
      damagedUntilKey = true;
      payload = damaged(payload, random.next());
    }
    if (payload === null) return [];
    return {
      kind: "unit",
      track: 1,
      index: indexAt(settings.rate, timeNs),
      timeNs,
      decodeNs: earlier(decodeNs, timeNs),
      randomAccess: unit.key,
      damaged: damagedUntilKey,
      arrivedNs: decodeNs + 20_000_000n,
      payload,
    };
  });
}

function earlier(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function jitter(exactNs: bigint, jitterMs: number, chance: number): bigint {
  const ms = exactNs / 1_000_000n + BigInt(Math.round((chance - 0.5) * 2 * jitterMs));
  return ms * 1_000_000n;
}

/** What loss leaves of a unit: a stretch overwritten, the end missing, or nothing at all. */
function damaged(payload: Uint8Array, chance: number): Uint8Array | null {
  if (chance < 0.3) return null;
  const from = Math.floor(payload.length * chance);
  if (chance < 0.6) return payload.slice(0, from);
  const copy = new Uint8Array(payload);
  return copy.fill(0x5a, from, Math.min(copy.length, from + 188));
}

function audioUnits(settings: LogSettings, source: SourceAudio, anchorNs: bigint, track: number): Unit[] {
  const { units, samplesPerUnit } = source;
  const sampleRate = settings.audioFormat?.sampleRate ?? 48_000;
  const grid = rate(sampleRate);
  const first = indexAt(grid, anchorNs);
  return units.map((payload, i) => {
    const index = first + i * samplesPerUnit;
    const timeNs = timeOf(grid, index);
    const rest = { randomAccess: true, damaged: false, arrivedNs: timeNs + 30_000_000n, payload };
    return { kind: "unit", track, index, timeNs, decodeNs: timeNs, ...rest };
  });
}

/** The hole takes its units away (and those up to the next key frame after it), the splice stands before its frame. */
function withDecisions(settings: LogSettings, units: readonly Unit[], first: number): Entry[] {
  const { rate: r } = settings;
  const entries: Entry[] = [];
  const hole = settings.hole?.map((frame) => first + frame) as [number, number] | undefined;
  let returned = false;
  let toldTo = hole?.[0] ?? 0;
  let spliced = false;
  for (const unit of units) {
    const frame = indexAt(r, unit.timeNs);
    if (settings.splice !== undefined && !spliced && unit.track === 1 && frame >= first + settings.splice - 5) {
      entries.push({ kind: "splice", frame: first + settings.splice, discontinuity: false });
      spliced = true;
    }
    if (hole && frame >= hole[0] && !returned) {
      if (unit.track === 1 && unit.randomAccess && frame >= hole[1]) {
        entries.push({ kind: "hole", from: toldTo, to: frame });
        returned = true;
      } else {
        // Told as time passes, about 5 frames each.
        if (frame - toldTo >= 5) {
          entries.push({ kind: "hole", from: toldTo, to: frame });
          toldTo = frame;
        }
        continue;
      }
    }
    entries.push(unit);
  }
  return entries;
}

/** Serves it as a gateway does: all decisions before, then everything from a random access point with pre-roll. */
export function sourceOfLog(
  log: readonly Positioned<Entry>[],
  options: { pause?: () => Promise<void> } = {},
): LogSource {
  return {
    async *entries(from, signal) {
      const start = from === null ? 0 : startPosition(log, from);
      for (const { position, entry } of log) {
        if (signal.aborted) return;
        if (position < start && entry.kind === "unit") continue;
        await options.pause?.();
        yield { position, entry };
      }
    },
  };
}

/** Audio reaches back at most this far before the first frame: pre-roll of units, encoder and resampler at 22.05 kHz. */
const PRE_ROLL_NS = 450_000_000n;

function startPosition(log: readonly Positioned<Entry>[], from: EraFrame): number {
  const era = log
    .map(({ entry }) => entry)
    .find((entry): entry is EraOpened => entry.kind === "era" && entry.era === from.era);
  assert.ok(era);
  const neededNs = timeOf(era.rate, from.frame) - PRE_ROLL_NS;
  const point = log.findLast(
    ({ entry }) =>
      entry.kind === "unit" && entry.randomAccess && entry.timeNs <= neededNs && (entry.track === 1 || !hasVideo(era)),
  );
  return point?.position ?? 0;
}

function hasVideo(era: EraOpened): boolean {
  return era.renditions.some((rendition) => rendition.kind === "video");
}

export type Stored = Readonly<{
  track: string;
  era: number;
  startTicks: number;
  segmentStartTicks: number;
  bytes: Uint8Array;
  lastOfSegment: boolean;
  newestArrivedNs: bigint;
}>;

export type MemorySink = CmafSink & {
  readonly parts: Stored[];
  readonly inits: Map<string, Uint8Array>;
  readonly ended: Set<string>;
};

/** @param next what it has already @param onPart called for each part that comes */
export function memorySink(next: EraFrame | null = null, onPart: (part: Stored) => void = () => {}): MemorySink {
  const parts: Stored[] = [];
  const inits = new Map<string, Uint8Array>();
  const ended = new Set<string>();
  return {
    parts,
    inits,
    ended,
    nextFrame: async () => next,
    track(name, _kind, era, init) {
      inits.set(`${name}/${era}`, init);
      return {
        push(part) {
          const stored = { track: name, era, ...part };
          parts.push(stored);
          onPart(stored);
        },
        end: () => void ended.add(`${name}/${era}`),
      };
    },
    drained: async () => {},
    close: () => {},
  };
}

/** SHA-256 by name: "v180/0 init", "v180/0 part TICKS", "v180/0 segment TICKS" (of its parts, in order). */
export function digests(sink: MemorySink): Map<string, string> {
  const result = new Map<string, string>();
  const segments = new Map<string, Uint8Array[]>();
  for (const [name, init] of sink.inits) result.set(`${name} init`, sha256([init]));
  for (const { track, era, startTicks, segmentStartTicks, bytes } of sink.parts) {
    result.set(`${track}/${era} part ${startTicks}`, sha256([bytes]));
    const segment = `${track}/${era} segment ${segmentStartTicks}`;
    segments.set(segment, [...(segments.get(segment) ?? []), bytes]);
  }
  for (const [name, parts] of segments) result.set(name, sha256(parts));
  return result;
}

function sha256(pieces: readonly Uint8Array[]): string {
  return pieces.reduce((hash, piece) => hash.update(piece), createHash("sha256")).digest("hex");
}

/** Now and then a pause, so that work overlaps in other ways. */
export function stalls(seed: number): () => Promise<void> {
  const random = seededRandom(seed);
  return async () => {
    if (random.next() < 0.05) await sleep(Math.floor(random.next() * 8));
  };
}
