// Any entry a session log may hold, for property tests.
import fc from "fast-check";
import type { Decision, Positioned, Unit } from "../entries.ts";

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const whole = fc.maxSafeInteger();
const positive = fc.integer({ min: 1, max: 2 ** 31 });
const ns = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = fc.uint8Array({ maxLength: 60 });
const text = fc.string({ maxLength: 20, unit: "binary" });
const rate = fc.record({ num: positive, den: positive }, { noNullPrototype: true });

/** A record of that kind: plain objects, so that they equal what a decoder makes. */
function kind<K extends string, T extends object>(
  name: K,
  fields: { [F in keyof T]: fc.Arbitrary<T[F]> },
): fc.Arbitrary<{ kind: K } & T> {
  return fc.record({ kind: fc.constant(name), ...fields }, { noNullPrototype: true }) as fc.Arbitrary<{ kind: K } & T>;
}

const track = fc.oneof(
  kind("video", {
    track: fc.nat(65_535),
    codec: fc.constantFrom("h264" as const, "hevc" as const),
    config: bytes,
    width: positive,
    height: positive,
    pixelAspect: rate,
    declaredRate: fc.option(rate),
    interlaced: fc.boolean(),
    bitDepth: positive,
    range: fc.constantFrom("SDR" as const, "PQ" as const, "HLG" as const),
    rotation: fc.constantFrom(0 as const, 90 as const, 270 as const),
  }),
  kind("audio", {
    track: fc.nat(65_535),
    codec: fc.constantFrom("aac" as const, "ac3" as const, "opus" as const),
    config: bytes,
    sampleRate: positive,
    channels: positive,
    samplesPerUnit: positive,
    language: text,
  }),
);

const rendition = fc.oneof(
  kind("video", {
    copied: fc.constant(true as const),
    track: fc.nat(65_535),
    name: text,
    codec: fc.constantFrom("h264" as const, "hevc" as const, "av1" as const),
    width: positive,
    height: positive,
    pixelAspect: rate,
    range: fc.constantFrom("SDR" as const, "PQ" as const),
  }),
  kind("audio", {
    copied: fc.constant(true as const),
    track: fc.nat(65_535),
    name: text,
    codec: fc.constantFrom("aac" as const, "eac3" as const, "opus" as const),
    sampleRate: positive,
    channels: positive,
    samplesPerUnit: positive,
    language: text,
  }),
  kind("video", {
    copied: fc.constant(false as const),
    name: text,
    codec: fc.constant("h264" as const),
    width: positive,
    height: positive,
    pixelAspect: rate,
    profile: fc.constantFrom("main" as const, "high" as const),
    levelIdc: positive,
    preset: fc.constantFrom("ultrafast" as const, "veryfast" as const),
    crf: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0), // JSON knows no -0
    maxBitrate: positive,
  }),
  kind("audio", {
    copied: fc.constant(false as const),
    track: fc.nat(65_535),
    name: text,
    codec: fc.constant("aac" as const),
    sampleRate: positive,
    channels: positive,
    bitrate: positive,
    language: text,
  }),
);

export const anyUnit: fc.Arbitrary<Unit> = kind("unit", {
  track: fc.nat(65_535),
  index: whole,
  timeNs: ns,
  decodeNs: ns,
  randomAccess: fc.boolean(),
  damaged: fc.boolean(),
  arrivedNs: ns,
  payload: fc.uint8Array({ maxLength: 400 }),
});

export const anyDecision: fc.Arbitrary<Decision> = fc.oneof(
  kind("session", {
    session: text,
    channel: text,
    tenant: text,
    msnBase: count,
    discontinuityBase: count,
    openedNs: ns,
    traceparent: text,
  }),
  kind("tracks", { tracks: fc.array(track, { maxLength: 4 }) }),
  kind("anchor", { sourceTicks: ns, timescale: positive, timeNs: ns }),
  kind("era", {
    era: count,
    mode: fc.constantFrom("grid" as const, "source" as const),
    rate,
    frameRate: rate,
    frame: whole,
    previousEnd: fc.option(whole),
    segmentFrames: positive,
    partFrames: positive,
    partTargetMs: positive,
    targetDurationSeconds: positive,
    sourceRate: rate,
    renditions: fc.array(rendition, { maxLength: 4 }),
  }),
  kind("hole", { from: whole, to: whole }),
  kind("splice", { frame: whole, discontinuity: fc.boolean() }),
  kind("boundary", { frame: whole, ordinal: count, discontinuity: fc.boolean(), discontinuities: count }),
  kind("drift", { frame: whole, step: fc.constantFrom(1 as const, -1 as const) }),
  kind("end", { frame: whole, reason: fc.constantFrom("publisher" as const, "lost" as const, "stopped" as const) }),
);

export const anyEntry: fc.Arbitrary<Positioned> = fc.record(
  { position: count, entry: fc.oneof(anyUnit, anyDecision) },
  { noNullPrototype: true },
);
