// What tests of odd sources share: files made once by Debian's ffmpeg, sent as they are, so that encoding costs nothing
// while installations are watched.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { ffmpeg, type Installation, type Source } from "./installation.ts";

export const picture = (size = "320x180", rate = "25") => ["-f", "lavfi", "-i", `testsrc2=size=${size}:rate=${rate}`];
export const tone = (hertz = 440) => ["-f", "lavfi", "-i", `sine=frequency=${hertz}:sample_rate=48000`];
export const x264 = (params = "keyint=50:min-keyint=50:scenecut=0") => [
  ...["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
  ...["-x264-params", params],
];

/** Makes a file with ffmpeg. @param file what it is called says what it becomes; `.mpegts` is a transport stream
 *  @returns its path */
export function made(file: string, seconds: number, ...args: string[]): string {
  const format = file.endsWith(".mpegts") ? ["-f", "mpegts", "-muxdelay", "0"] : [];
  const { status, stderr } = spawnSync(
    "ffmpeg",
    ["-v", "error", ...args, "-t", String(seconds), ...format, "-y", file],
    {
      encoding: "utf8",
    },
  );
  assert.equal(status, 0, stderr);
  return file;
}

/** Sends a file as it is, in real time: as a transport stream, or by RTMP. */
export function sendAsIs(installation: Installation, channel: string, file: string, by: "ts" | "rtmp" = "ts"): Source {
  const all = ["-re", "-i", file, "-map", "0", "-c", "copy"];
  if (by === "rtmp") return ffmpeg([...all, "-f", "flv", installation.rtmpUrl(channel)]);
  const to = `${installation.url}/ingest/${channel}.mpegts?key=${installation.publishKey}`;
  return ffmpeg([...all, "-f", "mpegts", "-muxdelay", "0", "-method", "PUT", to]);
}

/** The source is ended, whatever becomes of `body`, and what it said is shown when that fails.
 *  @param how without a goodbye, or with the protocol's */
export async function whileSending(
  source: Source,
  body: () => Promise<void>,
  how: "kill" | "end" = "kill",
): Promise<void> {
  try {
    await body();
  } catch (error) {
    console.error(source.stderr());
    throw error;
  } finally {
    await source[how]();
  }
}

export async function masterOf(installation: Installation, channel: string): Promise<string> {
  return (await fetch(`${installation.url}/live/${channel}/index.m3u8`)).text();
}
