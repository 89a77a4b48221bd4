// Placement over a message channel: control asks, the supervisor does. So that control may die while what it placed
// runs on, and the next one finds it in list().
import { PlatformError } from "#base/errors.ts";
import type { Placement } from "../placement.ts";

/** Both ends of a Node IPC channel, or anything like it. */
export interface MessageChannelEnd {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
}

type Method = "ensure" | "remove" | "list";
type Call = { kind: "placement.call"; call: number; method: Method; argument: unknown };
type Result = { kind: "placement.result"; call: number; value?: unknown; error?: string };
type Changed = { kind: "placement.changed" };

const kindOf = (message: unknown) => (message as { kind?: unknown } | null)?.kind;

/** The asking end. */
export function channelPlacement(channel: MessageChannelEnd): Placement {
  let calls = 0;
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const listeners = new Set<() => void>();

  channel.onMessage((message) => {
    if (kindOf(message) === "placement.changed") for (const listener of listeners) listener();
    if (kindOf(message) !== "placement.result") return;
    const { call, value, error } = message as Result;
    const waiter = waiting.get(call);
    waiting.delete(call);
    if (error === undefined) waiter?.resolve(value);
    else waiter?.reject(new PlatformError("placement.no_capacity", error));
  });

  function ask<T>(method: Method, argument: unknown): Promise<T> {
    const call = ++calls;
    return new Promise<T>((resolve, reject) => {
      waiting.set(call, { resolve: resolve as (value: unknown) => void, reject });
      channel.send({ kind: "placement.call", call, method, argument } satisfies Call);
    });
  }

  return {
    ensure: (workload) => ask("ensure", workload),
    remove: (id) => ask("remove", id),
    list: () => ask("list", null),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The doing end. @returns a function that stops serving */
export function servePlacement(placement: Placement, channel: MessageChannelEnd): () => void {
  channel.onMessage(async (message) => {
    if (kindOf(message) !== "placement.call") return;
    const { call, method, argument } = message as Call;
    try {
      const value = await placement[method](argument as never);
      channel.send({ kind: "placement.result", call, value } satisfies Result);
    } catch (error) {
      channel.send({ kind: "placement.result", call, error: (error as Error).message } satisfies Result);
    }
  });
  return placement.onChange(() => channel.send({ kind: "placement.changed" } satisfies Changed));
}
