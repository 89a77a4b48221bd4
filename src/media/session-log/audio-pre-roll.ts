// How many coded frames a fresh audio decoder must hear before the first one that counts. The log keeps so many for a worker
// that joins, and every worker starts so far back: what a decoder makes of a frame is then a function of the same frames for
// all of them, and as good as in the middle of a stream.
import type { AudioTrack } from "./entries.ts";

/** What RFC 7845, 4.6 asks for. A steady tone converges more slowly (10 dB after 80 ms, 75 after 300, measured); but what is
 *  decoded first is heard by the encoder's pre-roll of 256 ms only, and by nobody else. */
const OPUS_MS = 80;

/** aac, mp2, ac3, eac3: the first frame lacks its overlap, the second is the same as in a long run (measured). mp3: a
 *  frame's bits may begin up to 511 bytes earlier (ISO/IEC 11172-3, 2.4.2.7): six frames at 48 kbit/s, ten at 32. */
const UNITS: Readonly<Record<Exclude<AudioTrack["codec"], "opus">, number>> = {
  aac: 4,
  mp2: 2,
  mp3: 10,
  ac3: 2,
  eac3: 2,
};

/** Units decoded before the one that holds the first needed sample. */
export function preRollUnits({ codec, sampleRate, samplesPerUnit }: AudioTrack): number {
  if (codec !== "opus") return UNITS[codec];
  return Math.ceil((OPUS_MS * sampleRate) / (1000 * samplesPerUnit));
}

/** Units that must be there: those, the one with the first sample, and one before them, whose end says where the first
 *  begins when positions are being spread (Unit.index). */
export function unitsBefore(track: AudioTrack): number {
  return preRollUnits(track) + 2;
}
