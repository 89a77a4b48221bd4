// `continuity publish FILE`: a file, played in real time to a channel as an encoder would.
// It loads FFmpeg into this very process: it is a client's process, publishes one stream and ends with it.
import { access } from "node:fs/promises";
import { basename, extname } from "node:path";
import { systemClock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import { CHANNEL_NAME } from "#media/channel.ts";
import type { MediaFile } from "#platform/av/media-file.ts";
import { nodeNetwork } from "#platform/network/drivers/node.ts";
import { openHttpOutput } from "../publish/http-output.ts";
import type { LiveOutput, OutputTracks } from "../publish/output.ts";
import { type PublishProgress, publishFile } from "../publish/publish-file.ts";
import { openRtmpOutput } from "../publish/rtmp-output.ts";
import { type ClientOptions, dataFolder, readKey, readRunFile } from "./client.ts";

export type PublishOptions = ClientOptions & Readonly<{ to?: string; channel?: string; loop?: boolean }>;

/** @throws PlatformError; its message says what to do */
export async function publish(path: string, options: PublishOptions): Promise<void> {
  await access(path).catch(() => {
    throw new PlatformError("api.not_found", `There is no file ${path}.`);
  });
  const url = options.to ?? (await ownAddress(path, options));
  const { openMediaFile } = await import("#platform/av/drivers/node-av/media-file.ts");
  const { openTransportStream } = await import("#platform/av/drivers/node-av/transport-stream.ts");
  const clock = systemClock();
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const alive = setInterval(() => {}, 1 << 30); // timers of ours do not keep a process alive
  const report = options.json ? jsonReport() : textReport();
  const openOutput = (tracks: OutputTracks): Promise<LiveOutput> =>
    url.startsWith("rtmp")
      ? openRtmpOutput({ clock, random: systemRandom(), network: nodeNetwork() }, url, tracks)
      : openHttpOutput({ clock, openTransportStream }, url, tracks);
  try {
    const end = await publishFile(
      { path, loop: options.loop ?? false },
      { clock, openMediaFile, openOutput, signal: stopping.signal, onBegin: report.begin, onProgress: report.progress },
    );
    report.end(end);
  } finally {
    report.close();
    clearInterval(alive);
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

/** Where the installation of the data folder takes RTMP, with its own key. */
async function ownAddress(path: string, options: PublishOptions): Promise<string> {
  const channel = options.channel ?? channelOf(path);
  if (!CHANNEL_NAME.test(channel))
    throw new PlatformError("api.bad_request", `"${channel}" cannot name a channel: use a-z, 0-9, "-" and "_".`);
  const folder = dataFolder(options);
  const run = await readRunFile(folder);
  if (run === null || run.rtmpPort === null)
    throw new PlatformError(
      "network.unreachable",
      `Nothing has run in ${folder}: start it with \`npm start\`, name its --data folder, or say where with --to URL.`,
    );
  const key = process.env.CONTINUITY_PUBLISH_KEY ?? (await readKey(folder, "publish-key"));
  const query = key === null ? "" : `?key=${encodeURIComponent(key)}`;
  return `rtmp://${new URL(options.url ?? run.url).hostname}:${run.rtmpPort}/live/${channel}${query}`;
}

/** "My Holiday (2).mp4" as "my-holiday-2". */
export function channelOf(path: string): string {
  const name = basename(path, extname(path)).toLowerCase();
  return name
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 64);
}

type Report = Readonly<{
  begin: (file: MediaFile, output: LiveOutput) => void;
  progress: (progress: PublishProgress) => void;
  end: (progress: PublishProgress) => void;
  close: () => void;
}>;

/** On standard error, one line that is written over again on a terminal. */
function textReport(): Report {
  const live = process.stderr.isTTY === true;
  let open = false;
  const clear = () => {
    if (open) process.stderr.write("\n");
    open = false;
  };
  return {
    begin(file, output) {
      process.stderr.write(`publishing to ${output.target}: ${describeFile(file)}\n`);
    },
    progress(progress) {
      if (!live) return;
      process.stderr.write(`\r${describeProgress(progress)}   `);
      open = true;
    },
    end(progress) {
      clear();
      process.stderr.write(`done: ${describeProgress(progress)}\n`);
    },
    close: clear,
  };
}

/** On standard output, one JSON object per line. */
function jsonReport(): Report {
  const say = (event: string, fields: object) => console.log(JSON.stringify({ event, ...fields }));
  return {
    begin: ({ video, audio, converted, durationMs }, { target }) =>
      say("publishing", {
        target,
        video: video && { codec: video.codec, width: video.width, height: video.height, converted: converted.video },
        audio: audio && { codec: audio.codec, sampleRate: audio.sampleRate, converted: converted.audio },
        durationMs,
      }),
    progress: (progress) => say("progress", rounded(progress)),
    end: (progress) => say("ended", rounded(progress)),
    close: () => {},
  };
}

function rounded(progress: PublishProgress): object {
  return Object.fromEntries(Object.entries(progress).map(([name, value]) => [name, Math.round(value)]));
}

function describeFile({ video, audio, converted }: MediaFile): string {
  const way = (isConverted: boolean) => (isConverted ? "converted to " : "");
  const names = {
    h264: "H.264",
    hevc: "H.265",
    av1: "AV1",
    aac: "AAC",
    mp2: "MP2",
    mp3: "MP3",
    ac3: "AC-3",
    eac3: "E-AC-3",
    opus: "Opus",
  };
  const parts = [
    video && `${way(converted.video)}${names[video.codec]} ${video.width}x${video.height}`,
    audio && `${way(converted.audio)}${names[audio.codec]} ${audio.sampleRate / 1000} kHz`,
  ];
  return parts.filter((part) => part !== null).join(", ");
}

function describeProgress({ mediaMs, wallMs, sentBytes, pass, lateMs }: PublishProgress): string {
  const clock = new Date(mediaMs).toISOString().slice(11, 19);
  const rate = wallMs > 0 ? ((sentBytes * 8) / wallMs / 1000).toFixed(2) : "0";
  return `${clock}  ${rate} Mb/s${pass > 1 ? `  pass ${pass}` : ""}${lateMs > 500 ? `  ${Math.round(lateMs)} ms late` : ""}`;
}
