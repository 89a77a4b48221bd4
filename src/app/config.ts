// The one place that reads the configuration: defaults, then the file, then CONTINUITY_... variables, then options; the
// later wins. The result is one frozen value. Whatever is wrong is told at once, all of it, each with where it was
// written and what is allowed; nobody should have to start five times to learn of five mistakes.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PlatformError } from "#base/errors.ts";
import type { LogLevel } from "#base/log.ts";
import { asSchema, type Path, pathText, type Wrong, wrongFields } from "#base/schema.ts";
import { hashKey } from "#control/channel-keys.ts";
import { type ChannelSettings, changedChannel, channelConflicts } from "#control/channel-schema.ts";
import { DEMO_CHANNEL, type StoredChannel } from "#control/channels.ts";
import { samePort } from "#control/input-ports.ts";
import { channelDefaults, type PortInput } from "#media/channel.ts";
import { type Hooks, hookDefaults, STREAM_EVENTS } from "#modules/hooks/types.ts";
import { isLoopback } from "#platform/network/loopback.ts";
import { type ConfigFile, configSchema, ROLES, type Role } from "./config-schema.ts";
import { environmentLayer, fileLayer, type Layer, longestKnown, type Options, optionLayer } from "./config-sources.ts";

export type Config = Readonly<{
  host: string;
  /** 0 takes a free one. */
  port: number;
  rtmpPort: number;
  /** Where TLS is spoken, and with which files (absolute paths); null: nowhere. */
  tls: Readonly<{ certificate: string; key: string; httpsPort: number; rtmpsPort: number }> | null;
  /** Absolute. */
  data: string;
  roles: readonly Role[];
  /** Whether a publisher with the publish key may make a channel by its name. */
  autoCreate: boolean;
  warm: Readonly<{ min: number }>;
  logLevel: LogLevel;
  /** Names under which browsers reach us, besides `host` and the loopback names. */
  publicHosts: readonly string[];
  /** Where the other roles answer, when they run elsewhere. */
  gatewayUrl: string | null;
  controlUrl: string | null;
  originUrls: readonly string[];
  demo: boolean;
  /** Their secrets sign what we send; nothing of it is shown. */
  hooks: Hooks;
  channels: readonly StoredChannel[];
  /** The file that was read; null when there was none. */
  file: string | null;
}>;

/** Secrets that were set from outside; null: the data folder's own. They are no part of Config, which may be shown. */
export type GivenSecrets = Readonly<{
  adminToken: string | null;
  publishKey: string | null;
  clusterSecret: string | null;
}>;

export type ConfigSources = Readonly<{
  options: Options;
  environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  folder: string;
}>;

const DEFAULT_FILE = "continuity.yaml";
const DEFAULTS = {
  host: "127.0.0.1",
  port: 8080,
  rtmpPort: 1935,
  httpsPort: 8443,
  rtmpsPort: 1936,
  data: ".continuity",
  roles: ROLES,
  autoCreate: true,
  logLevel: "info",
  publicHosts: [],
  originUrls: [],
  demo: true,
} as const;

/** @throws PlatformError config.invalid, its message one line per mistake */
export function readConfig(sources: ConfigSources): Readonly<{ config: Config; secrets: GivenSecrets }> {
  const { options, environment, folder } = sources;
  const file = findFile(options.config ?? environment.CONTINUITY_CONFIG, folder);
  const mistakes: string[] = [];
  const fromEnvironment = environmentLayer(environment);
  const layers: Layer[] = [
    ...(file === null ? [] : [fileLayer(file.path, file.text)]),
    fromEnvironment.layer,
    optionLayer(options),
  ];
  const { value, whereIs } = merge(layers);
  const wrong = [...wrongFields(asSchema(configSchema), value)];
  if (wrong.length === 0)
    wrong.push(
      ...conflicts(value as ConfigFile),
      ...tlsMistakes(value as ConfigFile),
      ...hookMistakes(value as ConfigFile),
      ...portMistakes(value as ConfigFile),
    );
  for (const layer of layers) mistakes.push(...layer.mistakes);
  for (const { path, message } of wrong) mistakes.push(`${whereIs(path)}: ${pathText(path)} ${message}`);
  if (wrong.length === 0) mistakes.push(...roleMistakes(value as ConfigFile, fromEnvironment.secrets));
  mistakes.push(...secretMistakes(fromEnvironment.secrets));
  const host = (value as { host?: unknown }).host ?? DEFAULTS.host;
  if (typeof host === "string") mistakes.push(...exposureMistakes(host, fromEnvironment.secrets));
  if (mistakes.length > 0) throw new PlatformError("config.invalid", mistakes.join("\n"));
  const config = freeze(complete(value as ConfigFile, file?.path ?? null, folder));
  return { config, secrets: fromEnvironment.secrets };
}

function findFile(named: string | undefined, folder: string): { path: string; text: string } | null {
  const path = resolve(folder, named ?? DEFAULT_FILE);
  try {
    return { path, text: readFileSync(path, "utf8") };
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    if (missing && named === undefined) return null;
    const reason = missing ? "there is no such file" : (cause as Error).message;
    throw new PlatformError("config.invalid", `The configuration file ${path} cannot be read: ${reason}.`, { cause });
  }
}

/** Later layers win key by key, at every depth; a list is one value. */
function merge(layers: readonly Layer[]) {
  const value: Record<string, unknown> = {};
  const origin = new Map<string, Layer>();
  for (const layer of layers) mergeInto(value, layer.value, "", layer);
  const whereIs = (path: Path) => longestKnown(origin, path)?.where(path) ?? "configuration";
  return { value, whereIs };

  function mergeInto(base: Record<string, unknown>, more: Layer["value"], prefix: string, layer: Layer): void {
    for (const [key, item] of Object.entries(more)) {
      const path = `${prefix}${key}`;
      origin.set(path, layer);
      if (!isPlain(item)) {
        base[key] = item;
        continue;
      }
      const inner = isPlain(base[key]) ? { ...base[key] } : {};
      base[key] = inner;
      mergeInto(inner, item, `${path}.`, layer);
    }
  }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What no single field's range can say. */
function conflicts(file: ConfigFile): Wrong[] {
  const wrong: Wrong[] = [];
  const names = new Map<string, number>();
  const paths = new Map<string, number>();
  for (const [index, entry] of (file.channels ?? []).entries()) {
    const at = (field: string, message: string) => wrong.push({ path: ["channels", index, field], message });
    if (entry.name === DEMO_CHANNEL && (file.demo ?? DEFAULTS.demo))
      at("name", "is the built-in channel's: set demo: false, or choose another name");
    if (names.has(entry.name)) at("name", `is channels[${names.get(entry.name)}]'s already`);
    names.set(entry.name, index);
    if (entry.rtmpPath && paths.has(entry.rtmpPath))
      at("rtmpPath", `is channels[${paths.get(entry.rtmpPath)}]'s already`);
    if (entry.rtmpPath) paths.set(entry.rtmpPath, index);
    const keys = (entry.keys ?? []).map(({ name }) => name);
    if (new Set(keys).size < keys.length) at("keys", "must not use one name twice");
    for (const [field, message] of channelConflicts({ ...channelDefaults, ...entry })) at(field, message);
  }
  return wrong;
}

/** A certificate needs its key, and TLS ports need both. */
function tlsMistakes({ tls, httpsPort, rtmpsPort }: ConfigFile): Wrong[] {
  const wrong: Wrong[] = [];
  for (const field of ["certificate", "key"] as const)
    if (tls && tls[field] === undefined) wrong.push({ path: ["tls", field], message: "is missing: a PEM file" });
  for (const [field, port] of Object.entries({ httpsPort, rtmpsPort }))
    if (port !== undefined && !tls) wrong.push({ path: [field], message: "needs tls: { certificate, key }" });
  return wrong;
}

/** What would only show when the first publisher comes, or would let anybody in. */
function hookMistakes({ hooks }: ConfigFile): Wrong[] {
  const wrong: Wrong[] = [];
  const { publish, events = [] } = hooks ?? {};
  const urls = new Map<string, number>();
  for (const [index, { url }] of events.entries()) {
    const path = ["hooks", "events", index, "url"];
    if (urls.has(url))
      wrong.push({ path, message: `is hooks.events[${urls.get(url)}]'s already: list its types there` });
    urls.set(url, index);
    checkUrl(url, path);
  }
  if (publish) checkUrl(publish.url, ["hooks", "publish", "url"]);
  if (publish?.keys === "theirs" && publish.onFailure === "allow")
    wrong.push({
      path: ["hooks", "publish", "onFailure"],
      message: "must be refuse where keys is theirs: with your server away nobody would look at keys",
    });
  return wrong;

  function checkUrl(url: string, path: Path): void {
    const { username = "", password = "" } = URL.parse(url) ?? {};
    if (!URL.canParse(url)) wrong.push({ path, message: "must be an address of http or https" });
    else if (username + password !== "")
      wrong.push({ path, message: "must not hold a user or a password: requests are signed with the secret" });
  }
}

/** No two doors at one port. What another program holds, only listening shows. */
function portMistakes(file: ConfigFile): Wrong[] {
  const { host, port, rtmpPort, httpsPort, rtmpsPort } = { ...DEFAULTS, ...file };
  const tls = file.tls ? { httpsPort, rtmpsPort } : {};
  const doors = Object.entries({ port, rtmpPort, ...tls }).map(
    ([name, number]): Door => ({ path: [name], what: name, port: { kind: "tcp", port: number as number, host } }),
  );
  for (const [index, channel] of (file.channels ?? []).entries())
    for (const [place, input] of (channel.inputs ?? []).entries()) {
      const path = ["channels", index, "inputs", place];
      if (input.kind !== "pull") doors.push({ path, what: pathText(path), port: { host, ...input } });
    }
  return doors.flatMap((door, index) => {
    const rival = doors.slice(0, index).find((other) => samePort(other.port, door.port));
    if (!rival || door.port.port === 0) return [];
    return [{ path: door.path, message: `uses port ${door.port.port}, which ${rival.what} has already` }];
  });
}

type Door = Readonly<{ path: Path; what: string; port: PortInput }>;

const SECRET_RULES: readonly [keyof GivenSecrets, string, RegExp, string][] = [
  ["adminToken", "CONTINUITY_ADMIN_TOKEN", /^[\w.~+/-]{16,512}=*$/, "16 to 512 of A-Z, a-z, 0-9 and - . _ ~ + /"],
  ["publishKey", "CONTINUITY_PUBLISH_KEY", /^[\w~.-]{8,200}$/, "8 to 200 of A-Z, a-z, 0-9 and _ ~ . -"],
  ["clusterSecret", "CONTINUITY_CLUSTER_SECRET", /^.{32,1000}$/s, "32 characters or more, the same for all roles"],
];

function secretMistakes(secrets: GivenSecrets): string[] {
  return SECRET_RULES.filter(([field, , pattern]) => secrets[field] !== null && !pattern.test(secrets[field])).map(
    ([, name, , rule]) => `${name}: must be ${rule}`,
  );
}

/** Roles that run apart need each other's addresses, and one secret that opens all their doors: without these they would
 *  start, look well and never work. */
function roleMistakes(file: ConfigFile, secrets: GivenSecrets): string[] {
  const roles: readonly Role[] = file.roles ?? DEFAULTS.roles;
  const missing = ROLES.filter((role) => !roles.includes(role));
  if (missing.length === 0) return [];
  const addresses = { gateway: file.gatewayUrl, origin: file.originUrls?.[0], control: file.controlUrl };
  const keys = { gateway: "gatewayUrl", origin: "originUrls", control: "controlUrl" };
  const mistakes = missing
    .filter((other) => addresses[other] === undefined && roles.some((role) => ASKS[role].includes(other)))
    .map((other) => `roles: ${roles.join(" and ")} without ${other}: set ${keys[other]}, where it answers`);
  if (secrets.clusterSecret === null)
    mistakes.push("CONTINUITY_CLUSTER_SECRET: must be set, the same for all roles, when they run apart");
  return mistakes;
}

/** Whom each role calls. */
const ASKS: Readonly<Record<Role, readonly Role[]>> = {
  gateway: ["control"],
  origin: ["gateway"],
  control: ["gateway", "origin"],
};

/** Beyond this machine nothing may depend on a secret that was made for it and printed on its terminal. */
function exposureMistakes(host: string, secrets: GivenSecrets): string[] {
  if (isLoopback(host)) return [];
  const missing = SECRET_RULES.filter(([field]) => field !== "clusterSecret" && secrets[field] === null);
  if (missing.length === 0) return [];
  const names = missing.map(([, name]) => name).join(" and ");
  return [`host ${host} can be reached from other machines: set ${names} first, or listen on 127.0.0.1`];
}

function complete(file: ConfigFile, path: string | null, folder: string): Config {
  const { channels = [], warm, gatewayUrl = null, controlUrl = null, tls, hooks, ...rest } = file;
  const { httpsPort, rtmpsPort, ...values } = { ...DEFAULTS, ...rest };
  const pem = (name: string | undefined) => resolve(path === null ? folder : dirname(path), name!);
  return {
    ...values,
    tls: tls ? { certificate: pem(tls.certificate), key: pem(tls.key), httpsPort, rtmpsPort } : null,
    data: resolve(folder, values.data),
    warm: { min: warm?.min ?? 1 },
    hooks: {
      publish: hooks?.publish ? { ...hookDefaults, ...hooks.publish } : null,
      events: (hooks?.events ?? []).map(({ types, ...hook }) => ({ ...hook, types: types ?? STREAM_EVENTS })),
    },
    gatewayUrl,
    controlUrl,
    channels: channels.map(({ keys = [], name, ...settings }) => ({
      channel: changedChannel({ ...channelDefaults, name, origin: "file" }, settings as ChannelSettings),
      keys: keys.map(({ key, ...rest }) => ({ ...rest, sha256: hashKey(key) })),
    })),
    file: path,
  };
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) freeze(item);
    Object.freeze(value);
  }
  return value;
}
