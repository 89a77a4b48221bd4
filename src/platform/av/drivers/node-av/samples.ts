// Sound as it crosses into the library and back: planes of floats, and which speakers they are for.
import * as layouts from "node-av/constants";
import type { ChannelLayout } from "node-av/lib";
import { PlatformError } from "#base/errors.ts";

/** Speakers of AAC's channel configurations, by number of channels.
 *  Source: ISO/IEC 14496-3, table 1.19 */
const LAYOUTS: readonly (ChannelLayout | undefined)[] = [
  undefined,
  layouts.AV_CHANNEL_LAYOUT_MONO,
  layouts.AV_CHANNEL_LAYOUT_STEREO,
  layouts.AV_CHANNEL_LAYOUT_SURROUND,
  layouts.AV_CHANNEL_LAYOUT_4POINT0,
  layouts.AV_CHANNEL_LAYOUT_5POINT0_BACK,
  layouts.AV_CHANNEL_LAYOUT_5POINT1_BACK,
  layouts.AV_CHANNEL_LAYOUT_6POINT1,
  layouts.AV_CHANNEL_LAYOUT_7POINT1,
];

/** @throws PlatformError media.unsupported */
export function layoutOf(channels: number): ChannelLayout {
  const layout = LAYOUTS[channels];
  if (layout === undefined) throw new PlatformError("media.unsupported", `audio with ${channels} channels`);
  return layout;
}

/** The speakers that so many channels are for when nothing says it. */
export function usualSpeakers(channels: number): number {
  return Number(layoutOf(channels).mask);
}

/** Masks of more than the 18 speakers that the mask was made for are a decoder's fancy about broken bytes. */
const SPEAKERS_MAX = 2 ** 18 - 1;

/** Of decoded samples; null when nobody could say where they belong.
 *  @param mask 0 when the decoder does not say */
export function speakersOf(channels: number, mask: bigint): number | null {
  if (mask > 0n && mask <= SPEAKERS_MAX) return Number(mask);
  return LAYOUTS[channels] === undefined ? null : usualSpeakers(channels);
}

/** @param speakers channel mask, not 0 */
export function layoutOfSpeakers(speakers: number): ChannelLayout {
  let nbChannels = 0;
  for (let rest = speakers; rest !== 0; rest &= rest - 1) nbChannels += 1;
  return { nbChannels, order: layouts.AV_CHANNEL_ORDER_NATIVE, mask: BigInt(speakers) };
}

/** The plane's bytes as the library wants them: the same memory. */
export function bytesOf(plane: Float32Array): Buffer {
  return Buffer.from(plane.buffer, plane.byteOffset, plane.byteLength);
}
