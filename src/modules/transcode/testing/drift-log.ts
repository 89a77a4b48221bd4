// A log in `grid` mode whose source's clock was found to be a picture off: the gateway moves media time at a segment boundary.
import type { AudioTrack, Entry, EraOpened, Positioned, TracksKnown, Unit } from "#media/session-log/entries.ts";
import { indexAt, rate, timeOf } from "#media/time/rate.ts";

/** Pictures from the first boundary that is a whole segment behind the beginning move by one slot at once, sound over the
 *  segment that begins there. @returns the log, and the boundary's frame */
export function withDriftStep(
  log: readonly Positioned<Entry>[],
  step: 1 | -1,
): Readonly<{ log: Positioned<Entry>[]; frame: number }> {
  const of = <K extends Entry["kind"]>(kind: K) =>
    log.map(({ entry }) => entry).find((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind)!;
  const era: EraOpened = of("era");
  const { tracks }: TracksKnown = of("tracks");
  const frame = Math.ceil((era.frame + era.segmentFrames) / era.segmentFrames) * era.segmentFrames;
  const fromNs = timeOf(era.rate, frame);
  const lengthNs = timeOf(era.rate, era.segmentFrames);
  const pictureNs = BigInt(step) * timeOf(era.rate, 1);
  const sounds = new Map(
    tracks.filter((track): track is AudioTrack => track.kind === "audio").map((t) => [t.track, t]),
  );

  const moved = (unit: Unit): Unit => {
    if (unit.timeNs < fromNs) return unit;
    const sound = sounds.get(unit.track);
    if (!sound)
      return {
        ...unit,
        index: unit.index + step,
        timeNs: unit.timeNs + pictureNs,
        decodeNs: unit.decodeNs + pictureNs,
      };
    const isWhole = unit.timeNs - fromNs >= lengthNs;
    const share = isWhole ? lengthNs : unit.timeNs - fromNs;
    const grid = rate(sound.sampleRate);
    const index = indexAt(grid, timeOf(grid, unit.index) + (pictureNs * share) / lengthNs);
    return { ...unit, index, timeNs: timeOf(grid, index), decodeNs: timeOf(grid, index) };
  };
  const entries: Entry[] = [];
  for (const { entry } of log) {
    const isFirst = entry.kind === "unit" && entry.timeNs >= fromNs && !entries.some(({ kind }) => kind === "drift");
    if (isFirst) entries.push({ kind: "drift", frame, step });
    if (entry.kind === "end") entries.push({ ...entry, frame: entry.frame + step });
    else entries.push(entry.kind === "unit" ? moved(entry) : entry);
  }
  return { log: entries.map((entry, position) => ({ position, entry })), frame };
}
