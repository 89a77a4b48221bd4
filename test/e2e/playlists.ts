// What a test asks of playlists and media over HTTP, as any client would.
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { hasProgram, type Installation } from "./installation.ts";

/** Of a media playlist, or of the first one that a multivariant playlist names. */
export async function hasSegment(url: string): Promise<boolean> {
  const text = await (await fetch(url)).text();
  if (!text.includes("#EXT-X-STREAM-INF")) return text.includes("#EXTINF");
  const first = text.split("\n").find((line) => line !== "" && !line.startsWith("#"));
  return first !== undefined && hasSegment(new URL(first, url).href);
}

/** Init segment and all finished segments of a playlist as one file, as a player feeds them to its decoder. */
export async function download(url: string, file: string): Promise<void> {
  const text = await (await fetch(url)).text();
  const map = /#EXT-X-MAP:URI="([^"]+)"/.exec(text)![1]!;
  const uris = [map, ...text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))];
  const bodies = await Promise.all(
    uris.map(async (uri) => Buffer.from(await (await fetch(new URL(uri, url))).arrayBuffer())),
  );
  await writeFile(file, Buffer.concat(bodies));
}

/** The variants' and audio's playlist URLs of a channel. */
export async function renditionUrls(installation: Installation, channel: string): Promise<string[]> {
  const base = `${installation.url}/live/${channel}/index.m3u8`;
  const text = await (await fetch(base)).text();
  const variants = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const media = [...text.matchAll(/#EXT-X-MEDIA:[^\n]*URI="([^"]+)"/g)].map((match) => match[1]!);
  return [...variants, ...media].map((uri) => new URL(uri, base).href);
}

/** Why a test with H.265 cannot run; false when it can. */
export function hasNoX265(): string | false {
  if (!hasProgram("ffmpeg")) return "skipped: no ffmpeg";
  const { stdout } = spawnSync("ffmpeg", ["-hide_banner", "-encoders"], { encoding: "utf8" });
  return stdout.includes("libx265") ? false : "skipped: this ffmpeg has no libx265";
}
