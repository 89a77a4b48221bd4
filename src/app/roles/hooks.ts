// Customers' own servers, asked about publishers and told about streams.
import { PlatformError } from "#base/errors.ts";
import type { Control } from "#control/control.ts";
import { type Outbox, openOutbox } from "#modules/hooks/outbox.ts";
import { createPublishAsker, type PublishAsker } from "#modules/hooks/publish-hook.ts";
import type { Post } from "#modules/hooks/types.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import type { RoleContext } from "./process.ts";

const ANSWER_BYTES_MAX = 65_536;
/** States are looked at when an event says that something changed, and this often anyway. */
const LOOK_MS = 5000;

/** Redirects are not followed: what is signed is for one address. */
const post: Post = async (url, body, headers, timeoutMs) => {
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    let text = "";
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      text += decoder.decode(piece as Uint8Array, { stream: true });
      if (text.length > ANSWER_BYTES_MAX) throw new PlatformError("network.unreachable", "its answer is too long");
    }
    return { status: response.status, body: text };
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    const { cause, message } = error as Error;
    const reason = cause instanceof Error && cause.message !== "" ? cause.message : message;
    throw new PlatformError("network.unreachable", `no answer: ${reason}`, { cause: error });
  }
};

export function publishAsker({ clock, log, config }: RoleContext): PublishAsker | null {
  const hook = config.hooks.publish;
  return hook && createPublishAsker({ clock, log, hook, post });
}

/** @throws PlatformError journal.failed */
export async function eventOutbox({ clock, random, log, config }: RoleContext): Promise<Outbox | null> {
  const { events } = config.hooks;
  if (events.length === 0) return null;
  return openOutbox({ clock, random, log, hooks: events, journals: fileJournals(`${config.data}/hooks`), post });
}

/** @returns a function that stops it */
export function followStreams({ clock }: RoleContext, control: Control, outbox: Outbox): () => void {
  const look = () => outbox.look(control.sessions(), control.status().gateway.connected);
  const stop = control.subscribe((event) => {
    if (event.type === "publish.refused") outbox.refused(event);
    else if (event.type.startsWith("session.")) look();
  });
  let timer = clock.setTimer(LOOK_MS, again);
  function again(): void {
    look();
    timer = clock.setTimer(LOOK_MS, again);
  }
  return () => {
    stop();
    timer.cancel();
  };
}
