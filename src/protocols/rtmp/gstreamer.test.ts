// Two more implementations of RTMP that are not ours publish into the session: GStreamer's own (rtmp2sink), and librtmp
// (rtmpsink), from which many encoders descend. Both compress headers and say goodbye in ways of their own.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { against, missing, published } from "./testing/program.ts";

const SOURCE = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=44100".split(" ");
const ENCODE = "-t 2 -c:v libx264 -preset ultrafast -g 25 -c:a aac".split(" ");

for (const [sink, extra] of [
  ["rtmp2sink", ""],
  ["rtmpsink", " live=1"],
] as const) {
  const elements = ["flvdemux", "h264parse", "aacparse", "flvmux", sink];
  const skips = [missing("ffmpeg", "-version"), ...elements.map((element) => missing("gst-inspect-1.0", element))];
  const skip = skips.find((reason) => reason !== false) ?? false;
  test(`GStreamer's ${sink} publishes H.264 and AAC and says goodbye`, { skip, timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "rtmp-"));
    try {
      const file = join(folder, "a.flv");
      const made = spawnSync("ffmpeg", ["-nostdin", "-v", "error", ...SOURCE, ...ENCODE, file]);
      assert.equal(made.status, 0, made.stderr.toString());
      const pipeline = (url: string) => [
        ...`filesrc location=${file} ! flvdemux name=d flvmux streamable=true name=m ! ${sink}`.split(" "),
        `location=${url}${extra}`,
        ..."d.video ! queue ! h264parse ! m.video d.audio ! queue ! aacparse ! m.audio".split(" "),
      ];
      const result = await against("live/x?key=abc", (url) => ["gst-launch-1.0", "-q", ...pipeline(url)]);
      assert.equal(result.status, 0, result.errors);
      const { app, name, query } = published(result);
      assert.deepEqual([app, name, query.key], ["live", "x", "abc"]);
      const media = result.events.filter((event) => event.kind === "media");
      const frames = media.filter((event) => event.type === 9 && event.body[1] === 1);
      assert.equal(frames.length, 50);
      assert.ok(frames.every((event, i) => i === 0 || event.timestampMs - frames[i - 1]!.timestampMs === 40));
      assert.ok(media.filter((event) => event.type === 8).length > 80);
      assert.equal(result.events.at(-1)?.kind, "unpublish");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}
