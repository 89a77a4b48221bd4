// Channels: made, read, changed, removed. Each answer carries its revision (also as an ETag); whoever sends it back as
// If-Match changes what they saw, or nothing.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Static } from "typebox";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import { type ChannelSettings, changedChannel, channelConflicts } from "#control/channel-schema.ts";
import { type Channels, revisionOf, type StoredChannel } from "#control/channels.ts";
import type { Control } from "#control/control.ts";
import { listedKeys } from "#control/key-changes.ts";
import { hiddenInput, meantInputs } from "#control/pull-address.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import { keyRoutes, keyView, type Texts } from "./key-routes.ts";
import * as schemas from "./schemas.ts";

type Wanted = Static<typeof schemas.channelReplace>;
type Named = { Params: { name: string } };

export type ChannelRouteDeps = Readonly<{ channels: Channels; control: Control; random: Random; now: () => string }>;

const OVER = ["ended", "failed"];
const PATH = "/api/v1/channels";
const tags = ["channels"];

export function channelRoutes(app: FastifyInstance, deps: ChannelRouteDeps): void {
  const { channels, control, random, now } = deps;
  const withInputs = <V extends object>({ channel }: StoredChannel, view: V) => ({
    ...view,
    inputStates: control.inputs(channel.name).map(({ channel: _, ...state }) => state),
  });

  app.get(
    PATH,
    { schema: { tags, summary: "All channels, by name", response: answers(schemas.itemsOf(schemas.channel)) } },
    () => ({ items: channels.list().map((entry) => withInputs(entry, channelView(entry))) }),
  );

  app.post<{ Body: Static<typeof schemas.channelCreate> }>(
    PATH,
    {
      schema: {
        tags,
        summary: "Make a channel; its keys are shown in this answer only",
        body: schemas.channelCreate,
        response: answers(schemas.channel, 201),
      },
    },
    async (request, reply) => {
      const { name, keys, settings } = split(request.body, request.body.name);
      if (channels.get(name)) throw new PlatformError("api.conflict", `There is a channel ${name} already.`);
      reply.code(201).header("location", `${PATH}/${name}`);
      const channel = changedChannel({ ...channelDefaults, name, origin: "auto" }, settings);
      return write(reply, channel, keys ?? [{ name: "default" }], null, null);
    },
  );

  app.get<Named>(
    `${PATH}/:name`,
    { schema: { tags, summary: "One channel", params: schemas.named, response: answers(schemas.channel) } },
    (request, reply) => {
      const entry = existing(channels, request.params.name);
      return withInputs(entry, tagged(reply, entry));
    },
  );

  app.put<Named & { Body: Wanted }>(
    `${PATH}/:name`,
    {
      schema: {
        tags,
        summary: "Set all of a channel, making it if there is none; settings that are not given get their defaults",
        params: schemas.named,
        body: schemas.channelReplace,
        response: { ...answers(schemas.channel), 201: schemas.channel },
      },
    },
    async (request, reply) => {
      const { name, keys, settings } = split(request.body, request.params.name);
      const known = channels.get(name);
      if (known === null) reply.code(201);
      const wanted = keys ?? known?.keys.map((key) => ({ name: key.name })) ?? [{ name: "default" }];
      const next = changedChannel({ ...channelDefaults, name, origin: "auto" }, settings);
      return write(reply, next, wanted, known, ifMatch(request));
    },
  );

  app.patch<Named & { Body: Wanted }>(
    `${PATH}/:name`,
    {
      schema: {
        tags,
        summary: "Change some of a channel; a running session keeps what it began with",
        params: schemas.named,
        body: schemas.channelPatch,
        response: answers(schemas.channel),
      },
    },
    async (request, reply) => {
      const known = existing(channels, request.params.name);
      const { keys, settings } = split(request.body, request.params.name);
      const wanted = keys ?? known.keys.map((key) => ({ name: key.name }));
      return write(reply, changedChannel(known.channel, settings), wanted, known, ifMatch(request));
    },
  );

  app.delete<Named>(
    `${PATH}/:name`,
    {
      schema: {
        tags,
        summary: "Remove a channel that nobody publishes to",
        params: schemas.named,
        response: { 204: { type: "null" } },
      },
    },
    async (request, reply) => {
      const { name } = existing(channels, request.params.name).channel;
      const running = control.sessions().find(({ channel, state }) => channel === name && !OVER.includes(state));
      if (running)
        throw new PlatformError("api.conflict", `Session ${running.id} of channel ${name} is running: stop it first.`);
      await channels.remove(name, ifMatch(request) ?? undefined);
      control.emit("channel.removed", { channel: name });
      reply.code(204).send();
      return reply;
    },
  );

  keyRoutes(app, deps);

  /** @param match the revision that the caller saw; null: whatever it is now */
  async function write(
    reply: FastifyReply,
    wanted: Channel,
    wantedKeys: NonNullable<Wanted["keys"]>,
    known: StoredChannel | null,
    match: string | null,
  ) {
    const channel = { ...wanted, inputs: meantInputs(wanted.inputs, known?.channel.inputs ?? []) };
    const conflicts = channelConflicts(channel);
    if (conflicts.length > 0) throw wrong(conflicts.map(([field, message]) => `${field} ${message}`));
    const { keys, texts } = listedKeys(wantedKeys, known?.keys ?? [], random, now());
    await channels.put({ channel, keys }, match ?? undefined);
    control.emit(known === null ? "channel.created" : "channel.changed", { channel: channel.name });
    return tagged(reply, { channel, keys }, texts);
  }
}

/** @throws PlatformError channel.unknown */
export function existing(channels: Channels, name: string): StoredChannel {
  const entry = channels.get(name);
  if (entry === null) throw new PlatformError("channel.unknown", `There is no channel ${name}.`);
  return entry;
}

/** The channel, its revision as the answer's ETag (RFC 9110, 8.8.3). */
function tagged(reply: FastifyReply, entry: StoredChannel, texts?: Texts) {
  reply.header("etag", `"${revisionOf(entry)}"`);
  return channelView(entry, texts);
}

/** The revision that If-Match names; null when there is no such header, or `*`.
 *  Source: RFC 9110, 13.1.1; of several tags ours is the one that may be meant */
export function ifMatch({ headers }: FastifyRequest): string | null {
  const text = headers["if-match"]?.trim();
  if (text === undefined || text === "*") return null;
  const match = /^"([0-9a-f]{1,64})"$/.exec(text);
  return match?.[1] ?? "none of ours";
}

/** @throws PlatformError api.bad_request when the body names another channel than the path */
function split(body: Wanted, pathName: string) {
  const { name = pathName, keys, ...settings } = body;
  if (name !== pathName) throw wrong([`name must be ${pathName}, as in the path: a channel keeps its name`]);
  return { name, keys, settings: settings as ChannelSettings };
}

export function channelView(entry: StoredChannel, texts: Texts = new Map()) {
  const { channel, keys } = entry;
  return {
    ...channel,
    inputs: channel.inputs.map(hiddenInput),
    readOnly: channel.origin !== "auto",
    keys: keys.map((key) => keyView(key, texts)),
    revision: revisionOf(entry),
    playback: `/live/${channel.name}/index.m3u8`,
    watch: `/watch/${channel.name}`,
  };
}

const wrong = (lines: readonly string[]) => new PlatformError("api.bad_request", `${lines.join("; ")}.`);

function answers(schema: object, code = 200) {
  return { [code]: schema, "4xx": schemas.problem };
}
