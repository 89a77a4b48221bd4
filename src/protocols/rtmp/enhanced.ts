// What both sides of enhanced RTMP tell each other in connect: which codecs by FourCC, and which new kinds of message.
// Source: Enhanced RTMP (Veovera) v2, "Enhancing NetConnection connect Command"
import type { Amf0Object, Amf0Value } from "#media/flv/amf0.ts";
import { asObject, asText } from "./command.ts";

/** Codecs that we take of a publisher, and send. */
const FOUR_CCS = {
  video: ["avc1", "hvc1", "av01"],
  audio: ["mp4a", ".mp3", "ac-3", "ec-3", "Opus"],
} as const;

const CAN = { decode: 1, encode: 2, forward: 4 } as const;
/** capsEx: several tracks in a message, and modifiers before one. No nanoseconds: our clock of RTMP counts milliseconds. */
const CAPS = { multitrack: 0x02, modifiers: 0x04 } as const;
const COUNT_MAX = 64;

/** Properties for our side of connect. */
export function enhancements(): Amf0Object {
  const map = (codecs: readonly string[]) =>
    Object.fromEntries(codecs.map((codec) => [codec, CAN.decode | CAN.forward]));
  return {
    fourCcList: [...FOUR_CCS.video, ...FOUR_CCS.audio],
    videoFourCcInfoMap: map(FOUR_CCS.video),
    audioFourCcInfoMap: map(FOUR_CCS.audio),
    capsEx: CAPS.multitrack | CAPS.modifiers,
  };
}

/** What the peer tells of it: its codecs, "*" for any; null when it knows nothing of enhanced RTMP. */
export function readEnhancements(object: Amf0Object | null): readonly string[] | null {
  const maps = [object?.videoFourCcInfoMap, object?.audioFourCcInfoMap].map(asObject);
  const list = textList(object?.fourCcList);
  if (list.length === 0 && maps.every((map) => map === null) && typeof object?.capsEx !== "number") return null;
  const all = new Set([...list, ...maps.flatMap((map) => Object.keys(map ?? {}).slice(0, COUNT_MAX))]);
  return [...all].slice(0, COUNT_MAX);
}

function textList(value: Amf0Value): string[] {
  const items = Array.isArray(value) ? value : Object.values(asObject(value) ?? {});
  return items
    .slice(0, COUNT_MAX)
    .map(asText)
    .filter((text) => text !== "");
}
