// Media that are not everyday ones and must play all the same, in each mode that can take them: the strict checker finds
// nothing, playlists tell the truth, and other decoders say no word.
import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { checked, withConfig } from "./configured.ts";
import { decodesSilently } from "./decoders.ts";
import { eventually, type Installation, unlessInstalled } from "./installation.ts";
import { made, masterOf, picture, sendAsIs, tone, whileSending, x264 } from "./odd.ts";
import { hasNoX265, hasSegments, renditionUrls } from "./playlists.ts";

const skip = unlessInstalled("ffmpeg");
const SECONDS = 40;
const RELOADS = 9;
const AT_ONCE = { copied: 7, encoded: 4 };

type Mode = keyof typeof AT_ONCE;
type Row = Readonly<{
  /** What ffmpeg makes it from. */
  media: readonly string[];
  by?: "ts" | "rtmp";
  /** Of the channel. */
  settings?: object;
  modes?: readonly Mode[];
  /** More, where what is odd comes late. */
  reloads?: number;
  toleranceMs?: number;
  /** Before it is judged: what the first media playlist says when the source has shown what it is. */
  until?: Partial<Record<Mode, RegExp>>;
  /** What the multivariant playlist says, or the first media playlist. */
  says?: Partial<Record<Mode, RegExp>>;
  first?: Partial<Record<Mode, RegExp>>;
  missing?: string | false;
}>;

const AAC = ["-c:a", "aac", "-b:a", "96k"];
const folder = mkdtempSync(join(tmpdir(), "continuity-odd-media-"));
const VIDEO = join(folder, "video.mp4");
const sound = (...codec: string[]) => ["-i", VIDEO, ...tone(), "-c:v", "copy", "-c:a", ...codec];

const ROWS: Readonly<Record<string, Row>> = {
  "B-frames at 29.97 by RTMP": {
    media: [
      ...picture("320x180", "30000/1001"),
      ...tone(),
      ...x264("keyint=60:min-keyint=60:scenecut=0:bframes=3:b-adapt=0"),
      ...["-bf", "3"],
      ...AAC,
    ],
    by: "rtmp",
    says: { copied: /FRAME-RATE=29\.970/, encoded: /FRAME-RATE=29\.970/ },
  },
  "key frames 8 s apart": {
    media: [...picture(), ...tone(), ...x264("keyint=200:min-keyint=200:scenecut=0"), ...AAC],
    reloads: 32,
    first: { copied: /#EXT-X-TARGETDURATION:10\n/ },
  },
  "key frames at changing distances": {
    media: [
      ...[...picture(), ...tone(), ...x264("keyint=300:min-keyint=1:scenecut=0"), ...AAC],
      ...["-force_key_frames", "0.4,0.8,3,7.2,7.6,8,11.04,11.08,12,16,21,21.2,24,29,30"],
    ],
    reloads: 32,
  },
  "a screen share: 30 pictures a second, and one where nothing moves": {
    media: [
      ...picture("320x180", "30"),
      ...tone(),
      ...["-vf", "select='if(lt(mod(t,4),2),1,not(mod(n,30)))'", "-fps_mode", "vfr"],
      ...[...x264("keyint=300:min-keyint=1:scenecut=0"), "-force_key_frames", "expr:gte(t,n_forced*2)", ...AAC],
    ],
    by: "rtmp",
    settings: { gopSeconds: 2 },
    // What a frame shows that nobody sends is known a second later; parts of whole segments come when those end.
    toleranceMs: 1500,
    until: { copied: /PART-TARGET=2/ },
  },
  "sound that begins 3 s after the pictures": {
    media: ["-i", VIDEO, "-itsoffset", "3", ...tone(), "-map", "0", "-map", "1", "-c:v", "copy", ...AAC],
    reloads: 26,
    says: { copied: /mp4a/, encoded: /mp4a/ },
  },
  "pictures that begin 2 s after the sound": {
    media: ["-itsoffset", "2", "-i", VIDEO, ...tone(), "-map", "0", "-map", "1", "-c:v", "copy", ...AAC],
    reloads: 15,
    says: { copied: /avc1/, encoded: /avc1/ },
  },
  HEVC: {
    media: [
      ...[...picture(), ...tone(), "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
      ...[
        "-x265-params",
        "keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=2:log-level=none:colorprim=bt709:transfer=bt709:colormatrix=bt709",
        ...AAC,
      ],
    ],
    says: { copied: /CODECS="hvc1/, encoded: /CODECS="avc1/ },
    missing: hasNoX265(),
  },
  "MP2 sound": { media: sound("mp2"), modes: ["encoded"], says: { encoded: /mp4a\.40\.2/ } },
  "MP3 sound": { media: sound("libmp3lame"), says: { copied: /mp4a\.40\.34/, encoded: /mp4a\.40\.2/ } },
  "MP3 sound by RTMP": { media: sound("libmp3lame", "-ar", "44100"), by: "rtmp", says: { encoded: /mp4a\.40\.2/ } },
  "AC-3 sound": { media: sound("ac3"), says: { copied: /ac-3/, encoded: /mp4a\.40\.2/ } },
  "E-AC-3 sound": { media: sound("eac3"), says: { copied: /ec-3/, encoded: /mp4a\.40\.2/ } },
  "Opus sound": { media: sound("libopus"), modes: ["encoded"], says: { encoded: /mp4a\.40\.2/ } },
  "two languages": {
    media: [
      ...["-i", VIDEO, ...tone(440), ...tone(880), "-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", ...AAC],
      ...["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"],
    ],
    modes: ["encoded"],
    says: { encoded: /LANGUAGE="en"[^\n]*\n[\s\S]*LANGUAGE="de"/ },
  },
  "pictures alone": { media: ["-i", VIDEO, "-c", "copy"] },
  "sound alone": { media: [...tone(), ...AAC] },
  "sound alone by RTMP": { media: [...tone(), ...AAC], by: "rtmp" },
};

const nameOf = (i: number) => join(folder, `${i}.${Object.values(ROWS)[i]!.by === "rtmp" ? "mp4" : "mpegts"}`);

before(() => {
  if (skip) return;
  made(VIDEO, SECONDS, ...picture(), ...x264());
  for (const [i, { media, missing }] of Object.values(ROWS).entries()) if (!missing) made(nameOf(i), SECONDS, ...media);
});
after(() => rmSync(folder, { recursive: true }));

async function firstOf(installation: Installation, channel: string): Promise<string> {
  const [url] = await renditionUrls(installation, channel);
  return (await fetch(url!)).text();
}

async function plays(installation: Installation, channel: string, row: Row, mode: Mode): Promise<void> {
  const until = row.until?.[mode];
  if (until) await eventually(`${until}`, async () => until.test(await firstOf(installation, channel)), 30_000);
  await checked(installation, channel, row.reloads ?? RELOADS, row.toleranceMs);
  const master = await masterOf(installation, channel);
  const urls = await renditionUrls(installation, channel);
  assert.match(master, row.says?.[mode] ?? /./);
  assert.match(await firstOf(installation, channel), row.first?.[mode] ?? /./);
  for (const url of urls) {
    await eventually(`segments at ${url}`, () => hasSegments(url));
    await decodesSilently(url);
  }
}

test("odd media in each mode that can take them", { skip }, async (t) => {
  const rows = Object.entries(ROWS).flatMap(([name, row], i) =>
    (row.modes ?? (["copied", "encoded"] as const)).map((mode) => ({ name, row, mode, i, channel: `${mode}-${i}` })),
  );
  const ladders = { copied: "passthrough", encoded: "auto" };
  const channels = rows.map(({ row, mode, channel }) => ({ name: channel, ladder: ladders[mode], ...row.settings }));
  await withConfig(channels, async (installation) => {
    for (const mode of ["copied", "encoded"] as const)
      await t.test(mode, { concurrency: AT_ONCE[mode] }, async (batch) => {
        const run = ({ name, row, i, channel }: (typeof rows)[number]) =>
          batch.test(`${name} / ${mode}`, { skip: row.missing ?? false }, () => {
            const source = sendAsIs(installation, channel, nameOf(i), row.by);
            return whileSending(source, () => plays(installation, channel, row, mode));
          });
        await Promise.all(rows.filter((row) => row.mode === mode).map(run));
      });
  });
});
