// Is there anything live to play? Asked before the player is started and after it lost the stream: a player that is fed
// a missing playlist fails loudly, a channel that is not on air is no failure.
import { type Offer, offersOf } from "./formats.ts";

export type Availability = "live" | "ended" | "missing" | "unreachable";

const TIMEOUT_MS = 6000;

/** What there is, and in which forms. Asking is also what starts an on-demand channel. */
export async function availability(url: string): Promise<{ state: Availability; offers: Offer[] }> {
  const main = await playlist(url);
  if (typeof main !== "string") return { state: main.failed, offers: [] };
  const first = main.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#"));
  if (first === undefined) return { state: "missing", offers: [] }; // before the first rendition is known
  const media = await playlist(new URL(first.trim(), new URL(url, location.href)).href);
  return { state: typeof media === "string" ? stateOf(media) : media.failed, offers: offersOf(main) };
}

function stateOf(media: string): Availability {
  if (/^#EXT-X-ENDLIST/m.test(media)) return "ended";
  return /^#EXT(INF|-X-PART):/m.test(media) ? "live" : "missing";
}

async function playlist(url: string): Promise<string | { failed: "missing" | "unreachable" }> {
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? await response.text() : { failed: "missing" };
  } catch {
    return { failed: "unreachable" }; // no network, or no server
  }
}
