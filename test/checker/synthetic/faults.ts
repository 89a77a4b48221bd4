// One fault for each rule that an origin has been seen to break. Each names the finding it must cause.
import type { Code } from "../findings.ts";
import { syntheticChunk, syntheticInit } from "./mp4.ts";
import { type PlaylistModel, partBytes, type Reply, type TrackName } from "./origin.ts";

export type Fault = {
  causes: Code;
  /** Needs a run long enough for ten segments. */
  long?: boolean;
  playlist?: (model: PlaylistModel) => void;
  delta?: (model: PlaylistModel) => void;
  text?: (text: string, model: PlaylistModel) => string;
  multivariant?: (text: string) => string;
  media?: (context: { track: TrackName; part: number; whole: boolean; reply: Reply }) => Reply;
  reply?: (context: {
    kind: "plain" | "blocking" | "refusal" | "missing" | "multivariant";
    query: URLSearchParams;
    reply: Reply;
  }) => Reply;
  answersEarly?: boolean;
  ignoresSkip?: boolean;
};

const isVideo = (model: PlaylistModel) => model.track === "v";
/** Flips during the run, so that the reading before and the one after differ. */
const later = (model: PlaylistModel) => model.published > 14 * 5 + 8;

export const FAULTS: Record<string, Fault> = {
  "an unknown attribute": {
    causes: "playlist.grammar",
    text: (text) => text.replace("PART-TARGET=", "COLOUR=RED,PART-TARGET="),
  },
  "a number in quotes": {
    causes: "playlist.grammar",
    text: (text) => text.replace(/DURATION=([\d.]+)/, 'DURATION="$1"'),
  },
  "a header tag twice": {
    causes: "playlist.grammar",
    text: (text) => text.replace("#EXT-X-VERSION:9", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9"),
  },
  "a date after its first part": {
    causes: "playlist.grammar",
    text: (text) => text.replace(/(#EXT-X-PROGRAM-DATE-TIME:\S+)\n(#EXT-X-PART:.*)/, "$2\n$1"),
  },
  "version 3 with EXT-X-MAP": { causes: "playlist.version", playlist: (model) => void (model.version = 3) },
  "plain text as media type": {
    causes: "playlist.mime",
    reply: ({ reply }) => alter(reply, () => (reply.headers["content-type"] = "text/plain")),
  },
  "no compression": {
    causes: "playlist.not_compressed",
    reply: ({ reply }) => alter(reply, () => (reply.headers["x-plain"] = "1")),
  },
  "no CORS": {
    causes: "playlist.cors",
    reply: ({ reply }) => alter(reply, () => delete reply.headers["access-control-allow-origin"]),
  },
  "a blocking answer that no cache keeps": {
    causes: "playlist.cache",
    reply: ({ kind, reply }) =>
      alter(reply, () => kind === "blocking" && (reply.headers["cache-control"] = "no-store")),
  },
  "a refusal that caches keep for a minute": {
    causes: "playlist.cache",
    reply: ({ kind, reply }) =>
      alter(reply, () => kind === "refusal" && (reply.headers["cache-control"] = "max-age=60")),
  },
  "wrong codec": { causes: "multivariant.codecs", multivariant: (text) => text.replace("avc1.42c00c", "avc1.64001f") },
  "audio codec left out": { causes: "multivariant.codecs", multivariant: (text) => text.replace(",mp4a.40.2", "") },
  "wrong resolution": { causes: "multivariant.resolution", multivariant: (text) => text.replace("320x180", "640x360") },
  "wrong frame rate": { causes: "multivariant.frame_rate", multivariant: (text) => text.replace("20.000", "25.000") },
  "a range of light that the media has not": {
    causes: "multivariant.video_range",
    multivariant: (text) => text.replace("FRAME-RATE", "VIDEO-RANGE=PQ,FRAME-RATE"),
  },
  "two renditions of one name": {
    causes: "multivariant.media",
    multivariant: (text) => text.replace(/(#EXT-X-MEDIA.*\n)/, "$1$1"),
  },
  "a language by its longer code": {
    causes: "multivariant.media",
    multivariant: (text) => text.replace("DEFAULT=YES", 'LANGUAGE="eng",DEFAULT=YES'),
  },
  "bandwidth too low": {
    causes: "multivariant.bandwidth",
    multivariant: (text) =>
      text.replace(
        /BANDWIDTH=(\d+),AVERAGE-BANDWIDTH=\d+/,
        (_, b) => `BANDWIDTH=${Math.round(b * 0.7)},AVERAGE-BANDWIDTH=${Math.round(b * 0.6)}`,
      ),
  },
  "average far from the truth": {
    causes: "multivariant.average",
    long: true,
    multivariant: (text) =>
      text.replace(/AVERAGE-BANDWIDTH=(\d+)/, (_, b) => `AVERAGE-BANDWIDTH=${Math.round(b * 0.7)}`),
  },
  "no average": {
    causes: "multivariant.attribute_missing",
    multivariant: (text) => text.replace(/AVERAGE-BANDWIDTH=\d+,/, ""),
  },
  "a group that is not there": {
    causes: "multivariant.group",
    multivariant: (text) => text.replace('AUDIO="aud"', 'AUDIO="other"'),
  },
  "not said to be independent": {
    causes: "multivariant.independent",
    multivariant: (text) => text.replace("#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
  },
  "the target duration changes": {
    causes: "target.changed",
    playlist: (model) => void (model.targetDuration = later(model) ? 2 : 1),
  },
  "a segment above the target": {
    causes: "segment.too_long",
    playlist: (model) => void (model.segments.at(-1)!.duration = 1.6),
  },
  "a listed duration changes": {
    causes: "segment.changed",
    playlist: (model) => void (model.segments[6]!.duration += model.published % 2 ? 0.01 : 0),
  },
  "a listed URI changes": {
    causes: "segment.changed",
    playlist: (model) => void (model.segments[6]!.uri += later(model) ? "?again" : ""),
  },
  "EXTINF is not the media's length": {
    causes: "segment.duration",
    playlist: (model) => void (isVideo(model) && model.segments.forEach((segment) => (segment.duration = 0.95))),
  },
  "no init segment": {
    causes: "segment.map_missing",
    playlist: (model) => [...model.segments, model.open].forEach((segment) => (segment.map = null)),
  },
  "no date on a segment": {
    causes: "segment.pdt_missing",
    playlist: (model) => void (model.segments.at(-2)!.dateMs = null),
  },
  "dates that drift": {
    causes: "segment.pdt_not_linear",
    playlist: (model) =>
      [...model.segments, model.open].forEach((segment) => (segment.dateMs! += (segment.msn - 100) * 5)),
  },
  "a window that is too short": { causes: "segment.removed_early", playlist: (model) => shorten(model, 2) },
  "numbers fall": { causes: "msn.went_back", playlist: (model) => later(model) && renumber(model, -50) },
  "numbers jump": { causes: "msn.wrong", playlist: (model) => later(model) && renumber(model, 3) },
  "a discontinuity is not counted": {
    causes: "discontinuity.sequence",
    playlist: (model) => void (model.discontinuitySequence = 0),
  },
  "parts of a gap that claim to exist": {
    causes: "gap.fetchable_listed",
    playlist: (model) => void (model.segments.at(-1)!.gap = true),
  },
  "a gap in one rendition only": {
    causes: "gap.not_everywhere",
    playlist: (model) => isVideo(model) && gapAt(model, 110),
  },
  "no blocking": { causes: "control.blocking", playlist: (model) => void delete model.control["CAN-BLOCK-RELOAD"] },
  "hold-back of two parts": {
    causes: "control.part_hold_back",
    playlist: (model) => void (model.control["PART-HOLD-BACK"] = "0.4"),
  },
  "hold-back of two segments": {
    causes: "control.hold_back",
    playlist: (model) => void (model.control["HOLD-BACK"] = "2.0"),
  },
  "skip boundary of three segments": {
    causes: "control.skip_until",
    playlist: (model) => void (model.control["CAN-SKIP-UNTIL"] = "3.0"),
  },
  "a part above the target": { causes: "part.too_long", playlist: (model) => void (model.partTarget = 0.19) },
  "parts far below the target": { causes: "part.too_short", playlist: (model) => void (model.partTarget = 0.3) },
  "a part's duration is not its media's": {
    causes: "part.duration",
    playlist: (model) => isVideo(model) && eachPart(model, (part) => (part.duration = 0.19)),
  },
  "INDEPENDENT everywhere": {
    causes: "part.independent",
    playlist: (model) => eachPart(model, (part) => (part.independent = true)),
  },
  "every part half a second late": {
    causes: "part.late",
    reply: ({ kind, reply, query }) =>
      alter(reply, () => kind === "blocking" && query.get("_HLS_part") === "2" && (reply.delayMs = 500)),
  },
  "part tags that stay": {
    causes: "part.kept_too_long",
    playlist: (model) =>
      model.segments.forEach(
        (segment) =>
          segment.parts.length === 0 &&
          segment.parts.push({ ...model.segments.at(-1)!.parts[0]!, uri: `${model.track}/${segment.msn}.p.m4s` }),
      ),
  },
  "part tags that go at once": {
    causes: "part.removed_early",
    playlist: (model) => void (model.segments.at(-2)!.parts = []),
  },
  "a segment that is not its parts": {
    causes: "parent.not_sum_of_parts",
    media: ({ whole, reply }) =>
      alter(reply, () => whole && (reply.body = Buffer.concat([reply.body, Buffer.from("\0\0\0\x08free", "latin1")]))),
  },
  "no hint": { causes: "hint.missing", playlist: (model) => void (model.hints = []) },
  "no hint between segments": {
    causes: "hint.missing",
    playlist: (model) => void (model.open.parts.length === 0 && (model.hints = [])),
  },
  "two hints": { causes: "hint.duplicate", playlist: (model) => void model.hints.push(`${model.hints[0]}x`) },
  "a hint that never comes": {
    causes: "hint.never_appeared",
    playlist: (model) => void (model.hints = [model.hints[0]!.replace(".p.", ".q.")]),
  },
  "a part that dribbles": {
    causes: "hint.dribbled",
    media: ({ whole, part, reply }) => alter(reply, () => !whole && part >= 0 && (reply.dribbleMs = 180)),
  },
  "no rendition report": { causes: "report.missing", playlist: (model) => void (model.reports = []) },
  "reports a second old": {
    causes: "report.stale",
    playlist: (model) => model.reports.forEach((report) => (report.lastMsn -= 1)),
  },
  "blocking that does not": { causes: "blocking.early", answersEarly: true },
  "far future answered": {
    causes: "blocking.far_future",
    reply: ({ kind, query, reply }) =>
      alter(reply, () => kind === "refusal" && Number(query.get("_HLS_msn")) > 0 && (reply.status = 200)),
  },
  "part without number answered": {
    causes: "blocking.part_without_msn",
    reply: ({ kind, query, reply }) =>
      alter(reply, () => kind === "refusal" && !query.has("_HLS_msn") && (reply.status = 200)),
  },
  "garbage answered": {
    causes: "blocking.garbage",
    reply: ({ kind, query, reply }) =>
      alter(reply, () => kind === "refusal" && query.get("_HLS_msn") === "abc" && (reply.status = 200)),
  },
  "a delta that loses a segment": { causes: "delta.differs", delta: (model) => void model.segments.splice(-2, 1) },
  "no delta although offered": { causes: "delta.not_offered", ignoresSkip: true },
  "a segment without sync sample": {
    causes: "media.no_sync",
    media: ({ track, part, reply }) => rewrite(track, part, reply, { sync: false }),
  },
  "a hole in decode times": {
    causes: "media.tfdt_gap",
    media: ({ track, part, whole, reply }) =>
      part % 5 === 2 && !whole ? rewrite(track, part, reply, { shift: 1 }) : reply,
  },
  "chunks that refer to the file": {
    causes: "media.boxes",
    media: ({ track, part, whole, reply }) => (whole ? reply : rewrite(track, part, reply, { baseIsMoof: false })),
  },
  "truncated media": {
    causes: "media.boxes",
    media: ({ part, reply }) => alter(reply, () => part >= 0 && (reply.body = reply.body.subarray(0, -5))),
  },
  "another size in the init segment": {
    causes: "multivariant.resolution",
    media: ({ track, part, reply }) =>
      alter(
        reply,
        () => track === "v" && part < 0 && (reply.body = syntheticInit("video", { width: 640, height: 360 })),
      ),
  },
  "media that caches must ask for again": {
    causes: "media.cache",
    media: ({ reply }) => alter(reply, () => (reply.headers["cache-control"] = "no-cache")),
  },
  "media of no type": {
    causes: "media.mime",
    media: ({ reply }) => alter(reply, () => (reply.headers["content-type"] = "application/octet-stream")),
  },
  "no ranges": {
    causes: "media.range",
    media: ({ reply }) => alter(reply, () => delete reply.headers["accept-ranges"]),
  },
  "a part that is gone": {
    causes: "fetch.failed",
    media: ({ part, whole, reply }) => alter(reply, () => !whole && part % 5 === 3 && (reply.status = 404)),
  },
  "dates of renditions apart": {
    causes: "cross.msn_at_date",
    playlist: (model) =>
      model.track === "a" && [...model.segments, model.open].forEach((segment) => (segment.dateMs! += 500)),
  },
  "a discontinuity in one rendition only": {
    causes: "cross.discontinuity",
    playlist: (model) =>
      isVideo(model) && model.segments.forEach((segment) => segment.msn === 112 && (segment.discontinuity = true)),
  },
  "captions that the multivariant playlist denies": {
    causes: "multivariant.captions",
    media: ({ track, part, reply }) => alter(reply, () => track === "v" && part >= 0 && reply.body.write("GA94", 300)),
  },
  "a caption group that is not there": {
    causes: "multivariant.group",
    multivariant: (text) => text.replace("CLOSED-CAPTIONS=NONE", 'CLOSED-CAPTIONS="cc"'),
  },
  "pictures a frame behind the sound": {
    causes: "cross.start",
    media: ({ track, part, reply }) => rewrite(track, part, reply, { shift: 1 }),
  },
  "a playlist that answers no more": {
    causes: "playlist.stalled",
    reply: ({ kind, query, reply }) =>
      alter(reply, () => kind === "blocking" && query.get("_HLS_part") === "3" && (reply.status = 503)),
  },
  "a playlist half a second behind its parts": {
    causes: "blocking.late",
    reply: ({ kind, reply }) => alter(reply, () => kind === "blocking" && (reply.delayMs = 500)),
  },
  "what is there is waited for": {
    causes: "blocking.past",
    reply: ({ kind, query, reply }) =>
      alter(reply, () => kind === "blocking" && !query.has("_HLS_part") && (reply.delayMs = 1500)),
  },
  "a segment that goes with its line": {
    causes: "segment.removed_unfetchable",
    media: ({ part, whole, reply }) => alter(reply, () => whole && part >= 0 && part < 8 * 5 && (reply.status = 404)),
  },
  "parts that go with their tags": {
    causes: "part.unfetchable",
    media: ({ part, whole, reply }) => alter(reply, () => !whole && part >= 0 && part < 12 * 5 && (reply.status = 404)),
  },
  "an end that is none": {
    causes: "end.not_final",
    playlist: (model) => void (model.ended = later(model) && model.published < 14 * 5 + 12),
  },
  "a hint after the end": {
    causes: "end.not_final",
    playlist: (model) => void (model.ended = later(model)),
    text: (text, model) => (model.ended ? `${text}#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${model.hints[0]}"\n` : text),
  },
  "what is unknown is kept for an hour": {
    causes: "missing.not_404",
    reply: ({ kind, reply }) =>
      alter(reply, () => kind === "missing" && (reply.headers["cache-control"] = "max-age=3600")),
  },
};

function alter(reply: Reply, change: () => unknown): Reply {
  change();
  return reply;
}

function eachPart(model: PlaylistModel, change: (part: PlaylistModel["open"]["parts"][number]) => void): void {
  for (const segment of [...model.segments, model.open]) segment.parts.forEach(change);
}

function shorten(model: PlaylistModel, segments: number): void {
  const removed = model.segments.splice(0, model.segments.length - segments);
  model.msn += removed.length;
  model.discontinuitySequence = 1;
}

function renumber(model: PlaylistModel, by: number): void {
  model.msn += by;
  for (const segment of [...model.segments, model.open]) segment.msn += by;
}

function gapAt(model: PlaylistModel, msn: number): void {
  for (const segment of model.segments)
    if (segment.msn === msn) {
      segment.gap = true;
      for (const part of segment.parts) part.gap = true;
    }
}

function rewrite(
  track: TrackName,
  part: number,
  reply: Reply,
  change: { sync?: boolean; shift?: number; baseIsMoof?: boolean },
): Reply {
  if (part < 0 || track === "a") return reply;
  const original = partBytes(track, part);
  const startTicks = Number(original.readBigUInt64BE(original.indexOf("tfdt") + 8));
  const first = {
    startTicks: startTicks + (change.shift ?? 0),
    durations: [1, 1, 1, 1],
    sync: change.sync ?? part % 5 === 0,
    sampleBytes: 400,
    baseIsMoof: change.baseIsMoof ?? true,
  };
  const rest = reply.body.subarray(original.length);
  reply.body = Buffer.concat([syntheticChunk(first), rest]);
  return reply;
}
