// A frame of AAC in which nothing sounds, for places where the source has none: every scale factor band is left out, so
// it is a few bytes at any sample rate.
// Source: ISO/IEC 14496-3, 4.4.2.1 (raw_data_block) and 4.5.2.1
import { OBJECT } from "./aac.ts";
import { BitReader } from "./bits.ts";

const ELEMENT = { single: 0, pair: 1, low: 3, end: 7 } as const;

/** Elements by channelConfiguration 1 to 7. Source: ISO/IEC 14496-3, table 1.19 */
const ELEMENTS: readonly (readonly number[])[] = [
  [],
  [ELEMENT.single],
  [ELEMENT.pair],
  [ELEMENT.single, ELEMENT.pair],
  [ELEMENT.single, ELEMENT.pair, ELEMENT.single],
  [ELEMENT.single, ELEMENT.pair, ELEMENT.pair],
  [ELEMENT.single, ELEMENT.pair, ELEMENT.pair, ELEMENT.low],
  [ELEMENT.single, ELEMENT.pair, ELEMENT.pair, ELEMENT.pair, ELEMENT.low],
];

/** ics_info of a long window without bands: reserved, sequence 0, sine, max_sfb 0, no prediction. */
const WINDOW = "0".repeat(11);
/** global_gain, and neither pulses nor noise shaping nor gain control; the rest of the stream has no bits. */
const CHANNEL = "0".repeat(8 + 3);

/** @param config AudioSpecificConfig @returns null when its channels are described elsewhere, or it is no plain AAC
 *  @throws PlatformError media.truncated */
export function silentAac(config: Uint8Array): Buffer | null {
  const bits = new BitReader(config);
  const objectType = bits.bits(5);
  if (bits.bits(4) === 15) bits.skip(24);
  const elements = ELEMENTS[bits.bits(4)] ?? [];
  const known: readonly number[] = [OBJECT.main, OBJECT.lc, OBJECT.sbr, OBJECT.ps];
  if (elements.length === 0 || !known.includes(objectType)) return null;
  const counts = new Map<number, number>();
  const text = elements.map((element) => {
    const tag = counts.get(element) ?? 0;
    counts.set(element, tag + 1);
    const head = binary(element, 3) + binary(tag, 4);
    if (element !== ELEMENT.pair) return head + CHANNEL.slice(0, 8) + WINDOW + CHANNEL.slice(8);
    return `${head}1${WINDOW}00${CHANNEL}${CHANNEL}`; // one window for both, no mid/side
  });
  return packed(text.join("") + binary(ELEMENT.end, 3));
}

const binary = (value: number, bits: number) => value.toString(2).padStart(bits, "0");

function packed(bits: string): Buffer {
  const bytes = bits.match(/.{1,8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2)));
}
