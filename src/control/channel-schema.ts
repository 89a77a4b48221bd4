// What a channel may be set to: one JSON Schema for the configuration file and for the API, so that neither takes what
// the other refuses. Descriptions complete the sentence "must be ...".
import Type from "typebox";
import { CHANNEL_NAME } from "#media/channel.ts";

export const keyText = Type.String({
  pattern: "^[A-Za-z0-9_~.-]{6,200}$",
  description: "6 to 200 of A-Z, a-z, 0-9, and _ ~ . - (it travels in URLs)",
});

export const keyName = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}$",
  description: "1 to 64 letters, digits, spaces and _ . @ -, beginning with a letter or digit",
});

export const channelName = Type.String({
  pattern: CHANNEL_NAME.source,
  description: "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
});

const rung = Type.Object(
  {
    height: Type.Integer({ minimum: 64, maximum: 4320 }),
    codec: Type.Optional(Type.Literal("h264")),
    bitrateKbps: Type.Optional(Type.Integer({ minimum: 50, maximum: 100_000 })),
  },
  { additionalProperties: false },
);

/** Everything of a channel but its name and its keys. */
export const channelSettings = {
  tenant: Type.String({
    pattern: "^[a-z0-9][a-z0-9_-]{0,63}$",
    description: "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
  }),
  ladder: Type.Union([Type.Literal("auto"), Type.Array(rung, { minItems: 1, maxItems: 8 })]),
  segmentSeconds: Type.Number({ minimum: 1, maximum: 10 }),
  partSeconds: Type.Number({ minimum: 0.15, maximum: 5 }),
  windowSegments: Type.Integer({ minimum: 6, maximum: 1800 }),
  lossGraceSeconds: Type.Number({ minimum: 0, maximum: 3600 }),
  endGraceSeconds: Type.Number({ minimum: 0, maximum: 3600 }),
  rtmpPath: Type.Union([
    Type.Null(),
    Type.String({
      pattern: "^[^/?#\\s]{1,100}(/[^/?#\\s]{1,100}){1,7}$",
      description: "APP/NAME, as in rtmp://host/APP/NAME",
    }),
  ]),
};

/** What the fields' own ranges cannot say. @returns [field, what is wrong] */
export function channelConflicts(channel: {
  segmentSeconds: number;
  partSeconds: number;
  ladder: "auto" | readonly { height: number }[];
}): [field: string, message: string][] {
  const conflicts: [string, string][] = [];
  if (channel.partSeconds > channel.segmentSeconds)
    conflicts.push(["partSeconds", `must not exceed segmentSeconds (${channel.segmentSeconds})`]);
  if (channel.ladder !== "auto" && new Set(channel.ladder.map(({ height }) => height)).size < channel.ladder.length)
    conflicts.push(["ladder", "must not list one height twice"]);
  return conflicts;
}
