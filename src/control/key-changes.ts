// What an operator does to a channel's keys, as plain values: the keys as they were in, the keys as they will be out.
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import { type ChannelKey, hashKey, newKey, rotated } from "./channel-keys.ts";
import type { StoredChannel } from "./channels.ts";

const KEYS_MAX = 100;
/** Long enough for an encoder's owner to read a message and paste the new key. */
const ROTATE_GRACE_SECONDS = 24 * 3600;

export type KeyWanted = Readonly<{ name: string; key?: string; expiresAt?: string | null }>;
type Made = Readonly<{
  keys: readonly ChannelKey[];
  /** Text by name of those that are new: this is the only time they can be shown. */
  texts: ReadonlyMap<string, string>;
}>;

/** The whole list at once: a wanted key without a text stays as it is when there is one of its name, else it gets one.
 *  @throws PlatformError api.bad_request for one name twice */
export function listedKeys(
  wanted: readonly KeyWanted[],
  known: readonly ChannelKey[],
  random: Random,
  now: string,
): Made {
  const names = wanted.map(({ name }) => name);
  if (new Set(names).size < names.length)
    throw new PlatformError("api.bad_request", "keys must not use one name twice.");
  const texts = new Map<string, string>();
  const keys = wanted.map(({ name, key, expiresAt }): ChannelKey => {
    const kept = known.find((entry) => entry.name === name);
    if (key === undefined && kept) return expiresAt === undefined ? kept : { ...kept, expiresAt };
    const text = key ?? newKey(random);
    texts.set(name, text);
    return { name, sha256: hashKey(text), createdAt: now, expiresAt: expiresAt ?? null, lastUsedAt: null };
  });
  return { keys, texts };
}

/** @throws PlatformError api.conflict when the name is taken or there are too many */
export function addedKey(entry: StoredChannel, wanted: KeyWanted, random: Random, now: string): Made {
  if (entry.keys.some(({ name }) => name === wanted.name))
    throw new PlatformError(
      "api.conflict",
      `Channel ${entry.channel.name} has a key ${wanted.name} already: rotate it, or choose another name.`,
    );
  if (entry.keys.length >= KEYS_MAX)
    throw new PlatformError("api.conflict", `Channel ${entry.channel.name} has ${KEYS_MAX} keys: revoke some first.`);
  const { keys, texts } = listedKeys([wanted], [], random, now);
  return { keys: [...entry.keys, ...keys], texts };
}

/** @throws PlatformError channel.key_unknown */
export function rotatedKey(
  entry: StoredChannel,
  name: string,
  change: Readonly<{ key?: string; graceSeconds?: number; expiresAt?: string | null }>,
  random: Random,
  now: string,
): Made {
  const key = keyNamed(entry, name);
  const text = change.key ?? newKey(random);
  const { graceSeconds = ROTATE_GRACE_SECONDS, expiresAt = key.expiresAt ?? null } = change; // a loan stays one
  const next = rotated(key, { sha256: hashKey(text), now, graceSeconds, expiresAt });
  return { keys: entry.keys.map((old) => (old === key ? next : old)), texts: new Map([[name, text]]) };
}

/** @throws PlatformError channel.key_unknown */
export function withoutKey(entry: StoredChannel, name: string): readonly ChannelKey[] {
  const key = keyNamed(entry, name);
  return entry.keys.filter((other) => other !== key);
}

function keyNamed({ channel, keys }: StoredChannel, name: string): ChannelKey {
  const key = keys.find((candidate) => candidate.name === name);
  if (key) return key;
  const there = keys.map((candidate) => candidate.name).join(", ") || "none";
  throw new PlatformError("channel.key_unknown", `Channel ${channel.name} has no key ${name}; it has: ${there}.`);
}
