// Decisions as JSON: small, rare, and read by people who look into a journal. Plain JSON has neither bigints nor bytes,
// so those become {"$n":"123"} and {"$b":"base64"}. What comes back is checked field by field against the types: a
// decision with one wrong number would put every later segment elsewhere.
import { PlatformError } from "#base/errors.ts";
import type { AudioRendition, CopiedAudio, CopiedVideo, VideoRendition } from "#media/ladder/rendition.ts";
import type { Rate } from "#media/time/rate.ts";
import type { AudioTrack, Decision, VideoTrack } from "./entries.ts";

export function encodeDecision(decision: Decision): Buffer {
  const text = JSON.stringify(decision, function (this: Record<string, unknown>, key, plain) {
    const value = this[key]; // before toJSON: a Buffer would arrive as {type, data}
    if (typeof value === "bigint") return { $n: value.toString() };
    if (value instanceof Uint8Array) return { $b: bytesOf(value).toString("base64") };
    return plain;
  });
  return Buffer.from(text);
}

/** @throws PlatformError media.malformed for what is no JSON, and for a missing, wrong or unknown field */
export function decodeDecision(bytes: Uint8Array): Decision {
  let value: unknown;
  try {
    value = JSON.parse(bytesOf(bytes).toString("utf8"), (_, item) => {
      if (typeof item?.$n === "string" && WHOLE_NUMBER.test(item.$n)) return BigInt(item.$n);
      if (typeof item?.$b === "string") return new Uint8Array(Buffer.from(item.$b, "base64"));
      return item;
    });
  } catch (cause) {
    throw new PlatformError("media.malformed", "A decision of a session log is not JSON.", { cause });
  }
  if (!isDecision(value)) throw new PlatformError("media.malformed", `No decision of a session log: ${excerpt(bytes)}`);
  return value;
}

/** A longer run of digits is no nanosecond count and no tick. */
const WHOLE_NUMBER = /^-?\d{1,30}$/;

const EXCERPT_BYTES = 120;

const excerpt = (bytes: Uint8Array) => bytesOf(bytes).toString("utf8", 0, EXCERPT_BYTES);

function bytesOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Check = (value: unknown) => boolean;
/** One check for each field of T but `kind`: the compiler finds the field that somebody forgets here. */
type Shape<T> = Readonly<{ [Field in Exclude<keyof T, "kind">]: Check }>;

const text: Check = (value) => typeof value === "string";
const truth: Check = (value) => typeof value === "boolean";
const whole: Check = Number.isSafeInteger;
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const positive: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const finite: Check = Number.isFinite;
const big: Check = (value) => typeof value === "bigint";
const bytes: Check = (value) => value instanceof Uint8Array;
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const nullOr =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

/** An object with exactly these fields. */
function shaped<T>(shape: Shape<T>, kind: string | null): Check {
  const fields = Object.entries<Check>(shape);
  const size = fields.length + (kind === null ? 0 : 1);
  return (value) => {
    if (typeof value !== "object" || value === null || Object.keys(value).length !== size) return false;
    const object = value as Record<string, unknown>;
    return (kind === null || object.kind === kind) && fields.every(([name, check]) => check(object[name]));
  };
}

const rate = shaped<Rate>({ num: positive, den: positive }, null);
const either =
  (...checks: readonly Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));

const videoTrack = shaped<VideoTrack>(
  {
    track: count,
    codec: oneOf("h264", "hevc", "av1"),
    config: bytes,
    width: positive,
    height: positive,
    pixelAspect: rate,
    declaredRate: nullOr(rate),
    interlaced: truth,
    bitDepth: positive,
    range: oneOf("SDR", "PQ", "HLG"),
    rotation: oneOf(0, 90, 180, 270),
  },
  "video",
);

const audioTrack = shaped<AudioTrack>(
  {
    track: count,
    codec: oneOf("aac", "mp2", "mp3", "ac3", "eac3", "opus"),
    config: bytes,
    sampleRate: positive,
    channels: positive,
    samplesPerUnit: positive,
    language: text,
  },
  "audio",
);

type Of<Union, Kind> = Extract<Union, { kind: Kind }>;

const videoRendition = shaped<VideoRendition>(
  {
    copied: oneOf(false),
    name: text,
    codec: oneOf("h264"),
    width: positive,
    height: positive,
    pixelAspect: rate,
    profile: oneOf("main", "high", "baseline"),
    levelIdc: positive,
    preset: oneOf("ultrafast", "superfast", "veryfast"),
    crf: finite,
    maxBitrate: positive,
  },
  "video",
);

const audioRendition = shaped<AudioRendition>(
  {
    copied: oneOf(false),
    track: count,
    name: text,
    codec: oneOf("aac"),
    sampleRate: positive,
    channels: positive,
    bitrate: positive,
    language: text,
  },
  "audio",
);

const copiedVideo = shaped<CopiedVideo>(
  {
    copied: oneOf(true),
    track: count,
    name: text,
    codec: oneOf("h264", "hevc", "av1"),
    width: positive,
    height: positive,
    pixelAspect: rate,
    range: oneOf("SDR", "PQ", "HLG"),
  },
  "video",
);

const copiedAudio = shaped<CopiedAudio>(
  {
    copied: oneOf(true),
    track: count,
    name: text,
    codec: oneOf("aac", "mp3", "ac3", "eac3", "opus"),
    sampleRate: positive,
    channels: positive,
    samplesPerUnit: positive,
    language: text,
  },
  "audio",
);

const DECISIONS: Readonly<{ [Kind in Decision["kind"]]: Shape<Of<Decision, Kind>> }> = {
  session: {
    session: text,
    channel: text,
    tenant: text,
    msnBase: count,
    discontinuityBase: count,
    openedNs: big,
    traceparent: text,
  },
  tracks: { tracks: listOf(either(videoTrack, audioTrack)) },
  anchor: { sourceTicks: big, timescale: positive, timeNs: big },
  era: {
    era: count,
    mode: oneOf("grid", "source"),
    rate,
    frameRate: rate,
    frame: whole,
    previousEnd: nullOr(whole),
    segmentFrames: positive,
    partFrames: positive,
    partTargetMs: positive,
    targetDurationSeconds: positive,
    sourceRate: rate,
    renditions: listOf(either(videoRendition, audioRendition, copiedVideo, copiedAudio)),
  },
  hole: { from: whole, to: whole },
  splice: { frame: whole, discontinuity: truth },
  boundary: { frame: whole, ordinal: count, discontinuity: truth, discontinuities: count },
  drift: { frame: whole, step: oneOf(1, -1) },
  end: { frame: whole, reason: oneOf("publisher", "lost", "stopped", "refused", "limit", "failed") },
};

const CHECKS = new Map(Object.entries(DECISIONS).map(([kind, shape]) => [kind, shaped(shape as Shape<object>, kind)]));

function isDecision(value: unknown): value is Decision {
  const kind = (value as { kind?: unknown } | null)?.kind;
  return typeof kind === "string" && (CHECKS.get(kind)?.(value) ?? false);
}
