// What lies over the picture besides the controls: why there is none, and the figures for those who ask.
import { bitrate, milliseconds, seconds } from "../shared/format.ts";
import { codecName, rangeName } from "./formats.ts";
import type { Stats } from "./player.ts";

export function Overlay({ channel, stats, details }: { channel: string; stats: Stats; details: boolean }) {
  const message = messageOf(channel, stats);
  return (
    <>
      {message !== null && (
        <div class="message" role="status">
          {stats.phase !== "unsupported" && <span class="spinner" aria-hidden="true" />}
          <strong>{message.title}</strong>
          <span>{message.text}</span>
        </div>
      )}
      {details && <Details stats={stats} />}
    </>
  );
}

function messageOf(channel: string, { phase, reason, verdict }: Stats): { title: string; text: string } | null {
  if (phase === "unsupported" && verdict?.playable === false)
    return {
      title: `This browser cannot play ${verdict.missing.join(" and ")}`,
      text: "The stream comes in no other form. Another browser or device may play it.",
    };
  if (phase === "unsupported")
    return { title: "This browser cannot play it", text: "It has no HLS and no Media Source." };
  if (phase === "starting") return { title: channel, text: "Joining the live stream." };
  if (phase === "stalled") return { title: "", text: "Waiting for the next picture." };
  if (phase !== "waiting") return null;
  if (reason === "unreachable") return { title: "No connection", text: "The server does not answer. Trying again." };
  if (reason === "ended")
    return { title: "The broadcast has ended", text: "This page plays on when the next one begins." };
  return { title: `${channel} is not live yet`, text: "This page begins to play by itself when it is." };
}

/** "H.264 (avc1.64001f)" */
const codecText = (codecs: string): string =>
  codecs
    .split(",")
    .map((codec) => `${codecName(codec)} (${codec})`)
    .join(", ");

function pictureFormat({ format }: Stats): string {
  if (!format?.picture) return "–";
  return `${codecText(format.picture)} · ${rangeName(format.range ?? "SDR")}`;
}

function soundFormat({ format, sound }: Stats): string {
  return [sound, format?.sound ? codecText(format.sound) : null].filter((part) => part !== null).join(" · ") || "–";
}

function Details({ stats }: { stats: Stats }) {
  const hidden = stats.verdict?.hidden ?? [];
  const rows: [string, string][] = [
    ["Latency", seconds(stats.latencyMs)],
    ["Aim", seconds(stats.targetLatencyMs)],
    ["Picture", stats.width === 0 ? "–" : `${stats.width}×${stats.height} · ${bitrate(stats.bitrate)}`],
    ["Format", pictureFormat(stats)],
    ["Sound", soundFormat(stats)],
    ...(hidden.length === 0 ? [] : ([["Not here", hidden.join(", ")]] as [string, string][])),
    ["Decoded", String(stats.decodedFrames)],
    ["Dropped", String(stats.droppedFrames)],
    ["Buffer", milliseconds(stats.bufferMs)],
    ["Rate", `${stats.playbackRate.toFixed(2)}×`],
    ["Stalls", `${stats.stalls} · ${stats.restarts} restarts`],
    ["Player", stats.source ?? "–"],
  ];
  return (
    <dl class="details" aria-label="Playback figures">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="figure">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
