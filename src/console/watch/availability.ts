// Is there anything live to play? Asked before the player is started and after it lost the stream: a player that is fed
// a missing playlist fails loudly, a channel that is not on air is no failure.

export type Availability = "live" | "ended" | "missing" | "unreachable";

const TIMEOUT_MS = 6000;

/** Asking is also what starts an on-demand channel. */
export async function availability(url: string): Promise<Availability> {
  const main = await playlist(url);
  if (typeof main !== "string") return main.failed;
  const first = main.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#"));
  if (first === undefined) return "missing"; // a multivariant playlist before the first rendition is known
  const media = await playlist(new URL(first.trim(), new URL(url, location.href)).href);
  if (typeof media !== "string") return media.failed;
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
