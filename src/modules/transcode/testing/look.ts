// A small source, and what a test looks at in a worker's output.
import { rate } from "#media/time/rate.ts";
import { decodePictures, psnr } from "#platform/av/testing/decode.ts";
import type { SourceVideoSettings } from "#platform/av/testing/source.ts";
import { scenePlanes } from "#platform/av/testing/source.ts";
import { type MemorySink, videoRung } from "./session-log.ts";

export const SIZE = { width: 160, height: 90 };
export const R25 = rate(25);
export const RUNG = videoRung(90);

export function videoOf(over: Partial<SourceVideoSettings> = {}): SourceVideoSettings {
  return { ...SIZE, rate: R25, frames: 200, gopFrames: 25, ...over };
}

export function partsOf(sink: MemorySink, track: string, era = 0) {
  return sink.parts.filter((part) => part.track === track && part.era === era);
}

export function bytesOf(sink: MemorySink, track: string, era = 0): Uint8Array[] {
  return [sink.inits.get(`${track}/${era}`)!, ...partsOf(sink, track, era).map(({ bytes }) => bytes)];
}

/** Which source frame each output frame shows, as the one it resembles most. */
export async function shownFrames(
  sink: MemorySink,
  settings: SourceVideoSettings,
  era = 0,
): Promise<Map<number, number>> {
  const scenes = Array.from({ length: settings.frames }, (_, frame) => scenePlanes(settings, frame).y);
  const shown = new Map<number, number>();
  for (const { ticks, luma } of await decodePictures(bytesOf(sink, "v90", era))) {
    const likeness = scenes.map((scene) => psnr(scene, luma));
    shown.set(ticks, likeness.indexOf(Math.max(...likeness)));
  }
  return shown;
}
