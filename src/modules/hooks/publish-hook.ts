// Asks a customer's own server whether a publisher may publish. Its answer counts for a while for the same question, equal
// questions at one time are one, and a server that is slow or away costs the publishers that it is asked about and no other.
import { createHash } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import { describe, PlatformError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { utcSeconds } from "./instant.ts";
import { SIGNATURE_HEADER, signature } from "./sign.ts";
import type { Post, PublishHook } from "./types.ts";

export type PublishQuestion = Readonly<{
  channel: string;
  tenant: string;
  protocol: string;
  /** Address and port. */
  remote: string;
  /** Name of the key that opened the channel; null for the installation's own, and when none was needed. */
  keyName: string | null;
  /** As it was given; only for a hook that judges keys. */
  key: string | null;
  /** "APP/NAME" of an RTMP address; null for other protocols. */
  rtmpPath: string | null;
}>;

export interface PublishAsker {
  readonly keys: PublishHook["keys"];
  /** @returns settings that the answer changes, not looked at yet; null when it says none
   *  @throws PlatformError publish.hook_refused, publish.unavailable */
  ask(question: PublishQuestion): Promise<unknown>;
}

type Verdict = Readonly<{ allowed: true; overrides: unknown }> | Readonly<{ allowed: false; message: string }>;
/** Nobody said so. */
const UNJUDGED: Verdict = Object.freeze({ allowed: true, overrides: null });

type Known = { verdict: Promise<Verdict>; untilMs: number };

const KNOWN_MAX = 10_000;
const IN_FLIGHT_MAX = 200;
const MESSAGE_CHARS_MAX = 200;

export function createPublishAsker(deps: { clock: Clock; log: Log; hook: PublishHook; post: Post }): PublishAsker {
  const { clock, log, hook, post } = deps;
  const known = new Map<string, Known>();
  let inFlight = 0;

  async function judge(question: PublishQuestion): Promise<Verdict> {
    const nowSeconds = utcSeconds(clock);
    const { body, type } = hook.format === "nginx-rtmp" ? formOf(question) : jsonOf(question, nowSeconds);
    const headers = { "content-type": type, [SIGNATURE_HEADER]: signature(hook.secret, nowSeconds, body) };
    const answer = await post(hook.url, body, headers, hook.timeoutMs);
    if (answer.status >= 200 && answer.status < 300)
      return { allowed: true, overrides: hook.format === "json" ? overridesIn(answer.body) : null };
    if (answer.status >= 400 && answer.status < 500) return { allowed: false, message: messageIn(answer.body) };
    throw new PlatformError("network.unreachable", `the publish hook answered ${answer.status}`);
  }

  async function judgeOrFail(question: PublishQuestion): Promise<Verdict> {
    if (inFlight >= IN_FLIGHT_MAX) return failed("too many questions are open");
    inFlight += 1;
    try {
      return await judge(question);
    } catch (error) {
      return failed(describe(error));
    } finally {
      inFlight -= 1;
    }
  }

  /** What counts when nobody answers. It is not remembered: the next one is asked again. */
  function failed(reason: string): Verdict {
    log.warn("hooks.publish_failed", { reason, publishers: hook.onFailure });
    if (hook.onFailure === "allow") return UNJUDGED;
    throw new PlatformError("publish.unavailable", "It cannot be found out whether you may publish; try again.");
  }

  function forget(name: string, entry: Known): void {
    if (known.get(name) === entry) known.delete(name);
  }

  return {
    keys: hook.keys,
    async ask(question) {
      const nowMs = clock.monotonicMs();
      const name = nameOf(question);
      let entry = known.get(name);
      if (!entry || entry.untilMs <= nowMs) {
        known.delete(name); // so that it counts as the newest
        const fresh: Known = { verdict: judgeOrFail(question), untilMs: Number.POSITIVE_INFINITY };
        known.set(name, fresh);
        fresh.verdict.then(
          (verdict) => {
            if (verdict === UNJUDGED) forget(name, fresh);
            else fresh.untilMs = clock.monotonicMs() + hook.cacheSeconds * 1000;
          },
          () => forget(name, fresh),
        );
        for (const oldest of known.keys()) {
          if (known.size <= KNOWN_MAX) break;
          known.delete(oldest);
        }
        entry = fresh;
      }
      const verdict = await entry.verdict;
      if (!verdict.allowed) throw new PlatformError("publish.hook_refused", verdict.message);
      return verdict.overrides;
    },
  };
}

/** Equal for equal questions from one address, whatever its port. A digest: no key stays in memory, and a long one costs no
 *  more than a short one. */
function nameOf({ remote, ...question }: PublishQuestion): string {
  const text = JSON.stringify([question, addressOf(remote)]);
  return createHash("sha256").update(text).digest("base64");
}

const addressOf = (remote: string): string => remote.replace(/:\d+$/, "");

function jsonOf({ key, ...question }: PublishQuestion, nowSeconds: number): { body: string; type: string } {
  const at = new Date(nowSeconds * 1000).toISOString();
  const body = JSON.stringify({ at, ...question, ...(key === null ? {} : { key }) });
  return { body, type: "application/json" };
}

/** As nginx's RTMP module posts it. Source: github.com/arut/nginx-rtmp-module/wiki/Directives, on_publish */
function formOf({ channel, remote, key, rtmpPath }: PublishQuestion): { body: string; type: string } {
  const [app = "live", ...name] = rtmpPath?.split("/") ?? ["live", channel];
  const form = new URLSearchParams({
    app,
    addr: addressOf(remote),
    call: "publish",
    name: name.join("/") || channel,
    type: "live",
  });
  if (key !== null) form.set("key", key);
  return { body: form.toString(), type: "application/x-www-form-urlencoded" };
}

/** An empty body, or a word like "OK", changes nothing.
 *  @throws PlatformError network.unreachable when a JSON object was meant: it may hold a limit, so it is not passed over */
function overridesIn(body: string): unknown {
  const value = jsonIn(body);
  if (value === undefined && body.trimStart().startsWith("{"))
    throw new PlatformError("network.unreachable", "the publish hook answered JSON that cannot be read");
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

/** Words of the customer's for the publisher: one line, nothing that a terminal obeys. Only those of `message`: a page
 *  that some proxy wrote tells more than a publisher may know. */
function messageIn(body: string): string {
  const message = (jsonIn(body) as { message?: unknown } | null | undefined)?.message;
  const line = (typeof message === "string" ? message : "").replaceAll(/[\s\p{Cc}\p{Cf}\p{Cs}]+/gu, " ").trim();
  const plain = [...line].slice(0, MESSAGE_CHARS_MAX).join("");
  return plain === "" ? "You may not publish to this channel." : plain;
}

/** @returns undefined when it is no JSON */
function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
