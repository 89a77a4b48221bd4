// A low-latency origin out of thin air: every playlist and every byte is a function of the clock. Without faults the
// checker must find nothing in it; each fault breaks one rule and nothing else.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { Fault } from "./faults.ts";
import { AUDIO, syntheticChunk, syntheticInit, VIDEO } from "./mp4.ts";

export const PART_MS = 200;
export const PARTS_PER_SEGMENT = 5;
export const WINDOW_SEGMENTS = 12;
/** Segments that exist when it starts. */
const HISTORY_SEGMENTS = 14;
/** Has a discontinuity before it; slides out of the window during a run. */
export const DISCONTINUITY_AT = 4;
export const MSN_BASE = 100;
const FRAMES_PER_PART = (PART_MS * VIDEO.rate) / 1000;
const AUDIO_FRAME = 1024;

export type TrackName = "v" | "a";
export type PartModel = { uri: string; duration: number; independent: boolean; gap: boolean };
export type SegmentModel = {
  msn: number;
  uri: string;
  duration: number;
  gap: boolean;
  discontinuity: boolean;
  dateMs: number | null;
  map: string | null;
  parts: PartModel[];
};
export type PlaylistModel = {
  track: TrackName;
  version: number;
  targetDuration: number;
  partTarget: number;
  control: Record<string, string>;
  msn: number;
  discontinuitySequence: number;
  segments: SegmentModel[];
  open: SegmentModel;
  hints: string[];
  reports: { uri: string; lastMsn: number; lastPart: number }[];
  skipped: number;
  ended: boolean;
  /** Parts published when it was made: faults that change with time look at it. */
  published: number;
};

const startTicksOf = (track: TrackName, part: number): number => {
  if (track === "v") return part * FRAMES_PER_PART;
  return Math.ceil((part * PART_MS * AUDIO.timescale) / 1000 / AUDIO_FRAME) * AUDIO_FRAME;
};
const timescaleOf = (track: TrackName) => (track === "v" ? VIDEO.timescale : AUDIO.timescale);
const isIndependent = (track: TrackName, part: number) => track === "a" || part % PARTS_PER_SEGMENT === 0;

export function partBytes(track: TrackName, part: number): Buffer {
  const [start, end] = [startTicksOf(track, part), startTicksOf(track, part + 1)];
  const step = track === "v" ? 1 : AUDIO_FRAME;
  const durations = Array.from({ length: (end - start) / step }, () => step);
  return syntheticChunk({
    startTicks: start,
    durations,
    sync: isIndependent(track, part),
    sampleBytes: track === "v" ? 400 : 60,
  });
}

function partModel(track: TrackName, part: number): PartModel {
  const [start, end] = [startTicksOf(track, part), startTicksOf(track, part + 1)];
  return {
    uri: `${track}/${start}.p.m4s`,
    duration: (end - start) / timescaleOf(track),
    independent: isIndependent(track, part),
    gap: false,
  };
}

/** The playlist when that many parts exist, since the epoch of the run. */
function playlistModel(track: TrackName, published: number, originMs: number): PlaylistModel {
  const whole = Math.floor(published / PARTS_PER_SEGMENT);
  const first = Math.max(0, whole - WINDOW_SEGMENTS);
  const segmentModel = (segment: number, partsEnd: number): SegmentModel => {
    const from = segment * PARTS_PER_SEGMENT;
    const parts = Array.from({ length: Math.min(partsEnd, from + PARTS_PER_SEGMENT) - from }, (_, i) =>
      partModel(track, from + i),
    );
    const [start, end] = [startTicksOf(track, from), startTicksOf(track, from + PARTS_PER_SEGMENT)];
    return {
      msn: MSN_BASE + segment,
      uri: `${track}/${start}.m4s`,
      duration: (end - start) / timescaleOf(track),
      gap: false,
      discontinuity: segment === DISCONTINUITY_AT,
      dateMs: originMs + (start * 1000) / timescaleOf(track),
      map: `${track}/init.mp4`,
      parts: whole - segment <= 4 ? parts : [],
    };
  };
  const other = track === "v" ? "a" : "v";
  return {
    track,
    version: 9,
    targetDuration: 1,
    partTarget: track === "v" ? 0.2 : 0.214,
    control: { "CAN-BLOCK-RELOAD": "YES", "CAN-SKIP-UNTIL": "6.0", "PART-HOLD-BACK": "0.65" },
    msn: MSN_BASE + first,
    discontinuitySequence: first > DISCONTINUITY_AT ? 1 : 0,
    segments: Array.from({ length: whole - first }, (_, i) => segmentModel(first + i, published)),
    open: segmentModel(whole, published),
    hints: [partModel(track, published).uri],
    reports: [{ uri: `${other}.m3u8`, ...lastOf(published) }],
    skipped: 0,
    ended: false,
    published,
  };
}

function lastOf(published: number): { lastMsn: number; lastPart: number } {
  const last = published - 1;
  return { lastMsn: MSN_BASE + Math.floor(last / PARTS_PER_SEGMENT), lastPart: last % PARTS_PER_SEGMENT };
}

function playlistText(model: PlaylistModel): string {
  const lines = ["#EXTM3U", `#EXT-X-VERSION:${model.version}`, `#EXT-X-TARGETDURATION:${model.targetDuration}`];
  const control = Object.entries(model.control).map(([name, value]) => `${name}=${value}`);
  if (control.length > 0) lines.push(`#EXT-X-SERVER-CONTROL:${control.join(",")}`);
  lines.push(
    `#EXT-X-PART-INF:PART-TARGET=${model.partTarget}`,
    `#EXT-X-MEDIA-SEQUENCE:${model.msn}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${model.discontinuitySequence}`,
  );
  if (model.skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${model.skipped}`);
  let map: string | null = null;
  const put = (segment: SegmentModel, open: boolean) => {
    if (open && segment.parts.length === 0) return;
    if (segment.discontinuity) lines.push("#EXT-X-DISCONTINUITY");
    if (segment.map !== null && segment.map !== map) lines.push(`#EXT-X-MAP:URI="${(map = segment.map)}"`);
    if (segment.dateMs !== null) lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.dateMs).toISOString()}`);
    for (const part of segment.parts)
      lines.push(
        `#EXT-X-PART:DURATION=${part.duration.toFixed(6)},URI="${part.uri}"${part.independent ? ",INDEPENDENT=YES" : ""}${part.gap ? ",GAP=YES" : ""}`,
      );
    if (open) return;
    if (segment.gap) lines.push("#EXT-X-GAP");
    lines.push(`#EXTINF:${segment.duration.toFixed(6)},`, segment.uri);
  };
  for (const segment of model.segments.slice(model.skipped)) put(segment, false);
  put(model.open, true);
  if (model.ended) lines.push("#EXT-X-ENDLIST");
  else for (const uri of model.hints) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${uri}"`);
  for (const report of model.reports)
    lines.push(`#EXT-X-RENDITION-REPORT:URI="${report.uri}",LAST-MSN=${report.lastMsn},LAST-PART=${report.lastPart}`);
  return `${lines.join("\n")}\n`;
}

/** What the multivariant playlist declares; measured from the bytes above. */
const DECLARED = ((): { bandwidth: number; average: number } => {
  const bits = ["v", "a"].map((track) => {
    const parts = Array.from({ length: PARTS_PER_SEGMENT * 8 }, (_, i) => partBytes(track as TrackName, i).length);
    return (parts.reduce((sum, bytes) => sum + bytes, 0) * 8) / 8;
  });
  const average = Math.round(bits[0]! + bits[1]!);
  return { bandwidth: Math.round(average * 1.05), average };
})();

const MULTIVARIANT = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=${DECLARED.bandwidth},AVERAGE-BANDWIDTH=${DECLARED.average},CODECS="${VIDEO.codec},${AUDIO.codec}",RESOLUTION=320x180,FRAME-RATE=20.000,AUDIO="aud",CLOSED-CAPTIONS=NONE
v.m3u8
`;

export type Reply = {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  delayMs: number;
  dribbleMs: number;
};

export async function startSynthetic(
  fault: Omit<Fault, "causes"> | null,
): Promise<{ url: string; close: () => Promise<void> }> {
  const originMs = Date.now() - HISTORY_SEGMENTS * PARTS_PER_SEGMENT * PART_MS;
  const timers = new Set<NodeJS.Timeout>();
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        resolve();
      }, ms);
      timers.add(timer);
    });
  const publishedAt = (part: number) => originMs + (part + 1) * PART_MS;
  const publishedNow = () => Math.floor((Date.now() - originMs) / PART_MS);

  async function playlist(track: TrackName, query: URLSearchParams): Promise<Reply> {
    const msn = query.get("_HLS_msn");
    const part = query.get("_HLS_part");
    const headers = {
      "content-type": "application/vnd.apple.mpegurl",
      "cache-control": "no-cache",
      "access-control-allow-origin": "*",
    };
    const refuse = (): Reply => ({
      status: 400,
      headers: { "cache-control": "max-age=1" },
      body: Buffer.from("bad"),
      delayMs: 0,
      dribbleMs: 0,
    });
    const whole = (text: string) => /^\d+$/.test(text);
    if ((msn !== null && !whole(msn)) || (part !== null && (msn === null || !whole(part)))) {
      const reply = refuse();
      return fault?.reply?.({ kind: "refusal", query, reply }) ?? reply;
    }
    let published = publishedNow();
    if (msn !== null) {
      const wanted =
        (Number(msn) - MSN_BASE) * PARTS_PER_SEGMENT +
        (part === null ? PARTS_PER_SEGMENT - 1 : Math.min(Number(part), PARTS_PER_SEGMENT));
      const farAway =
        Number(msn) > MSN_BASE + Math.floor(published / PARTS_PER_SEGMENT) + 2 || (part !== null && Number(part) > 20);
      if (farAway) {
        const reply = refuse();
        return fault?.reply?.({ kind: "refusal", query, reply }) ?? reply;
      }
      if (wanted >= published && fault?.answersEarly !== true) {
        await wait(publishedAt(wanted) - Date.now() + 1);
        published = Math.max(published, wanted + 1);
      }
      headers["cache-control"] = "max-age=6";
    }
    const model = playlistModel(track, published, originMs);
    fault?.playlist?.(model);
    if (query.get("_HLS_skip") === "YES" && fault?.ignoresSkip !== true) {
      model.skipped = Math.max(0, model.segments.length - 6);
      fault?.delta?.(model);
    }
    const text = playlistText(model);
    const reply = {
      status: 200,
      headers,
      body: Buffer.from(fault?.text?.(text, model) ?? text),
      delayMs: 0,
      dribbleMs: 0,
    };
    return fault?.reply?.({ kind: msn === null ? "plain" : "blocking", query, reply }) ?? reply;
  }

  async function media(track: TrackName, name: string): Promise<Reply> {
    const headers = {
      "content-type": track === "v" ? "video/mp4" : "audio/mp4",
      "cache-control": "max-age=86400, immutable",
      "accept-ranges": "bytes",
    };
    const ok = (body: Buffer): Reply => ({ status: 200, headers, body, delayMs: 0, dribbleMs: 0 });
    if (name === "init.mp4") {
      const reply = ok(syntheticInit(track === "v" ? "video" : "audio"));
      return fault?.media?.({ track, part: -1, whole: false, reply }) ?? reply;
    }
    const ticks = Number.parseInt(name, 10);
    const part = Math.floor((ticks / timescaleOf(track)) * (1000 / PART_MS) + 1e-9);
    const whole = !name.endsWith(".p.m4s");
    const parts = whole ? Array.from({ length: PARTS_PER_SEGMENT }, (_, i) => part + i) : [part];
    const last = parts.at(-1)!;
    const known = startTicksOf(track, part) === ticks && last < publishedNow() + PARTS_PER_SEGMENT;
    if (!known || Number.isNaN(ticks)) return notFound();
    if (!whole) await wait(Math.max(0, publishedAt(last) - Date.now()));
    const reply = ok(Buffer.concat(parts.map((p) => partBytes(track, p))));
    return fault?.media?.({ track, part, whole, reply }) ?? reply;
  }

  const notFound = (): Reply => {
    const reply = {
      status: 404,
      headers: { "cache-control": "max-age=1" },
      body: Buffer.from("no"),
      delayMs: 0,
      dribbleMs: 0,
    };
    return fault?.reply?.({ kind: "missing", query: new URLSearchParams(), reply }) ?? reply;
  };

  async function answer(request: IncomingMessage): Promise<Reply> {
    const url = new URL(request.url!, "http://x");
    if (url.pathname === "/index.m3u8") {
      const headers = {
        "content-type": "application/vnd.apple.mpegurl",
        "cache-control": "max-age=1",
        "access-control-allow-origin": "*",
      };
      const reply = {
        status: 200,
        headers,
        body: Buffer.from(fault?.multivariant?.(MULTIVARIANT) ?? MULTIVARIANT),
        delayMs: 0,
        dribbleMs: 0,
      };
      return fault?.reply?.({ kind: "multivariant", query: url.searchParams, reply }) ?? reply;
    }
    const match = /^\/([va])(?:\.m3u8|\/([\w.]+))$/.exec(url.pathname);
    if (!match) return notFound();
    const track = match[1] as TrackName;
    return match[2] === undefined ? playlist(track, url.searchParams) : media(track, match[2]);
  }

  async function send(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = await answer(request);
    if (reply.delayMs > 0) await wait(reply.delayMs);
    let { status, body } = reply;
    const headers: Record<string, string> = { ...reply.headers };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (range && headers["accept-ranges"] === "bytes") {
      const from = Number(range[1]);
      status = from >= body.length ? 416 : 206;
      body =
        from >= body.length ? Buffer.alloc(0) : body.subarray(from, range[2] === "" ? undefined : Number(range[2]) + 1);
    }
    const compress =
      headers["content-type"]?.includes("mpegurl") &&
      request.headers["accept-encoding"]?.includes("gzip") &&
      headers["x-plain"] === undefined;
    if (compress) {
      headers["content-encoding"] = "gzip";
      body = gzipSync(body, { level: 1 });
    }
    response.writeHead(status, { ...headers, "content-length": body.length });
    if (request.method === "HEAD") return void response.end();
    if (reply.dribbleMs > 0) {
      response.write(body.subarray(0, 10));
      await wait(reply.dribbleMs);
      response.end(body.subarray(10));
    } else response.end(body);
  }

  const server = createServer((request, response) => void send(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/index.m3u8`,
    close: () =>
      new Promise((resolve) => {
        for (const timer of timers) clearTimeout(timer);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
