// The CODECS value that a player reads before it has a byte of media: it must say what the media is, exactly.
// Source: RFC 6381; ISO/IEC 14496-15, annex E; AV1 Codec ISO Media File Format Binding, 5
import { PlatformError } from "#base/errors.ts";
import type { Track } from "#media/session-log/entries.ts";
import { parseAacConfig } from "./aac.ts";

/** "avc1.64001f", "hvc1.1.6.L93.b0", "av01.0.04M.08", "mp4a.40.2", "ac-3", "ec-3", "Opus".
 *  MP3 is "mp4a.40.34": what HLS players know it by, whatever object type its descriptor has (0x69, 0x6b).
 *  @throws PlatformError media.truncated, media.malformed, media.unsupported when the configuration is none, or the codec
 *  is none that HLS carries in fMP4 (MP2) */
export function codecString({ codec, config }: Pick<Track, "codec" | "config">): string {
  if (codec === "aac") return `mp4a.40.${parseAacConfig(config).objectType}`;
  if (codec === "mp2") throw new PlatformError("media.unsupported", "MP2 audio has no place in fMP4; encode it.");
  if (codec in PLAIN) return PLAIN[codec as keyof typeof PLAIN];
  const bytes = Buffer.from(config);
  if (bytes.length < LEAST[codec as keyof typeof LEAST])
    throw new PlatformError("media.truncated", `configuration of ${bytes.length} bytes`);
  if (codec === "h264") return `avc1.${bytes.toString("hex", 1, 4)}`;
  return codec === "hevc" ? hevcString(bytes) : av1String(bytes);
}

/** Codecs whose name says all. */
const PLAIN = { mp3: "mp4a.40.34", ac3: "ac-3", eac3: "ec-3", opus: "Opus" } as const;
/** Bytes of a configuration that the name is made of. */
const LEAST = { h264: 4, hevc: 13, av1: 3 } as const;

/** Profile, level, tier, bit depth; what follows in a full name has these defaults.
 *  Source: AV1 Codec ISO Media File Format Binding, 2.3 and 5 */
function av1String(config: Buffer): string {
  const [head, levels, flags] = [config[0]!, config[1]!, config[2]!];
  if (head !== 0x81) throw new PlatformError("media.malformed", `an av1C that begins with ${head}, not 129`);
  const profile = levels >> 5;
  const level = String(levels & 0x1f).padStart(2, "0");
  const tier = flags & 0x80 ? "H" : "M";
  const isHigh = (flags & 0x40) !== 0;
  const isTwelve = isHigh && profile === 2 && (flags & 0x20) !== 0;
  const depth = isTwelve ? "12" : isHigh ? "10" : "08";
  return `av01.${profile}.${level}${tier}.${depth}`;
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
