// Settings of a channel as a person types them: `--segment-seconds 2` when it is made, `segmentSeconds=2` when it is
// changed. What a value may be is for the API to say: here only its form is made.
import { readFile } from "node:fs/promises";
import { PlatformError } from "#base/errors.ts";

type Setting = Readonly<{
  /** Path in the API's body. */
  path: string;
  value: string;
  about: string;
  read: (text: string) => unknown;
}>;

/** Everything of a channel that can be set, in the order of the help. */
export const SETTINGS: readonly Setting[] = [
  {
    path: "ladder",
    value: "<ladder>",
    about: "auto, passthrough, a list like copy,720:3500,360, or FILE.json",
    read: String,
  },
  { path: "copyFallback", value: "<what>", about: "transcode or refuse what cannot be copied", read: String },
  {
    path: "gopSeconds",
    value: "<seconds>",
    about: "key frame distance that publishers are held to, or null",
    read: plain,
  },
  { path: "segmentSeconds", value: "<seconds>", about: "1 to 10 (2)", read: plain },
  { path: "partSeconds", value: "<seconds>", about: "0.15 to 5 (0.334)", read: plain },
  { path: "windowSegments", value: "<count>", about: "segments that a live playlist lists (30)", read: plain },
  { path: "lossGraceSeconds", value: "<seconds>", about: "how long a lost publisher may stay away (30)", read: plain },
  { path: "endGraceSeconds", value: "<seconds>", about: "how long one that ended may come back (3)", read: plain },
  { path: "rtmpPath", value: "<path>", about: "APP/NAME that shall lead here as well, or null", read: orNull },
  { path: "tenant", value: "<name>", about: "whose it is (main)", read: String },
  {
    path: "inputs",
    value: "<list>",
    about: "tcp:PORT, udp:[GROUP@]PORT, or an address to pull; separated by spaces",
    read: inputs,
  },
  { path: "limits.bitrateKbps", value: "<kbps>", about: "most that a publisher may send, or null", read: plain },
  { path: "limits.height", value: "<lines>", about: "of the picture's short side at most, or null", read: plain },
  { path: "limits.durationSeconds", value: "<seconds>", about: "a session ends after so long, or null", read: plain },
];

/** "limits.bitrateKbps" is --limit-bitrate-kbps, "segmentSeconds" is --segment-seconds. */
export const optionOf = ({ path }: Setting): string =>
  `--${path.replace("limits.", "limit-").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** As the command line's parser names it. */
const fieldOf = (setting: Setting) =>
  optionOf(setting)
    .slice(2)
    .replaceAll(/-[a-z]/g, (text) => text[1]!.toUpperCase());

/** @param options of the command line, those that are no setting are ignored */
export async function settingsFromOptions(
  options: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const given = SETTINGS.filter((setting) => options[fieldOf(setting)] !== undefined);
  return body(given.map((setting) => [setting, String(options[fieldOf(setting)])]));
}

/** @param words like `segmentSeconds=2`
 *  @throws PlatformError config.invalid for a word of another form, or a setting that there is not */
export async function settingsFromWords(words: readonly string[]): Promise<Record<string, unknown>> {
  const pairs = words.map((word): [Setting, string] => {
    const [, path = "", text = ""] = /^([^=]+)=(.*)$/s.exec(word) ?? wrong(`"${word}" is no setting: write KEY=VALUE.`);
    const setting = SETTINGS.find((candidate) => candidate.path === path);
    const known = SETTINGS.map((candidate) => candidate.path).join(", ");
    return [setting ?? wrong(`There is no setting ${path}; there are: ${known}.`), text];
  });
  return body(pairs);
}

async function body(pairs: readonly (readonly [Setting, string])[]): Promise<Record<string, unknown>> {
  const made: Record<string, unknown> = {};
  for (const [{ path, read }, text] of pairs) {
    const [outer, inner] = path.split(".") as [string, string | undefined];
    const value = path === "ladder" ? await ladder(text) : read(text);
    made[outer] = inner === undefined ? value : { ...(made[outer] as object | undefined), [inner]: value };
  }
  return made;
}

/** A number or null where it is one; else the text, so that the answer names it. */
function plain(text: string): unknown {
  if (text === "null" || text === "none") return null;
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function orNull(text: string): string | null {
  return text === "null" || text === "none" || text === "" ? null : text;
}

async function ladder(text: string): Promise<unknown> {
  if (text === "auto" || text === "passthrough") return text;
  if (text.endsWith(".json")) return jsonFile(text);
  const rungs = text.split(",").map((word) => /^(?:(copy)|(\d+)p?(?::(\d+)k?)?)$/.exec(word.trim()));
  if (rungs.some((rung) => rung === null))
    wrong(`"${text}" is no ladder: auto, passthrough, HEIGHT[:KBPS] and copy separated by commas, or FILE.json.`);
  return rungs.map((rung) => {
    const [, copy, height, kbps] = rung!;
    if (copy) return { copy: true };
    return { height: Number(height), ...(kbps === undefined ? {} : { bitrateKbps: Number(kbps) }) };
  });
}

async function jsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new PlatformError("config.invalid", `${path} cannot be used as a ladder: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** "udp:239.0.0.1@5000 tcp:5001 rtsp://camera/one"; nothing, or none: no inputs of its own. */
function inputs(text: string): unknown {
  const words = text.split(/\s+/).filter((word) => word !== "" && word !== "none");
  return words.map((word) => {
    if (/^[a-z]+:\/\//.test(word)) return { kind: "pull", url: word };
    const [, kind, group, port] =
      /^(tcp|udp):(?:([^@]+)@)?(\d+)$/.exec(word) ??
      wrong(`"${word}" is no input: tcp:PORT, udp:PORT, udp:GROUP@PORT, or an address to pull.`);
    const place = group === undefined ? {} : kind === "udp" ? { group } : { host: group };
    return { kind, port: Number(port), ...place };
  });
}

function wrong(message: string): never {
  throw new PlatformError("config.invalid", message);
}
