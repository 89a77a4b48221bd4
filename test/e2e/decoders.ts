// Decoders that are not ours, and their opinion of what we put out: any word is one too many.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasProgram } from "./installation.ts";
import { download } from "./playlists.ts";

/** GStreamer 1.22 plays these and has no name for their boxes. */
const GSTREAMER_NOISE = /^.*unknown QuickTime node type (?:ac-3|ec-3)\n/gm;

/** What a program said on standard error; it must succeed. Other rows of a table go on meanwhile, so nothing here blocks. */
async function words(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-100_000)));
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, `${program} ${args.join(" ")}\n${said}`);
  return said;
}

/** Every picture and sample of a playlist's finished segments, by ffmpeg and, where it is installed, GStreamer. */
export async function decodesSilently(url: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "continuity-decode-"));
  const file = join(folder, "media.mp4");
  try {
    await download(url, file);
    const strict = ["-v", "warning", "-xerror", "-err_detect", "explode", "-i", file, "-f", "null", "-"];
    assert.equal(await words("ffmpeg", ["-nostdin", ...strict]), "", url);
    if (!hasProgram("gst-launch-1.0")) return;
    const pipeline = ["filesrc", `location=${file}`, "!", "decodebin", "!", "fakesink", "sync=false"];
    const quiet = { GST_DEBUG: "2,basesrc:1", GST_DEBUG_NO_COLOR: "1" };
    const said = await words("gst-launch-1.0", ["-q", ...pipeline], quiet);
    assert.equal(said.replaceAll(GSTREAMER_NOISE, ""), "", url);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
