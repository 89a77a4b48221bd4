// Which representation a pushed object belongs to, from its name alone: encoders name init segment and media segments of one
// representation by templates of their own (`init-stream0.m4s` and `chunk-stream0-00017.m4s`; `video_720/init.mp4` and
// `video_720/17.m4s`), and what is common to both is what is left without the words for "init" and "segment" and the number.

export type ObjectName =
  | Readonly<{ kind: "manifest" }>
  | Readonly<{ kind: "media"; representation: string }>
  /** Neither: thumbnails, captions, playlists of theirs. */
  | Readonly<{ kind: "other" }>;

const STREAMS = /^Streams\(([^()/]{1,100})\)$/i;
const MEDIA = /\.(m4s|mp4|cmfv|cmfa|m4v|m4a|ismv|isma)$/i;
const MANIFEST = /\.mpd$/i;
const FILLER = new Set([
  "init",
  "initialization",
  "header",
  "chunk",
  "segment",
  "seg",
  "media",
  "dash",
  "fragment",
  "frag",
]);

/** @param path below the channel's folder: "chunk-stream0-00017.m4s" */
export function objectName(path: string): ObjectName {
  const at = path.lastIndexOf("/") + 1;
  const [folder, file] = [path.slice(0, at), path.slice(at)];
  const streams = STREAMS.exec(file);
  if (streams) return { kind: "media", representation: `${folder}${streams[1]!.replace(MEDIA, "")}` };
  if (MANIFEST.test(file)) return { kind: "manifest" };
  if (!MEDIA.test(file)) return { kind: "other" };
  const words = file
    .replace(MEDIA, "")
    .split(/[-_.$]+/)
    .filter((word) => word !== "");
  const isInit = words.some((word) => /^init/i.test(word));
  const last = words.at(-1);
  if (!isInit && last !== undefined && /^\d+$/.test(last)) words.pop();
  const own = words.filter((word) => !FILLER.has(word.toLowerCase()));
  return { kind: "media", representation: folder + own.join("-") };
}
