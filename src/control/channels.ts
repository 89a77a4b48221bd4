// Which channels there are and who may publish to them. Three kinds: those of the configuration file (read-only here),
// the built-in demo, and those made by the API or by a first publish, which the store keeps.
// Only hashes of keys are held: neither a heap dump nor the stored file gives a key away.
import { createHash, timingSafeEqual } from "node:crypto";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { CHANNEL_NAME, type Channel, channelDefaults } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";

/** @param sha256 hex, of the key's UTF-8 text */
export type ChannelKey = Readonly<{ name: string; sha256: string }>;
export type StoredChannel = Readonly<{ channel: Channel; keys: readonly ChannelKey[] }>;

export interface ChannelStore {
  /** All channels that were saved last; none at first. @throws PlatformError journal.failed */
  load(): Promise<StoredChannel[]>;
  /** Durable when it resolves, all or nothing. @throws PlatformError journal.failed */
  save(channels: readonly StoredChannel[]): Promise<void>;
}

export interface Channels {
  /** Sorted by name. */
  list(): StoredChannel[];
  get(name: string): StoredChannel | null;
  /** Make or replace one that is not read-only. Durable when it resolves.
   *  @throws PlatformError channel.read_only, api.conflict, journal.failed */
  put(entry: StoredChannel): Promise<void>;
  /** @throws PlatformError channel.read_only, channel.unknown, journal.failed */
  remove(name: string): Promise<void>;
  /** @throws PlatformError publish.key_refused, publish.channel_unknown */
  authorize(request: PublishRequest): Channel;
  onChange(listener: () => void): () => void;
}

export const DEMO_CHANNEL = "demo";
/** A holder of the publish key makes channels by publishing to new names; a loop of theirs must stay harmless. */
const CHANNELS_MAX = 10_000;

export const hashKey = (key: string): string => createHash("sha256").update(key, "utf8").digest("hex");

/** A new key: 32 characters that need no escaping in a URL, 192 bits. */
export const newKey = (random: Random): string => Buffer.from(random.bytes(24)).toString("base64url");

export async function createChannels(deps: {
  log: Log;
  store: ChannelStore;
  /** Of the configuration file. */
  configured: readonly StoredChannel[];
  demo: boolean;
  autoCreate: boolean;
  /** Opens every channel. */
  publishKey: string;
}): Promise<Channels> {
  const { log, store } = deps;
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

  const all = () => [...fixed.values(), ...made.values()];
  const find = (name: string) => fixed.get(name) ?? made.get(name) ?? null;

  /** One save after the other, each with what is true when it begins. */
  function save(): Promise<void> {
    for (const listener of listeners) listener();
    saving = saving.catch(() => {}).then(() => store.save([...made.values()])); // an earlier save's caller was told
    return saving;
  }

  /** Does it, durably, or not at all. */
  async function change(name: string, next: StoredChannel | null): Promise<void> {
    const before = made.get(name);
    if (next === null) made.delete(name);
    else made.set(name, next);
    try {
      await save();
    } catch (error) {
      if (before === undefined) made.delete(name);
      else made.set(name, before);
      throw error;
    }
  }

  function assertWritable(name: string): void {
    if (!fixed.has(name)) return;
    const where =
      name === DEMO_CHANNEL && find(name)!.channel.origin === "demo" ? "built in" : "in the configuration file";
    throw new PlatformError("channel.read_only", `Channel ${name} is ${where}: change it there, or use another name.`);
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
    save().catch((error) => {
      // The publisher need not wait for the disk: the next first publish would make the same channel again.
      log.error("a channel made by its first publish is not stored", { channel: name, reason: describe(error) });
    });
    log.info("channel made by its first publish", { channel: name });
    return channel;
  }

  return {
    list: () => all().toSorted((a, b) => (a.channel.name < b.channel.name ? -1 : 1)),
    get: find,
    async put(entry) {
      const { name, rtmpPath } = entry.channel;
      assertWritable(name);
      if (!made.has(name) && made.size >= CHANNELS_MAX)
        throw new PlatformError("api.conflict", `There are ${CHANNELS_MAX} channels already: remove some first.`);
      const rival = all().find((other) => other.channel.name !== name && other.channel.rtmpPath === rtmpPath);
      if (rtmpPath !== null && rival !== undefined)
        throw new PlatformError("api.conflict", `rtmpPath ${rtmpPath} leads to channel ${rival.channel.name} already.`);
      await change(name, entry);
    },
    async remove(name) {
      assertWritable(name);
      if (!made.has(name)) throw new PlatformError("channel.unknown", `There is no channel ${name}.`);
      await change(name, null);
    },
    authorize(request) {
      const { name, key } = readRequest(request, all(), publishHash);
      if (key === null) throw new PlatformError("publish.key_refused", `A key is needed: ${example(request, name)}.`);
      const hash = hashKey(key);
      if (name === null) {
        const owner = all().find((entry) => entry.keys.some(({ sha256 }) => sameHash(sha256, hash)));
        if (owner) return owner.channel;
        if (!sameHash(publishHash, hash)) throw wrongKey();
        const message = `This key opens every channel, so the channel must be named: ${example(request, null)}.`;
        throw new PlatformError("publish.channel_unknown", message);
      }
      const entry = find(name);
      const opens = (entry?.keys ?? []).some(({ sha256 }) => sameHash(sha256, hash)) || sameHash(publishHash, hash);
      if (!opens) throw wrongKey(); // also when there is no such channel: without a key nobody learns which there are
      return entry?.channel ?? autoCreate(name);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Who is meant and with which key. The last word of an RTMP URL without `?key=` is taken for the key: an encoder with
 *  one field for it (`rtmp://host/live/KEY`), or one whose URL cannot change (mapped by rtmpPath). */
function readRequest(
  request: PublishRequest,
  all: readonly StoredChannel[],
  publishHash: string,
): { name: string | null; key: string | null } {
  const mapped =
    request.rtmpPath === null ? undefined : all.find(({ channel }) => channel.rtmpPath === request.rtmpPath)?.channel;
  if (mapped) return { name: mapped.name, key: request.key ?? request.rtmpPath!.split("/").at(-1)! };
  if (request.key !== null) return { name: request.channel, key: request.key };
  const hash = request.channel === null ? null : hashKey(request.channel);
  const hashes = [publishHash, ...all.flatMap(({ keys }) => keys.map(({ sha256 }) => sha256))];
  const known = hash !== null && hashes.some((sha256) => sameHash(sha256, hash));
  return known ? { name: null, key: request.channel } : { name: request.channel, key: null };
}

function wrongKey(): PlatformError {
  return new PlatformError(
    "publish.key_refused",
    "This key does not open this channel: compare it with the channel's keys or the installation's publish key.",
  );
}

/** How to write it. The name is shown only when it can be one: where none is known it may be a mistyped key. */
function example({ protocol }: PublishRequest, name: string | null): string {
  const shown = name !== null && CHANNEL_NAME.test(name) && name.length < 24 ? name : "CHANNEL";
  return protocol === "rtmp" ? `rtmp://HOST/live/${shown}?key=KEY` : `/ingest/${shown}.mpegts?key=KEY`;
}

/** In a time that says nothing about how much of it is right. */
function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, "hex"), Buffer.from(b, "hex"));
}

function demoChannel(): Channel {
  return Object.freeze({ ...channelDefaults, name: DEMO_CHANNEL, origin: "demo" });
}
