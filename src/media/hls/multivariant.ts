// The multivariant playlist as text. Source: draft-pantos-hls-rfc8216bis-22, 4.4.6
import type { VideoRange } from "#media/session-log/entries.ts";
import { attributes, quoted } from "./text.ts";

const VERSION = 9;

export type AudioMedia = Readonly<{
  group: string;
  name: string;
  /** RFC 5646 (BCP 47); null when unknown. */
  language: string | null;
  channels: number;
  uri: string;
  default: boolean;
}>;

export type Variant = Readonly<{
  uri: string;
  /** Bits a second, all renditions of the worst combination together. */
  bandwidth: number;
  averageBandwidth: number;
  /** Of everything that plays with it, audio too (RFC 6381). */
  codecs: readonly string[];
  /** Null for audio only. */
  video: Readonly<{ width: number; height: number; framesPerSecond: number; range: VideoRange }> | null;
  /** Group of its demuxed audio; null when it has none. */
  audio: string | null;
}>;

export type Multivariant = Readonly<{ variants: readonly Variant[]; audio: readonly AudioMedia[] }>;

export function writeMultivariant({ variants, audio }: Multivariant): string {
  const lines = ["#EXTM3U", `#EXT-X-VERSION:${VERSION}`, "#EXT-X-INDEPENDENT-SEGMENTS"];
  for (const media of audio) {
    const list = {
      TYPE: "AUDIO",
      "GROUP-ID": quoted(media.group),
      NAME: quoted(media.name),
      LANGUAGE: media.language === null ? null : quoted(media.language),
      DEFAULT: media.default ? "YES" : "NO",
      AUTOSELECT: "YES",
      CHANNELS: quoted(String(media.channels)),
      URI: quoted(media.uri),
    };
    lines.push(`#EXT-X-MEDIA:${attributes(list)}`);
  }
  for (const variant of variants) {
    const { video } = variant;
    const list = {
      BANDWIDTH: variant.bandwidth,
      "AVERAGE-BANDWIDTH": variant.averageBandwidth,
      CODECS: quoted(variant.codecs.join(",")),
      RESOLUTION: video ? `${video.width}x${video.height}` : null,
      "FRAME-RATE": video ? video.framesPerSecond.toFixed(3) : null,
      AUDIO: variant.audio === null ? null : quoted(variant.audio),
      "VIDEO-RANGE": video ? video.range : null,
      // No CLOSED-CAPTIONS: captions of the source are kept in the pictures and may begin at any time. NONE would be a
      // promise that there are none, and players (hls.js too) then do not look.
    };
    lines.push(`#EXT-X-STREAM-INF:${attributes(list)}`, variant.uri);
  }
  lines.push("");
  return lines.join("\n");
}
