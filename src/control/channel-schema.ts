// What a channel may be set to: one JSON Schema for the configuration file and for the API, so that neither takes what
// the other refuses. Descriptions complete the sentence "must be ...".
import Type from "typebox";
import { CHANNEL_NAME, type Channel, type ChannelLimits } from "#media/channel.ts";

export const keyText = Type.String({
  pattern: "^[A-Za-z0-9_~.-]{6,200}$",
  description: "6 to 200 of A-Z, a-z, 0-9, and _ ~ . - (it travels in URLs)",
});

export const keyName = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}$",
  description: "1 to 64 letters, digits, spaces and _ . @ -, beginning with a letter or digit",
});

export const instant = Type.String({
  pattern:
    "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,9})?)?(Z|[+-][0-2][0-9]:[0-5][0-9])$",
  description: "an instant like 2027-01-31T18:00:00Z",
});

export const channelName = Type.String({
  pattern: CHANNEL_NAME.source,
  description: "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
});

export const rtmpPath = Type.String({
  pattern: "^[^/?#\\s]{1,100}(/[^/?#\\s]{1,100}){1,7}$",
  description: "APP/NAME, as in rtmp://host/APP/NAME",
});

const closed = { additionalProperties: false };
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([Type.Null(), schema]);

const encodedRung = Type.Object(
  {
    height: Type.Integer({ minimum: 64, maximum: 4320 }),
    codec: Type.Optional(Type.Literal("h264")),
    bitrateKbps: Type.Optional(Type.Integer({ minimum: 50, maximum: 100_000 })),
  },
  closed,
);
const rung = Type.Union([encodedRung, Type.Object({ copy: Type.Literal(true) }, closed)]);

const host = Type.String({ pattern: "^[A-Za-z0-9_.:%-]{1,255}$", description: "a host name or an address" });
const port = Type.Integer({ minimum: 1, maximum: 65_535 });

const input = Type.Union([
  Type.Object({ kind: Type.Literal("tcp"), port, host: Type.Optional(host) }, closed),
  Type.Object(
    {
      kind: Type.Literal("udp"),
      port,
      host: Type.Optional(host),
      group: Type.Optional(host),
      source: Type.Optional(host),
      interface: Type.Optional(host),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("pull"),
      url: Type.String({
        pattern: "^(rtmps?|rtsps?|https?)://[^\\s]{1,1000}$",
        description: "an address of rtmp, rtmps, rtsp, http or https",
      }),
      onDemand: Type.Optional(Type.Boolean()),
    },
    closed,
  ),
]);

/** Everything of a channel but its name and its keys. */
export const channelSettings = {
  tenant: Type.String({
    pattern: "^[a-z0-9][a-z0-9_-]{0,63}$",
    description: "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
  }),
  ladder: Type.Union([
    Type.Literal("auto"),
    Type.Literal("passthrough"),
    Type.Array(rung, { minItems: 1, maxItems: 8 }),
  ]),
  copyFallback: Type.Union([Type.Literal("transcode"), Type.Literal("refuse")]),
  gopSeconds: orNull(Type.Number({ minimum: 0.1, maximum: 10 })),
  segmentSeconds: Type.Number({ minimum: 1, maximum: 10 }),
  partSeconds: Type.Number({ minimum: 0.15, maximum: 5 }),
  windowSegments: Type.Integer({ minimum: 6, maximum: 1800 }),
  lossGraceSeconds: Type.Number({ minimum: 0, maximum: 3600 }),
  endGraceSeconds: Type.Number({ minimum: 0, maximum: 3600 }),
  rtmpPath: orNull(rtmpPath),
  inputs: Type.Array(input, { maxItems: 8 }),
  limits: Type.Object(
    {
      bitrateKbps: Type.Optional(orNull(Type.Integer({ minimum: 50, maximum: 1_000_000 }))),
      height: Type.Optional(orNull(Type.Integer({ minimum: 64, maximum: 8640 }))),
      durationSeconds: Type.Optional(orNull(Type.Integer({ minimum: 1, maximum: 31_536_000 }))),
    },
    closed,
  ),
};

/** As a person or a program writes them: any of the settings, any of the limits. */
export type ChannelSettings = Partial<Omit<Channel, "name" | "origin" | "limits"> & { limits: Partial<ChannelLimits> }>;

/** The base with some settings changed; limits that are not given stay as they are. */
export function changedChannel(base: Channel, settings: ChannelSettings): Channel {
  return { ...base, ...settings, limits: { ...base.limits, ...settings.limits } };
}

/** What the fields' own ranges cannot say. @returns [field, what is wrong] */
export function channelConflicts(channel: {
  segmentSeconds: number;
  partSeconds: number;
  ladder: Channel["ladder"];
  inputs: Channel["inputs"];
}): [field: string, message: string][] {
  const conflicts: [string, string][] = [];
  if (channel.partSeconds > channel.segmentSeconds)
    conflicts.push(["partSeconds", `must not exceed segmentSeconds (${channel.segmentSeconds})`]);
  const heights =
    typeof channel.ladder === "string" ? [] : channel.ladder.map((rung) => ("height" in rung ? rung.height : 0));
  if (new Set(heights).size < heights.length) conflicts.push(["ladder", "must not list one height twice"]);
  const doors = channel.inputs.map((entry) =>
    entry.kind === "pull" ? entry.url : `${entry.kind} ${entry.port} ${entry.kind === "udp" ? entry.group : ""}`,
  );
  if (new Set(doors).size < doors.length) conflicts.push(["inputs", "must not list one port or address twice"]);
  return conflicts;
}
