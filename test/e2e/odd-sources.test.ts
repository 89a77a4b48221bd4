// Sources that are not everyday ones, where pictures are copied: what players are told must be true all the same, and what
// cannot be copied is refused by name, or encoded where the channel allows it.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checked, withConfig } from "./configured.ts";
import { eventually, ffmpeg, type Installation, sessionIn, unlessInstalled } from "./installation.ts";
import { hasNoX265 } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");
const SECONDS = 40;

const folder = mkdtempSync(join(tmpdir(), "continuity-odd-"));
after(() => rmSync(folder, { recursive: true }));

const picture = (size = "320x180", rate = "25") => ["-f", "lavfi", "-i", `testsrc2=size=${size}:rate=${rate}`];
const tone = (hertz: number) => ["-f", "lavfi", "-i", `sine=frequency=${hertz}:sample_rate=48000`];
const h264 = (params = "keyint=50:min-keyint=50:scenecut=0") => [
  "-c:v",
  "libx264",
  "-preset",
  "ultrafast",
  "-pix_fmt",
  "yuv420p",
  "-x264-params",
  params,
];

/** A file made once. @returns its path */
function made(name: string, ...args: string[]): string {
  const file = join(folder, name);
  const { status, stderr } = spawnSync(
    "ffmpeg",
    ["-v", "error", ...args, "-t", String(SECONDS), ...(name.endsWith(".mpegts") ? ["-f", "mpegts"] : []), "-y", file],
    {
      encoding: "utf8",
    },
  );
  assert.equal(status, 0, stderr);
  return file;
}

/** Sends a file as it is, in real time, as a transport stream. */
const send = (installation: Installation, channel: string, file: string, ...options: string[]) =>
  ffmpeg(["-re", ...options, "-i", file, "-map", "0", "-c", "copy", "-f", "mpegts", "-muxdelay", "0", "-method", "PUT",
    `${installation.url}/ingest/${channel}.mpegts?key=${installation.publishKey}`]); // biome-ignore format: an ffmpeg command line

async function whileSending(source: ReturnType<typeof send>, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } finally {
    await source.kill();
  }
}

const master = async (installation: Installation, channel: string) =>
  (await fetch(`${installation.url}/live/${channel}/index.m3u8`)).text();

async function refusalOf(installation: Installation, channel: string): Promise<string> {
  type Refusal = { channel: string; code: string };
  const refusal = await eventually(
    `a refusal of ${channel}`,
    async () => {
      const { items } = await installation.get<{ items: Refusal[] }>("/api/v1/refusals");
      return items.find((item) => item.channel === channel);
    },
    25_000,
  );
  return refusal.code;
}

const PASSTHROUGH = [
  { name: "languages" },
  { name: "hdr" },
  { name: "mp2" },
  { name: "opus" },
  { name: "open" },
  { name: "open-encoded", copyFallback: "transcode" },
  { name: "long", gopSeconds: 2 },
  { name: "irregular" },
  { name: "resized" },
  { name: "away", lossGraceSeconds: 60 },
].map((channel) => ({ ladder: "passthrough", ...channel }));

test("odd sources, copied", { skip }, async (t) => {
  await withConfig(PASSTHROUGH, async (installation) => {
    await t.test("sources", { concurrency: 5 }, async (batch) => {
      const row = (name: string, body: () => Promise<void>, missing: string | false = false) =>
        batch.test(name, { skip: missing }, body);
      await Promise.all([
        row("two languages: two renditions in one group", async () => {
          const file = made(
            "languages.mpegts",
            ...picture(),
            ...tone(440),
            ...tone(880),
            "-map",
            "0",
            "-map",
            "1",
            "-map",
            "2",
            ...h264(),
            "-c:a",
            "aac",
            "-metadata:s:a:0",
            "language=eng",
            "-metadata:s:a:1",
            "language=deu",
          );
          await whileSending(send(installation, "languages", file), async () => {
            await checked(installation, "languages");
            const text = await master(installation, "languages");
            assert.match(text, /LANGUAGE="en"[^\n]*\n[\s\S]*LANGUAGE="de"/);
          });
        }),
        row(
          "HEVC of 10 bits in PQ with E-AC-3: told as what it is",
          async () => {
            const file = made(
              "hdr.mpegts",
              ...picture("192x108"),
              ...tone(440),
              "-c:v",
              "libx265",
              "-preset",
              "ultrafast",
              "-pix_fmt",
              "yuv420p10le",
              "-x265-params",
              "keyint=50:min-keyint=50:scenecut=0:open-gop=0:log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
              "-c:a",
              "eac3",
            );
            await whileSending(send(installation, "hdr", file), async () => {
              await checked(installation, "hdr");
              assert.match(await master(installation, "hdr"), /CODECS="hvc1[^"]*,ec-3"[^\n]*VIDEO-RANGE=PQ/);
            });
          },
          hasNoX265(),
        ),
        row("MP2 sound, which players do not take, is encoded beside copied pictures", async () => {
          const file = made("mp2.mpegts", ...picture(), ...tone(440), ...h264(), "-c:a", "mp2");
          await whileSending(send(installation, "mp2", file), async () => {
            await checked(installation, "mp2");
            assert.match(await master(installation, "mp2"), /CODECS="avc1[^"]*,mp4a\.40\.2"/);
          });
        }),
        row("Opus sound is copied", async () => {
          const file = made("opus.mpegts", ...picture(), ...tone(440), ...h264(), "-c:a", "libopus", "-b:a", "64k");
          await whileSending(send(installation, "opus", file), async () => {
            await checked(installation, "opus");
            assert.match(await master(installation, "opus"), /CODECS="avc1[^"]*,opus"/i);
          });
        }),
        row("open groups of pictures: refused by name, or encoded", async () => {
          const file = made(
            "open.mpegts",
            ...picture(),
            ...h264("keyint=50:min-keyint=50:scenecut=0:open-gop=1:bframes=3:b-adapt=0"),
            "-bf",
            "3",
          );
          const [refused, encoded] = [send(installation, "open", file), send(installation, "open-encoded", file)];
          try {
            assert.equal(await refusalOf(installation, "open"), "ingest.open_gop");
            await checked(installation, "open-encoded", 6);
            assert.match(await master(installation, "open-encoded"), /v180\.m3u8/);
          } finally {
            await Promise.all([refused.kill(), encoded.kill()]);
          }
        }),
        row("key frames further apart than the channel says", async () => {
          const file = made("long.mpegts", ...picture(), ...h264("keyint=250:min-keyint=250:scenecut=0"));
          await whileSending(send(installation, "long", file), async () => {
            assert.equal(await refusalOf(installation, "long"), "ingest.gop_too_long");
          });
        }),
        row("pictures at no constant rate: one part per segment", async () => {
          // Of 30 pictures a second some are left out, by a pattern of no period that matters.
          const file = made(
            "irregular.mp4",
            ...picture("320x180", "30"),
            "-vf",
            "select='gt(random(1)\\,0.4)'",
            "-fps_mode",
            "vfr",
            ...h264("keyint=40:min-keyint=40:scenecut=0"),
          );
          const source = ffmpeg(["-re", "-i", file, "-c", "copy", "-f", "flv", installation.rtmpUrl("irregular")]);
          try {
            await checked(installation, "irregular", 4);
          } finally {
            await source.kill();
          }
        }),
        row("another size in mid-stream: another init segment, behind a discontinuity", async () => {
          const parts = ["320x180", "426x240"].map((size, i) => {
            const file = join(folder, `size-${i}.mpegts`);
            const { status, stderr } = spawnSync(
              "ffmpeg",
              [
                "-v",
                "error",
                ...picture(size),
                ...h264(),
                "-t",
                "8",
                "-output_ts_offset",
                String(i * 8),
                "-f",
                "mpegts",
                "-y",
                file,
              ],
              { encoding: "utf8" },
            );
            assert.equal(status, 0, stderr);
            return file;
          });
          const source = send(installation, "resized", `concat:${parts.join("|")}`);
          await whileSending(source, async () => {
            await sessionIn(installation, "resized", "live");
            const url = `${installation.url}/live/resized/vcopy.m3u8`;
            const text = await eventually(
              "two init segments",
              async () => {
                const playlist = await (await fetch(url)).text();
                return (playlist.match(/#EXT-X-MAP:/g)?.length ?? 0) >= 2 && playlist;
              },
              30_000,
            );
            assert.match(text, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:[^\n]*init-1\.mp4/);
            await checked(installation, "resized", 3);
          });
        }),
        row("a publisher that is away for some seconds: gaps, and the same session goes on", async () => {
          const file = made("away.mp4", ...picture(), ...tone(440), ...h264(), "-c:a", "aac");
          const publish = () => ffmpeg(["-re", "-i", file, "-c", "copy", "-f", "flv", installation.rtmpUrl("away")]);
          const first = publish();
          const session = await sessionIn(installation, "away", "live");
          await checked(installation, "away", 6);
          await first.kill();
          await sessionIn(installation, "away", "interrupted");
          const url = `${installation.url}/live/away/vcopy.m3u8`;
          await eventually("a gap", async () => (await (await fetch(url)).text()).includes("#EXT-X-GAP"));
          const second = publish();
          await whileSending(second, async () => {
            assert.equal((await sessionIn(installation, "away", "live")).id, session.id);
            await checked(installation, "away");
          });
        }),
      ]);
    });
  });
});
