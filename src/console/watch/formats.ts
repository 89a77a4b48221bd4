// In which forms a stream is offered, by its multivariant playlist, and which of them a browser can play. Asked before the
// player is started: what a player says about a codec it does not know ("fatal media error") helps no viewer.

export type Offer = Readonly<{
  /** RFC 6381, of everything that plays with it. */
  codecs: readonly string[];
  /** Null for sound alone. */
  height: number | null;
  /** VIDEO-RANGE: SDR, PQ or HLG. */
  range: string;
}>;

export type Verdict = Readonly<{
  playable: boolean;
  /** Names of what the browser cannot decode, when that is why nothing is playable. */
  missing: readonly string[];
  /** Labels of the offers that are out of its reach while others are not. */
  hidden: readonly string[];
}>;

const ATTRIBUTE = /([A-Z0-9-]+)=(?:"([^"]*)"|([^",]*))/g;

/** Source: draft-pantos-hls-rfc8216bis-22, 4.4.6.2 */
export function offersOf(multivariant: string): Offer[] {
  return multivariant.split("\n").flatMap((line) => {
    if (!line.startsWith("#EXT-X-STREAM-INF:")) return [];
    const found = [...line.matchAll(ATTRIBUTE)];
    const values = new Map(found.map(([, name, quoted, plain]) => [name, quoted ?? plain ?? ""]));
    const height = Number(values.get("RESOLUTION")?.split("x")[1]);
    const codecs = (values.get("CODECS") ?? "").split(",").filter((codec) => codec !== "");
    return [{ codecs, height: height > 0 ? height : null, range: values.get("VIDEO-RANGE") || "SDR" }];
  });
}

/** @param canPlay asked for one codec at a time; an offer that names none is taken for playable */
export function judge(offers: readonly Offer[], canPlay: (codec: string) => boolean): Verdict {
  const isPlayable = ({ codecs }: Offer) => codecs.every(canPlay);
  const refused = offers.filter((offer) => !isPlayable(offer));
  if (refused.length > 0 && refused.length === offers.length) {
    const unknown = refused.flatMap(({ codecs }) => codecs.filter((codec) => !canPlay(codec)).map(codecName));
    return { playable: false, missing: [...new Set(unknown)], hidden: [] };
  }
  // Where the same picture is offered with another sound, nothing is out of reach.
  const inReach = new Set(offers.filter(isPlayable).map(labelOf));
  const hidden = refused.map(labelOf).filter((label) => !inReach.has(label));
  return { playable: true, missing: [], hidden: [...new Set(hidden)] };
}

function labelOf({ codecs, height, range }: Offer): string {
  if (height === null) return codecs.map(codecName).join(" and ");
  return pictureLabel(height, codecs.find(isPicture) ?? "", range);
}

/** "1080p HEVC HDR" */
export function pictureLabel(height: number, codec: string, range: string): string {
  return [`${height}p`, codecName(codec), range === "SDR" ? "" : "HDR"].filter((word) => word !== "").join(" ");
}

const NAMES: readonly [pattern: RegExp, name: string][] = [
  [/^avc[13]\b/, "H.264"],
  [/^(hvc|hev)1\b/, "HEVC"],
  [/^av01\b/, "AV1"],
  [/^(mp4a\.(40\.3[34]|6b|69)|mp3)$/i, "MPEG audio"],
  [/^mp4a\b/, "AAC"],
  [/^ac-3$/, "AC-3"],
  [/^ec-3$/, "E-AC-3"],
  [/^opus$/i, "Opus"],
];

/** As people call it; the string itself when it is none of ours. */
export function codecName(codec: string): string {
  return NAMES.find(([pattern]) => pattern.test(codec))?.[1] ?? codec;
}

export function isPicture(codec: string): boolean {
  return /^(avc|hvc|hev|av0)/.test(codec);
}

/** "SDR", "HDR (PQ)", "HDR (HLG)" */
export function rangeName(range: string): string {
  return range === "SDR" ? "SDR" : `HDR (${range})`;
}
