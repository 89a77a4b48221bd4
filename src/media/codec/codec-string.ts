// The CODECS value that a player reads before it has a byte of media: it must say what the media is, exactly.
// Source: RFC 6381; ISO/IEC 14496-15, annex E
import { PlatformError } from "#base/errors.ts";
import type { Track } from "#media/session-log/entries.ts";
import { parseAacConfig } from "./aac.ts";

/** "avc1.64001f", "hvc1.1.6.L93.b0", "mp4a.40.2".
 *  @throws PlatformError media.truncated, media.malformed, media.unsupported when the configuration is none */
export function codecString(track: Pick<Track, "codec" | "config">): string {
  if (track.codec === "aac") return `mp4a.40.${parseAacConfig(track.config).objectType}`;
  const config = Buffer.from(track.config);
  const least = track.codec === "h264" ? 4 : 13;
  if (config.length < least) throw new PlatformError("media.truncated", `configuration of ${config.length} bytes`);
  return track.codec === "h264" ? `avc1.${config.toString("hex", 1, 4)}` : hevcString(config);
}

function hevcString(config: Buffer): string {
  const space = ["", "A", "B", "C"][config[1]! >> 6]!;
  const profile = config[1]! & 0x1f;
  const compatibility = reversed(config.readUInt32BE(2)).toString(16);
  const tier = config[1]! & 0x20 ? "H" : "L";
  const constraints = [...config.subarray(6, 12)];
  while (constraints.at(-1) === 0) constraints.pop();
  const rest = constraints.map((byte) => `.${byte.toString(16)}`).join("");
  return `hvc1.${space}${profile}.${compatibility}.${tier}${config[12]}${rest}`;
}

function reversed(word: number): number {
  let out = 0;
  for (let i = 0; i < 32; i += 1) out = out * 2 + ((word >>> i) & 1);
  return out;
}
