// Keys of a channel. A key's text is shown once, in the answer to the request that made it; afterwards nobody can read it
// here, since only its hash is kept.
import type { FastifyInstance } from "fastify";
import type { Static } from "typebox";
import type { ChannelKey } from "#control/channel-keys.ts";
import type { StoredChannel } from "#control/channels.ts";
import { addedKey, rotatedKey, withoutKey } from "#control/key-changes.ts";
import { type ChannelRouteDeps, existing, ifMatch } from "./channel-routes.ts";
import * as schemas from "./schemas.ts";

/** Texts of keys that were made just now, by the keys' names. */
export type Texts = ReadonlyMap<string, string>;
type Named = { Params: { name: string } };
type Keyed = { Params: { name: string; key: string } };

const tags = ["channels"];
const PATH = "/api/v1/channels/:name/keys";
const ONE = { ...{ 200: schemas.channelKey }, "4xx": schemas.problem };

export function keyRoutes(app: FastifyInstance, { channels, control, random, now }: ChannelRouteDeps): void {
  app.get<Named>(
    PATH,
    {
      schema: {
        tags,
        summary: "A channel's keys, without their texts",
        params: schemas.named,
        response: { 200: schemas.itemsOf(schemas.channelKey), "4xx": schemas.problem },
      },
    },
    (request) => ({ items: existing(channels, request.params.name).keys.map((key) => keyView(key)) }),
  );

  app.post<Named & { Body: Static<typeof schemas.keyWanted> }>(
    PATH,
    {
      schema: {
        tags,
        summary: "Add a key; it is shown in this answer only",
        params: schemas.named,
        body: schemas.keyWanted,
        response: { 201: schemas.channelKey, "4xx": schemas.problem },
      },
    },
    async (request, reply) => {
      const entry = existing(channels, request.params.name);
      const { keys, texts } = addedKey(entry, request.body, random, now());
      await write(entry, keys, ifMatch(request));
      reply.code(201);
      return keyView(keys.at(-1)!, texts);
    },
  );

  app.post<Keyed & { Body: Static<typeof schemas.keyRotate> }>(
    `${PATH}/:key/rotate`,
    {
      schema: {
        tags,
        summary: "Give a key a new text, shown in this answer only; the old one stays good for graceSeconds",
        params: schemas.keyed,
        body: schemas.keyRotate,
        response: ONE,
      },
    },
    async (request) => {
      const { name, key } = request.params;
      const entry = existing(channels, name);
      const { keys, texts } = rotatedKey(entry, key, request.body, random, now());
      await write(entry, keys, ifMatch(request));
      return keyView(keys.find((candidate) => candidate.name === key)!, texts);
    },
  );

  app.delete<Keyed & { Querystring: Static<typeof schemas.keyRevoke> }>(
    `${PATH}/:key`,
    {
      schema: {
        tags,
        summary: "Revoke a key at once; a publisher that is on with it is disconnected, unless kick=false",
        params: schemas.keyed,
        querystring: schemas.keyRevoke,
        response: { 200: schemas.kicked, "4xx": schemas.problem },
      },
    },
    async (request) => {
      const { name, key } = request.params;
      const entry = existing(channels, name);
      await write(entry, withoutKey(entry, key), ifMatch(request));
      return { kicked: request.query.kick === "false" ? [] : await control.kickKey(name, key) };
    },
  );

  async function write(entry: StoredChannel, keys: readonly ChannelKey[], match: string | null): Promise<void> {
    await channels.put({ ...entry, keys }, match ?? undefined);
    control.emit("channel.changed", { channel: entry.channel.name });
  }
}

export function keyView({ name, createdAt, expiresAt, lastUsedAt, previous }: ChannelKey, texts: Texts = new Map()) {
  const key = texts.get(name);
  return {
    name,
    createdAt: createdAt ?? null,
    expiresAt: expiresAt ?? null,
    lastUsedAt: lastUsedAt ?? null,
    previousUntil: previous?.expiresAt ?? null,
    ...(key === undefined ? {} : { key }),
  };
}
