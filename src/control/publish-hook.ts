// What a customer's answer about a publisher may change of its session: settings of the channel that do not say who it is.
import Type from "typebox";
import { PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { asSchema, pathText, wrongFields } from "#base/schema.ts";
import type { Channel } from "#media/channel.ts";
import { type ChannelSettings, changedChannel, channelConflicts, channelSettings } from "./channel-schema.ts";

/** The hook as control needs it. */
export interface PublishHookPort {
  /** theirs: it judges keys, so it is shown them. */
  readonly keys: "ours" | "theirs";
  /** @returns settings to change, unchecked; null: none @throws PlatformError publish.hook_refused, publish.unavailable */
  ask(
    question: Readonly<{
      channel: string;
      tenant: string;
      protocol: string;
      remote: string;
      keyName: string | null;
      key: string | null;
      rtmpPath: string | null;
    }>,
  ): Promise<unknown>;
}

const { ladder, copyFallback, gopSeconds, segmentSeconds, partSeconds, windowSegments, lossGraceSeconds, limits } =
  channelSettings;
const overridable = {
  ladder,
  copyFallback,
  gopSeconds,
  segmentSeconds,
  partSeconds,
  windowSegments,
  lossGraceSeconds,
  limits,
};
const schema = asSchema(Type.Object(Type.Partial(Type.Object(overridable)).properties, { additionalProperties: true }));

/** What the answer changes of the channel as it is. Fields that are not ours to take are left alone: an answer may hold
 *  whatever else its server likes to say.
 *  @throws PlatformError publish.unavailable: what the server wants cannot be done, and to guess would be worse */
export function overridesOf(answer: unknown, channel: Channel, log: Log): ChannelSettings {
  if (answer === null) return {};
  const known = Object.fromEntries(
    Object.entries(answer as object).filter(([name]) => Object.hasOwn(overridable, name)),
  );
  const wrong = wrongFields(schema, known).map(({ path, message }) => `${pathText(path)} ${message}`);
  if (wrong.length === 0) {
    const conflicts = channelConflicts(changedChannel(channel, known as ChannelSettings));
    wrong.push(...conflicts.map(([field, message]) => `${field} ${message}`));
  }
  if (wrong.length === 0) return known as ChannelSettings;
  log.error("hooks.publish_answer_wrong", { channel: channel.name, wrong });
  throw new PlatformError(
    "publish.unavailable",
    "Publishing to this channel is not set up well; its operator is told.",
  );
}
