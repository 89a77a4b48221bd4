// Channels: made, read, changed, removed. Keys are shown once, in the answer to the request that made them; afterwards
// nobody can read them here, since only their hashes are kept.
import type { FastifyInstance } from "fastify";
import type { Static } from "typebox";
import { PlatformError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";
import { channelConflicts } from "#control/channel-schema.ts";
import { type ChannelKey, type Channels, hashKey, newKey, type StoredChannel } from "#control/channels.ts";
import type { Control } from "#control/control.ts";
import { type Channel, channelDefaults } from "#media/channel.ts";
import * as schemas from "./schemas.ts";

type Wanted = Static<typeof schemas.channelReplace>;
type Shown = Readonly<{ name: string; key?: string }>;
type Named = { Params: { name: string } };

const OVER = ["ended", "failed"];

export function channelRoutes(
  app: FastifyInstance,
  { channels, control, random }: { channels: Channels; control: Control; random: Random },
): void {
  const tags = ["channels"];
  const path = "/api/v1/channels";

  app.get(
    path,
    { schema: { tags, summary: "All channels, by name", response: answers(schemas.itemsOf(schemas.channel)) } },
    () => ({
      items: channels.list().map((entry) => view(entry)),
    }),
  );

  app.post<{ Body: Static<typeof schemas.channelCreate> }>(
    path,
    {
      schema: {
        tags,
        summary: "Make a channel; its keys are shown in this answer only",
        body: schemas.channelCreate,
        response: answers(schemas.channel, 201),
      },
    },
    async (request, reply) => {
      const { name, keys = [{ name: "default" }], ...settings } = request.body;
      if (channels.get(name)) throw new PlatformError("api.conflict", `There is a channel ${name} already.`);
      reply.code(201).header("location", `${path}/${name}`);
      return write({ ...channelDefaults, ...settings, name, origin: "auto" }, keys, null, "channel.created");
    },
  );

  app.get<Named>(
    `${path}/:name`,
    { schema: { tags, summary: "One channel", params: schemas.named, response: answers(schemas.channel) } },
    (request) => view(existing(request.params.name)),
  );

  app.put<Named & { Body: Wanted }>(
    `${path}/:name`,
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
      const { name } = request.params;
      const { keys, settings } = split(request.body, name);
      const known = channels.get(name);
      if (known === null) reply.code(201);
      const wanted = keys ?? known?.keys.map((key) => ({ name: key.name })) ?? [{ name: "default" }];
      const next: Channel = { ...channelDefaults, ...settings, name, origin: "auto" };
      return write(next, wanted, known, known === null ? "channel.created" : "channel.changed");
    },
  );

  app.patch<Named & { Body: Wanted }>(
    `${path}/:name`,
    {
      schema: {
        tags,
        summary: "Change some of a channel; a running session keeps what it began with",
        params: schemas.named,
        body: schemas.channelPatch,
        response: answers(schemas.channel),
      },
    },
    async (request) => {
      const { name } = request.params;
      const known = existing(name);
      const { keys, settings } = split(request.body, name);
      const next: Channel = { ...known.channel, ...settings };
      return write(next, keys ?? known.keys.map((key) => ({ name: key.name })), known, "channel.changed");
    },
  );

  app.delete<Named>(
    `${path}/:name`,
    {
      schema: {
        tags,
        summary: "Remove a channel that nobody publishes to",
        params: schemas.named,
        response: { 204: { type: "null" } },
      },
    },
    async (request, reply) => {
      const { name } = existing(request.params.name).channel;
      const running = control.sessions().find(({ channel, state }) => channel === name && !OVER.includes(state));
      if (running)
        throw new PlatformError("api.conflict", `Session ${running.id} of channel ${name} is running: stop it first.`);
      await channels.remove(name);
      control.emit("channel.removed", { channel: name });
      reply.code(204).send();
      return reply;
    },
  );

  function existing(name: string): StoredChannel {
    const entry = channels.get(name);
    if (entry === null) throw new PlatformError("channel.unknown", `There is no channel ${name}.`);
    return entry;
  }

  async function write(
    channel: Channel,
    wanted: readonly Shown[],
    known: StoredChannel | null,
    event: "channel.created" | "channel.changed",
  ) {
    const conflicts = channelConflicts(channel);
    if (conflicts.length > 0) throw wrong(conflicts.map(([field, message]) => `${field} ${message}`));
    const { keys, made } = makeKeys(wanted, known?.keys ?? [], random);
    await channels.put({ channel, keys });
    control.emit(event, { channel: channel.name });
    return view({ channel, keys }, made);
  }
}

/** @throws PlatformError api.bad_request when the body names another channel than the path */
function split(body: Wanted, pathName: string) {
  const { name = pathName, keys, ...settings } = body;
  if (name !== pathName) throw wrong([`name must be ${pathName}, as in the path: a channel keeps its name`]);
  return { keys, settings };
}

/** The keys as they will be stored, and those whose text this answer may show. */
function makeKeys(wanted: readonly Shown[], known: readonly ChannelKey[], random: Random) {
  const names = wanted.map(({ name }) => name);
  if (new Set(names).size < names.length) throw wrong(["keys must not use one name twice"]);
  const made = new Map<string, string>();
  const keys = wanted.map(({ name, key }): ChannelKey => {
    const kept = known.find((entry) => entry.name === name);
    if (key === undefined && kept) return kept;
    const text = key ?? newKey(random);
    made.set(name, text);
    return { name, sha256: hashKey(text) };
  });
  return { keys, made };
}

function view({ channel, keys }: StoredChannel, made: ReadonlyMap<string, string> = new Map()) {
  return {
    ...channel,
    readOnly: channel.origin !== "auto",
    keys: keys.map(({ name }): Shown => (made.has(name) ? { name, key: made.get(name)! } : { name })),
    playback: `/live/${channel.name}/index.m3u8`,
    watch: `/watch/${channel.name}`,
  };
}

const wrong = (lines: readonly string[]) => new PlatformError("api.bad_request", `${lines.join("; ")}.`);

function answers(schema: object, code = 200) {
  return { [code]: schema, "4xx": schemas.problem };
}
