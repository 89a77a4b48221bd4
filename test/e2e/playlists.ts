// What a test asks of playlists and media over HTTP, as any client would.
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { hasProgram, type Installation } from "./installation.ts";

/** Finished segments that are worth a look, in this playlist or in all that a multivariant playlist names. The first one
 *  of a session may hold a frame only, and a reader that knows no parts (ffmpeg 5) crashes on a playlist without any. */
export async function hasSegments(url: string): Promise<boolean> {
  const text = await (await fetch(url)).text();
  if (text.includes("#EXT-X-STREAM-INF")) {
    const uris = urisOf(text).map((uri) => new URL(uri, url).href);
    return (await Promise.all(uris.map(hasSegments))).every(Boolean);
  }
  const seconds = [...text.matchAll(/#EXTINF:([\d.]+)/g)].map((match) => Number(match[1]));
  return seconds.reduce((sum, length) => sum + length, 0) >= 2;
}

/** Of a multivariant playlist: variants, then renditions. */
function urisOf(text: string): string[] {
  const variants = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return [...variants, ...[...text.matchAll(/#EXT-X-MEDIA:[^\n]*URI="([^"]+)"/g)].map((match) => match[1]!)];
}

/** The newest init segment and all finished segments behind it as one file, as a player feeds them to its decoder. */
export async function download(url: string, file: string): Promise<void> {
  const text = await (await fetch(url)).text();
  const init = [...text.matchAll(/#EXT-X-MAP:URI="([^"]+)"/g)].at(-1)![1]!;
  const lines = text.slice(text.indexOf(`#EXT-X-MAP:URI="${init}"`)).split("\n"); // a discontinuity names it once more
  const uris = [init, ...lines.filter((line) => line !== "" && !line.startsWith("#"))];
  const bodies = await Promise.all(
    uris.map(async (uri) => Buffer.from(await (await fetch(new URL(uri, url))).arrayBuffer())),
  );
  await writeFile(file, Buffer.concat(bodies));
}

/** The variants' and audio's playlist URLs of a channel. */
export async function renditionUrls(installation: Installation, channel: string): Promise<string[]> {
  const base = `${installation.url}/live/${channel}/index.m3u8`;
  const text = await (await fetch(base)).text();
  return urisOf(text).map((uri) => new URL(uri, base).href);
}

/** Why a test with H.265 cannot run; false when it can. */
export function hasNoX265(): string | false {
  if (!hasProgram("ffmpeg")) return "skipped: no ffmpeg";
  const { stdout } = spawnSync("ffmpeg", ["-hide_banner", "-encoders"], { encoding: "utf8" });
  return stdout.includes("libx265") ? false : "skipped: this ffmpeg has no libx265";
}
