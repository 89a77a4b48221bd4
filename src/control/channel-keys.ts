// Keys of a channel. Only hashes are held: neither a heap dump nor the stored file gives a key away. A key keeps its name
// when its text changes, so that "the key of the studio" stays one thing through all its rotations.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Random } from "#base/random.ts";

/** Instants are UTC, ISO 8601. */
export type ChannelKey = Readonly<{
  name: string;
  /** Hex, of the key's UTF-8 text. */
  sha256: string;
  /** Absent: the key is older than our keeping of this, or stands in the configuration file. */
  createdAt?: string;
  /** From then on it opens nothing; who is on with it stays on. Null: never. */
  expiresAt?: string | null;
  /** To about a minute: it is stored with the next change, or once a minute. */
  lastUsedAt?: string | null;
  /** What it was before it was rotated, good until then. */
  previous?: Readonly<{ sha256: string; expiresAt: string }> | null;
}>;

export const hashKey = (key: string): string => createHash("sha256").update(key, "utf8").digest("hex");

/** A new key: 32 characters that need no escaping in a URL, 192 bits. */
export const newKey = (random: Random): string => Buffer.from(random.bytes(24)).toString("base64url");

/** Equal, in a time that says nothing about how much of it is. @param a, b 64 hex digits */
export function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, "hex"), Buffer.from(b, "hex"));
}

/** Whether a hash is the key's, now or before its rotation, expired or not. */
export function isOf(key: ChannelKey, sha256: string): boolean {
  return sameHash(key.sha256, sha256) || (key.previous != null && sameHash(key.previous.sha256, sha256));
}

/** @returns when the text behind this hash stopped opening anything; null while it opens. `isOf` holds. */
export function expiredAt(key: ChannelKey, sha256: string, now: string): string | null {
  const until = sameHash(key.sha256, sha256) ? key.expiresAt : earlier(key.expiresAt, key.previous!.expiresAt);
  return until != null && Date.parse(until) <= Date.parse(now) ? until : null;
}

function earlier(a: string | null | undefined, b: string): string {
  return a != null && Date.parse(a) < Date.parse(b) ? a : b;
}

/** The same key with a new text; the one before stays good for so long. Of two rotations within that time only the
 *  latter's former text does. A date of expiry was the old text's: the new one has none unless it is given. */
export function rotated(
  key: ChannelKey,
  change: Readonly<{ sha256: string; now: string; graceSeconds: number; expiresAt: string | null }>,
): ChannelKey {
  const { sha256, now, graceSeconds, expiresAt } = change;
  const until = new Date(Date.parse(now) + graceSeconds * 1000).toISOString();
  const previous = graceSeconds > 0 ? { sha256: key.sha256, expiresAt: earlier(key.expiresAt, until) } : null;
  return { name: key.name, sha256, createdAt: now, expiresAt, lastUsedAt: key.lastUsedAt ?? null, previous };
}
