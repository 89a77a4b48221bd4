// What a publisher says of its stream before it sends it (onMetaData), and of a picture's colours (colorInfo). Hints, never
// facts: they tell which tracks to wait for, and a frame rate and a transfer curve for streams that declare none
// themselves.
import { nearestStandardRate, type Rate, rate } from "#media/time/rate.ts";
import { type Amf0Object, type Amf0Value, decodeAmf0 } from "./amf0.ts";

export type Metadata = Readonly<{
  /** Whether there will be such a track; null when it does not say. */
  video: boolean | null;
  /** Ids of the audio tracks there will be; null when it does not say. */
  audio: readonly number[] | null;
  /** By id of the audio track; ISO 639-2. */
  languages: ReadonlyMap<number, string>;
  rate: Rate | null;
}>;

const RATE_MAX = 300;
const TRACK_ID_MAX = 255;

/** @param body of a data message: [@setDataFrame] onMetaData {...}
 *  @returns null for other data messages (cue points, captions)
 *  @throws PlatformError media.truncated, media.malformed */
export function parseMetadata(body: Uint8Array): Metadata | null {
  const values = decodeAmf0(body);
  const name = values[0] === "@setDataFrame" ? values[1] : values[0];
  const properties = values.find(isObject);
  if (name !== "onMetaData" || !properties) return null;
  const video = isCodec(own(properties, "videocodecid"));
  const audio = isCodec(own(properties, "audiocodecid"));
  const more = audioTracks(properties);
  const silent = !video && !audio; // it names no codec at all: that says nothing about either
  const framesPerSecond = own(properties, "framerate") ?? own(properties, "fps");
  return {
    video: silent ? null : video,
    audio: silent ? null : [...(audio ? [0] : []), ...more.keys()],
    languages: new Map([...more].flatMap(([id, language]) => (language === null ? [] : [[id, language]]))),
    rate: typeof framesPerSecond === "number" ? rateOf(framesPerSecond) : null,
  };
}

/** Tracks beyond the first, by id, with their languages. */
function audioTracks(properties: Amf0Object): Map<number, string | null> {
  const map = own(properties, "audioTrackIdInfoMap");
  const tracks = new Map<number, string | null>();
  for (const [key, value] of isObject(map) ? Object.entries(map) : []) {
    const id = /^\d{1,3}$/.test(key) ? Number(key) : 0;
    if (id < 1 || id > TRACK_ID_MAX || !isObject(value)) continue;
    const language = own(value, "language");
    tracks.set(id, typeof language === "string" && /^[a-z]{3}$/.test(language) ? language : null);
  }
  return tracks;
}

/** transfer_characteristics that a colorInfo tells; null when it takes back what was told; undefined when it says nothing
 *  of them. @param body of a video metadata message
 *  @throws PlatformError media.truncated, media.malformed
 *  Source: Enhanced RTMP v2, "Metadata Frame" */
export function parseColourInfo(body: Uint8Array): number | null | undefined {
  const [name, info] = decodeAmf0(body);
  if (name !== "colorInfo") return undefined;
  if (!isObject(info) || Object.keys(info).length === 0) return null;
  const config = own(info, "colorConfig");
  const transfer = isObject(config) ? own(config, "transferCharacteristics") : undefined;
  return typeof transfer === "number" && transfer >= 0 && transfer <= 255 ? Math.floor(transfer) : undefined;
}

function own(object: Amf0Object, key: string): Amf0Value {
  return Object.hasOwn(object, key) ? object[key] : undefined;
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
