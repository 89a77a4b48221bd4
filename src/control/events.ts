// What happened, for those who watch. Events tell a story to people; nothing of ours depends on seeing one (whole states
// are what programs follow).
import type { Clock } from "#base/clock.ts";
import type { SessionView } from "./views.ts";

export type EventType =
  | `session.${SessionView["state"] extends infer S ? (S extends "starting" ? "started" : S & string) : never}`
  | "publish.refused"
  | "worker.started"
  | "worker.assigned"
  | "worker.ended"
  | "worker.failed"
  | "source.started"
  | "source.stopped"
  | "channel.created"
  | "channel.changed"
  | "channel.removed";

export type ControlEvent = Readonly<{
  /** Counts from 1 since this control started. */
  id: number;
  type: EventType;
  /** UTC. */
  at: string;
  channel: string | null;
  session: string | null;
  worker: string | null;
  code: string | null;
  message: string | null;
}>;

export type EventDetail = Partial<Pick<ControlEvent, "channel" | "session" | "worker" | "code" | "message">>;

export interface Events {
  emit(type: EventType, detail: EventDetail): void;
  /** @returns a function that stops it */
  subscribe(listener: (event: ControlEvent) => void): () => void;
}

export function createEvents(clock: Clock): Events {
  const listeners = new Set<(event: ControlEvent) => void>();
  let last = 0;
  return {
    emit(type, detail) {
      const at = new Date(Number(clock.utcNs() / 1_000_000n)).toISOString();
      const none = { channel: null, session: null, worker: null, code: null, message: null };
      const event: ControlEvent = Object.freeze({ id: ++last, type, at, ...none, ...detail });
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
