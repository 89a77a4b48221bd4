// What a worker (or packager) and control say to each other: JSON texts on one WebSocket each, `/internal/workers/ID`,
// opened by the worker with a token of scope `worker`. Each message is a whole state or a wish that may come twice: losing
// the line loses nothing, both say it again on the next one. Both ends ping; who hears nothing for SILENT_MS hangs up.
import Type, { type Static } from "typebox";
import { PlatformError } from "#base/errors.ts";
import { type JsonSchema, pathText, wrongFields } from "#base/schema.ts";

/** Behind it the worker's id. */
export const WORKERS_PATH = "/internal/workers/";
export const HEARTBEAT_MS = 1000;
export const SILENT_MS = 3000;
/** Longest message either way; the longest real one is a packager's whole state, 200 sessions of up to 500 bytes. */
export const MESSAGE_BYTES_MAX = 131_072;

const closed = { additionalProperties: false };
const text = (maxLength: number) => Type.String({ maxLength });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([Type.Null(), schema]);

const id = text(128);

/** First message of each connection. */
const hello = Type.Object(
  {
    kind: Type.Literal("hello"),
    worker: id,
    /** transcode when absent. */
    role: Type.Optional(Type.Union([Type.Literal("transcode"), Type.Literal("package")])),
    pid: orNull(Type.Integer({ minimum: 0 })),
    /** Byte identity holds within one build on one CPU class: both are recorded in the session. */
    build: text(200),
    cpuClass: text(200),
  },
  closed,
);

/** The worker's whole state, about once a second and at each change of phase. A worker that has finished its session
 *  stays `draining` until it is released. */
const progress = Type.Object(
  {
    kind: Type.Literal("progress"),
    phase: Type.Union([
      Type.Literal("warm"),
      Type.Literal("running"),
      Type.Literal("draining"),
      Type.Literal("failed"),
    ]),
    session: orNull(id),
    /** Newest frame encoded, on the newest era's grid. */
    frame: orNull(Type.Number()),
    /** Media seconds made per second of the last span; 1 is real time. */
    speed: orNull(Type.Number()),
    encodedFrames: Type.Number({ minimum: 0 }),
    /** Why it failed, for the log. */
    detail: Type.Optional(text(2000)),
  },
  closed,
);

/** A packager's whole state, about once a second and at each change of a phase. What it has finished or failed at stays
 *  listed until it is told to drop it. */
const packaging = Type.Object(
  {
    kind: Type.Literal("packaging"),
    sessions: Type.Array(
      Type.Object(
        {
          session: id,
          phase: Type.Union([Type.Literal("running"), Type.Literal("draining"), Type.Literal("failed")]),
          /** Newest frame packaged, on the newest era's grid. */
          frame: orNull(Type.Number()),
          detail: Type.Optional(text(200)),
        },
        closed,
      ),
      { maxItems: 1000 },
    ),
  },
  closed,
);

const assignmentFields = {
  session: id,
  channel: id,
  gatewayUrl: text(500),
  originUrls: Type.Array(text(500), { maxItems: 16 }),
  /** Of scope `session`: reads that session's log, pushes its media. Renewed by a `token` message before it expires. */
  token: text(2048),
};

const assign = Type.Object({ kind: Type.Literal("assign"), ...assignmentFields }, closed);
/** The same session's next token; the old one stays good for hours. */
const token = Type.Object({ kind: Type.Literal("token"), session: id, token: text(2048) }, closed);
/** Leave now: the session is complete, or another has it. */
const release = Type.Object({ kind: Type.Literal("release") }, closed);
/** To a packager: let go of this session; it is complete, or another has it. */
const drop = Type.Object({ kind: Type.Literal("drop"), session: id }, closed);

export type Hello = Readonly<Static<typeof hello>>;
export type Progress = Readonly<Static<typeof progress>>;
export type Packaging = Readonly<Static<typeof packaging>>;
export type FromWorker = Hello | Progress | Packaging;

type Assign = Readonly<Static<typeof assign>>;
/** One session; for a worker never a second one. The same again after a reconnect. */
export type Assignment = Omit<Assign, "kind">;
export type FromControl =
  | Assign
  | Readonly<Static<typeof token>>
  | Readonly<Static<typeof release>>
  | Readonly<Static<typeof drop>>;

const FROM_WORKER: Readonly<Record<string, JsonSchema>> = { hello, progress, packaging };
const FROM_CONTROL: Readonly<Record<string, JsonSchema>> = { assign, token, release, drop };

/** @throws PlatformError api.bad_request naming each wrong field */
export const parseFromWorker = (message: string): FromWorker => parse(FROM_WORKER, message) as FromWorker;

/** @throws PlatformError api.bad_request naming each wrong field */
export const parseFromControl = (message: string): FromControl => parse(FROM_CONTROL, message) as FromControl;

function parse(schemas: Readonly<Record<string, JsonSchema>>, message: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch (cause) {
    throw new PlatformError("api.bad_request", "The message is not JSON.", { cause });
  }
  const kind = String((value as { kind?: unknown } | null)?.kind);
  const schema = Object.hasOwn(schemas, kind) ? schemas[kind] : undefined;
  if (schema === undefined)
    throw new PlatformError("api.bad_request", `A message of kind ${Object.keys(schemas).join(" or ")} was expected.`);
  const wrong = wrongFields(schema, value);
  if (wrong.length === 0) return value;
  const list = wrong.map(({ path, message }) => `${pathText(path)} ${message}`).join("; ");
  throw new PlatformError("api.bad_request", `A ${kind} message is wrong: ${list}.`);
}
