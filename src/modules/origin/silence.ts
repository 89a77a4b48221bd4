// Copied sound may just stop (a microphone was unplugged), which no sender can say. Its playlist must not hang then: players
// would wait for it and show nothing. Pictures do not stop like that, and encoded sound is silence.
import type { EraOpened } from "#media/session-log/entries.ts";
import { renditionOf } from "./planned-parts.ts";
import type { Track } from "./track.ts";

/** @param newest ordinal that another rendition makes now @param silentMs since it published something
 *  @returns whether segments were given up */
export function passSilence(track: Track, era: EraOpened | null, newest: number, silentMs: number, patienceMs: number) {
  const rendition = era && renditionOf(era, track.name);
  if (era?.mode !== "source" || rendition?.kind !== "audio" || !rendition.copied || !track.hasMedia) return false;
  if (track.listed.at(-1)?.gap !== true && silentMs <= patienceMs) return false;
  let passed = false;
  while (track.nextOrdinal < newest - 1 && track.giveUpSegment()) passed = true;
  return passed;
}
