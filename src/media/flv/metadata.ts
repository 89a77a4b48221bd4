// What a publisher says of its stream before it sends it (onMetaData). Hints, never facts: it tells which tracks to wait
// for, and a frame rate for streams that declare none themselves.
import { nearestStandardRate, type Rate, rate } from "#media/time/rate.ts";
import { type Amf0Object, type Amf0Value, decodeAmf0 } from "./amf0.ts";

export type Metadata = Readonly<{
  /** Whether there will be such a track; null when it does not say. */
  video: boolean | null;
  audio: boolean | null;
  rate: Rate | null;
}>;

const RATE_MAX = 300;

/** @param body of a data message: [@setDataFrame] onMetaData {...}
 *  @returns null for other data messages (cue points, captions)
 *  @throws PlatformError media.truncated, media.malformed */
export function parseMetadata(body: Uint8Array): Metadata | null {
  const values = decodeAmf0(body);
  const name = values[0] === "@setDataFrame" ? values[1] : values[0];
  const properties = values.find(isObject);
  if (name !== "onMetaData" || !properties) return null;
  const own = (key: string): Amf0Value => (Object.hasOwn(properties, key) ? properties[key] : undefined);
  const video = isCodec(own("videocodecid"));
  const audio = isCodec(own("audiocodecid"));
  const silent = !video && !audio; // it names no codec at all: that says nothing about either
  const framesPerSecond = own("framerate") ?? own("fps");
  return {
    video: silent ? null : video,
    audio: silent ? null : audio,
    rate: typeof framesPerSecond === "number" ? rateOf(framesPerSecond) : null,
  };
}

function isObject(value: Amf0Value): value is Amf0Object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A number of the FLV tables, a FourCC as a number, or a name; 0 in video means none. */
function isCodec(value: Amf0Value): boolean {
  return (typeof value === "number" && value > 0) || (typeof value === "string" && value !== "" && value !== "none");
}

function rateOf(framesPerSecond: number): Rate | null {
  if (!(framesPerSecond >= 1 && framesPerSecond <= RATE_MAX)) return null;
  return nearestStandardRate(framesPerSecond) ?? rate(Math.round(framesPerSecond * 1000), 1000);
}
