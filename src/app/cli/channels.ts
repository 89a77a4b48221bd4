// `channels`: what there is, made, changed, removed; and the keys of each.
import { PlatformError } from "#base/errors.ts";
import { type ClientOptions, connect } from "./client.ts";
import { ladderText, print, table } from "./output.ts";
import { SETTINGS, settingsFromOptions, settingsFromWords } from "./settings.ts";

type KeyItem = {
  name: string;
  key?: string;
  createdAt: string | null;
  expiresAt: string | null;
  lastUsedAt: string | null;
  previousUntil: string | null;
};
type InputItem = { kind: string; port?: number; group?: string; url?: string };
type ChannelItem = Record<string, unknown> & {
  name: string;
  origin: string;
  ladder: unknown;
  inputs: InputItem[];
  keys: KeyItem[];
  watch: string;
  playback: string;
  revision: string;
};

const at = (name: string) => `/api/v1/channels/${encodeURIComponent(name)}`;

export async function list(options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<{ items: ChannelItem[] }>("/api/v1/channels");
  if (options.json) return print(answer);
  table(
    ["CHANNEL", "FROM", "LADDER", "INPUTS", "KEYS", "WATCH"],
    answer.items.map((c) => [
      c.name,
      c.origin,
      ladderText(c.ladder),
      inputsText(c.inputs) || "-",
      c.keys.map(({ name }) => name).join(", ") || "-",
      client.url + c.watch,
    ]),
    "No channels yet: the first publish makes one.",
  );
}

export async function show(name: string, options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<ChannelItem>(at(name));
  if (options.json) return print(answer);
  describe(answer, client.url);
}

export async function create(
  name: string,
  options: ClientOptions & { key?: string; keyName?: string } & Record<string, unknown>,
): Promise<void> {
  const { key, keyName = "default" } = options;
  const settings = await settingsFromOptions(options);
  const client = await connect(options);
  const keys = [{ name: keyName, ...(key === undefined ? {} : { key }) }];
  const answer = await client.post<ChannelItem>("/api/v1/channels", { name, ...settings, keys });
  if (options.json) return print(answer);
  describe(answer, client.url);
}

export async function set(
  name: string,
  words: string[],
  options: ClientOptions & { revision?: string },
): Promise<void> {
  const settings = await settingsFromWords(words);
  const client = await connect(options);
  const answer = await client.send<ChannelItem>("PATCH", at(name), settings, options.revision);
  if (options.json) return print(answer);
  describe(answer, client.url);
}

export async function remove(name: string, options: ClientOptions & { revision?: string }): Promise<void> {
  const client = await connect(options);
  await client.send("DELETE", at(name), undefined, options.revision);
  if (options.json) return print({ deleted: name });
  console.log(`Channel ${name} is gone.`);
}

export type KeyOptions = ClientOptions & { key?: string; expires?: string; grace?: string; kick?: boolean };

export async function keys(
  name: string,
  action: string,
  keyName: string | undefined,
  options: KeyOptions,
): Promise<void> {
  if (action === "list") return listKeys(name, options);
  if (keyName === undefined)
    throw new PlatformError("config.invalid", `Which key? Write: continuity channels keys ${name} ${action} KEYNAME.`);
  const client = await connect(options);
  const path = `${at(name)}/keys`;
  const own = `${path}/${encodeURIComponent(keyName)}`;
  if (action === "revoke") {
    const answer = await client.send<{ kicked: string[] }>(
      "DELETE",
      options.kick === false ? `${own}?kick=false` : own,
    );
    if (options.json) return print(answer);
    console.log(`Key ${keyName} of ${name} opens nothing any more.`);
    for (const session of answer.kicked) console.log(`Disconnected the publisher of session ${session}.`);
    return;
  }
  const body = {
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.expires === undefined ? {} : { expiresAt: instantOf(options.expires) }),
  };
  const grace = options.grace === undefined ? {} : { graceSeconds: secondsOf(options.grace) };
  const answer =
    action === "add"
      ? await client.post<KeyItem>(path, { name: keyName, ...body })
      : await client.post<KeyItem>(`${own}/rotate`, { ...body, ...grace });
  if (options.json) return print(answer);
  console.log(`Key ${keyName} of ${name}: ${answer.key}`);
  if (answer.previousUntil !== null) console.log(`The old one is good until ${answer.previousUntil}.`);
  console.log("It is not shown again.");
}

async function listKeys(name: string, options: ClientOptions): Promise<void> {
  const client = await connect(options);
  const answer = await client.get<{ items: KeyItem[] }>(`${at(name)}/keys`);
  if (options.json) return print(answer);
  table(
    ["KEY", "MADE", "LAST USED", "EXPIRES", "OLD ONE GOOD UNTIL"],
    answer.items.map((key) => [
      key.name,
      key.createdAt ?? "-",
      key.lastUsedAt ?? "never",
      key.expiresAt ?? "never",
      key.previousUntil ?? "-",
    ]),
    `Channel ${name} has no key of its own: the installation's publish key opens it.`,
  );
}

function describe(channel: ChannelItem, url: string): void {
  console.log(`Channel ${channel.name} (${channel.origin}, revision ${channel.revision})`);
  const line = (name: string, value: string) => console.log(`  ${name.padEnd(22)} ${value}`);
  for (const { path } of SETTINGS) {
    const [outer, inner] = path.split(".") as [string, string | undefined];
    const value = inner === undefined ? channel[outer] : (channel[outer] as Record<string, unknown> | null)?.[inner];
    if (path === "ladder") line(path, ladderText(value));
    else if (path === "inputs") line(path, inputsText(channel.inputs) || "none");
    else line(path, String(value ?? "none"));
  }
  for (const key of channel.keys) line(`key ${key.name}`, key.key ?? `last used ${key.lastUsedAt ?? "never"}`);
  line("watch", url + channel.watch);
  line("playlist", url + channel.playback);
}

function inputsText(inputs: readonly InputItem[] = []): string {
  return inputs.map(({ kind, port, group, url }) => url ?? `${kind}:${group ? `${group}@` : ""}${port}`).join(" ");
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** "30d", "12h", "90" (seconds). @throws PlatformError config.invalid */
function secondsOf(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text);
  if (match === null) throw new PlatformError("config.invalid", `"${text}" is no time: write 90s, 15m, 12h or 30d.`);
  return Number(match[1]) * UNITS[(match[2] || "s") as keyof typeof UNITS];
}

/** A date as it is, or so long from now. */
function instantOf(text: string): string | null {
  if (text === "never") return null;
  return /^\d+[smhd]$/.test(text) ? new Date(Date.now() + secondsOf(text) * 1000).toISOString() : text;
}
