// A private box before a chunk: no part of this segment follows it. In `source` mode nobody but the maker of a segment knows
// that before the next one begins, and an origin that does not know it hints at a part that never comes. The origin takes
// the box out again, as it does with prft: what is served is CMAF and nothing else.
import { box, joinBoxes } from "./box.ts";
import type { BoxView } from "./read-box.ts";

/** Random, and ours for ever. Source: ISO/IEC 14496-12, 4.2 (extended types) */
const UUID = Buffer.from("6f1c5f9f1f0a4b0e9d0c6a3c52e1d7b4", "hex");

/** The box, ready to be sent. */
export const SEGMENT_END: Buffer = joinBoxes(box("uuid", UUID));

export function isSegmentEnd(bytes: Buffer, { type, body, end }: BoxView): boolean {
  return type === "uuid" && end - body >= UUID.byteLength && bytes.compare(UUID, 0, 16, body, body + 16) === 0;
}
