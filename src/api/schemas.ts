// What the API answers and takes, as JSON Schema: the source of the OpenAPI document and of the checks.
import Type from "typebox";
import { channelName, channelSettings, instant, keyName, keyText } from "#control/channel-schema.ts";

const closed = { additionalProperties: false };
const text = Type.String();
const count = Type.Integer({ minimum: 0 });
const textOrNull = Type.Union([Type.Null(), text]);
const numberOrNull = Type.Union([Type.Null(), Type.Number()]);
const words = (...values: string[]) => Type.Union(values.map((value) => Type.Literal(value)));

export const itemsOf = <T extends Parameters<typeof Type.Array>[0]>(item: T) =>
  Type.Object({ items: Type.Array(item) }, closed);

export const problem = Type.Object({
  type: text,
  title: text,
  status: Type.Integer(),
  detail: text,
  code: text,
  errors: Type.Optional(Type.Array(Type.Object({ field: text, message: text }, closed))),
});

const settings = Type.Partial(Type.Object(channelSettings)).properties;
const instantOrNull = Type.Union([Type.Null(), instant]);
export const keyWanted = Type.Object(
  { name: keyName, key: Type.Optional(keyText), expiresAt: Type.Optional(instantOrNull) },
  closed,
);
export const keyRotate = Type.Object(
  {
    key: Type.Optional(keyText),
    graceSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 31_536_000 })),
    expiresAt: Type.Optional(instantOrNull),
  },
  closed,
);
export const keyRevoke = Type.Object({ kick: Type.Optional(words("true", "false")) }, closed);
const keysWanted = Type.Optional(Type.Array(keyWanted, { maxItems: 100 }));

/** A key without `key` gets a new one, unless the channel has one of that name: then that stays. */
export const channelCreate = Type.Object({ name: channelName, ...settings, keys: keysWanted }, closed);
export const channelReplace = Type.Object({ name: Type.Optional(channelName), ...settings, keys: keysWanted }, closed);
export const channelPatch = channelReplace;

/** `key` only in the answer to the request that made it. `previousUntil`: so long the text before the rotation is good. */
export const channelKey = Type.Object(
  {
    name: text,
    createdAt: textOrNull,
    expiresAt: textOrNull,
    lastUsedAt: textOrNull,
    previousUntil: textOrNull,
    key: Type.Optional(text),
  },
  closed,
);
/** Sessions whose publishers were disconnected. */
export const kicked = Type.Object({ kicked: Type.Array(text) }, closed);

/** How a pull of the channel is doing. */
const pullState = Type.Object(
  {
    kind: words("pull"),
    url: textOrNull,
    state: words("idle", "opening", "connected", "waiting"),
    detail: textOrNull,
  },
  closed,
);

/** How a port of the channel's own is doing; counters since it was opened. */
export const inputState = Type.Object(
  {
    kind: words("tcp", "udp"),
    host: text,
    port: count,
    state: words("opening", "listening", "connected", "stopped", "failed"),
    error: Type.Union([Type.Null(), Type.Object({ code: text, message: text }, closed)]),
    remote: textOrNull,
    bytes: count,
    datagrams: Type.Union([
      Type.Null(),
      Type.Object(
        {
          received: count,
          encapsulation: Type.Union([Type.Null(), words("none", "rtp")]),
          lost: count,
          reordered: count,
          stale: count,
          ignored: count,
          malformed: count,
          overflowed: count,
          dropped: Type.Union([Type.Null(), count]),
          receiveBufferBytes: count,
        },
        closed,
      ),
    ]),
  },
  closed,
);

export const channel = Type.Object(
  {
    name: channelName,
    origin: words("file", "auto", "demo"),
    readOnly: Type.Boolean(),
    ...channelSettings,
    keys: Type.Array(channelKey),
    revision: text,
    playback: text,
    watch: text,
    /** Where a channel is read. */
    inputStates: Type.Optional(Type.Array(Type.Union([inputState, pullState]))),
  },
  closed,
);

const rate = Type.Object({ num: Type.Integer(), den: Type.Integer() }, closed);

export const session = Type.Object(
  {
    id: text,
    channel: text,
    tenant: text,
    state: words("starting", "live", "interrupted", "ending", "ended", "failed"),
    endReason: Type.Union([Type.Null(), words("publisher", "lost", "stopped", "refused", "limit", "failed")]),
    anchor: Type.Union([Type.Null(), Type.Object({ time: text, taiNs: text }, closed)]),
    msnBase: count,
    protocol: text,
    remote: text,
    startedAt: text,
    tracks: Type.Array(
      Type.Object({
        track: count,
        kind: words("video", "audio"),
        codec: text,
        width: Type.Optional(count),
        height: Type.Optional(count),
        interlaced: Type.Optional(Type.Boolean()),
        bitDepth: Type.Optional(count),
        sampleRate: Type.Optional(count),
        channels: Type.Optional(count),
        language: Type.Optional(text),
      }),
    ),
    rate: Type.Union([Type.Null(), rate]),
    renditions: Type.Array(
      Type.Object({
        name: text,
        nextFrame: numberOrNull,
        parts: count,
        segments: count,
        gaps: count,
        bytes: count,
        partAgeMs: numberOrNull,
      }),
    ),
    counters: Type.Object({
      bytesIn: count,
      units: count,
      damagedUnits: count,
      droppedUnits: count,
      continuityErrors: count,
      holes: count,
      readersCut: count,
      returns: count,
      driftSteps: count,
      driftMs: Type.Integer(),
    }),
    log: Type.Object({ first: count, next: count, bytes: count, readers: count }),
    copiesThatDiffer: count,
    waiters: count,
    workers: Type.Array(
      Type.Object({ id: text, phase: text, node: text, pid: Type.Union([Type.Null(), count]) }, closed),
    ),
  },
  closed,
);

export const worker = Type.Object(
  {
    id: text,
    role: words("transcode", "package", "demo-source", "pull"),
    phase: text,
    session: textOrNull,
    sessions: Type.Array(text),
    connected: Type.Boolean(),
    node: text,
    pid: Type.Union([Type.Null(), count]),
    build: textOrNull,
    cpuClass: textOrNull,
    frame: numberOrNull,
    speed: numberOrNull,
    encodedFrames: numberOrNull,
  },
  closed,
);

export const hook = Type.Object(
  {
    url: text,
    types: Type.Array(text),
    pending: count,
    delivered: count,
    dead: count,
    lastError: textOrNull,
    nextAttemptAt: textOrNull,
  },
  closed,
);

export const refusal = Type.Object(
  { at: text, code: text, message: text, protocol: text, channel: textOrNull, remote: text },
  closed,
);

const counts = Type.Object({}, { additionalProperties: count });

/** Open: the process that serves it adds what it knows (ports, process ids). */
export const status = Type.Object({
  version: text,
  startedAt: text,
  ready: Type.Boolean(),
  gateway: Type.Object({ connected: Type.Boolean(), url: textOrNull }),
  origins: Type.Array(Type.Object({ name: text, connected: Type.Boolean() }, closed)),
  channels: count,
  sessions: counts,
  workers: counts,
});

export const health = Type.Object({ status: text });
export const keyed = Type.Object({ name: channelName, key: keyName }, closed);
export const named = Type.Object({ name: channelName }, closed);
export const identified = Type.Object({ id: Type.String({ maxLength: 128 }) }, closed);
