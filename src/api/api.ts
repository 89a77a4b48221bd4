// The control API and what stands beside it (/metrics, /healthz, /readyz), as one handler among others on the port.
// Fastify routes and reads bodies; it owns no socket here. Errors leave as RFC 9457 problems with our stable code.
import type { IncomingMessage, ServerResponse } from "node:http";
import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError, type Problem, toProblem } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { asSchema, pathText, type Wrong, wrongFields } from "#base/schema.ts";
import type { Channels, StoredChannel } from "#control/channels.ts";
import type { Control } from "#control/control.ts";
import type { HttpHandler } from "#platform/network/http.ts";
import type { Exposition } from "#platform/telemetry/telemetry.ts";
import { type AccessRules, checkAccess } from "./access.ts";
import { channelRoutes, channelView } from "./channel-routes.ts";
import { createEventFeed } from "./event-feed.ts";
import { type HooksPort, stateRoutes } from "./state-routes.ts";

const BODY_BYTES_MAX = 256 * 1024;
/** A few kilobytes of JSON; who takes longer is not sending. */
const BODY_TIMEOUT_MS = 15_000;
const EVENTS_PATH = "/api/v1/events";
/** Ended sessions in the event feed's state; the list has all that are remembered. */
const ENDED_IN_STATE_MAX = 20;

export type ApiDeps = Readonly<{
  clock: Clock;
  random: Random;
  log: Log;
  control: Control;
  channels: Channels;
  exposition: Exposition;
  access: AccessRules;
  version: string;
  /** Where customers' servers are told of streams; absent: nothing is configured to be told. */
  hooks?: HooksPort;
  /** What the process adds to /api/v1/status: ports, process ids. Must not change without cause (no uptime). */
  facts?: () => Readonly<Record<string, unknown>>;
}>;

export interface Api {
  /** Takes /api, /metrics, /healthz and /readyz. */
  readonly handler: HttpHandler;
  close(): Promise<void>;
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Answers anybody. */
    open?: boolean;
  }
}

export async function createApi(deps: ApiDeps): Promise<Api> {
  const { clock, control, channels, log } = deps;
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: 200 },
    // What the router itself cannot read never reaches a hook, so it is answered without a word about who may ask.
    frameworkErrors: (error, request, reply) => answer(error, request, reply),
    // A body is checked as it came: nothing is converted, defaulted or removed behind the caller's back.
  });
  app.removeContentTypeParser("text/plain");
  app.setValidatorCompiler(
    ({ schema }) =>
      (value) =>
        check(schema as object, value),
  );
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    if (request.routeOptions.config.open !== true) checkAccess(deps.access, askedBy(request));
  });
  function answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = problemOf(error);
    const asked = { method: request.method, path: pathOf(request.url), error };
    if (problem.code === "internal") log.error("request failed", asked);
    else if (problem.status >= 500) log.warn("request refused", asked);
    if (problem.status === 401) reply.header("www-authenticate", "Bearer");
    reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  }
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request) => {
    throw new PlatformError("api.not_found", `There is no ${request.method} ${pathOf(request.url).slice(0, 200)}.`);
  });

  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Continuity control API", version: deps.version },
      components: { securitySchemes: { admin: { type: "http", scheme: "bearer" } } },
      security: [{ admin: [] }],
    },
  });

  const startedAt = new Date(Number(clock.utcNs() / 1_000_000n)).toISOString();
  const status = () => ({ version: deps.version, startedAt, ...control.status(), ...deps.facts?.() });
  const feed = createEventFeed({
    clock,
    subscribe: control.subscribe,
    state: () => wholeState(control, channels, status),
  });
  app.register(async (routes) => {
    const now = () => new Date(Number(clock.utcNs() / 1_000_000n)).toISOString();
    channelRoutes(routes, { channels, control, random: deps.random, now });
    stateRoutes(routes, { control, exposition: deps.exposition, status, hooks: deps.hooks ?? null });
    routes.get("/api/v1/openapi.json", { schema: { hide: true } }, () => app.swagger());
    routes.get(
      EVENTS_PATH,
      {
        exposeHeadRoute: false,
        schema: {
          tags: ["state"],
          summary: "Server-sent events: `state` (whole, first and when it changed) and one per thing that happens",
          response: { 200: { type: "string", description: "text/event-stream" } },
        },
      },
      (_, reply) => {
        feed.open(reply.raw, { "cache-control": "no-store", "x-content-type-options": "nosniff" });
        reply.hijack();
      },
    );
  });
  await app.ready();

  return {
    handler(request: IncomingMessage, response: ServerResponse) {
      if (!isOurs(pathOf(request.url ?? "/"))) return false;
      const late = clock.setTimer(BODY_TIMEOUT_MS, () => request.complete || request.destroy());
      response.on("close", () => late.cancel());
      app.routing(request, response);
      return true;
    },
    async close() {
      feed.close();
      await app.close();
    },
  };
}

const pathOf = (url: string) => url.split("?", 1)[0]!;

function isOurs(path: string): boolean {
  return path === "/api" || path.startsWith("/api/") || ["/metrics", "/healthz", "/readyz"].includes(path);
}

function askedBy({ method, headers, url }: FastifyRequest) {
  const { host, origin, authorization } = headers;
  const query = pathOf(url) === EVENTS_PATH ? new URLSearchParams(url.slice(EVENTS_PATH.length)) : null;
  return { method, host, origin, authorization, queryToken: query?.get("access_token") ?? null };
}

function wholeState(control: Control, channels: Channels, status: () => object) {
  const over = (state: string) => state === "ended" || state === "failed";
  const sessions = control.sessions();
  return {
    status: status(),
    channels: channels.list().map((entry) => ({ ...channelView(entry), ...inputsOf(control, entry) })),
    sessions: [
      ...sessions.filter(({ state }) => !over(state)),
      ...sessions.filter(({ state }) => over(state)).slice(0, ENDED_IN_STATE_MAX),
    ],
    workers: control.workers(),
    refusals: control.refusals().slice(0, ENDED_IN_STATE_MAX),
  };
}

/** How its inputs are doing, without their counters: these change all the time, and each change is another state. */
function inputsOf(control: Control, { channel }: StoredChannel) {
  if (channel.inputs.length === 0) return {};
  const inputStates = control.inputs(channel.name).map((input) => {
    if (input.kind === "pull") return { kind: input.kind, url: input.url, state: input.state, detail: input.detail };
    const { kind, host, port, state, error, remote } = input;
    return { kind, host, port, state, detail: error?.message ?? remote };
  });
  return { inputStates };
}

/** Wrong fields of a request, for the problem's `errors`. */
class BadFields extends PlatformError {
  readonly wrong: readonly Wrong[];

  constructor(wrong: readonly Wrong[]) {
    super(
      "api.bad_request",
      `${wrong.map(({ path, message }) => `${pathText(path) || "body"} ${message}`).join("; ")}.`,
    );
    this.wrong = wrong;
  }
}

function check(schema: object, value: unknown) {
  const wrong = wrongFields(asSchema(schema), value);
  return wrong.length === 0 ? { value } : { error: new BadFields(wrong) };
}

type WithErrors = Problem & { errors?: { field: string; message: string }[] };

function problemOf(error: unknown): WithErrors {
  if (error instanceof BadFields)
    return {
      ...toProblem(error),
      errors: error.wrong.map(({ path, message }) => ({ field: pathText(path), message })),
    };
  if (error instanceof PlatformError) return toProblem(error);
  // What Fastify itself refuses: no JSON, too long, another media type.
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (!code?.startsWith("FST_") || statusCode === undefined || statusCode < 400 || statusCode >= 500)
    return toProblem(error);
  const refused = new PlatformError("api.bad_request", `${describe(error)}.`.replace(/\.\.$/, "."));
  return { ...toProblem(refused), status: statusCode };
}
