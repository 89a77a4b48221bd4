// Delivery directives: what a player asks of a live media playlist in its query.
// Source: draft-pantos-hls-rfc8216bis-22, 6.2.5.2
import { PlatformError } from "#base/errors.ts";

export type Directives = Readonly<{
  /** Hold until this segment is whole in the playlist, or with `part`, until that part of it is listed. */
  msn: number | null;
  part: number | null;
  /** A delta update will do. "v2" (date ranges too) is answered like "YES": there are no date ranges to leave out. */
  skip: boolean;
}>;

const NONE: Directives = Object.freeze({ msn: null, part: null, skip: false });
/** More digits are no number that a playlist can hold. */
const NUMBER = /^\d{1,15}$/;
const QUERY_CHARS_MAX = 2048;

/** @param query what follows the "?", or "" @throws PlatformError api.bad_request */
export function parseDirectives(query: string): Directives {
  if (!query.includes("_HLS_")) return NONE;
  if (query.length > QUERY_CHARS_MAX) throw wrong(`a query of ${query.length} characters`);
  const found = new Map<string, string>();
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (name !== "_HLS_msn" && name !== "_HLS_part" && name !== "_HLS_skip") continue; // the draft may add others
    if (found.has(name)) throw wrong(`${name} is given twice`);
    found.set(name, equals < 0 ? "" : pair.slice(equals + 1));
  }
  const msn = numberOf(found, "_HLS_msn");
  const part = numberOf(found, "_HLS_part");
  const skip = found.get("_HLS_skip");
  if (part !== null && msn === null) throw wrong("_HLS_part needs _HLS_msn");
  if (skip !== undefined && skip !== "YES" && skip !== "v2") throw wrong("_HLS_skip is YES or v2");
  return { msn, part, skip: skip !== undefined };
}

function numberOf(found: ReadonlyMap<string, string>, name: string): number | null {
  const text = found.get(name);
  if (text === undefined) return null;
  if (!NUMBER.test(text)) throw wrong(`${name} is a whole number of up to 15 digits, not "${text.slice(0, 40)}"`);
  return Number(text);
}

function wrong(detail: string): PlatformError {
  return new PlatformError("api.bad_request", `Delivery directive: ${detail}.`);
}

/** How many parts past the last one a request may name: 3 / PART-TARGET below a second, else 3. */
export function advancePartLimit(partTargetMs: number): number {
  return partTargetMs < 1000 ? Math.floor(3000 / partTargetMs) : 3;
}
