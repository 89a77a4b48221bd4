// What a publisher's words mean: which channel, and which key. Encoders write both in many ways; all of them are read
// here, and answered in words that show how to write it.
import { PlatformError } from "#base/errors.ts";
import { CHANNEL_NAME } from "#media/channel.ts";
import type { PublishRequest } from "#modules/ingest/types.ts";
import { hashKey, isOf, sameHash } from "./channel-keys.ts";
import type { StoredChannel } from "./channels.ts";

/** The last word of an RTMP URL without `?key=` is taken for the key: an encoder with one field for it
 *  (`rtmp://host/live/KEY`), or one whose URL cannot change (mapped by rtmpPath).
 *  @returns the channel's name (not checked), null when a key alone was given; the key's text, null when there is none */
export function readRequest(
  request: PublishRequest,
  all: readonly StoredChannel[],
  publishHash: string,
): { name: string | null; key: string | null } {
  const mapped =
    request.rtmpPath === null ? undefined : all.find(({ channel }) => channel.rtmpPath === request.rtmpPath)?.channel;
  if (mapped) return { name: mapped.name, key: request.key ?? request.rtmpPath!.split("/").at(-1)! };
  if (request.key !== null) return { name: request.channel, key: request.key };
  if (request.channel === null) return { name: null, key: null };
  const hash = hashKey(request.channel);
  const isKey = sameHash(publishHash, hash) || all.some(({ keys }) => keys.some((key) => isOf(key, hash)));
  return isKey ? { name: null, key: request.channel } : { name: request.channel, key: null };
}

export function wrongKey(): PlatformError {
  return new PlatformError(
    "publish.key_refused",
    "This key does not open this channel: compare it with the channel's keys or the installation's publish key.",
  );
}

/** How to write it. The name is shown only when it can be one: where none is known it may be a mistyped key. */
export function example({ protocol }: PublishRequest, name: string | null): string {
  const shown = name !== null && CHANNEL_NAME.test(name) && name.length < 24 ? name : "CHANNEL";
  if (protocol === "cmaf") return `/ingest/${shown}/NAME?key=KEY`;
  return protocol === "rtmp" || protocol === "rtmps"
    ? `${protocol}://HOST/live/${shown}?key=KEY`
    : `/ingest/${shown}.mpegts?key=KEY`;
}
