// Which channels there are and who may publish to them. Three kinds: those of the configuration file (read-only here),
// the built-in demo, and those made by the API or by a first publish, which the store keeps.
import { createHash } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { CHANNEL_NAME, type Channel, channelDefaults } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import { type ChannelKey, expiredAt, hashKey, isOf, sameHash } from "./channel-keys.ts";
import { portRival } from "./input-ports.ts";
import { example, readRequest, wrongKey } from "./publish-request.ts";

export type StoredChannel = Readonly<{ channel: Channel; keys: readonly ChannelKey[] }>;

export interface ChannelStore {
  /** All channels that were saved last; none at first. @throws PlatformError journal.failed */
  load(): Promise<StoredChannel[]>;
  /** Durable when it resolves, all or nothing. @throws PlatformError journal.failed */
  save(channels: readonly StoredChannel[]): Promise<void>;
}

/** Whom a request was found to be, before anything happened because of it. */
export type Identified = Readonly<{
  name: string;
  /** Null: there is no such channel, and the key is one that may make it. */
  channel: Channel | null;
  /** Null: the installation's publish key, or an input of the channel's own, which takes none. */
  key: ChannelKey | null;
}>;

export interface Channels {
  /** Sorted by name. */
  list(): StoredChannel[];
  get(name: string): StoredChannel | null;
  /** Make or replace one that is not read-only. Durable when it resolves.
   *  @param revision what it must still be (see `revisionOf`), null: absent; undefined: whatever it is
   *  @throws PlatformError channel.read_only, channel.changed_meanwhile, api.conflict, journal.failed */
  put(entry: StoredChannel, revision?: string | null): Promise<void>;
  /** @throws PlatformError channel.read_only, channel.unknown, channel.changed_meanwhile, journal.failed */
  remove(name: string, revision?: string): Promise<void>;
  /** Nothing changes. @throws PlatformError publish.key_refused, publish.channel_unknown */
  identify(request: PublishRequest): Identified;
  /** The same without a look at the key, for an installation whose keys somebody else keeps.
   *  @returns also the key's text as it was given
   *  @throws PlatformError publish.channel_unknown when no channel is named */
  named(request: PublishRequest): Identified & Readonly<{ text: string | null }>;
  /** They are let in: the key's use is noted, and a channel that was not there is made.
   *  @throws PlatformError publish.channel_unknown when it cannot be made */
  admit(identified: Identified): Channel;
  /** `identify`, then `admit`. */
  authorize(request: PublishRequest): Channel;
  onChange(listener: () => void): () => void;
}

export const DEMO_CHANNEL = "demo";
/** A holder of the publish key makes channels by publishing to new names; a loop of theirs must stay harmless. */
const CHANNELS_MAX = 10_000;
/** How often the store is written only because keys were used. */
const USE_SAVE_MS = 60_000;

/** Entries are never changed, only replaced; the live state asks for all of them four times a second. */
const revisions = new WeakMap<StoredChannel, string>();

/** Changes with anything an operator can set of a channel; uses of its keys do not change it. */
export function revisionOf(entry: StoredChannel): string {
  const known = revisions.get(entry) ?? makeRevision(entry);
  revisions.set(entry, known);
  return known;
}

function makeRevision({ channel, keys }: StoredChannel): string {
  const settings = Object.entries(channel).sort(([a], [b]) => (a < b ? -1 : 1));
  const rest = keys.map(({ lastUsedAt: _, ...key }) => Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));
  return createHash("sha256")
    .update(JSON.stringify([settings, rest]))
    .digest("hex")
    .slice(0, 16);
}

export async function createChannels(deps: {
  clock: Clock;
  log: Log;
  store: ChannelStore;
  /** Of the configuration file. */
  configured: readonly StoredChannel[];
  demo: boolean;
  autoCreate: boolean;
  /** Opens every channel. */
  publishKey: string;
}): Promise<Channels> {
  const { clock, log, store } = deps;
  const publishHash = hashKey(deps.publishKey);
  const made = new Map<string, StoredChannel>();
  const fixed = new Map<string, StoredChannel>();
  const listeners = new Set<() => void>();
  if (deps.demo) fixed.set(DEMO_CHANNEL, { channel: demoChannel(), keys: [] });
  for (const entry of deps.configured) fixed.set(entry.channel.name, entry);
  for (const entry of await store.load()) {
    if (!fixed.has(entry.channel.name)) made.set(entry.channel.name, entry);
    else log.warn("a stored channel is hidden by the configuration file's", { channel: entry.channel.name });
  }
  let saving: Promise<void> = Promise.resolve();
  let useSavedMs = Number.NEGATIVE_INFINITY;

  const all = () => [...fixed.values(), ...made.values()];
  const find = (name: string) => fixed.get(name) ?? made.get(name) ?? null;
  const now = () => new Date(Number(clock.utcNs() / 1_000_000n)).toISOString();
  const tell = () => {
    for (const listener of listeners) listener();
  };

  /** One save after the other, each with what is true when it begins. */
  function save(): Promise<void> {
    saving = saving.catch(() => {}).then(() => store.save([...made.values()])); // an earlier save's caller was told
    return saving;
  }

  /** Does it, durably, or not at all. */
  async function change(name: string, next: StoredChannel | null): Promise<void> {
    const before = made.get(name);
    if (next === null) made.delete(name);
    else made.set(name, next);
    tell();
    try {
      await save();
    } catch (error) {
      if (!isStill(next, made.get(name))) throw error; // somebody changed it again: that save decides
      if (before === undefined) made.delete(name);
      else made.set(name, before);
      tell();
      throw error;
    }
  }

  function assertWritable(name: string): void {
    if (!fixed.has(name)) return;
    const where =
      name === DEMO_CHANNEL && find(name)!.channel.origin === "demo" ? "built in" : "in the configuration file";
    throw new PlatformError("channel.read_only", `Channel ${name} is ${where}: change it there, or use another name.`);
  }

  function assertUnchanged(name: string, revision: string | null | undefined): void {
    if (revision === undefined) return;
    const entry = find(name);
    if ((entry === null ? null : revisionOf(entry)) === revision) return;
    const what = entry === null ? "is gone" : revision === null ? "is there already" : "was changed";
    throw new PlatformError(
      "channel.changed_meanwhile",
      `Channel ${name} ${what} meanwhile: read it again, then decide.`,
    );
  }

  function autoCreate(name: string): Channel {
    const reason = !deps.autoCreate
      ? `There is no channel ${name}, and none is made on first publish (autoCreate is off): make it first.`
      : !CHANNEL_NAME.test(name)
        ? "A channel's name is 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit."
        : made.size >= CHANNELS_MAX
          ? `There are ${CHANNELS_MAX} channels already: remove some first.`
          : null;
    if (reason !== null) throw new PlatformError("publish.channel_unknown", reason);
    const channel: Channel = Object.freeze({ ...channelDefaults, name, origin: "auto" });
    made.set(name, { channel, keys: [] });
    tell();
    save().catch((error) => {
      // The publisher need not wait for the disk: the next first publish would make the same channel again.
      log.error("a channel made by its first publish is not stored", { channel: name, reason: describe(error) });
    });
    log.info("channel made by its first publish", { channel: name });
    return channel;
  }

  function noteUse(entry: StoredChannel, used: ChannelKey): void {
    const { name } = entry.channel;
    const lastUsedAt = now();
    const keys = entry.keys.map((key) => (key.name === used.name ? { ...key, lastUsedAt } : key));
    (fixed.has(name) ? fixed : made).set(name, { ...entry, keys });
    const nowMs = clock.monotonicMs();
    if (fixed.has(name) || nowMs - useSavedMs < USE_SAVE_MS) return;
    useSavedMs = nowMs;
    save().catch((error) => log.warn("when a key was used is not stored", { channel: name, reason: describe(error) }));
  }

  /** @returns the entry's key of this hash; null when it has none
   *  @throws PlatformError publish.key_refused when its time is over */
  function keyOf(entry: StoredChannel, hash: string): ChannelKey | null {
    const key = entry.keys.find((candidate) => isOf(candidate, hash));
    if (key === undefined) return null;
    const ended = expiredAt(key, hash, now());
    if (ended === null) return key;
    const message = `This text of key ${key.name} of channel ${entry.channel.name} expired at ${ended}: use a newer one.`;
    throw new PlatformError("publish.key_refused", message);
  }

  function identify(request: PublishRequest): Identified {
    if (request.byInput) return byInput(request);
    const { name, key } = readRequest(request, all(), publishHash);
    if (key === null) throw new PlatformError("publish.key_refused", `A key is needed: ${example(request, name)}.`);
    const hash = hashKey(key);
    if (name === null) {
      const owner = all().find((entry) => entry.keys.some((candidate) => isOf(candidate, hash)));
      if (owner) return { name: owner.channel.name, channel: owner.channel, key: keyOf(owner, hash) };
      if (!sameHash(publishHash, hash)) throw wrongKey();
      const message = `This key opens every channel, so the channel must be named: ${example(request, null)}.`;
      throw new PlatformError("publish.channel_unknown", message);
    }
    const entry = find(name);
    if (sameHash(publishHash, hash)) return { name, channel: entry?.channel ?? null, key: null };
    const own = entry === null ? null : keyOf(entry, hash);
    if (own === null) throw wrongKey(); // also when there is no such channel: without a key nobody learns which there are
    return { name, channel: entry!.channel, key: own };
  }

  /** The port or the pull is the channel's own, so whoever comes through it is let in; the channel may be gone since. */
  function byInput({ channel: name }: PublishRequest): Identified {
    const entry = name === null ? null : find(name);
    if (entry === null) throw new PlatformError("publish.channel_unknown", `There is no channel ${name} any more.`);
    return { name: entry.channel.name, channel: entry.channel, key: null };
  }

  function named(request: PublishRequest): Identified & { text: string | null } {
    const { name, key } = readRequest(request, all(), publishHash);
    if (name === null) {
      if (key === null)
        throw new PlatformError("publish.channel_unknown", `Name a channel: ${example(request, null)}.`);
      return { ...identify(request), text: key };
    }
    return { name, channel: find(name)?.channel ?? null, key: null, text: key };
  }

  function admit({ name, channel, key }: Identified): Channel {
    const entry = find(name);
    if (entry !== null && key !== null) noteUse(entry, key);
    return entry?.channel ?? channel ?? autoCreate(name);
  }

  return {
    list: () => all().toSorted((a, b) => (a.channel.name < b.channel.name ? -1 : 1)),
    get: find,
    async put(entry, revision) {
      const { name, rtmpPath } = entry.channel;
      assertWritable(name);
      assertUnchanged(name, revision);
      if (!made.has(name) && made.size >= CHANNELS_MAX)
        throw new PlatformError("api.conflict", `There are ${CHANNELS_MAX} channels already: remove some first.`);
      const rival = all().find((other) => other.channel.name !== name && other.channel.rtmpPath === rtmpPath);
      if (rtmpPath !== null && rival !== undefined)
        throw new PlatformError("api.conflict", `rtmpPath ${rtmpPath} leads to channel ${rival.channel.name} already.`);
      const port = portRival(
        entry.channel,
        all().map(({ channel }) => channel),
      );
      if (port !== null)
        throw new PlatformError(
          "api.conflict",
          `${port.input.kind} port ${port.input.port} is an input of channel ${port.owner} already: choose another.`,
        );
      await change(name, entry);
    },
    async remove(name, revision) {
      assertWritable(name);
      if (!made.has(name)) throw new PlatformError("channel.unknown", `There is no channel ${name}.`);
      assertUnchanged(name, revision);
      await change(name, null);
    },
    identify,
    named,
    admit,
    authorize: (request) => admit(identify(request)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const isStill = (wanted: StoredChannel | null, entry: StoredChannel | undefined) =>
  wanted === null || entry === undefined ? wanted === null && !entry : revisionOf(wanted) === revisionOf(entry);

function demoChannel(): Channel {
  return Object.freeze({ ...channelDefaults, name: DEMO_CHANNEL, origin: "demo" });
}
