// What the media itself must hold: fetched once per part, compared with what the playlist says of it.
import type { Findings } from "./findings.ts";
import type { Client } from "./http.ts";
import { type Chunk, type Init, parseChunks, parseInit } from "./mp4.ts";
import type { Part, Segment } from "./playlist.ts";
import { maxAge } from "./static-rules.ts";

const IMMUTABLE_SECONDS_MIN = 30;

/** @property receivedMs when its last byte came */
export type FetchedPart = Readonly<{ body: Buffer; chunks: Chunk[]; receivedMs: number }>;

/** How captions are marked inside of pictures (ATSC A/53 part 4, 6.2.3). */
const CAPTIONS = "GA94";

/** One rendition's media, as it arrives. */
export class MediaJudge {
  init: Init | null = null;
  readonly #url: string;
  readonly #client: Client;
  readonly #findings: Findings;
  readonly #inits = new Map<string, Promise<Init | null>>();
  readonly #parts = new Map<string, Promise<FetchedPart | null>>();
  /** Hinted parts that were answered with 404: they must not be listed after that. */
  readonly #denied = new Set<string>();
  /** End of the newest part, per map: decode times go on from there. */
  #endTicks: number | null = null;
  /** date - media time, ms, since the last discontinuity. */
  #dateOffsetMs: number | null = null;
  readonly segments: {
    msn: number;
    startSeconds: number;
    durationSeconds: number;
    bytes: number;
    discontinuities: number;
  }[] = [];
  frameSeconds: number | null = null;
  /** Longest audio frame, by the mean of a part or a segment: where no parts are listed any more, segments are all there is. */
  audioFrameSeconds = 0;
  /** Shortest and longest picture, or audio frame, by the mean of a part. */
  shortestSeconds = Number.POSITIVE_INFINITY;
  longestSeconds = 0;
  hasCaptions = false;

  constructor(url: string, client: Client, findings: Findings) {
    this.#url = url;
    this.#client = client;
    this.#findings = findings;
  }

  #at(uri: string): string {
    return new URL(uri, this.#url).href;
  }

  async loadInit(uri: string): Promise<Init | null> {
    const known = this.#inits.get(uri);
    if (known) return known;
    const loading = (async () => {
      const answer = await this.#fetch(uri);
      if (!answer) return null;
      try {
        return parseInit(answer.body);
      } catch (error) {
        this.#findings.add("media.boxes", answer.url, (error as Error).message);
        return null;
      }
    })();
    this.#inits.set(uri, loading);
    this.init = (await loading) ?? this.init;
    return loading;
  }

  async #fetch(uri: string, isHint = false) {
    const answer = await this.#client.get(this.#at(uri), { headers: {} }).catch(() => null);
    if (isHint && answer?.status === 404) {
      this.#denied.add(uri);
      return null;
    }
    if (answer?.status !== 200) {
      this.#findings.add("fetch.failed", this.#at(uri), `answered ${answer?.status ?? "nothing"}`);
      return null;
    }
    if ((maxAge(answer) ?? 0) < IMMUTABLE_SECONDS_MIN)
      this.#findings.add("media.cache", answer.url, String(answer.headers["cache-control"]));
    if (!/^(video|audio)\/(mp4|iso\.segment)/.test(String(answer.headers["content-type"])))
      this.#findings.add("media.mime", answer.url, String(answer.headers["content-type"]));
    return answer;
  }

  /** Ask for a part, at once or, as a hint, before it is listed. Asked twice, fetched once. */
  fetchPart(uri: string, isHint = false): Promise<FetchedPart | null> {
    const known = this.#parts.get(uri);
    if (known) return known;
    const loading = (async () => {
      const answer = await this.#fetch(uri, isHint);
      if (!answer) return null;
      // The head may come early; the bytes must come in one go.
      if (answer.receivedMs - answer.firstByteMs > 150)
        this.#findings.add(
          "hint.dribbled",
          answer.url,
          `took ${Math.round(answer.receivedMs - answer.firstByteMs)} ms`,
        );
      try {
        return { body: answer.body, chunks: parseChunks(answer.body), receivedMs: answer.receivedMs };
      } catch (error) {
        this.#findings.add("media.boxes", answer.url, (error as Error).message);
        return null;
      }
    })();
    this.#parts.set(uri, loading);
    return loading;
  }

  /** In order of the playlist. @param first it opens its segment */
  async judgePart(part: Part, first: boolean, discontinuity: boolean): Promise<void> {
    if (part.gap) return;
    const got = await this.fetchPart(part.uri);
    if (this.#denied.delete(part.uri))
      this.#findings.add("fetch.failed", this.#at(part.uri), "answered 404 as a hint, and is listed");
    if (!got || !this.init) return;
    const { timescale, kind } = this.init;
    const ticks = got.chunks.reduce((sum, chunk) => sum + chunk.durationTicks, 0);
    const samples = got.chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
    this.frameSeconds = ticks / timescale / samples;
    this.shortestSeconds = Math.min(this.shortestSeconds, this.frameSeconds);
    this.longestSeconds = Math.max(this.longestSeconds, this.frameSeconds);
    this.#learnFrame(got.chunks);
    if (Math.abs(ticks / timescale - part.duration) > 0.001)
      this.#findings.add(
        "part.duration",
        this.#at(part.uri),
        `${part.duration} s listed, ${ticks / timescale} s of media`,
      );
    if (kind === "video") this.hasCaptions ||= got.body.includes(CAPTIONS);
    const sync = got.chunks[0]!.firstIsSync;
    if (first && !sync) this.#findings.add("media.no_sync", this.#at(part.uri), "opens a segment");
    if (kind === "video" && sync !== part.independent)
      this.#findings.add(
        "part.independent",
        this.#at(part.uri),
        sync ? "starts with a sync sample and does not say so" : "says so and does not",
      );
    let expected = discontinuity ? null : this.#endTicks;
    for (const chunk of got.chunks) {
      if (expected !== null && chunk.startTicks !== expected)
        this.#findings.add("media.tfdt_gap", this.#at(part.uri), `${chunk.startTicks}, expected ${expected}`);
      expected = chunk.startTicks + chunk.durationTicks;
    }
    this.#endTicks = expected;
  }

  /** Once it is finished; `parts` as they were listed. */
  async judgeSegment(segment: Segment, parts: readonly Part[]): Promise<void> {
    if (segment.gap) {
      this.#endTicks = null; // what follows a gap starts where it starts
      return;
    }
    const answer = await this.#fetch(segment.uri);
    if (!answer || !this.init) return;
    const bodies = await Promise.all(parts.map((part) => this.fetchPart(part.uri)));
    if (parts.length > 0 && bodies.every((body) => body !== null)) {
      const sum = Buffer.concat(bodies.map((body) => body!.body));
      if (!sum.equals(answer.body))
        this.#findings.add("parent.not_sum_of_parts", answer.url, `${answer.body.length} bytes, parts ${sum.length}`);
    }
    let chunks: Chunk[];
    try {
      chunks = parseChunks(answer.body);
    } catch (error) {
      return this.#findings.add("media.boxes", answer.url, (error as Error).message);
    }
    this.#learnFrame(chunks);
    const { timescale } = this.init;
    const seconds = chunks.reduce((sum, chunk) => sum + chunk.durationTicks, 0) / timescale;
    if (Math.abs(seconds - segment.duration) > 0.001)
      this.#findings.add("segment.duration", answer.url, `EXTINF ${segment.duration}, media ${seconds}`);
    if (!chunks[0]!.firstIsSync) this.#findings.add("media.no_sync", answer.url, "opens a segment");
    const startSeconds = chunks[0]!.startTicks / timescale;
    if (segment.discontinuity) this.#dateOffsetMs = null;
    if (segment.pdtMs !== null) {
      const offsetMs = segment.pdtMs - startSeconds * 1000;
      if (this.#dateOffsetMs !== null && Math.abs(offsetMs - this.#dateOffsetMs) > 2)
        this.#findings.add(
          "segment.pdt_not_linear",
          this.#url,
          `number ${segment.msn}: off by ${(offsetMs - this.#dateOffsetMs).toFixed(1)} ms`,
        );
      this.#dateOffsetMs ??= offsetMs;
    }
    this.segments.push({
      msn: segment.msn,
      startSeconds,
      durationSeconds: seconds,
      bytes: answer.body.length,
      discontinuities: segment.discontinuities,
    });
    if (this.segments.length % 5 === 1) await this.#judgeRanges(segment.uri, answer.body);
    for (const part of parts) this.#parts.delete(part.uri); // bounded memory over long runs
  }

  #learnFrame(chunks: readonly Chunk[]): void {
    const { kind, timescale } = this.init!;
    if (kind !== "audio") return;
    const ticks = chunks.reduce((sum, chunk) => sum + chunk.durationTicks, 0);
    const samples = chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
    this.audioFrameSeconds = Math.max(this.audioFrameSeconds, ticks / timescale / samples);
  }

  async #judgeRanges(uri: string, whole: Buffer): Promise<void> {
    const url = this.#at(uri);
    const range = await this.#client.get(url, { headers: { range: "bytes=4-11" } });
    if (range.status !== 206 || !range.body.equals(whole.subarray(4, 12)))
      this.#findings.add("media.range", url, `bytes=4-11 answered ${range.status}`);
    const beyond = await this.#client.get(url, { headers: { range: `bytes=${whole.length + 10}-` } });
    if (beyond.status !== 416)
      this.#findings.add("media.range", url, `a range beyond the end answered ${beyond.status}`);
    const head = await this.#client.get(url, { method: "HEAD" });
    if (head.status !== 200 || Number(head.headers["content-length"]) !== whole.length)
      this.#findings.add("media.range", url, `HEAD answered ${head.status}, length ${head.headers["content-length"]}`);
  }
}

/** Bit/s of the worst run of segments between 0.5 and 1.5 target durations, and over all. */
export function measuredRates(
  segments: readonly { durationSeconds: number; bytes: number }[],
  targetDuration: number,
): { peak: number; average: number } {
  let peak = 0;
  for (let i = 0; i < segments.length; i += 1) {
    let [seconds, bytes] = [0, 0];
    for (let j = i; j < segments.length && seconds < 1.5 * targetDuration; j += 1) {
      seconds += segments[j]!.durationSeconds;
      bytes += segments[j]!.bytes;
      if (seconds >= 0.5 * targetDuration && seconds <= 1.5 * targetDuration)
        peak = Math.max(peak, (bytes * 8) / seconds);
    }
  }
  const seconds = segments.reduce((sum, s) => sum + s.durationSeconds, 0);
  const bytes = segments.reduce((sum, s) => sum + s.bytes, 0);
  return { peak, average: seconds === 0 ? 0 : (bytes * 8) / seconds };
}
