// One publisher that changes what it sends: the logs of several sources, one behind the other in one session.
import type { Entry, EraOpened, Positioned, TracksKnown } from "#media/session-log/entries.ts";
import { type Rate, rate, timeOf } from "#media/time/rate.ts";

/** All begin at the same instant and have one era; the first one's stays. A change is told by the tracks alone.
 *  @param frames of the output that each lasts; a whole number of samples and of audio units need not fit */
export function joinedLogs(
  logs: readonly (readonly Positioned<Entry>[])[],
  r: Rate,
  frames: number,
): Positioned<Entry>[] {
  const entries: Entry[] = [];
  for (const [place, log] of logs.entries()) {
    const later = place * frames;
    const lasts = logs.length - 1 > place;
    const { tracks } = kindOf<TracksKnown>(log, "tracks");
    const { frame } = kindOf<EraOpened>(log, "era");
    const endNs = timeOf(r, frame + frames);
    const rates = new Map(tracks.map((track) => [track.track, track.kind === "audio" ? rate(track.sampleRate) : r]));
    if (place === 0)
      entries.push(
        ...log.filter(({ entry }) => entry.kind !== "unit" && entry.kind !== "end").map(({ entry }) => entry),
      );
    else entries.push({ kind: "tracks", tracks });
    const byNs = timeOf(r, later);
    for (const { entry } of log) {
      if (entry.kind !== "unit" || entry.timeNs >= endNs) continue;
      const grid = rates.get(entry.track)!;
      if (grid === r && entry.index >= frame + frames) continue; // half a slot before the next source's first
      const index = entry.index + Math.round((later * r.den * grid.num) / (r.num * grid.den));
      const { timeNs, decodeNs, arrivedNs } = entry;
      entries.push({ ...entry, index, timeNs: timeNs + byNs, decodeNs: decodeNs + byNs, arrivedNs: arrivedNs + byNs });
    }
    if (!lasts) entries.push({ kind: "end", frame: frame + later + frames, reason: "publisher" });
  }
  return entries.map((entry, position) => ({ position, entry }));
}

function kindOf<E extends Entry>(log: readonly Positioned<Entry>[], kind: E["kind"]): E {
  return log.map(({ entry }) => entry).find((entry) => entry.kind === kind) as E;
}
