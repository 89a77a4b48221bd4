// Customers' own servers, asked about publishers and told about streams.
import type { Control } from "#control/control.ts";
import { type Outbox, openOutbox } from "#modules/hooks/outbox.ts";
import { createPublishAsker, type PublishAsker } from "#modules/hooks/publish-hook.ts";
import { fileJournals } from "#platform/journal/drivers/file.ts";
import { post } from "../wire/post.ts";
import type { RoleContext } from "./process.ts";

/** States are looked at when an event says that something changed, and this often anyway. */
const LOOK_MS = 5000;

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
