// MediaMTX: each path becomes a channel; what a path takes from elsewhere becomes a pull.
// Source: mediamtx.yml of the project's distribution, which documents each setting
import { isCollection, parseDocument, visit } from "yaml";
import { PlatformError } from "#base/errors.ts";
import type { Input } from "#media/channel.ts";
import { ffmpegLadder } from "./ffmpeg-ladder.ts";
import { mediaMtxUsers, type UserKeys } from "./mediamtx-users.ts";
import {
  type ChannelEntry,
  channelNameOf,
  isHookAddress,
  isKey,
  isKeyName,
  isRtmpPath,
  type Note,
  type Outcome,
  window,
} from "./outcome.ts";

type Settings = Readonly<Record<string, unknown>>;

/** "udp://" until version 1.13, MPEG-TS or RTP in it; what stands behind the port (an interface, a sender) is told apart. */
const LISTENED = /^udp(?:\+mpegts|\+rtp)?:\/\/([^/?#:]+|\[[^\]]+\]):(\d{1,5})$/;
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
/** Only with `record` itself do its other settings mean anything. */
const RECORDS = new Set(["true", "yes"]);
const PATH_FINE = new Set(["name", "source", "sourceOnDemand", "publishUser", "publishPass", "sourceFingerprint"]);
/** What needs no counterpart, and what is told elsewhere. */
const FINE =
  /^(log|api|metrics|pprof|hls|rtmp|readTimeout|writeTimeout|writeQueueSize|udp|multicast|paths$|pathDefaults$|auth|externalAuthenticationURL$)/;
/** Doors that are open there unless they are closed: one word for all settings of each. */
const DOORS: readonly [name: string, why: string][] = [
  ["rtsp", "RTSP is not served: publish by RTMP, MPEG-TS or CMAF, or let it be pulled (inputs)"],
  ["srt", "SRT is not served: publish by RTMP, MPEG-TS or CMAF"],
  ["webrtc", "WebRTC is not served: publish by RTMP, MPEG-TS or CMAF"],
  ["moq", "MoQ is not served"],
  ["playback", "nothing is recorded as files; the live window is kept"],
];

/** @param file for messages @param secret of the hook, when there is one
 *  @throws PlatformError config.invalid */
export function fromMediaMtx(text: string, file: string, secret: string): Outcome {
  const config = readYaml(text, file);
  if (!isSettings(config)) throw new PlatformError("config.invalid", `${file} holds no settings.`);
  const notes: Note[] = [];
  const note = (what: string, why: string) => void notes.push({ where: file, what, why });
  const names = Object.keys(config);
  const isDoor = (name: string) => DOORS.some(([door]) => name.startsWith(door));
  for (const name of names) if (!FINE.test(name) && !isDoor(name)) note(name, "it is not known");
  for (const [door, why] of DOORS)
    if (config[door] !== false && names.some((name) => name.startsWith(door))) note(door, why);
  const lengths = lengthsOf(config, note);
  const hooks = hooksOf(config, secret, note);
  const channels = channelsOf(config, lengths, hooks === null ? mediaMtxUsers(config, note) : () => [], note);
  const rtmpPort = portOf(config.rtmpAddress);
  return {
    config: { ...(rtmpPort === null || rtmpPort === 1935 ? {} : { rtmpPort }), ...(hooks ? { hooks } : {}), channels },
    notes,
  };
}

/** A document that reads well may still not be made a value: aliases of nothing or without end, merges of no mapping. */
function readYaml(text: string, file: string): unknown {
  const options = { prettyErrors: false, version: "1.1", logLevel: "error" } as const;
  const document = parseDocument(text, options);
  visit(document, {
    Pair(_, { key }) {
      // Not shown: there may be a password in it.
      if (isCollection(key))
        throw new PlatformError("config.invalid", `${file} has a key that is a mapping or a list.`);
    },
  });
  try {
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new PlatformError("config.invalid", `${file} is not YAML: ${(error as Error).message}`);
  }
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

function channelsOf(
  config: Settings,
  lengths: ReturnType<typeof lengthsOf>,
  users: UserKeys,
  note: Noter,
): ChannelEntry[] {
  const paths = isSettings(config.paths) ? config.paths : {};
  const defaults = isSettings(config.pathDefaults) ? config.pathDefaults : {};
  const taken = new Set<string>();
  return Object.entries(paths).flatMap(([name, given]): ChannelEntry[] => {
    const settings: Settings = { ...defaults, ...(isSettings(given) ? given : {}) };
    if (name === "all" || name === "all_others" || name.startsWith("~")) {
      note(`paths: ${name}`, "a pattern for any name: channels are made by their first publish here (autoCreate)");
      return [];
    }
    const ladder = ladderOf(settings);
    for (const setting of Object.keys(settings)) {
      if (PATH_FINE.has(setting) || (setting.startsWith("record") && !RECORDS.has(String(settings.record)))) continue;
      if (ladder !== null && setting === ladder.from) {
        note(`paths: ${name}: ${setting}`, "the ladder is made by the platform itself (see ladder)");
        continue;
      }
      note(`paths: ${name}: ${setting}`, PATH_WHY.find(([pattern]) => pattern.test(setting))?.[1] ?? "it is not known");
    }
    const channel = channelNameOf(name, taken);
    taken.add(channel);
    const inputs = inputsOf(name, settings, note);
    const own = keysOf(name, settings, note);
    const keys = [...own, ...users(name).filter((user) => own.every((key) => key.name !== user.name))];
    return [
      {
        name: channel,
        ...(isRtmpPath(name) ? { rtmpPath: name } : {}),
        ladder: ladder?.ladder ?? "passthrough",
        ...(ladder === null || ladder.ladder.some((rung) => "copy" in rung) ? { copyFallback: "transcode" } : {}),
        ...lengths,
        ...(inputs.length > 0 ? { inputs } : {}),
        ...(keys.length > 0 ? { keys } : {}),
      },
    ];
  });
}

/** MediaMTX hands on what it gets, unless a command makes renditions of it. */
function ladderOf(settings: Settings) {
  for (const from of ["runOnReady", "runOnPublish", "runOnInit", "runOnDemand"]) {
    const command = settings[from];
    const words = typeof command === "string" ? (command.match(/"[^"]*"|'[^']*'|[^\s"']+/g) ?? []) : [];
    const found = ffmpegLadder(words.map((word) => word.replaceAll(/^["']|["']$/g, "")));
    if (found !== null && found.ladder.length > 0 && found.unsure === 0) return { from, ladder: [...found.ladder] };
  }
  return null;
}

/** Where its media comes from besides publishers: an address to pull, or a port that we listen on. */
function inputsOf(name: string, { source, sourceOnDemand }: Settings, note: Noter): Input[] {
  if (source === undefined || source === "publisher") return [];
  const udp = LISTENED.exec(String(source));
  const port = Number(udp?.[2]);
  if (udp && port >= 1 && port <= 65_535) {
    const host = udp[1]!.replaceAll(/[[\]]/g, "");
    const isGroup = /^(22[4-9]|23\d)\.|^ff/i.test(host);
    return [{ kind: "udp", port, ...(isGroup ? { group: host } : { host }) }];
  }
  if (typeof source !== "string" || !PULLED.test(source)) {
    note(
      `paths: ${name}: source ${String(source).slice(0, 60)}`,
      "inputs here are pulls of rtmp, rtsp, http and https, and MPEG-TS by UDP",
    );
    return [];
  }
  return [{ kind: "pull" as const, url: source, ...(sourceOnDemand === true ? { onDemand: true } : {}) }];
}

function keysOf(name: string, { publishUser, publishPass }: Settings, note: Noter) {
  if (typeof publishPass !== "string" || publishPass === "") return [];
  if (!isKey(publishPass)) {
    note(
      `paths: ${name}: publishPass`,
      "it cannot be a key here (6 to 200 of A-Z a-z 0-9 _ ~ . -): give the encoder a new one",
    );
    return [];
  }
  const user = typeof publishUser === "string" && isKeyName(publishUser) ? publishUser : "publisher";
  return [{ name: user, key: publishPass }];
}

function hooksOf(config: Settings, secret: string, note: Noter): Outcome["config"]["hooks"] | null {
  if (config.authMethod === "jwt") note("authMethod: jwt", "tokens of others are not taken; channels have keys");
  const asked = config.authMethod === "http" ? config.authHTTPAddress : undefined;
  const url = asked ?? config.externalAuthenticationURL; // the second one's name before version 1.6
  if (typeof url !== "string" || url === "") return null;
  if (!isHookAddress(url)) {
    note("authHTTPAddress", "hooks.publish takes an address of http or https without credentials in it");
    return null;
  }
  const why = "hooks.publish asks it with another body (what was the password is `key`), and only about publishers";
  note(asked === undefined ? "externalAuthenticationURL" : "authHTTPAddress", why);
  return { publish: { url, secret, keys: "theirs" } };
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
