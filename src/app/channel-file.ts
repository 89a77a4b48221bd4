// Channels made by the API or by a first publish, in one JSON file of the data folder.
import { readFile } from "node:fs/promises";
import Type from "typebox";
import { PlatformError } from "#base/errors.ts";
import { asSchema, pathText, wrongFields } from "#base/schema.ts";
import { changedChannel, channelName, channelSettings, instant, keyName } from "#control/channel-schema.ts";
import type { ChannelStore, StoredChannel } from "#control/channels.ts";
import { channelDefaults } from "#media/channel.ts";
import { writeFileDurably } from "./durable-file.ts";

const VERSION = 1;
const closed = { additionalProperties: false };
const settings = Type.Partial(Type.Object(channelSettings)).properties;
const sha256 = Type.String({ pattern: "^[0-9a-f]{64}$" });
const instantOrNull = Type.Optional(Type.Union([Type.Null(), instant]));
/** Files of the first version hold a name and a hash, and nothing else. */
const key = Type.Object(
  {
    name: keyName,
    sha256,
    createdAt: Type.Optional(instant),
    expiresAt: instantOrNull,
    lastUsedAt: instantOrNull,
    previous: Type.Optional(Type.Union([Type.Null(), Type.Object({ sha256, expiresAt: instant }, closed)])),
  },
  closed,
);
const fileSchema = Type.Object(
  {
    version: Type.Literal(VERSION),
    channels: Type.Array(
      Type.Object(
        {
          // Settings that came after the file was written are missing in it: they have their defaults.
          channel: Type.Object({ name: channelName, origin: Type.Literal("auto"), ...settings }, closed),
          keys: Type.Array(key),
        },
        closed,
      ),
    ),
  },
  closed,
);

/** @param path its folder must exist */
export function channelFile(path: string): ChannelStore {
  return {
    async load() {
      const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT") return null;
        throw new PlatformError("journal.failed", `${path} cannot be read: ${cause.message}.`, { cause });
      });
      return text === null ? [] : parse(path, text);
    },
    async save(channels) {
      try {
        await writeFileDurably(path, `${JSON.stringify({ version: VERSION, channels }, null, 1)}\n`);
      } catch (cause) {
        throw new PlatformError("journal.failed", `${path} cannot be written: ${(cause as Error).message}.`, { cause });
      }
    },
  };
}

/** Refused as a whole when anything in it is wrong: to go on without some channels would lose them at the next save. */
function parse(path: string, text: string): StoredChannel[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PlatformError("journal.failed", `${path} is not JSON: mend it, or move it away.`, { cause });
  }
  const [first] = wrongFields(asSchema(fileSchema), value);
  if (first === undefined)
    return (value as { channels: StoredChannel[] }).channels.map(({ channel, keys }) => {
      const { name, origin, ...settings } = channel;
      return { channel: changedChannel({ ...channelDefaults, name, origin }, settings), keys };
    });
  throw new PlatformError(
    "journal.failed",
    `${path}: ${pathText(first.path)} ${first.message}: mend it, or move it away.`,
  );
}
