// The strict LL-HLS checker: an independent judge of any low-latency origin. It imports nothing of src/.
import { type Code, type Finding, Findings } from "./findings.ts";
import { Follower } from "./follow.ts";
import { checkMediaGroups } from "./group-rules.ts";
import { type Answer, Client } from "./http.ts";
import { measuredRates } from "./media-rules.ts";
import { type Multivariant, parseMedia, parseMultivariant } from "./playlist.ts";
import { isNamed } from "./sample-entries.ts";
import { checkPlaylistHeaders, maxAge } from "./static-rules.ts";

export type CheckOptions = Readonly<{
  url: string;
  /** Blocking reloads of each media playlist. */
  reloads?: number;
  /** What scheduling on the judged and the judging machine may add to a part target. */
  toleranceMs?: number;
  /** Go on until ENDLIST instead. */
  untilEnd?: boolean;
  headers?: Readonly<Record<string, string>>;
  onFinding?: (finding: Finding) => void;
  onReload?: () => void;
}>;

export type Report = Readonly<{
  findings: readonly (Finding & { count: number })[];
  playlists: number;
  reloads: number;
  segments: number;
  seconds: number;
}>;

/** Freshness and alignment are compared across connections: this much may pass between two answers of one instant. */
const CROSS_SLACK_MS = 200;

export async function runChecker(options: CheckOptions): Promise<Report> {
  const startedMs = performance.now();
  const findings = new Findings(options.onFinding);
  const client = new Client(options.headers);
  let reloads = 0;
  try {
    const answer = await client.get(options.url, { headers: { "accept-encoding": "gzip" } });
    if (answer.status !== 200) {
      findings.add("fetch.failed", options.url, `answered ${answer.status}`);
      return report();
    }
    const multivariant = parseMultivariant(answer.body.toString("utf8"));
    checkMultivariant(multivariant, options.url, findings);
    checkPlaylistHeaders(answer, "multivariant", 1, findings);
    const followers = playlistsOf(multivariant, options.url).map(
      (url) =>
        new Follower(url, client, findings, {
          reloads: options.reloads ?? 200,
          toleranceMs: options.toleranceMs ?? 250,
          untilEnd: options.untilEnd ?? false,
          onReload: () => {
            reloads += 1;
            options.onReload?.();
          },
        }),
    );
    const begun = await Promise.all(followers.map((follower) => follower.begin()));
    if (begun.every(Boolean)) {
      await Promise.all([...followers.map((follower) => follower.follow()), probe(followers[0]!, client, findings)]);
      checkReports(followers, findings);
      checkAcross(followers, findings);
      await checkDeclared(options.url, followers, client, findings);
    }
    return report(followers);
  } finally {
    client.close();
  }

  function report(followers: readonly Follower[] = []): Report {
    const segments = followers.reduce((sum, follower) => sum + follower.judge.segments.length, 0);
    return {
      findings: findings.list(),
      playlists: followers.length,
      reloads,
      segments,
      seconds: (performance.now() - startedMs) / 1000,
    };
  }
}

function playlistsOf(multivariant: Multivariant, base: string): string[] {
  const uris = [
    ...multivariant.variants.map((v) => v.uri),
    ...multivariant.media.flatMap((m) => (m.has("URI") ? [m.get("URI")!] : [])),
  ];
  return [...new Set(uris.map((uri) => new URL(uri, base).href))];
}

function checkMultivariant(multivariant: Multivariant, url: string, findings: Findings): void {
  for (const complaint of multivariant.complaints) findings.add("playlist.grammar", url, complaint);
  if (multivariant.variants.length === 0) findings.add("playlist.grammar", url, "no variant");
  if (!multivariant.independent) findings.add("multivariant.independent", url, "EXT-X-INDEPENDENT-SEGMENTS is missing");
  checkMediaGroups(multivariant, url, findings);
  for (const { uri, attributes } of multivariant.variants) {
    const video = attributes.has("RESOLUTION") || /avc1|hvc1|av01/.test(attributes.get("CODECS") ?? "");
    const needed = ["BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", ...(video ? ["RESOLUTION", "FRAME-RATE"] : [])];
    for (const name of needed)
      if (!attributes.has(name)) findings.add("multivariant.attribute_missing", url, `${uri}: ${name}`);
    const rate = attributes.get("FRAME-RATE");
    if (rate !== undefined && !/^\d+\.\d{3}$/.test(rate))
      findings.add("multivariant.frame_rate", url, `FRAME-RATE=${rate} has no 3 decimals`);
    for (const [name, type] of [
      ["AUDIO", "AUDIO"],
      ["SUBTITLES", "SUBTITLES"],
      ["CLOSED-CAPTIONS", "CLOSED-CAPTIONS"],
    ] as const) {
      const group = attributes.get(name);
      const isNone = type === "CLOSED-CAPTIONS" && group === "NONE";
      if (
        group !== undefined &&
        !isNone &&
        !multivariant.media.some((m) => m.get("TYPE") === type && m.get("GROUP-ID") === group)
      )
        findings.add("multivariant.group", url, `${name}="${group}" is not there`);
    }
  }
}

/** Requests that no player should make, and what they must be answered with. */
async function probe(follower: Follower, client: Client, findings: Findings): Promise<void> {
  const { url, playlist } = follower;
  const newest = playlist!.open.msn;
  if (!playlist!.ended) {
    const refused: [string, Code][] = [
      [`_HLS_msn=${newest + 10}`, "blocking.far_future"],
      [`_HLS_msn=${newest}&_HLS_part=500`, "blocking.far_future"],
      ["_HLS_part=0", "blocking.part_without_msn"],
      ["_HLS_msn=abc", "blocking.garbage"],
      ["_HLS_msn=-1", "blocking.garbage"],
      [`_HLS_msn=${newest}&_HLS_part=1e3`, "blocking.garbage"],
    ];
    for (const [query, code] of refused) {
      const answer = await client.get(`${url}?${query}`, { timeoutMs: 5000 }).catch(() => null);
      // A part number beyond a segment that closed meanwhile means part 0 of the next, which may be there.
      const closedMeanwhile = query.includes("_HLS_part=500") && answer?.status === 200 && movedBeyond(answer, newest);
      if (closedMeanwhile) continue;
      if (answer?.status !== 400)
        findings.add(code, url, `${query} answered ${answer?.status ?? "nothing within 5 s"}`);
      else if ((maxAge(answer) ?? 0) > 1)
        findings.add("playlist.cache", answer.url, `a 400 is kept for ${maxAge(answer)} s`);
    }
    // Without a whole segment nothing is past: the first number is the open segment's, and waiting for it is right.
    const wholeSegments = playlist!.mediaSequence < newest;
    const past =
      wholeSegments &&
      (await client.get(`${url}?_HLS_msn=${playlist!.mediaSequence}`, { timeoutMs: 5000 }).catch(() => null));
    if (past !== false && (past?.status !== 200 || past.receivedMs - past.sentMs > 1000))
      findings.add(
        "blocking.past",
        url,
        `answered ${past?.status} after ${past && Math.round(past.receivedMs - past.sentMs)} ms`,
      );
  }
  const missing = await client
    .get(new URL("no-such-rendition/0-1.m4s", url).href, { timeoutMs: 5000 })
    .catch(() => null);
  if (missing?.status !== 404 || (maxAge(missing) ?? 0) > 1)
    findings.add(
      "missing.not_404",
      missing?.url ?? url,
      `answered ${missing?.status}, Cache-Control ${missing?.headers["cache-control"]}`,
    );
}

function movedBeyond(answer: Answer, msn: number): boolean {
  return parseMedia(answer.body.toString("utf8")).open.msn > msn;
}

/** A report must not be older than what the other playlist had shown by then. */
function checkReports(followers: readonly Follower[], findings: Findings): void {
  for (const follower of followers) {
    if (follower.playlist!.ended && follower.reports.length === 0) continue;
    for (const other of followers) {
      if (other === follower) continue;
      const reports = follower.reports.filter((report) => report.url === other.url);
      if (reports.length === 0) {
        findings.add("report.missing", follower.url, `none for ${other.url}`);
        continue;
      }
      for (const report of reports) {
        const shown = other.shown.findLast((s) => s.atMs < report.atMs - CROSS_SLACK_MS);
        const older =
          shown &&
          (report.lastMsn < shown.msn || (report.lastMsn === shown.msn && (report.lastPart ?? 0) < shown.part));
        if (older)
          findings.add(
            "report.stale",
            follower.url,
            `reports ${report.lastMsn}/${report.lastPart} of ${other.url}, which had shown ${shown.msn}/${shown.part}`,
          );
      }
    }
  }
}

/** What must agree between renditions at one number. */
function checkAcross(followers: readonly Follower[], findings: Findings): void {
  const [first, ...others] = followers;
  if (!first?.playlist) return;
  const reference = new Map(first.playlist.segments.map((segment) => [segment.msn, segment]));
  const starts = new Map(first.judge.segments.map((segment) => [segment.msn, segment]));
  for (const other of others) {
    for (const segment of other.playlist!.segments) {
      const same = reference.get(segment.msn);
      if (!same) continue;
      const audioFrameMs = audioFrameSeconds(first, other) * 1000;
      if (same.pdtMs !== null && segment.pdtMs !== null && Math.abs(same.pdtMs - segment.pdtMs) > audioFrameMs + 2)
        findings.add(
          "cross.msn_at_date",
          other.url,
          `number ${segment.msn}: dates differ by ${segment.pdtMs - same.pdtMs} ms`,
        );
      if (same.discontinuities !== segment.discontinuities)
        findings.add(
          "cross.discontinuity",
          other.url,
          `number ${segment.msn}: ${segment.discontinuities}, elsewhere ${same.discontinuities}`,
        );
      if (same.gap !== segment.gap) findings.add("gap.not_everywhere", other.url, `number ${segment.msn}`);
    }
    const frame = audioFrameSeconds(first, other);
    for (const segment of other.judge.segments) {
      const same = starts.get(segment.msn);
      const apart = same ? Math.abs(same.startSeconds - segment.startSeconds) : 0;
      if (apart > frame + 1e-6)
        findings.add("cross.start", other.url, `number ${segment.msn} starts ${(apart * 1000).toFixed(2)} ms apart`);
    }
  }
}

/** Sound is cut at its own frames: so far from the boundary it may begin. */
function audioFrameSeconds(...followers: readonly Follower[]): number {
  return Math.max(...followers.map(({ judge }) => judge.audioFrameSeconds));
}

/** The multivariant playlist's words against the media, with what was gathered by the end. */
async function checkDeclared(
  url: string,
  followers: readonly Follower[],
  client: Client,
  findings: Findings,
): Promise<void> {
  const answer = await client.get(url);
  const multivariant = parseMultivariant(answer.body.toString("utf8"));
  const byUrl = new Map(followers.map((follower) => [follower.url, follower]));
  const rates = (follower: Follower | undefined) =>
    follower
      ? measuredRates(follower.judge.segments.slice(0, -1), follower.playlist!.targetDuration)
      : { peak: 0, average: 0 };
  for (const { uri, attributes } of multivariant.variants) {
    const follower = byUrl.get(new URL(uri, url).href);
    const init = follower?.judge.init;
    if (!follower || !init) continue;
    const audio = multivariant.media
      .filter((m) => m.get("TYPE") === "AUDIO" && m.get("GROUP-ID") === attributes.get("AUDIO") && m.has("URI"))
      .map((m) => byUrl.get(new URL(m.get("URI")!, url).href));
    const declared = (attributes.get("CODECS") ?? "").split(",");
    for (const codec of [init.codec, ...audio.flatMap((a) => (a?.judge.init ? [a.judge.init.codec] : []))])
      if (!declared.some((name) => isNamed(codec, name)))
        findings.add("multivariant.codecs", url, `${uri}: media is ${codec}, CODECS="${attributes.get("CODECS")}"`);
    if (follower.judge.hasCaptions && attributes.get("CLOSED-CAPTIONS") === "NONE")
      findings.add("multivariant.captions", url, `${uri}: CLOSED-CAPTIONS=NONE, and its pictures carry captions`);
    if (init.kind === "video") checkPicture(uri, attributes, follower, url, findings);
    const own = rates(follower);
    const loudest = audio.map(rates).reduce((worst, r) => (r.peak > worst.peak ? r : worst), { peak: 0, average: 0 });
    const bandwidth = Number(attributes.get("BANDWIDTH"));
    if (own.peak + loudest.peak > bandwidth * 1.1)
      findings.add(
        "multivariant.bandwidth",
        url,
        `${uri}: peak ${Math.round(own.peak + loudest.peak)}, BANDWIDTH ${bandwidth}`,
      );
    const average = Number(attributes.get("AVERAGE-BANDWIDTH"));
    if (average > bandwidth)
      findings.add("multivariant.average", url, `${uri}: AVERAGE-BANDWIDTH ${average} above BANDWIDTH ${bandwidth}`);
    // Too few segments, or a playlist that joined late, say nothing of the average.
    const measured = own.average + loudest.average;
    if (follower.judge.segments.length >= 10 && Math.abs(measured - average) > 0.1 * Math.max(measured, average))
      findings.add("multivariant.average", url, `${uri}: measured ${Math.round(measured)}, declared ${average}`);
  }
}

function checkPicture(
  uri: string,
  attributes: Map<string, string>,
  follower: Follower,
  url: string,
  findings: Findings,
): void {
  const { width, height, codedSize, onItsSide, range } = follower.judge.init!;
  const resolution = attributes.get("RESOLUTION");
  const displayed = onItsSide ? `${height}x${width}` : `${width}x${height}`;
  if (resolution !== displayed)
    findings.add("multivariant.resolution", url, `${uri}: media is ${displayed}, RESOLUTION=${resolution}`);
  if (codedSize && (codedSize.width !== width || codedSize.height !== height))
    findings.add(
      "multivariant.resolution",
      url,
      `${uri}: sequence header says ${codedSize.width}x${codedSize.height}, sample entry ${width}x${height}`,
    );
  const declared = attributes.get("VIDEO-RANGE") ?? "SDR";
  if (declared !== range)
    findings.add("multivariant.video_range", url, `${uri}: media is ${range}, VIDEO-RANGE=${declared}`);
  // Pictures at changing distances have no one rate: it must be among those that came.
  const { shortestSeconds, longestSeconds } = follower.judge;
  const rate = Number(attributes.get("FRAME-RATE"));
  if (longestSeconds > 0 && (rate * shortestSeconds > 1.001 || rate * longestSeconds < 0.999))
    findings.add(
      "multivariant.frame_rate",
      url,
      `${uri}: media has ${(1 / longestSeconds).toFixed(3)} to ${(1 / shortestSeconds).toFixed(3)}, FRAME-RATE=${rate}`,
    );
}
