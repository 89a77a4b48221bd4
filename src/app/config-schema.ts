// The configuration file as a JSON Schema: what editors complete, what the reader checks, what the documentation lists.
// Descriptions complete the sentence "must be ...".
import Type, { type Static } from "typebox";
import { channelName, channelSettings, instant, keyName, keyText } from "#control/channel-schema.ts";
import { STREAM_EVENTS } from "#modules/hooks/types.ts";

export const ROLES = ["gateway", "origin", "control"] as const;
export type Role = (typeof ROLES)[number];

const closed = { additionalProperties: false };

const url = Type.String({
  pattern: "^https?://[^\\s/?#]+/?$",
  maxLength: 300,
  description: "an address like http://10.0.0.5:8080, without a path",
});

const port = Type.Integer({ minimum: 0, maximum: 65_535 });

const pemFile = Type.String({ minLength: 1, maxLength: 4096, description: "a PEM file" });

const channelEntry = Type.Object(
  {
    name: channelName,
    ...(Type.Partial(Type.Object(channelSettings)).properties as {
      [K in keyof typeof channelSettings]: ReturnType<typeof Type.Optional<(typeof channelSettings)[K]>>;
    }),
    keys: Type.Optional(
      Type.Array(Type.Object({ name: keyName, key: keyText, expiresAt: Type.Optional(instant) }, closed), {
        maxItems: 100,
      }),
    ),
  },
  closed,
);

const hookUrl = Type.String({
  pattern: "^https?://[^\\s#]{1,1000}$",
  description: "an address of http or https",
});
const hookSecret = Type.String({ minLength: 16, maxLength: 200, description: "16 to 200 characters" });

/** What customers' own servers are asked and told. */
const hooks = Type.Object(
  {
    publish: Type.Optional(
      Type.Object(
        {
          url: hookUrl,
          secret: hookSecret,
          timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 4500 })), // a gateway waits for control 5 s
          cacheSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 3600 })),
          onFailure: Type.Optional(Type.Union([Type.Literal("refuse"), Type.Literal("allow")])),
          keys: Type.Optional(Type.Union([Type.Literal("ours"), Type.Literal("theirs")])),
          format: Type.Optional(Type.Union([Type.Literal("json"), Type.Literal("nginx-rtmp")])),
        },
        closed,
      ),
    ),
    events: Type.Optional(
      Type.Array(
        Type.Object(
          {
            url: hookUrl,
            secret: hookSecret,
            types: Type.Optional(
              Type.Array(Type.Union(STREAM_EVENTS.map((type) => Type.Literal(type))), {
                minItems: 1,
                uniqueItems: true,
              }),
            ),
          },
          closed,
        ),
        { maxItems: 16 },
      ),
    ),
  },
  closed,
);

export const configSchema = Type.Object(
  {
    host: Type.Optional(
      Type.String({ pattern: "^[A-Za-z0-9_.:%-]{1,255}$", description: "a host name or address to listen on" }),
    ),
    port: Type.Optional(port),
    rtmpPort: Type.Optional(port),
    httpsPort: Type.Optional(port),
    rtmpsPort: Type.Optional(port),
    tls: Type.Optional(Type.Object({ certificate: Type.Optional(pemFile), key: Type.Optional(pemFile) }, closed)),
    data: Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description: "a folder" })),
    roles: Type.Optional(
      Type.Array(Type.Union(ROLES.map((role) => Type.Literal(role))), { minItems: 1, uniqueItems: true }),
    ),
    autoCreate: Type.Optional(Type.Boolean()),
    warm: Type.Optional(Type.Object({ min: Type.Optional(Type.Integer({ minimum: 0, maximum: 64 })) }, closed)),
    logLevel: Type.Optional(
      Type.Union((["debug", "info", "warn", "error", "silent"] as const).map((level) => Type.Literal(level))),
    ),
    publicHosts: Type.Optional(
      Type.Array(
        Type.String({
          pattern: "^(\\[[0-9A-Fa-f:]+\\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?$",
          maxLength: 255,
          description: "a host name as browsers write it, like live.example.org or live.example.org:8443",
        }),
        { maxItems: 100 },
      ),
    ),
    gatewayUrl: Type.Optional(url),
    controlUrl: Type.Optional(url),
    originUrls: Type.Optional(Type.Array(url, { maxItems: 16, uniqueItems: true })),
    demo: Type.Optional(Type.Boolean()),
    hooks: Type.Optional(hooks),
    channels: Type.Optional(Type.Array(channelEntry, { maxItems: 10_000 })),
  },
  closed,
);

/** The file once it was found right. */
export type ConfigFile = Static<typeof configSchema>;
