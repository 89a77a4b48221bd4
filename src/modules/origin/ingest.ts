// `/ingest/CHANNEL/...`: CMAF in, from our workers and from encoders of others.
// Long-running (POST or PUT of one track, chunk by chunk) and per-segment PUT are one reader over one body; they differ
// only in where the init segment comes from.
// Source: DASH-IF Live Media Ingest 1.2, interface 1
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError, toProblem } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { type CmafEvent, CmafReader } from "#media/cmaf/read.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import { answerJson, answerProblem } from "#platform/network/http.ts";
import { type Took, takeChunk, takeInit } from "./intake.ts";
import type { Session } from "./session.ts";

export type IngestDeps = Readonly<{
  clock: Clock;
  log: Log;
  keys: Keys;
  session: (id: string) => Session | null;
}>;

export type Target = Readonly<{
  channel: string;
  track: string;
  kind: "video" | "audio" | null;
  session: string;
  era: number;
}>;

const STREAMS = /^\/ingest\/([a-z0-9][a-z0-9_-]{0,63})\/Streams\(([A-Za-z0-9_-]{1,64})\.(cmfv|cmfa)\)$/;
const OBJECT =
  /^\/ingest\/([a-z0-9][a-z0-9_-]{0,63})\/([A-Za-z0-9_-]{1,64})\/[A-Za-z0-9_.$-]{1,100}\.(?:m4s|mp4|cmfv|cmfa)$/;
/** Everything below a channel's folder is ours; `/ingest/CHANNEL.mpegts` is not. */
const OURS = /^\/ingest\/[^/?]+\//;

const TYPES = new Set(["video/mp4", "audio/mp4", "application/mp4", "video/iso.segment", "audio/iso.segment"]);
TYPES.add("application/octet-stream");

const ACKS = "application/x-ndjson";
/** A refused sender gets the answer and this long to notice, before its connection is cut. */
const LINGER_MS = 2000;
/** Probes find a peer that vanished without a word. */
const KEEP_ALIVE_MS = 15_000;

/** @returns false when the path is not ours */
export function handleIngest(deps: IngestDeps, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request);
  if (path === null || !OURS.test(path) || !namesSession(request)) return false;
  if (request.method !== "POST" && request.method !== "PUT") {
    response.writeHead(405, { allow: "POST, PUT", "content-length": 0, connection: "close" });
    response.end();
    return true;
  }
  receive(deps, path, request, response).catch((error) => refuse(deps, request, response, error));
  return true;
}

/** Encoders of others name none: theirs is the gateway's. */
function namesSession(request: IncomingMessage): boolean {
  return new URLSearchParams((request.url ?? "").split("?")[1] ?? "").has("session");
}

function pathOf(request: IncomingMessage): string | null {
  try {
    return decodeURIComponent((request.url ?? "").split("?", 1)[0]!); // some senders escape the parentheses
  } catch {
    return null;
  }
}

async function receive(deps: IngestDeps, path: string, request: IncomingMessage, response: ServerResponse) {
  const target = targetOf(path, request);
  const session = await authorized(deps, target, request);
  const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== undefined && !TYPES.has(type))
    throw new PlatformError("media.unsupported", `Media of type ${type.slice(0, 60)}; CMAF is video/mp4 or audio/mp4.`);
  request.socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const known = session.tracks.get(target.track)?.inits.get(target.era)?.init ?? null;
  const acks = new Acks(request, response, session, target);
  try {
    const reader = new CmafReader(known);
    // A refusal leaves this loop early; the request must survive that, or there is no connection to answer on.
    for await (const bytes of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)
      for (const event of reader.push(bytes)) acks.took(await take(session, target, event));
    reader.end();
    await acks.finish();
  } finally {
    acks.close();
  }
}

function targetOf(path: string, request: IncomingMessage): Target {
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const streams = STREAMS.exec(path);
  const match = streams ?? OBJECT.exec(path);
  if (!match) throw new PlatformError("api.not_found", "Ingest is at Streams(TRACK.cmfv), or TRACK/NAME.m4s.");
  const session = query.get("session") ?? "";
  const era = query.get("era") ?? "0";
  if (session === "" || !/^\d{1,9}$/.test(era))
    throw new PlatformError("api.bad_request", "Say which session=ID and era=NUMBER the media belongs to.");
  const kind = streams ? (streams[3] === "cmfv" ? "video" : "audio") : null;
  return { channel: match[1]!, track: match[2]!, kind, session, era: Number(era) };
}

/** @throws PlatformError api.unauthorized, api.forbidden, origin.session_unknown */
async function authorized(deps: IngestDeps, target: Target, request: IncomingMessage): Promise<Session> {
  const token = bearer(request.headers.authorization);
  if (token === null) throw new PlatformError("api.unauthorized", "Ingest needs a session's token.");
  const scope = await deps.keys.verify(token);
  const mine = scope.kind === "session" && scope.session === target.session && scope.channel === target.channel;
  if (!mine && scope.kind !== "internal")
    throw new PlatformError("api.forbidden", `The token is not one of session ${target.session.slice(0, 64)}.`);
  const session = deps.session(target.session);
  if (!session || session.channel.name !== target.channel)
    throw new PlatformError(
      "origin.session_unknown",
      `${target.channel} has no session ${target.session.slice(0, 64)}.`,
    );
  return session;
}

async function take(session: Session, target: Target, event: CmafEvent): Promise<Took | null> {
  if (event.kind === "chunk") return takeChunk(session, target, event);
  if (target.kind !== null && event.init.kind !== target.kind)
    throw new PlatformError("media.unsupported", `${target.track} is ${target.kind} by its name, and not by its init.`);
  await takeInit(session, target, event.init, event.bytes);
  return null;
}

/** What the sender hears: each segment that is on disk, as a line, when it asked for that; else one answer at the end. */
class Acks {
  readonly #response: ServerResponse;
  readonly #streams: boolean;
  readonly #target: Target;
  readonly #stop: () => void;
  readonly #isWhole: (start: number) => boolean;
  /** Segments of this request that are not on disk yet. */
  readonly #pending = new Set<number>();
  #drained: (() => void) | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, session: Session, target: Target) {
    this.#response = response;
    this.#target = target;
    this.#streams = (request.headers.accept ?? "").includes(ACKS);
    this.#stop = session.saving.onStored(target.track, (era, start) => era === target.era && this.#stored(start));
    this.#isWhole = (start) => session.tracks.get(target.track)?.find(target.era, start) != null;
    response.on("close", () => this.#drained?.());
  }

  /** An init segment or a chunk was taken: from now on nothing is answered but acknowledgements. */
  took(chunk: Took | null): void {
    if (this.#streams && !this.#response.headersSent) {
      this.#response.writeHead(200, { "content-type": ACKS, "cache-control": "no-store" });
      this.#response.flushHeaders();
    }
    if (chunk === null || chunk.segmentStartTicks === null) return;
    if (chunk.stored) this.#stored(chunk.segmentStartTicks);
    else this.#pending.add(chunk.segmentStartTicks);
  }

  #stored(startTicks: number): void {
    this.#pending.delete(startTicks);
    if (this.#streams && !this.#response.writableEnded)
      this.#response.write(
        `${JSON.stringify({ stored: { track: this.#target.track, era: this.#target.era, start: startTicks } })}\n`,
      );
    if (this.#pendingWhole().length === 0) this.#drained?.();
  }

  #pendingWhole(): number[] {
    return [...this.#pending].filter((start) => this.#isWhole(start));
  }

  /** The body has ended: answer when all whole segments of it are on disk, or the sender has left. */
  async finish(): Promise<void> {
    while (this.#pendingWhole().length > 0 && !this.#response.closed)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    if (this.#streams) this.#response.end();
    else answerJson(this.#response, 200, { taken: true });
  }

  close(): void {
    this.#stop();
  }
}

/** Say why, and leave the sender time to read it: a connection that is cut under a write loses the answer. */
function refuse(deps: IngestDeps, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (request.destroyed && !request.complete) return; // the sender left in the middle; it will be back
  if (!(error instanceof PlatformError)) deps.log.error("ingest failed", { error });
  else deps.log.warn("ingest refused", { code: error.code, reason: describe(error), path: pathOf(request) });
  if (response.headersSent) response.end(`${JSON.stringify({ error: toProblem(error) })}\n`);
  else answerProblem(response, error, { "cache-control": "no-store" });
  request.resume();
  deps.clock.setTimer(LINGER_MS, () => request.complete || request.destroy());
}
