// The watch page and streams that are more than one picture with one sound: several languages, and codecs that this
// Chromium has no decoder for.
import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { chromium, type Page } from "playwright-core";
import { withConfig } from "./configured.ts";
import { AAC, eventually, ffmpeg, H264, hasProgram, type Installation, type Source } from "./installation.ts";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const OUTPUT = join(import.meta.dirname, "../output");
const missing = existsSync(CHROMIUM) ? (hasProgram("ffmpeg") ? null : "ffmpeg") : "chromium";

const PICTURE = ["-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"];
const TONES = [440, 880].flatMap((hertz) => ["-re", "-f", "lavfi", "-i", `sine=frequency=${hertz}:sample_rate=48000`]);
const LANGUAGES = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=spa"];
const HEVC = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:min-keyint=25"];

function publish(installation: Installation, channel: string, codecs: string[]): Source {
  const url = `${installation.url}/ingest/${channel}.mpegts?key=${installation.publishKey}`;
  const maps = ["-map", "0:v", "-map", "1:a", "-map", "2:a", ...LANGUAGES];
  return ffmpeg([
    ...PICTURE,
    ...TONES,
    ...maps,
    ...codecs,
    "-pix_fmt",
    "yuv420p",
    "-f",
    "mpegts",
    "-method",
    "PUT",
    url,
  ]);
}

async function withPage(body: (page: Page) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, bypassCSP: true });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await body(page);
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
}

async function plays(page: Page): Promise<void> {
  await page.waitForFunction('document.querySelector("video")?.currentTime > 0', undefined, { timeout: 45_000 });
}

test("viewers choose a language, and are told what their browser cannot play", {
  skip: missing === null ? false : `skipped: no ${missing}`,
}, async () => {
  await mkdir(OUTPUT, { recursive: true });
  const channels = [
    { name: "languages", ladder: "passthrough" },
    { name: "codecs", ladder: "passthrough" },
    { name: "hevc", ladder: "passthrough" },
    { name: "both", ladder: [{ copy: true }, { height: 180 }] },
    { name: "dolby", ladder: "passthrough" },
  ];
  await withConfig(channels, async (installation) => {
    const watch = (page: Page, channel: string) => page.goto(`${installation.url}/watch/${channel}`);

    await withPage(async (page) => {
      const source = publish(installation, "languages", [...H264(25), ...AAC]);
      const asked: string[] = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      await watch(page, "languages");
      await plays(page);
      const menu = page.getByLabel("Audio track");
      assert.deepEqual(await menu.locator("option").allInnerTexts(), ["English", "Spanish"]);
      assert.equal(await menu.inputValue(), "English");
      assert.equal(await page.getByLabel("Quality").count(), 0, "there is one quality");

      const index = await (await fetch(`${installation.url}/live/languages/index.m3u8`)).text();
      const [english, spanish] = playlistsOf(index);
      await menu.selectOption("Spanish");
      await eventually("Spanish is fetched", () => asked.some((path) => path === `/live/languages/${spanish}`));
      await page.waitForTimeout(1500); // what was on its way
      const from = asked.length;
      const before = await page.evaluate<number>('document.querySelector("video").currentTime');
      await page.waitForTimeout(2500);
      assert.equal(await menu.inputValue(), "Spanish");
      assert.ok(
        (await page.evaluate<number>('document.querySelector("video").currentTime')) > before + 1,
        "it plays on",
      );
      const after = asked.slice(from);
      assert.ok(after.includes(`/live/languages/${spanish}`), "Spanish goes on");
      assert.ok(!after.includes(`/live/languages/${english}`), "English is not fetched any more");

      await page.keyboard.press("i");
      const figures = (await page.getByLabel("Playback figures").textContent())!;
      assert.match(figures, /H\.264 \(avc1\.[0-9a-f]{6}\) · SDR/);
      assert.match(figures, /Spanish · AAC \(mp4a\.40\.2\)/);
      await page.screenshot({ path: join(OUTPUT, "watch-languages.png") });
      await source.end();
    });

    // A language that only another codec has: the player changes the group of sound for it, and comes back.
    await withPage(async (page) => {
      const source = publish(installation, "codecs", [
        ...H264(25),
        "-c:a:0",
        "aac",
        "-c:a:1",
        "libopus",
        "-b:a",
        "96k",
      ]);
      await watch(page, "codecs");
      await plays(page);
      const menu = page.getByLabel("Audio track");
      const sounds = async (pattern: RegExp) =>
        pattern.test((await page.getByLabel("Playback figures").textContent())!);
      await page.keyboard.press("i");
      await menu.selectOption("Spanish");
      await eventually("Opus in Spanish plays", () => sounds(/Spanish · Opus/));
      await menu.selectOption("English");
      await eventually("AAC in English plays", () => sounds(/English · AAC/));
      await source.end();
    });

    await withPage(async (page) => {
      const source = publish(installation, "hevc", [...HEVC, ...AAC]);
      await watch(page, "hevc");
      await page.getByText("This browser cannot play HEVC").waitFor({ timeout: 45_000 });
      await page.screenshot({ path: join(OUTPUT, "watch-hevc.png") });
      assert.equal(await source.end(), 255);
      const next = publish(installation, "hevc", [...H264(25), ...AAC]);
      await plays(page); // without anybody pressing anything
      await next.end();
    });

    await withPage(async (page) => {
      const source = publish(installation, "both", [...HEVC, ...AAC]);
      await watch(page, "both");
      await plays(page);
      const options = page.getByLabel("Quality").locator("option");
      await eventually(
        "the label tells what plays",
        async () => (await options.first().textContent()) === "Auto · 180p",
      );
      assert.deepEqual(await options.allInnerTexts(), ["Auto · 180p", "180p", "360p HEVC (not in this browser)"]);
      await source.end();
    });

    await withPage(async (page) => {
      const source = publish(installation, "dolby", [...H264(25), "-c:a", "ac3"]);
      await watch(page, "dolby");
      await page.getByText("This browser cannot play AC-3").waitFor({ timeout: 45_000 });
      await source.end();
    });
  });
});

/** Of the audio renditions, in their order. */
function playlistsOf(multivariant: string): string[] {
  return [...multivariant.matchAll(/^#EXT-X-MEDIA:.*URI="([^"]+)"/gm)].map(([, uri]) => uri!);
}
