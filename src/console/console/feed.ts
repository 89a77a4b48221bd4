// The live state: everything once by plain requests, then changes by server-sent events.
// Why not the browser's own reconnect: it gives up for ever on an error status, says nothing about why, and does not
// notice a peer that is silently gone. So each attempt first asks for the status, which also tells 401 from "not there".
import { ApiError, ask, EMPTY, merge, type State, token } from "./api.ts";

export type Link = "connecting" | "live" | "lost" | "unauthorized";
export type Note = { at: number; text: string; kind: string };

export type Feed = { link: Link; reason: string | null; state: State; notes: Note[]; updatedAt: number | null };

const RETRY_MS = [500, 1000, 2000, 4000];
const PROBE_EVERY_MS = 5000;
const NOTES_MAX = 50;
const LISTS = ["channels", "sessions", "workers", "refusals"] as const;
/** Types of events that the feed names besides `state`. */
const EVENTS = [
  "session.started",
  "session.live",
  "session.interrupted",
  "session.ending",
  "session.ended",
  "session.failed",
  "publish.refused",
  "worker.started",
  "worker.assigned",
  "worker.ended",
  "worker.failed",
  "source.started",
  "source.stopped",
  "channel.created",
  "channel.changed",
  "channel.removed",
];

/** @param onChange gets a new value after each change @returns stop and retry-now */
export function openFeed(onChange: (feed: Feed) => void): { stop(): void; retry(): void } {
  let feed: Feed = { link: "connecting", reason: null, state: EMPTY, notes: [], updatedAt: null };
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempts = 0;
  let stopped = false;
  let generation = 0;

  const update = (change: Partial<Feed>) => {
    if (stopped) return;
    feed = { ...feed, ...change };
    onChange(feed);
  };

  async function connect(): Promise<void> {
    generation += 1;
    const own = generation;
    clearTimeout(timer);
    source?.close();
    try {
      const [status, ...lists] = await Promise.all([
        ask<Record<string, unknown>>("/api/v1/status"),
        ...LISTS.map((name) => ask<unknown>(`/api/v1/${name}`)),
      ]);
      if (stopped || own !== generation) return;
      const whole = Object.fromEntries(LISTS.map((name, index) => [name, lists[index]]));
      update({ state: merge(feed.state, { status, ...whole }), updatedAt: Date.now() });
      listen(own);
    } catch (error) {
      if (!stopped && own === generation) fail(error);
    }
  }

  function listen(own: number): void {
    const value = token.get();
    const query = value === null ? "" : `?access_token=${encodeURIComponent(value)}`;
    const events = new EventSource(`/api/v1/events${query}`);
    source = events;
    events.onopen = () => {
      attempts = 0;
      update({ link: "live", reason: null });
      clearTimeout(timer);
      timer = setTimeout(() => probe(own), PROBE_EVERY_MS);
    };
    events.onerror = () => {
      if (own === generation) fail(new Error("The event feed was closed."));
    };
    events.addEventListener("state", (event) => {
      const snapshot = parse(event.data);
      if (snapshot !== null) update({ state: merge(feed.state, snapshot), updatedAt: Date.now() });
    });
    for (const type of EVENTS)
      events.addEventListener(type, (event) => {
        const text = describe(parse(event.data));
        update({ notes: [{ at: Date.now(), text, kind: type }, ...feed.notes].slice(0, NOTES_MAX) });
      });
  }

  /** Nothing arrives while nothing changes; this tells a quiet server from one that is gone. */
  async function probe(own: number): Promise<void> {
    try {
      const status = await ask<Record<string, unknown>>("/api/v1/status");
      if (stopped || own !== generation) return;
      update({ state: merge(feed.state, { status }) });
      timer = setTimeout(() => probe(own), PROBE_EVERY_MS);
    } catch (error) {
      if (!stopped && own === generation) fail(error);
    }
  }

  function fail(error: unknown): void {
    generation += 1;
    source?.close();
    clearTimeout(timer);
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      update({ link: "unauthorized", reason: token.get() === null ? null : error.message });
      return;
    }
    update({ link: "lost", reason: error instanceof ApiError ? error.message : "The server does not answer." });
    timer = setTimeout(connect, RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]);
    attempts += 1;
  }

  const online = () => void connect();
  addEventListener("online", online);
  void connect();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      source?.close();
      removeEventListener("online", online);
    },
    retry: () => void connect(),
  };
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : null;
  } catch {
    return null; // a torn event: the next state is whole again
  }
}

function describe(event: Record<string, unknown> | null): string {
  if (event === null) return "";
  const word = (name: string) => (typeof event[name] === "string" ? (event[name] as string) : "");
  return [word("channel"), word("session"), word("worker"), word("message") || word("reason")]
    .filter((part) => part !== "")
    .join(" · ");
}
