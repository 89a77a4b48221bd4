// What one playlist must hold by itself.
import type { Findings } from "./findings.ts";
import type { Answer } from "./http.ts";
import type { MediaPlaylist } from "./playlist.ts";

/** Text forms carry 5 or 6 decimals; below this nothing can be told. */
const ROUNDING = 1e-5;

export function checkMediaPlaylist(playlist: MediaPlaylist, answer: Answer, findings: Findings): void {
  const { url } = answer;
  for (const complaint of playlist.complaints) findings.add("playlist.grammar", url, complaint);
  const { targetDuration, partTarget } = playlist;
  if (playlist.version < versionNeeded(playlist))
    findings.add("playlist.version", url, `${playlist.version}, needed ${versionNeeded(playlist)}`);
  for (const segment of playlist.segments) {
    if (Math.round(segment.duration) > targetDuration)
      findings.add("segment.too_long", url, `number ${segment.msn}: ${segment.duration} s, target ${targetDuration} s`);
    // In a delta update the tag may stand among what was skipped.
    if (segment.map === null && playlist.skipped === 0)
      findings.add("segment.map_missing", url, `number ${segment.msn}`);
    if (segment.pdtMs === null && playlist.skipped === 0)
      findings.add("segment.pdt_missing", url, `number ${segment.msn}`);
    if (segment.gap && segment.parts.some((part) => !part.gap))
      findings.add("gap.fetchable_listed", url, `number ${segment.msn}`);
  }
  if (playlist.ended && playlist.hints.length > 0) findings.add("end.not_final", url, "a hint after ENDLIST");
  if (partTarget === null) return;
  if (!playlist.ended) checkControl(playlist, url, findings);
  const all = [...playlist.segments, { ...playlist.open, uri: null }];
  for (const segment of all)
    segment.parts.forEach((part, i) => {
      const lastOfSegment = segment.uri !== null && i === segment.parts.length - 1;
      if (part.duration > partTarget + ROUNDING)
        findings.add("part.too_long", url, `${part.uri}: ${part.duration}, target ${partTarget}`);
      const mayBeShort =
        lastOfSegment || part.gap || part.independent || segment.parts[i + 1]?.gap || i === segment.parts.length - 1;
      if (part.duration < partTarget * 0.85 - ROUNDING && !mayBeShort)
        findings.add(
          "part.too_short",
          url,
          `${part.uri}: ${part.duration}, 85 % of the target is ${partTarget * 0.85}`,
        );
    });
  checkPartsKept(playlist, url, findings);
}

function versionNeeded(playlist: MediaPlaylist): number {
  if (playlist.skipped > 0) return 9;
  return playlist.segments.some((segment) => segment.map !== null) ? 6 : 3;
}

function checkControl(
  { control, partTarget, targetDuration, hints, open, ended, segments }: MediaPlaylist,
  url: string,
  findings: Findings,
): void {
  if (control.get("CAN-BLOCK-RELOAD") !== "YES") findings.add("control.blocking", url, "not offered");
  const partHoldBack = Number(control.get("PART-HOLD-BACK"));
  if (!(partHoldBack >= 3 * partTarget! - ROUNDING))
    findings.add("control.part_hold_back", url, `${partHoldBack}, PART-TARGET ${partTarget}`);
  const holdBack = control.get("HOLD-BACK");
  if (holdBack !== undefined && Number(holdBack) < 3 * targetDuration) findings.add("control.hold_back", url, holdBack);
  const skipUntil = control.get("CAN-SKIP-UNTIL");
  if (skipUntil !== undefined && Number(skipUntil) < 6 * targetDuration)
    findings.add("control.skip_until", url, skipUntil);
  const partHints = hints.filter((hint) => hint.type === "PART");
  if (partHints.length > 1) findings.add("hint.duplicate", url, partHints.map((hint) => hint.uri).join(", "));
  // After a gap nobody may know yet where the media goes on; between two segments only the next reading can tell.
  const known = !open.gap && segments.at(-1)?.gap !== true && open.parts.length > 0;
  if (partHints.length === 0 && !ended && known) findings.add("hint.missing", url, `after number ${open.msn}`);
}

/** Parts stay while their segment ends within 3 target durations of the end, and go soon after; behind a discontinuity
 *  PART-TARGET may be another, which those of before do not keep. */
function checkPartsKept(
  { segments, open, targetDuration, ended }: MediaPlaylist,
  url: string,
  findings: Findings,
): void {
  let fromEnd = open.parts.reduce((sum, part) => sum + part.duration, 0);
  let mayBeBare = open.discontinuity;
  for (const segment of segments.toReversed()) {
    if (fromEnd < 3 * targetDuration && segment.parts.length === 0 && !segment.gap && !ended && !mayBeBare)
      findings.add("part.removed_early", url, `number ${segment.msn} ends ${fromEnd.toFixed(2)} s from the end`);
    // one segment of grace: the tags go with the reload after the border was crossed
    if (fromEnd > 3 * targetDuration + 2 * segment.duration && segment.parts.length > 0)
      findings.add("part.kept_too_long", url, `number ${segment.msn} ends ${fromEnd.toFixed(2)} s from the end`);
    fromEnd += segment.duration;
    mayBeBare ||= segment.discontinuity;
  }
}

export function maxAge(answer: Answer): number | null {
  const value = /(?:^|[,\s])max-age=(\d+)/.exec(String(answer.headers["cache-control"] ?? ""))?.[1];
  return value === undefined ? null : Number(value);
}

export function checkPlaylistHeaders(
  answer: Answer,
  kind: "multivariant" | "plain" | "blocking",
  targetDuration: number,
  findings: Findings,
): void {
  const { headers, url } = answer;
  if (!/^application\/(vnd\.apple\.mpegurl|x-mpegurl)/i.test(String(headers["content-type"])))
    findings.add("playlist.mime", url, String(headers["content-type"]));
  if (headers["access-control-allow-origin"] === undefined)
    findings.add("playlist.cors", url, "no Access-Control-Allow-Origin");
  if (headers["content-encoding"] !== "gzip")
    findings.add("playlist.not_compressed", url, "asked for with Accept-Encoding: gzip");
  const age = maxAge(answer);
  const control = String(headers["cache-control"] ?? "none");
  if (kind === "plain" && (age ?? 0) > targetDuration / 2 && (age ?? 0) > 1)
    findings.add("playlist.cache", url, `${control} without directives`);
  if (kind === "blocking" && !((age ?? 0) >= targetDuration))
    findings.add("playlist.cache", url, `${control} on a blocking answer`);
  if (kind === "multivariant" && headers["cache-control"] === undefined)
    findings.add("playlist.cache", url, "no Cache-Control");
}
