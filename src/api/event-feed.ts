// Server-sent events: the whole state first, then what happens and, at most four times a second, the state again when it
// changed. Each state is whole, so a reader that missed some missed nothing; it is made and turned into text once for all
// readers, and only while there are any.
import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#base/errors.ts";
import type { ControlEvent } from "#control/events.ts";

const STATE_INTERVAL_MS = 250;
const HEARTBEAT_MS = 10_000;
const CLIENTS_MAX = 256;
/** A reader with more than this waiting for it gets no further states (the newest one is all it needs) ... */
const BEHIND_BYTES_MAX = 1024 * 1024;
/** ... and one with more than this is cut off: it may come back and begin with the whole state. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;

export interface EventFeed {
  /** Takes the response over. @throws PlatformError origin.busy when there are too many readers */
  open(response: ServerResponse, headers: Readonly<Record<string, string>>): void;
  readonly clients: number;
  close(): void;
}

export function createEventFeed(deps: {
  clock: Clock;
  state: () => unknown;
  subscribe: (listener: (event: ControlEvent) => void) => () => void;
}): EventFeed {
  const { clock } = deps;
  const clients = new Set<ServerResponse>();
  let stop: (() => void) | null = null;
  let timer: Timer | null = null;
  let last = "";
  let sentMs = 0;

  function send(client: ServerResponse, text: string, limitBytes: number): void {
    if (client.writableLength > QUEUE_BYTES_MAX) client.destroy();
    else if (client.writableLength <= limitBytes) client.write(text);
  }

  const stateText = () => `event: state\ndata: ${JSON.stringify(deps.state())}\n\n`;

  function tick(): void {
    const state = stateText();
    const nowMs = clock.monotonicMs();
    if (state !== last) for (const client of clients) send(client, state, BEHIND_BYTES_MAX);
    else if (nowMs - sentMs >= HEARTBEAT_MS) for (const client of clients) send(client, ":\n\n", BEHIND_BYTES_MAX);
    if (state !== last || nowMs - sentMs >= HEARTBEAT_MS) sentMs = nowMs;
    last = state;
    timer = clock.setTimer(STATE_INTERVAL_MS, tick);
  }

  function begin(): void {
    stop = deps.subscribe((event) => {
      const text = `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      for (const client of clients) send(client, text, QUEUE_BYTES_MAX);
    });
    timer = clock.setTimer(STATE_INTERVAL_MS, tick);
  }

  function end(): void {
    stop?.();
    timer?.cancel();
    stop = timer = null;
  }

  return {
    open(response, headers) {
      if (clients.size >= CLIENTS_MAX)
        throw new PlatformError("origin.busy", `${CLIENTS_MAX} readers follow the events already; try again later.`);
      const first = stateText();
      response.writeHead(200, { ...headers, "content-type": "text/event-stream", "x-accel-buffering": "no" });
      response.write(`retry: 2000\n\n${first}`);
      response.on("error", () => response.destroy()); // the reader is gone; close follows
      response.on("close", () => {
        clients.delete(response);
        if (clients.size === 0) end();
      });
      clients.add(response);
      if (stop === null) begin();
    },
    get clients() {
      return clients.size;
    },
    close() {
      end();
      for (const client of clients) client.end();
    },
  };
}
