// What a migration gives: a configuration of ours, and a word on everything that has no counterpart. Nobody shall find
// out on air what was dropped without a word.
import { stringify } from "yaml";
import { asSchema, type Path, pathText, wrongFields } from "#base/schema.ts";
import { keyName, keyText, rtmpPath } from "#control/channel-schema.ts";
import { type ConfigFile, configSchema } from "../config-schema.ts";

/** Each takes one wrong thing out. */
const ROUNDS_MAX = 1000;

export type Note = Readonly<{
  /** "nginx.conf:12" */
  where: string;
  /** As it stands there, shortened. */
  what: string;
  why: string;
}>;

export type Outcome = Readonly<{ config: ConfigFile; notes: readonly Note[] }>;
export type ChannelEntry = NonNullable<ConfigFile["channels"]>[number];

/** Without what our own reader would refuse, each of it told: an address that is none, a name that is too long. */
export function fitted({ config, notes }: Outcome): Outcome {
  const kept = structuredClone(config) as Record<string, unknown>;
  const added: Note[] = [];
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const [wrong] = wrongFields(asSchema(configSchema), kept);
    if (!wrong) break;
    // A wrong part of a channel is left out, a channel without a name altogether; of other things, the whole.
    const depth =
      wrong.path[0] === "channels" && wrong.path.length > 2 && wrong.path[2] !== "name"
        ? 3
        : wrong.path[0] === "channels"
          ? 2
          : 1;
    const path = wrong.path.slice(0, depth);
    added.push({ where: "here", what: pathText(wrong.path), why: `left out: it ${wrong.message}` });
    remove(kept, path);
  }
  return { config: kept as Outcome["config"], notes: [...notes, ...added] };
}

function remove(value: unknown, path: Path): void {
  const [step, ...rest] = path;
  if (step === undefined) return;
  if (rest.length > 0) remove((value as Record<string | number, unknown>)[step], rest);
  else if (Array.isArray(value)) value.splice(Number(step), 1);
  else delete (value as Record<string | number, unknown>)[step];
}

/** Without the credentials of addresses: this is shown on terminals. */
export function noteText({ where, what, why }: Note): string {
  const shown = what.replaceAll(/(:\/\/)[^/\s@]*@/g, "$1***@").replaceAll(/([?&][^=&\s]*=)[^&\s]*/g, "$1***");
  return `${where}: ${shown}: ${why}`;
}

/** @param from "nginx-rtmp: /etc/nginx/nginx.conf" */
export function outcomeYaml({ config, notes }: Outcome, from: string): string {
  const body = stringify(config, { lineWidth: 0, flowCollectionPadding: true });
  const lines = notes.map((note) => `#   ${noteText(note).replaceAll(/[\r\n]+/g, " ")}`);
  return [
    `# Made by \`continuity migrate\` from ${from.replaceAll(/[\r\n]+/g, " ")}. Read it before you use it.`,
    ...(lines.length > 0 ? ["# Without a counterpart here, or with another one:", ...lines] : []),
    body,
  ].join("\n");
}

/** Unwritable names made writable: "Live/Cam 1" is "live-cam-1"; nothing left: "channel". Made unique among `taken`. */
export function channelNameOf(text: string, taken: ReadonlySet<string>): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, "-")
    .replaceAll(/^[-_]+|-+$/g, "")
    .slice(0, 56);
  const base = plain || "channel";
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.has(name)) return name;
  }
}

/** Whether a text can be a channel's key, the name of one, an address of its own: as our own reader would say. */
export const isKey = (text: string): boolean => fits(keyText, text);
export const isKeyName = (text: string): boolean => fits(keyName, text);
export const isRtmpPath = (text: string): boolean => fits(rtmpPath, text);

function fits(schema: object, text: string): boolean {
  return wrongFields(asSchema(schema), text).length === 0;
}

/** Whether our own server can be asked there: an address of http or https, without credentials in it. */
export function isHookAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "";
}

/** Our ranges for what others call fragment and playlist length.
 *  @returns what changed in words; null when it fits as it is */
export function window(segmentSeconds: number, playlistSeconds: number) {
  const seconds = Math.min(10, Math.max(1, segmentSeconds));
  const segments = Math.min(1800, Math.max(6, Math.round(playlistSeconds / seconds)));
  const changed =
    seconds !== segmentSeconds
      ? `segments here last 1 to 10 s, so ${seconds} s`
      : segments !== Math.round(playlistSeconds / seconds)
        ? `playlists here list 6 to 1800 segments, so ${segments}`
        : null;
  return { segmentSeconds: seconds, windowSegments: segments, changed };
}
