// What must hold between two readings of the same playlist, an earlier and a later one.
import type { Findings } from "./findings.ts";
import type { MediaPlaylist, Segment } from "./playlist.ts";

/** @returns segments that were listed before and are not any more */
export function checkEvolution(
  before: MediaPlaylist,
  after: MediaPlaylist,
  url: string,
  findings: Findings,
): Segment[] {
  if (after.targetDuration !== before.targetDuration)
    findings.add("target.changed", url, `${before.targetDuration} -> ${after.targetDuration}`);
  if (after.mediaSequence < before.mediaSequence) {
    findings.add("msn.went_back", url, `${before.mediaSequence} -> ${after.mediaSequence}`);
    return [];
  }
  if (before.ended && (after.segments.length !== before.segments.length || !after.ended))
    findings.add("end.not_final", url, "changed after ENDLIST");
  const byMsn = new Map(after.segments.map((segment) => [segment.msn, segment]));
  const byUri = new Map(after.segments.map((segment) => [segment.uri, segment]));
  for (const old of before.segments) {
    const now = byMsn.get(old.msn);
    const moved = byUri.get(old.uri);
    if (moved && moved.msn !== old.msn) {
      findings.add("msn.wrong", url, `${old.uri} was number ${old.msn}, is ${moved.msn}`);
      return [];
    }
    if (now) checkSame(old, now, url, findings);
    else if (old.msn >= after.mediaSequence)
      findings.add("segment.changed", url, `number ${old.msn} is not listed any more`);
  }
  const newest = before.segments.at(-1);
  if (newest && !byMsn.has(newest.msn) && after.mediaSequence <= newest.msn)
    findings.add("msn.wrong", url, `number ${newest.msn} vanished`);
  for (const part of before.open.parts) {
    const parent = byMsn.get(before.open.msn) ?? (after.open.msn === before.open.msn ? after.open : null);
    if (parent && parent.parts.length > 0 && !parent.parts.some((p) => p.uri === part.uri))
      findings.add("segment.changed", url, `part ${part.uri} is not listed any more`);
  }
  const removed = before.segments.filter((segment) => segment.msn < after.mediaSequence);
  const counted = removed.filter((segment) => segment.discontinuity).length;
  // A discontinuity counts once the segment that carries the tag has gone.
  if (after.discontinuitySequence !== before.discontinuitySequence + counted)
    findings.add(
      "discontinuity.sequence",
      url,
      `${before.discontinuitySequence} -> ${after.discontinuitySequence}, ${counted} removed`,
    );
  const left = after.segments.reduce((sum, segment) => sum + segment.duration, 0);
  if (removed.length > 0 && left < 3 * after.targetDuration)
    findings.add("segment.removed_early", url, `${left.toFixed(2)} s are left`);
  return removed;
}

function checkSame(old: Segment, now: Segment, url: string, findings: Findings): void {
  const differing = (["uri", "duration", "gap", "discontinuity", "map"] as const).filter(
    (key) => old[key] !== now[key],
  );
  if (old.pdtMs !== now.pdtMs && now.pdtMs !== null && old.pdtMs !== null)
    findings.add("segment.changed", url, `number ${old.msn}: date`);
  if (differing.length > 0)
    findings.add(
      "segment.changed",
      url,
      `number ${old.msn}: ${differing.map((key) => `${key} ${old[key]} -> ${now[key]}`).join(", ")}`,
    );
  if (now.parts.length === 0) return;
  const same =
    now.parts.length === old.parts.length &&
    now.parts.every((part, i) => part.uri === old.parts[i]!.uri && part.duration === old.parts[i]!.duration);
  if (old.parts.length > 0 && !same) findings.add("segment.changed", url, `parts of number ${old.msn}`);
}

/** A delta update laid over an older reading must give the full playlist of the same moment. */
export function mergeDelta(older: MediaPlaylist, delta: MediaPlaylist): Segment[] | null {
  const kept = older.segments.filter(
    (s) => s.msn >= delta.mediaSequence && s.msn < delta.mediaSequence + delta.skipped,
  );
  return kept.length === delta.skipped ? [...kept, ...delta.segments] : null;
}

/** @returns what differs, or null. Only what both must show: a segment's parts may have gone meanwhile. */
export function differenceOf(merged: readonly Segment[], full: readonly Segment[]): string | null {
  const count = Math.min(merged.length, full.length);
  for (let i = 0; i < count; i += 1) {
    const [a, b] = [merged[i]!, full[i]!];
    const key = (["msn", "uri", "duration", "gap", "discontinuity", "pdtMs"] as const).find((k) => a[k] !== b[k]);
    if (key) return `number ${b.msn}: ${key} is ${b[key]} in full and ${a[key]} when merged`;
    if ((a.map ?? b.map) !== b.map) return `number ${b.msn}: map`;
  }
  return Math.abs(merged.length - full.length) > 1 ? `${merged.length} segments merged, ${full.length} in full` : null;
}
