// What the processes say that fetch streams for channels: shown with the channels' other inputs, and believed for as long as
// it is said again. `POST /internal/pulls` with the token that a pull publishes with.
import type { IncomingMessage } from "node:http";
import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import { bearer, type Keys } from "#platform/keys/keys.ts";
import { answerJson, answerProblem, type HttpHandler } from "#platform/network/http.ts";
import type { PullState, WantedInput } from "../types.ts";

/** A pull that said nothing for so long is not there; it says something every 10 s. */
const BELIEVED_MS = 30_000;
const BODY_BYTES_MAX = 8192;
const TEXT_CHARS_MAX = 1000;
const STATES: ReadonlySet<unknown> = new Set(["opening", "connected", "waiting"]);

type Said = Pick<PullState, "state" | "detail" | "url"> & { readonly atMs: number };

export class PullStates {
  readonly #clock: Clock;
  readonly #changed: () => void;
  #wanted: readonly string[] = [];
  readonly #said = new Map<string, Said>();

  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  want(inputs: readonly WantedInput[]): void {
    this.#wanted = inputs.filter(({ input }) => input.kind === "pull").map(({ channel }) => channel);
    for (const channel of this.#said.keys()) if (!this.#wanted.includes(channel)) this.#said.delete(channel);
  }

  states(): PullState[] {
    const nowMs = this.#clock.monotonicMs();
    return this.#wanted.map((channel): PullState => {
      const said = this.#said.get(channel);
      if (!said || nowMs - said.atMs > BELIEVED_MS)
        return { channel, kind: "pull", url: said?.url ?? null, state: "idle", detail: null };
      return { channel, kind: "pull", url: said.url, state: said.state, detail: said.detail };
    });
  }

  /** @throws PlatformError api.bad_request */
  say(channel: string, body: unknown): void {
    const { url, state, detail } = (body ?? {}) as Record<string, unknown>;
    const isText = (value: unknown): value is string => typeof value === "string" && value.length <= TEXT_CHARS_MAX;
    if (!STATES.has(state) || !isText(url) || !(detail === null || isText(detail)))
      throw new PlatformError("api.bad_request", "Say url, state and detail of the pull.");
    const before = this.#said.get(channel);
    this.#said.set(channel, { url, state: state as Said["state"], detail, atMs: this.#clock.monotonicMs() });
    if (before?.state !== state || before?.detail !== detail) this.#changed();
  }
}

export function pullStatesHttp(pulls: PullStates, keys: Keys): HttpHandler {
  return (request, response) => {
    if (request.url !== "/internal/pulls" || request.method !== "POST") return false;
    take(pulls, keys, request).then(
      () => answerJson(response, 200, {}),
      (error: unknown) => {
        answerProblem(response, error);
        request.resume();
      },
    );
    return true;
  };
}

async function take(pulls: PullStates, keys: Keys, request: IncomingMessage): Promise<void> {
  const scope = await keys.verify(bearer(request.headers.authorization) ?? "");
  if (scope.kind !== "publish") throw new PlatformError("api.forbidden", "The token is not one of a pull.");
  let text = "";
  for await (const piece of request.setEncoding("utf8")) {
    text += piece;
    if (text.length > BODY_BYTES_MAX) throw new PlatformError("api.bad_request", "The body is too long.");
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new PlatformError("api.bad_request", "The body is not JSON.", { cause });
  }
  pulls.say(scope.channel, body);
}
