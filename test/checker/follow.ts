// Follows one media playlist as a low-latency player does: each reload blocks for the next part, each part is asked for
// before it is listed.
import { checkEvolution, differenceOf, mergeDelta } from "./evolution-rules.ts";
import type { Code, Findings } from "./findings.ts";
import type { Answer, Client } from "./http.ts";
import { MediaJudge } from "./media-rules.ts";
import { edgeOf, type MediaPlaylist, type Part, parseMedia } from "./playlist.ts";
import { checkMediaPlaylist, checkPlaylistHeaders } from "./static-rules.ts";

export type FollowOptions = Readonly<{ reloads: number; toleranceMs: number; untilEnd: boolean; onReload: () => void }>;

const GZIP = { "accept-encoding": "gzip" };
/** Reloads between two comparisons of a delta update. */
const DELTA_EVERY = 7;

export class Follower {
  readonly url: string;
  readonly judge: MediaJudge;
  playlist: MediaPlaylist | null = null;
  /** What it showed, and when that was known here: rendition reports are compared with it. */
  readonly shown: { atMs: number; msn: number; part: number }[] = [];
  /** Reports of others seen in it: compared when all is over. */
  readonly reports: { atMs: number; url: string; lastMsn: number; lastPart: number | null }[] = [];
  readonly #client: Client;
  readonly #findings: Findings;
  readonly #options: FollowOptions;
  readonly #judged = new Set<string>();
  readonly #parts = new Map<number, Part[]>();
  #late: string | null = null;
  #hinted: { uri: string; msn: number } | null = null;
  /** Number of a segment that was to come and had no hint. */
  #unhinted: number | null = null;

  constructor(url: string, client: Client, findings: Findings, options: FollowOptions) {
    this.url = url;
    this.#client = client;
    this.#findings = findings;
    this.#options = options;
    this.judge = new MediaJudge(url, client, findings);
  }

  /** The first reading. @returns false when there is none */
  async begin(): Promise<boolean> {
    const answer = await this.#client.get(this.url, { headers: GZIP });
    if (answer.status !== 200) {
      this.#findings.add("fetch.failed", this.url, `answered ${answer.status}`);
      return false;
    }
    this.#take(answer);
    checkPlaylistHeaders(answer, "plain", this.playlist!.targetDuration, this.#findings);
    return true;
  }

  async follow(): Promise<void> {
    for (let reload = 0; reload < this.#options.reloads || this.#options.untilEnd; reload += 1) {
      const before = this.playlist!;
      await this.#judgeNew(before);
      if (before.ended) return this.#checkEnd(before);
      const want = nextOf(before);
      const answer = await this.#blocking(want, before);
      if (!answer) return;
      this.#take(answer);
      this.#tellLate();
      const ended = this.playlist!.ended; // what comes last may come when the publisher's grace is over
      checkPlaylistHeaders(answer, ended ? "plain" : "blocking", before.targetDuration, this.#findings);
      if (!ended) this.#checkHold(answer, want, before);
      if (reload % DELTA_EVERY === DELTA_EVERY - 1) await this.#checkDelta(before);
      this.#options.onReload();
    }
  }

  /** What is over stays as it is. */
  async #checkEnd({ targetDuration }: MediaPlaylist): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, targetDuration * 1000));
    const answer = await this.#client.get(this.url, { headers: GZIP });
    if (answer.status === 200) this.#take(answer);
    else this.#findings.add("fetch.failed", this.url, `answered ${answer.status} after its end`);
  }

  /** A late part is a fault when the stream goes on; the last ones of a stream wait for its end to be known. */
  #tellLate(): void {
    if (this.#late !== null && !this.playlist!.ended) this.#findings.add("part.late", this.url, this.#late);
    this.#late = null;
  }

  async #blocking(want: { msn: number; part: number | null }, before: MediaPlaylist): Promise<Answer | null> {
    const query = `_HLS_msn=${want.msn}${want.part === null ? "" : `&_HLS_part=${want.part}`}`;
    const timeoutMs = before.targetDuration * 4000;
    const answer = await this.#client.get(`${this.url}?${query}`, { headers: GZIP, timeoutMs }).catch(() => null);
    if (answer?.status === 200) return answer;
    this.#findings.add("playlist.stalled", this.url, `${query} answered ${answer?.status ?? "nothing"}`);
    return null;
  }

  #take(answer: Answer): void {
    const playlist = parseMedia(answer.body.toString("utf8"));
    checkMediaPlaylist(playlist, answer, this.#findings);
    const removed = this.playlist ? checkEvolution(this.playlist, playlist, this.url, this.#findings) : [];
    if (this.playlist) this.#checkHiddenParts(this.playlist, playlist);
    this.playlist = playlist;
    for (const { uri, gap } of removed) if (!gap) void this.#stillThere(uri, "segment.removed_unfetchable");
    for (const segment of playlist.segments) if (segment.parts.length > 0) this.#parts.set(segment.msn, segment.parts);
    for (const msn of this.#parts.keys()) if (msn < playlist.mediaSequence - 2) this.#parts.delete(msn);
    const edge = edgeOf(playlist);
    this.shown.push({ atMs: answer.receivedMs, ...edge });
    for (const report of playlist.reports)
      this.reports.push({ atMs: answer.receivedMs, ...report, url: new URL(report.uri, this.url).href });
    this.#checkHint(playlist);
  }

  /** The hint of the reading before must be the part that came. Only what nobody could foresee may come in its place, and
   *  such a thing shows: a gap, or a discontinuity. */
  #checkHint(playlist: MediaPlaylist): void {
    const listed = [...playlist.segments.slice(-3).flatMap((segment) => segment.parts), ...playlist.open.parts];
    const hint = playlist.hints.find((h) => h.type === "PART");
    const edge = edgeOf(playlist);
    if (this.#hinted && edge.msn > this.#hinted.msn - 1 && !playlist.ended) {
      const came = listed.some((part) => part.uri === this.#hinted!.uri) || hint?.uri === this.#hinted.uri;
      const { msn } = this.#hinted;
      const isOther = [...playlist.segments, playlist.open].some(
        (segment) => (segment.msn >= msn && segment.gap) || (segment.msn > msn && segment.discontinuity),
      );
      if (!came && !isOther) this.#findings.add("hint.never_appeared", this.url, this.#hinted.uri);
    }
    this.#checkUnhinted(playlist, hint !== undefined);
    this.#hinted = hint ? { uri: hint.uri, msn: edge.msn } : null;
    if (hint) void this.judge.fetchPart(hint.uri, true); // asked for early, as players do
  }

  /** Copied sound behind a discontinuity begins with whatever frame comes first: nobody can name that before. */
  #checkUnhinted({ segments, open, ended, partTarget }: MediaPlaylist, hasHint: boolean): void {
    const came = [...segments, open].find(({ msn, parts }) => msn === this.#unhinted && parts.length > 0);
    if (came && !came.gap && !came.discontinuity)
      this.#findings.add("hint.missing", this.url, `before number ${came.msn}`);
    const isBetween = partTarget !== null && !ended && open.parts.length === 0 && segments.at(-1)?.gap === false;
    if (isBetween && !hasHint) this.#unhinted = open.msn;
    else if (came || hasHint) this.#unhinted = null;
  }

  #checkHold(answer: Answer, want: { msn: number; part: number | null }, before: MediaPlaylist): void {
    const edge = edgeOf(this.playlist!);
    const there = edge.msn > want.msn || (edge.msn === want.msn && (want.part === null || edge.part >= want.part));

    const finished = this.playlist!.segments.at(-1)?.msn === want.msn;
    if (!there && !finished)
      this.#findings.add(
        "blocking.early",
        this.url,
        `asked for ${want.msn}/${want.part}, shows ${edge.msn}/${edge.part}`,
      );
    const previous = this.shown.at(-2);
    if (!previous || before.partTarget === null) return;
    const waitedMs = answer.receivedMs - previous.atMs;
    const allowedMs = before.partTarget * 1000 + this.#options.toleranceMs;
    if (waitedMs > allowedMs && this.playlist!.segments.at(-1)?.gap !== true)
      this.#late = `${Math.round(waitedMs)} ms after the one before, target ${before.partTarget * 1000} ms`;
    const hint = before.hints.find((h) => h.type === "PART");
    if (hint) void this.#checkPromptness(hint.uri, answer.receivedMs);
  }

  /** The part was asked for early and answered when it existed; the playlist must have shown it by then, or soon after. */
  async #checkPromptness(uri: string, shownMs: number): Promise<void> {
    const part = await this.judge.fetchPart(uri);
    if (!part) return;
    const earlyMs = shownMs - part.receivedMs;
    if (earlyMs > this.#options.toleranceMs)
      this.#findings.add("blocking.late", this.url, `${uri} came ${Math.round(earlyMs)} ms before it was listed`);
  }

  async #checkDelta(older: MediaPlaylist): Promise<void> {
    if (!older.control.has("CAN-SKIP-UNTIL")) return;
    const edge = edgeOf(this.playlist!);
    const [delta, full] = await Promise.all([
      this.#client.get(`${this.url}?_HLS_msn=${edge.msn}&_HLS_part=${edge.part}&_HLS_skip=YES`, { headers: GZIP }),
      this.#client.get(`${this.url}?_HLS_msn=${edge.msn}&_HLS_part=${edge.part}`, { headers: GZIP }),
    ]);
    if (delta.status !== 200 || full.status !== 200)
      return this.#findings.add("fetch.failed", this.url, `delta ${delta.status}, full ${full.status}`);
    const [skipped, whole] = [parseMedia(delta.body.toString("utf8")), parseMedia(full.body.toString("utf8"))];
    checkMediaPlaylist(skipped, delta, this.#findings);
    const seconds = whole.segments.reduce((sum, segment) => sum + segment.duration, 0);
    if (skipped.skipped === 0) {
      if (seconds > 7 * whole.targetDuration && !whole.ended)
        this.#findings.add("delta.not_offered", this.url, `${seconds.toFixed(0)} s listed`);
      return;
    }
    const merged = mergeDelta(older, skipped);
    const difference = merged === null ? "it skips what was never listed" : differenceOf(merged, whole.segments);
    if (difference !== null) this.#findings.add("delta.differs", this.url, difference);
  }

  async #judgeNew(playlist: MediaPlaylist): Promise<void> {
    const recent = playlist.segments.slice(-3);
    for (const segment of recent) {
      if (this.#judged.has(segment.uri)) continue;
      this.#judged.add(segment.uri);
      if (segment.map !== null) await this.judge.loadInit(segment.map);
      const parts = this.#parts.get(segment.msn) ?? segment.parts;
      await this.#judgeParts(parts, segment.discontinuity);
      await this.judge.judgeSegment(segment, parts);
    }
    if (playlist.open.map !== null) await this.judge.loadInit(playlist.open.map);
    await this.#judgeParts(playlist.open.parts, playlist.open.discontinuity);
  }

  async #judgeParts(parts: readonly Part[], discontinuity: boolean): Promise<void> {
    for (const [i, part] of parts.entries()) {
      if (this.#judged.has(part.uri)) continue;
      this.#judged.add(part.uri);
      await this.judge.judgePart(part, i === 0, discontinuity && i === 0);
    }
  }

  /** Parts whose tags went while their segment stays: somebody who read the playlist before may still ask. */
  #checkHiddenParts(before: MediaPlaylist, after: MediaPlaylist): void {
    const bare = new Set(after.segments.filter(({ parts }) => parts.length === 0).map(({ msn }) => msn));
    const parts = before.segments.filter(({ msn }) => bare.has(msn)).flatMap((segment) => segment.parts.slice(-1));
    for (const { uri, gap } of parts) if (!gap) void this.#stillThere(uri, "part.unfetchable");
  }

  async #stillThere(uri: string, code: Code): Promise<void> {
    const url = new URL(uri, this.url).href;
    const answer = await this.#client.get(url).catch(() => null);
    if (answer?.status !== 200)
      this.#findings.add(code, url, `answered ${answer?.status} right after it was removed from the playlist`);
  }
}

/** What comes after the newest listed part. */
export function nextOf(playlist: MediaPlaylist): { msn: number; part: number | null } {
  const { open } = playlist;
  return playlist.partTarget === null ? { msn: open.msn, part: null } : { msn: open.msn, part: open.parts.length };
}
