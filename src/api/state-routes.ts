// What runs: sessions, workers, refusals, status; health for those who start and stop us; numbers for the scraper.
import type { FastifyInstance } from "fastify";
import { PlatformError } from "#base/errors.ts";
import type { Control } from "#control/control.ts";
import type { Exposition } from "#platform/telemetry/telemetry.ts";
import { metricsOf } from "./metrics.ts";
import * as schemas from "./schemas.ts";

/** Deliveries of events, as the API needs them. */
export interface HooksPort {
  states(): readonly object[];
  test(): void;
}

type Identified = { Params: { id: string } };

/** Routes with this answer anybody: a probe has no token. */
const OPEN = { config: { open: true } };

export function stateRoutes(
  app: FastifyInstance,
  deps: { control: Control; exposition: Exposition; status: () => object; hooks: HooksPort | null },
): void {
  const { control } = deps;
  const list = (summary: string, item: Parameters<typeof schemas.itemsOf>[0]) => ({
    schema: { tags: ["state"], summary, response: { 200: schemas.itemsOf(item), "4xx": schemas.problem } },
  });

  app.get("/api/v1/sessions", list("Sessions, running ones first", schemas.session), () => ({
    items: control.sessions(),
  }));
  app.get("/api/v1/workers", list("Workers and demo sources", schemas.worker), () => ({ items: control.workers() }));
  app.get("/api/v1/refusals", list("Publishers that were turned away, newest first", schemas.refusal), () => ({
    items: control.refusals(),
  }));

  app.get<Identified>(
    "/api/v1/sessions/:id",
    {
      schema: {
        tags: ["state"],
        summary: "One session; ended ones are remembered for a while",
        params: schemas.identified,
        response: { 200: schemas.session, "4xx": schemas.problem },
      },
    },
    (request) => {
      const session = control.session(request.params.id);
      if (session === null) throw new PlatformError("api.not_found", `There is no session ${request.params.id}.`);
      return session;
    },
  );

  app.post<Identified>(
    "/api/v1/sessions/:id/stop",
    {
      schema: {
        tags: ["state"],
        summary: "End a session now: its publisher is disconnected",
        params: schemas.identified,
        response: { 202: schemas.health, "4xx": schemas.problem },
      },
    },
    async (request, reply) => {
      await control.stopSession(request.params.id);
      reply.code(202);
      return { status: "stopping" };
    },
  );

  app.post<Identified>(
    "/api/v1/sessions/:id/kick",
    {
      schema: {
        tags: ["state"],
        summary: "Disconnect a session's publisher now; the session waits for one for its grace",
        params: schemas.identified,
        response: { 202: schemas.health, "4xx": schemas.problem },
      },
    },
    async (request, reply) => {
      await control.kickSession(request.params.id);
      reply.code(202);
      return { status: "kicking" };
    },
  );

  app.get("/api/v1/hooks", list("Where events of streams are sent, and how that goes", schemas.hook), () => ({
    items: deps.hooks?.states() ?? [],
  }));

  app.post(
    "/api/v1/hooks/test",
    {
      schema: {
        tags: ["state"],
        summary: "Send each target an event that is marked as a test",
        response: { 202: schemas.health, "4xx": schemas.problem },
      },
    },
    async (_, reply) => {
      if (!deps.hooks) throw new PlatformError("api.not_found", "No hooks.events are configured.");
      deps.hooks.test();
      reply.code(202);
      return { status: "sending" };
    },
  );

  app.get(
    "/api/v1/status",
    { schema: { tags: ["state"], summary: "One look at the whole installation", response: { 200: schemas.status } } },
    deps.status,
  );

  app.get("/metrics", { schema: { hide: true } }, async (_, reply) => {
    reply.header("content-type", deps.exposition.contentType);
    return deps.exposition.render(metricsOf(control));
  });

  app.get("/healthz", { ...OPEN, schema: { hide: true } }, () => ({ status: "ok" }));
  app.get("/readyz", { ...OPEN, schema: { hide: true } }, (_, reply) => {
    const { ready } = control.status();
    reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "starting" });
    return reply;
  });
}
