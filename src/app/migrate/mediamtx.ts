// MediaMTX: each path becomes a channel; what a path takes from elsewhere becomes a pull.
// Source: mediamtx.yml of the project's distribution, which documents each setting
import { parseDocument } from "yaml";
import { PlatformError } from "#base/errors.ts";
import { type ChannelEntry, channelNameOf, type Note, type Outcome, window } from "./outcome.ts";

type Settings = Readonly<Record<string, unknown>>;

const PULLED = /^(rtmps?|rtsps?|https?):\/\//;

/** Of a path: what it is for, where it has no counterpart. */
const PATH_WHY: readonly [RegExp, string][] = [
  [/^(runOn|run)/, "no commands are run; hooks.events tells when a stream starts, ends or fails"],
  [/^record/, "nothing is recorded as files; the live window is kept"],
  [/^(readUser|readPass|readIPs)$/, "viewers are let in by whoever serves them"],
  [/^(publishIPs)$/, "publishers are told apart by keys, not by addresses"],
  [/^rpiCamera/, "cameras of the host are not read"],
  [
    /^(fallback|alwaysAvailable|overridePublisher|maxReaders|srtReadPassphrase|srtPublishPassphrase|useAbsoluteTimestamp)/,
    "there is no such setting",
  ],
];
const PATH_FINE = new Set(["name", "source", "sourceOnDemand", "publishUser", "publishPass", "sourceFingerprint"]);
const FINE =
  /^(log|api|metrics|pprof|playback|rtsp|hls|webrtc|srt|rtmp|readTimeout|writeTimeout|writeQueueSize|udp|multicast|paths|pathDefaults|auth|externalAuthenticationURL)/;

/** @param file for messages @param secret of the hook, when there is one
 *  @throws PlatformError config.invalid */
export function fromMediaMtx(text: string, file: string, secret: string): Outcome {
  const document = parseDocument(text, { prettyErrors: false, version: "1.1" });
  if (document.errors.length > 0)
    throw new PlatformError("config.invalid", `${file} is not YAML: ${document.errors[0]!.message}`);
  const config: unknown = document.toJS({ maxAliasCount: 100 });
  if (!isSettings(config)) throw new PlatformError("config.invalid", `${file} holds no settings.`);
  const notes: Note[] = [];
  const note = (what: string, why: string) => void notes.push({ where: file, what, why });
  for (const name of Object.keys(config)) if (!FINE.test(name)) note(name, "it is not known");
  const lengths = lengthsOf(config, note);
  const channels = channelsOf(config, lengths, note);
  const rtmpPort = portOf(config.rtmpAddress);
  const hooks = hooksOf(config, secret, note);
  return {
    config: { ...(rtmpPort === null || rtmpPort === 1935 ? {} : { rtmpPort }), ...(hooks ? { hooks } : {}), channels },
    notes,
  };
}

type Noter = (what: string, why: string) => void;

function lengthsOf(config: Settings, note: Noter) {
  const segment = secondsOf(config.hlsSegmentDuration) ?? 1;
  const part = secondsOf(config.hlsPartDuration) ?? 0.2;
  const count = typeof config.hlsSegmentCount === "number" ? config.hlsSegmentCount : 7;
  const { changed, ...lengths } = window(segment, segment * count);
  if (changed !== null) note("hlsSegmentDuration, hlsSegmentCount", changed);
  const partSeconds = Math.min(lengths.segmentSeconds, Math.max(0.15, part));
  if (partSeconds !== part) note("hlsPartDuration", `parts here last 0.15 s to a segment, so ${partSeconds} s`);
  return { ...lengths, partSeconds };
}

function channelsOf(config: Settings, lengths: ReturnType<typeof lengthsOf>, note: Noter): ChannelEntry[] {
  const paths = isSettings(config.paths) ? config.paths : {};
  const defaults = isSettings(config.pathDefaults) ? config.pathDefaults : {};
  const taken = new Set<string>();
  return Object.entries(paths).flatMap(([name, own]): ChannelEntry[] => {
    const settings: Settings = { ...defaults, ...(isSettings(own) ? own : {}) };
    if (name === "all" || name === "all_others" || name.startsWith("~")) {
      note(`paths: ${name}`, "a pattern for any name: channels are made by their first publish here (autoCreate)");
      return [];
    }
    for (const setting of Object.keys(settings)) {
      if (PATH_FINE.has(setting)) continue;
      note(`paths: ${name}: ${setting}`, PATH_WHY.find(([pattern]) => pattern.test(setting))?.[1] ?? "it is not known");
    }
    const channel = channelNameOf(name, taken);
    taken.add(channel);
    const inputs = pullOf(name, settings, note);
    const keys = keysOf(name, settings, note);
    return [
      {
        name: channel,
        ...(name.includes("/") && /^[^/?#\s]{1,100}(\/[^/?#\s]{1,100}){1,7}$/.test(name) ? { rtmpPath: name } : {}),
        ladder: "passthrough",
        copyFallback: "transcode",
        ...lengths,
        ...(inputs.length > 0 ? { inputs } : {}),
        ...(keys.length > 0 ? { keys } : {}),
      },
    ];
  });
}

function pullOf(name: string, { source, sourceOnDemand }: Settings, note: Noter) {
  if (source === undefined || source === "publisher") return [];
  if (typeof source !== "string" || !PULLED.test(source)) {
    note(`paths: ${name}: source ${String(source).slice(0, 60)}`, "pulls here are of rtmp, rtsp, http and https");
    return [];
  }
  return [{ kind: "pull" as const, url: source, ...(sourceOnDemand === true ? { onDemand: true } : {}) }];
}

function keysOf(name: string, { publishUser, publishPass }: Settings, note: Noter) {
  if (typeof publishPass !== "string" || publishPass === "") return [];
  if (!/^[A-Za-z0-9_~.-]{6,200}$/.test(publishPass)) {
    note(
      `paths: ${name}: publishPass`,
      "it cannot be a key here (6 to 200 of A-Z a-z 0-9 _ ~ . -): give the encoder a new one",
    );
    return [];
  }
  const user =
    typeof publishUser === "string" && /^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}$/.test(publishUser)
      ? publishUser
      : "publisher";
  return [{ name: user, key: publishPass }];
}

function hooksOf(config: Settings, secret: string, note: Noter): Outcome["config"]["hooks"] | null {
  const url = config.authHTTPAddress ?? config.externalAuthenticationURL;
  if (Array.isArray(config.authInternalUsers) && config.authInternalUsers.length > 0)
    note("authInternalUsers", "users become keys of channels: `continuity channels keys NAME add`");
  if (typeof url !== "string" || !/^https?:\/\//.test(url)) return null;
  note("authHTTPAddress", "hooks.publish asks it with another body, and only about publishers");
  return { publish: { url, secret } };
}

const isSettings = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** "1s", "200ms", "1m" */
function secondsOf(text: unknown): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(typeof text === "string" ? text : "");
  return match && Number(match[1]) * { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] as "s"];
}

/** ":1935", "127.0.0.1:1935" */
function portOf(text: unknown): number | null {
  const port = Number(/:(\d{1,5})$/.exec(typeof text === "string" ? text : "")?.[1] ?? Number.NaN);
  return port >= 1 && port <= 65_535 ? port : null;
}
