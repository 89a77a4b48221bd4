// A playlist as the standard defines it, read by somebody who did not write it. What is wrong with the text is a finding;
// what can still be understood is used, so that one fault does not hide another.

export type Part = { uri: string; duration: number; independent: boolean; gap: boolean };

export type Segment = {
  msn: number;
  /** Discontinuities before it, counted from the start of the channel. */
  discontinuities: number;
  uri: string;
  duration: number;
  gap: boolean;
  discontinuity: boolean;
  pdtMs: number | null;
  map: string | null;
  parts: Part[];
};

/** The segment that has parts and no URI yet. */
export type OpenSegment = Omit<Segment, "uri" | "duration">;

export type MediaPlaylist = {
  version: number;
  targetDuration: number;
  partTarget: number | null;
  mediaSequence: number;
  discontinuitySequence: number;
  control: Map<string, string>;
  segments: Segment[];
  open: OpenSegment;
  hints: { type: string; uri: string }[];
  reports: { uri: string; lastMsn: number; lastPart: number | null }[];
  skipped: number;
  ended: boolean;
  complaints: string[];
};

export type Variant = { uri: string; attributes: Map<string, string> };
export type Multivariant = {
  version: number;
  independent: boolean;
  variants: Variant[];
  media: Map<string, string>[];
  complaints: string[];
};

type AttributeType = "int" | "float" | "quoted" | "enum" | "resolution";

/** Attributes by tag. A star marks one that must be there. */
const ATTRIBUTES: Record<string, Record<string, AttributeType>> = {
  "EXT-X-STREAM-INF": {
    "BANDWIDTH*": "int",
    "AVERAGE-BANDWIDTH": "int",
    CODECS: "quoted",
    "SUPPLEMENTAL-CODECS": "quoted",
    RESOLUTION: "resolution",
    "FRAME-RATE": "float",
    "VIDEO-RANGE": "enum",
    "HDCP-LEVEL": "enum",
    AUDIO: "quoted",
    VIDEO: "quoted",
    SUBTITLES: "quoted",
    "CLOSED-CAPTIONS": "quoted",
    NAME: "quoted",
    SCORE: "float",
    "STABLE-VARIANT-ID": "quoted",
    "PATHWAY-ID": "quoted",
  },
  "EXT-X-MEDIA": {
    "TYPE*": "enum",
    "GROUP-ID*": "quoted",
    "NAME*": "quoted",
    URI: "quoted",
    LANGUAGE: "quoted",
    DEFAULT: "enum",
    AUTOSELECT: "enum",
    FORCED: "enum",
    CHANNELS: "quoted",
    CHARACTERISTICS: "quoted",
    "INSTREAM-ID": "quoted",
    "STABLE-RENDITION-ID": "quoted",
  },
  "EXT-X-MAP": { "URI*": "quoted", BYTERANGE: "quoted" },
  "EXT-X-PART": { "URI*": "quoted", "DURATION*": "float", INDEPENDENT: "enum", GAP: "enum", BYTERANGE: "quoted" },
  "EXT-X-PART-INF": { "PART-TARGET*": "float" },
  "EXT-X-SERVER-CONTROL": {
    "CAN-BLOCK-RELOAD": "enum",
    "CAN-SKIP-UNTIL": "float",
    "CAN-SKIP-DATERANGES": "enum",
    "HOLD-BACK": "float",
    "PART-HOLD-BACK": "float",
  },
  "EXT-X-SKIP": { "SKIPPED-SEGMENTS*": "int", "RECENTLY-REMOVED-DATERANGES": "quoted" },
  "EXT-X-PRELOAD-HINT": { "TYPE*": "enum", "URI*": "quoted", "BYTERANGE-START": "int", "BYTERANGE-LENGTH": "int" },
  "EXT-X-RENDITION-REPORT": { "URI*": "quoted", "LAST-MSN": "int", "LAST-PART": "int" },
};

const FORM: Record<AttributeType, RegExp> = {
  int: /^\d{1,20}$/,
  float: /^-?\d+(\.\d+)?$/,
  quoted: /^"[^"\r\n]*"$/,
  enum: /^[^",\s]+$/,
  resolution: /^\d+x\d+$/,
};

const ONCE = [
  "EXTM3U",
  "EXT-X-VERSION",
  "EXT-X-TARGETDURATION",
  "EXT-X-MEDIA-SEQUENCE",
  "EXT-X-DISCONTINUITY-SEQUENCE",
  "EXT-X-PART-INF",
  "EXT-X-SERVER-CONTROL",
  "EXT-X-ENDLIST",
  "EXT-X-PLAYLIST-TYPE",
  "EXT-X-INDEPENDENT-SEGMENTS",
  "EXT-X-SKIP",
  "EXT-X-I-FRAMES-ONLY",
];
const PLAIN = [
  "EXTINF",
  "EXT-X-BITRATE",
  "EXT-X-GAP",
  "EXT-X-DISCONTINUITY",
  "EXT-X-PROGRAM-DATE-TIME",
  "EXT-X-DATERANGE",
  "EXT-X-KEY",
  "EXT-X-DEFINE",
  "EXT-X-START",
  "EXT-X-SESSION-DATA",
  "EXT-X-SESSION-KEY",
  "EXT-X-CONTENT-STEERING",
  "EXT-X-I-FRAME-STREAM-INF",
  "EXT-X-BYTERANGE",
];

type Tag = { name: string; value: string; attributes: Map<string, string> };

/** Lines as tags and URIs, with what is wrong in them. */
function scan(text: string): { items: (Tag | { uri: string })[]; complaints: string[] } {
  const complaints: string[] = [];
  const seen = new Set<string>();
  if (text.charCodeAt(0) === 0xfeff) complaints.push("begins with a byte order mark");
  if (!/^\uFEFF?#EXTM3U\r?\n/.test(text)) complaints.push("does not begin with #EXTM3U");
  const items: (Tag | { uri: string })[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || (line.startsWith("#") && !line.startsWith("#EXT"))) continue;
    if (!line.startsWith("#")) {
      if (/\s/.test(line)) complaints.push(`URI with white space: ${line}`);
      items.push({ uri: line });
      continue;
    }
    const colon = line.indexOf(":");
    const name = line.slice(1, colon < 0 ? undefined : colon);
    const value = colon < 0 ? "" : line.slice(colon + 1);
    if (ONCE.includes(name)) {
      if (seen.has(name)) complaints.push(`${name} stands twice`);
      seen.add(name);
    } else if (!PLAIN.includes(name) && !(name in ATTRIBUTES)) complaints.push(`unknown tag ${name}`);
    items.push({ name, value, attributes: name in ATTRIBUTES ? attributesOf(name, value, complaints) : new Map() });
  }
  return { items, complaints };
}

function attributesOf(tag: string, value: string, complaints: string[]): Map<string, string> {
  const known = ATTRIBUTES[tag]!;
  const found = new Map<string, string>();
  let consumed = 0;
  for (const match of value.matchAll(/([A-Z0-9-]+)=("[^"\r\n]*"|[^",]*)(,|$)/g)) {
    if (match.index !== consumed) break;
    consumed += match[0].length;
    const [, name, raw] = match as unknown as [string, string, string];
    if (found.has(name)) complaints.push(`${tag}: ${name} stands twice`);
    const type = known[name] ?? known[`${name}*`];
    if (type === undefined && !name.startsWith("X-")) complaints.push(`${tag}: unknown attribute ${name}`);
    const none = tag === "EXT-X-STREAM-INF" && name === "CLOSED-CAPTIONS" && raw === "NONE";
    if (type !== undefined && !none && !FORM[type].test(raw)) complaints.push(`${tag}: ${name}=${raw} is no ${type}`);
    found.set(name, raw.replace(/^"|"$/g, ""));
  }
  if (consumed !== value.length) complaints.push(`${tag}: cannot be read from "${value.slice(consumed)}"`);
  for (const name of Object.keys(known))
    if (name.endsWith("*") && !found.has(name.slice(0, -1))) complaints.push(`${tag}: ${name.slice(0, -1)} is missing`);
  return found;
}

export function parseMultivariant(text: string): Multivariant {
  const { items, complaints } = scan(text);
  const playlist: Multivariant = { version: 1, independent: false, variants: [], media: [], complaints };
  let pending: Map<string, string> | null = null;
  for (const item of items) {
    if ("uri" in item) {
      if (pending) playlist.variants.push({ uri: item.uri, attributes: pending });
      else complaints.push(`URI without EXT-X-STREAM-INF: ${item.uri}`);
      pending = null;
    } else if (item.name === "EXT-X-VERSION") playlist.version = Number(item.value);
    else if (item.name === "EXT-X-INDEPENDENT-SEGMENTS") playlist.independent = true;
    else if (item.name === "EXT-X-STREAM-INF") pending = item.attributes;
    else if (item.name === "EXT-X-MEDIA") playlist.media.push(item.attributes);
  }
  return playlist;
}

export function parseMedia(text: string): MediaPlaylist {
  const { items, complaints } = scan(text);
  const playlist: MediaPlaylist = {
    version: 1,
    targetDuration: Number.NaN,
    partTarget: null,
    mediaSequence: 0,
    discontinuitySequence: 0,
    control: new Map(),
    segments: [],
    open: null as unknown as OpenSegment,
    hints: [],
    reports: [],
    skipped: 0,
    ended: false,
    complaints,
  };
  let next: OpenSegment & { duration?: number };
  let map: string | null = null;
  const begin = () => {
    const last = playlist.segments.at(-1);
    const msn = playlist.mediaSequence + playlist.skipped + playlist.segments.length;
    const discontinuities = last ? last.discontinuities : playlist.discontinuitySequence;
    next = { msn, discontinuities, gap: false, discontinuity: false, pdtMs: null, map, parts: [] };
  };
  begin();
  for (const item of items) {
    if ("uri" in item) {
      if (next!.duration === undefined) complaints.push(`URI without EXTINF: ${item.uri}`);
      playlist.segments.push({ ...next!, uri: item.uri, duration: next!.duration ?? 0 });
      begin();
      continue;
    }
    const { name, value, attributes } = item;
    if (name === "EXT-X-VERSION") playlist.version = Number(value);
    else if (name === "EXT-X-TARGETDURATION") {
      if (!/^\d+$/.test(value)) complaints.push(`EXT-X-TARGETDURATION:${value} is no whole number`);
      playlist.targetDuration = Number(value);
    } else if (name === "EXT-X-MEDIA-SEQUENCE" || name === "EXT-X-DISCONTINUITY-SEQUENCE") {
      if (playlist.segments.length > 0) complaints.push(`${name} after the first segment`);
      if (name === "EXT-X-MEDIA-SEQUENCE") playlist.mediaSequence = Number(value);
      else playlist.discontinuitySequence = Number(value);
      begin();
    } else if (name === "EXT-X-SERVER-CONTROL") playlist.control = attributes;
    else if (name === "EXT-X-PART-INF") playlist.partTarget = Number(attributes.get("PART-TARGET"));
    else if (name === "EXT-X-SKIP") {
      playlist.skipped = Number(attributes.get("SKIPPED-SEGMENTS"));
      begin();
    } else if (name === "EXT-X-MAP") {
      if (next!.parts.length > 0) complaints.push("EXT-X-MAP after the first part of its segment");
      next!.map = map = attributes.get("URI") ?? null;
    } else if (name === "EXT-X-DISCONTINUITY") {
      if (next!.parts.length > 0) complaints.push("EXT-X-DISCONTINUITY after the first part of its segment");
      next!.discontinuity = true;
      next!.discontinuities += 1;
    } else if (name === "EXT-X-GAP") next!.gap = true;
    else if (name === "EXT-X-PROGRAM-DATE-TIME") {
      if (next!.parts.length > 0) complaints.push("EXT-X-PROGRAM-DATE-TIME after the first part of its segment");
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}(Z|[+-]\d\d:?\d\d)$/.test(value)) complaints.push(`date ${value}`);
      next!.pdtMs = Date.parse(value);
    } else if (name === "EXTINF") {
      const duration = /^(\d+(?:\.\d+)?),/.exec(value)?.[1];
      if (duration === undefined) complaints.push(`EXTINF:${value}`);
      next!.duration = Number(duration);
    } else if (name === "EXT-X-PART")
      next!.parts.push({
        uri: attributes.get("URI") ?? "",
        duration: Number(attributes.get("DURATION")),
        independent: attributes.get("INDEPENDENT") === "YES",
        gap: attributes.get("GAP") === "YES",
      });
    else if (name === "EXT-X-PRELOAD-HINT")
      playlist.hints.push({ type: attributes.get("TYPE") ?? "", uri: attributes.get("URI") ?? "" });
    else if (name === "EXT-X-RENDITION-REPORT")
      playlist.reports.push({
        uri: attributes.get("URI") ?? "",
        lastMsn: Number(attributes.get("LAST-MSN")),
        lastPart: attributes.has("LAST-PART") ? Number(attributes.get("LAST-PART")) : null,
      });
    else if (name === "EXT-X-ENDLIST") playlist.ended = true;
  }
  playlist.open = next!;
  if (Number.isNaN(playlist.targetDuration)) complaints.push("EXT-X-TARGETDURATION is missing");
  return playlist;
}

/** Newest thing listed, as a number that grows: (msn, parts listed of it). A finished segment counts as all its parts. */
export function edgeOf(playlist: MediaPlaylist): { msn: number; part: number } {
  const { open, segments } = playlist;
  if (open.parts.length > 0) return { msn: open.msn, part: open.parts.length - 1 };
  const last = segments.at(-1);
  return { msn: last?.msn ?? playlist.mediaSequence - 1, part: Math.max(0, (last?.parts.length ?? 0) - 1) };
}
