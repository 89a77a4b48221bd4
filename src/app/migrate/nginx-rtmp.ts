// nginx with its RTMP module: each application becomes a channel, with its address kept by rtmpPath. There an application
// takes any stream name; a channel here is one name, so the names must be told, or one stands for all.
// Source: github.com/arut/nginx-rtmp-module/wiki/Directives
import { PlatformError } from "#base/errors.ts";
import { ffmpegLadder } from "./ffmpeg-ladder.ts";
import type { Directive } from "./nginx-syntax.ts";
import {
  type ChannelEntry,
  channelNameOf,
  isHookAddress,
  isKey,
  isRtmpPath,
  type Note,
  type Outcome,
  window,
} from "./outcome.ts";

type Settings = { fragmentSeconds: number; playlistSeconds: number; onPublish: string | null };
type Hooks = NonNullable<Outcome["config"]["hooks"]>;
type Application = { name: string; directives: readonly Directive[]; settings: Settings; where: string };

/** The module's own. */
const DEFAULTS: Settings = { fragmentSeconds: 5, playlistSeconds: 30, onPublish: null };

/** What needs no counterpart: it is so here, or has no meaning without nginx's own way of working. */
const FINE =
  /^(live|hls|hls_nested|hls_cleanup|hls_continuous|hls_sync|hls_path|hls_base_url|hls_fragment_naming|hls_fragment_naming_granularity|hls_fragment_slicing|hls_max_fragment|hls_max_audio_delay|hls_audio_buffer_size|hls_variant|hls_type|interleave|wait_key|wait_video|meta|sync|buflen|idle_streams|play_restart|chunk_size|ack_window|max_message|out_queue|out_cork|busy|timeout|ping|ping_timeout|so_keepalive|buffer|publish_notify|respawn|respawn_timeout|max_streams|access_log|exec_options|exec_kill_signal)$/;

const WHY: readonly [RegExp, string][] = [
  [/^(push|push_reconnect|pull_reconnect|relay_buffer|session_relay)$/, "streams are not sent on to other servers"],
  [/^(allow|deny)$/, "publishers are told apart by keys, not by addresses; viewers are let in by whoever serves them"],
  [/^record/, "nothing is recorded as files; the live window is kept"],
  [/^dash/, "playback is HLS"],
  [/^hls_key/, "segments are not encrypted"],
  [/^(exec|exec_)/, "no commands are run; a ladder is made by the platform itself (ladder)"],
  [
    /^on_(done|publish_done|update|record_done)$/,
    "hooks.events tells when a stream starts, ends or fails, with another body",
  ],
  [/^on_/, "there is no hook for it"],
  [/^notify_/, "hooks are always POST"],
  [/^drop_idle_publisher$/, "a publisher that sends nothing for some seconds counts as lost (lossGraceSeconds)"],
  [/^max_connections$/, "the number of connections is bounded by the installation"],
  [/^play/, "files are not played"],
];

/** @param streams stream names to make channels for, as APP/NAME
 *  @param secret of the hook, when there is one
 *  @throws PlatformError config.invalid when there is no rtmp block */
export function fromNginxRtmp(
  directives: readonly Directive[],
  options: Readonly<{ streams: readonly string[]; secret: string }>,
): Outcome {
  const notes: Note[] = [];
  const note = (directive: Pick<Directive, "where" | "name"> & { args?: readonly string[] }, why: string) =>
    notes.push({ where: directive.where, what: shown(directive), why });
  const rtmp = directives.find(({ name }) => name === "rtmp")?.children;
  if (!rtmp) throw new PlatformError("config.invalid", "There is no rtmp block in this configuration.");
  const outer = settingsOf(rtmp, DEFAULTS);
  const servers = rtmp.filter(({ name }) => name === "server");
  for (const other of rtmp) if (other.name !== "server") explain(other, note);
  let rtmpPort: number | undefined;
  const applications: Application[] = [];
  for (const server of servers) {
    const inner = server.children ?? [];
    const settings = settingsOf(inner, outer);
    for (const directive of inner) {
      if (directive.name === "listen") {
        const port = portOf(directive.args[0]);
        if (rtmpPort === undefined && port !== null) rtmpPort = port;
        else if (port !== rtmpPort) note(directive, "there is one RTMP port");
      } else if (directive.name === "application") {
        const own = directive.children ?? [];
        const name = directive.args[0] ?? "";
        applications.push({ name, directives: own, settings: settingsOf(own, settings), where: directive.where });
      } else explain(directive, note);
    }
  }
  const { channels, hooks } = channelsOf(applications, options, note);
  const config = {
    ...(rtmpPort === undefined || rtmpPort === 1935 ? {} : { rtmpPort }),
    ...(hooks ? { hooks } : {}),
    channels,
  };
  return { config, notes };
}

type Noter = (directive: Pick<Directive, "where" | "name"> & { args?: readonly string[] }, why: string) => void;

function channelsOf(
  applications: readonly Application[],
  { streams, secret }: { streams: readonly string[]; secret: string },
  note: Noter,
) {
  const channels: ChannelEntry[] = [];
  const taken = new Set<string>();
  const fed = fedApplications(applications);
  const url = applications.find(({ name, settings }) => settings.onPublish !== null && !fed.has(name))?.settings
    .onPublish;
  const hooks: Hooks | null = url ? { publish: { url, secret, keys: "theirs", format: "nginx-rtmp" } } : null;
  for (const application of applications) {
    const { name, settings, where } = application;
    const self = { where, name: "application", args: [name] };
    const ladder = ladderOf(application, note);
    const inputs = pullsOf(application, note);
    for (const directive of application.directives) explain(directive, note);
    if (fed.has(name)) {
      note(self, "it is fed by commands of another application: its ladder and segments are that channel's");
      continue;
    }
    if (hooks !== null && settings.onPublish === null)
      note(self, "asked nobody about its publishers; hooks.publish is asked about those of all channels");
    else if (settings.onPublish !== null && settings.onPublish !== url)
      note({ where, name: "on_publish", args: [settings.onPublish] }, "there is one publish hook for all channels");
    // The application that it feeds is what viewers saw: its segments count.
    const shownBy = applications.find((other) => fed.get(other.name) === name);
    const { fragmentSeconds, playlistSeconds } = (shownBy ?? application).settings;
    const { changed, ...lengths } = window(fragmentSeconds, playlistSeconds);
    if (changed !== null) note({ where, name: "hls_fragment, hls_playlist_length" }, changed);
    const named = [
      ...inputs.map((input) => input.stream),
      ...streams.filter((path) => path.startsWith(`${name}/`)).map((path) => path.slice(name.length + 1)),
    ];
    if (named.length === 0)
      note(
        self,
        `takes any stream name there; here one channel is one name: this one is for ${name}/stream, --streams ${name}/A,${name}/B makes others`,
      );
    for (const stream of named.length > 0 ? new Set(named) : ["stream"]) {
      const channel = channelNameOf(named.length > 0 ? stream : name, taken);
      taken.add(channel);
      const pulled = inputs.filter((input) => input.stream === stream).map(({ stream: _, ...input }) => input);
      const rtmpPath = `${name}/${stream}`;
      const isPath = isRtmpPath(rtmpPath);
      if (!isPath) note(self, `"${rtmpPath}" cannot be an address here: publish to rtmp://HOST/live/${channel}`);
      const opens = isKey(stream);
      if (hooks === null && pulled.length === 0 && !opens)
        note(
          self,
          `who knows the name ${stream} could publish there; it is too short for a key, so one must be given as ?key=`,
        );
      channels.push({
        name: channel,
        ...(isPath ? { rtmpPath } : {}),
        ...(ladder === undefined ? {} : { ladder }),
        ...(ladder === "passthrough" || (Array.isArray(ladder) && ladder.some((rung) => "copy" in rung))
          ? { copyFallback: "transcode" as const }
          : {}),
        ...lengths,
        ...(pulled.length > 0 ? { inputs: pulled } : {}),
        ...(hooks === null && opens ? { keys: [{ name: "stream name", key: stream }] } : {}),
      });
    }
  }
  return { channels, hooks };
}

/** What reaches other applications by commands: target's name -> source's name. */
function fedApplications(applications: readonly Application[]): Map<string, string> {
  const fed = new Map<string, string>();
  for (const { name, directives } of applications)
    for (const directive of directives.filter(isExec))
      for (const output of ffmpegLadder(directive.args)?.outputs ?? []) {
        const target = /^rtmp:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?\/([^/]+)\//.exec(output)?.[1];
        if (target !== undefined && target !== name) fed.set(target, name);
      }
  return fed;
}

const isExec = ({ name }: Directive) => name === "exec" || name === "exec_push" || name === "exec_publish";

/** nginx hands on what it gets, unless a command makes renditions of it. */
function ladderOf({ directives }: Application, note: Noter): ChannelEntry["ladder"] {
  for (const directive of directives.filter(isExec)) {
    const found = ffmpegLadder(directive.args);
    if (found === null || found.ladder.length === 0) continue;
    if (found.unsure > 0) note(directive, `${found.unsure} of its outputs say no size: look at the ladder`);
    else note(directive, "the ladder is made by the platform itself (see ladder)");
    return [...found.ladder];
  }
  return "passthrough";
}

function pullsOf({ directives }: Application, note: Noter) {
  return directives.flatMap((directive) => {
    if (directive.name !== "pull") return [];
    const [url = "", ...rest] = directive.args;
    const option = (name: string) => rest.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    const address = /^rtmps?:\/\//.test(url) ? url : `rtmp://${url}`;
    const stream = option("name") ?? address.split("?", 1)[0]!.split("/").slice(4).join("/");
    if (stream === "" || address.split("/").length < 4) {
      note(directive, "it pulls whatever name is asked for: name each as a channel with an input of kind pull");
      return [];
    }
    const isWhole = address.split("?", 1)[0]!.split("/").length > 4;
    const full = isWhole ? address : `${address.replace(/\/$/, "")}/${stream}`;
    const onDemand = rest.includes("static") ? {} : { onDemand: true }; // without `static` it pulls when somebody plays
    return [{ kind: "pull" as const, url: full, ...onDemand, stream }];
  });
}

function settingsOf(directives: readonly Directive[], outer: Settings): Settings {
  const value = (name: string) => directives.findLast((directive) => directive.name === name)?.args[0];
  const onPublish = value("on_publish");
  return {
    fragmentSeconds: secondsOf(value("hls_fragment")) ?? outer.fragmentSeconds,
    playlistSeconds: secondsOf(value("hls_playlist_length")) ?? outer.playlistSeconds,
    onPublish: onPublish !== undefined && isHookAddress(onPublish) ? onPublish : outer.onPublish,
  };
}

function explain(directive: Directive, note: Noter): void {
  const { name } = directive;
  if (FINE.test(name) || isExecLadder(directive)) return;
  if (["hls_fragment", "hls_playlist_length", "pull"].includes(name)) return;
  if (name === "allow" && directive.args.join(" ") === "play all") return;
  if (name === "on_publish" && !isHookAddress(directive.args[0] ?? ""))
    note(directive, "hooks.publish takes an address of http or https without credentials in it");
  else if (name === "on_publish")
    note(
      directive,
      "hooks.publish asks it with the same form, but for tcurl, pageurl, swfurl and flashver; we sign what we ask",
    );
  else note(directive, WHY.find(([pattern]) => pattern.test(name))?.[1] ?? "it is not known");
}

const isExecLadder = (directive: Directive) =>
  isExec(directive) && (ffmpegLadder(directive.args)?.ladder.length ?? 0) > 0;

/** "5s", "500ms", "2m", "5" (seconds). Source: nginx.org/en/docs/syntax.html */
function secondsOf(text: string | undefined): number | null {
  const match = /^(\d+)(ms|s|m|h|d)?$/.exec(text ?? "");
  if (match === null) return null;
  return Number(match[1]) * { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }[(match[2] ?? "s") as "s"]!;
}

/** "1935", "[::]:1935", "10.0.0.1:1935" */
function portOf(text: string | undefined): number | null {
  const port = Number(/(?:^|:)(\d{1,5})$/.exec(text ?? "")?.[1] ?? Number.NaN);
  return port >= 1 && port <= 65_535 ? port : null;
}

function shown({ name, args = [] }: { name: string; args?: readonly string[] }): string {
  const text = [name, ...args].join(" ");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
